"""The source interface: what an adapter implements and what it returns.

Small, and split by ability. An ability is a method set that an adapter has (`SupportsQuery`, `SupportsLocalScan`, …);
there is no list of flags beside it.

The contract:

1. A predicate that is not in `Scan.residual` holds for every returned row under DuckDB's semantics.
2. `ScanRequest.limit` is honoured only with an empty residual; otherwise it is ignored.
3. `read` yields batches whose schema is exactly `Scan.schema`.
4. An unhandled failure is an error of `adapters.errors`, never fewer rows.
5. `CancelToken.cancel` may come from any thread while a reader blocks; the statement at the source ends, and the
   blocked reader raises.
6. Every method may be called from several threads at once; each open reader has its own connection.
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import pyarrow as pa
from sqlglot import exp

from adapters.errors import QueryCancelled

if TYPE_CHECKING:
    from adapters.sql.dialect import SourceDialect


class Collation(enum.Enum):
    """How a source compares a text column, seen from DuckDB's comparison by bytes."""

    BINARY = "binary"  # equality and order are by bytes
    LOCALE = "locale"  # equality is by bytes, order is by a locale
    INSENSITIVE = "insensitive"  # equal bytes are equal there, but so are other strings: a superset
    UNKNOWN = "unknown"  # nothing is promised


@dataclass(frozen=True, slots=True)
class TableName:
    """A table inside one source, in the source's exact case."""

    schema: str
    name: str


@dataclass(frozen=True, slots=True)
class Column:
    """`type` is the Arrow type that values arrive as; `source_type` is the source's own spelling, such as char(3)."""

    name: str
    type: pa.DataType
    nullable: bool = True
    source_type: str = ""
    collation: Collation = Collation.BINARY
    required_filter: bool = False  # the table can be read only with =, IN on this column
    dynamic: bool = False  # values of other types may be stored in it (SQLite): reading those raises, so that no
    # predicate may drop them unseen
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    columns: tuple[str, ...]
    references: TableName
    referenced_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    name: TableName
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    comment: str | None = None

    def column(self, name: str) -> Column:
        """The column of that exact name; KeyError without one."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


PredicateOp = Literal["=", "<>", "<", "<=", ">", ">=", "in", "is null", "is not null"]


@dataclass(frozen=True, slots=True)
class Predicate:
    """`column op values` under DuckDB's semantics; a list of them is a conjunction.

    `values` holds Python values of the column's type, none of them None: one for a comparison, any number for `in`
    (no value at all means no row), none for the null tests.
    """

    column: str
    op: PredicateOp
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One table, some of its columns (in this order; possibly none, for counting), a conjunction, a limit."""

    table: TableName
    columns: tuple[str, ...]
    predicates: tuple[Predicate, ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a source expects to return; None where it cannot tell. `bytes` are those of all rows as they travel, by the
    source's own estimate of their width. `cost` is in the source's own units: it compares within one source only."""

    rows: float | None = None
    bytes: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """What a source knows of the values of a column, None where it does not. All of it may be old or a sample's: good
    for guessing sizes, never for leaving rows out. `minimum` and `maximum` are Python values of the column's type,
    of numbers and dates only; `bytes` is the average width."""

    distinct: float | None = None
    null_fraction: float | None = None
    minimum: Any = None
    maximum: Any = None
    bytes: float | None = None


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """What a source knows of a table. `bytes` is its size as it is stored; `columns` has the known ones, by their
    exact names."""

    rows: float | None = None
    bytes: float | None = None
    columns: Mapping[str, ColumnStatistics] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Partition:
    """One independently readable part of a scan. `request` is what the source will receive, as EXPLAIN shows it:
    its SQL or its URL, without secrets. `payload` is the adapter's own."""

    request: str
    payload: Any = field(default=None, repr=False, compare=False)


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Scan:
    """A planned read. All partitions together are the answer, in any order, unless there is only one.

    `close` frees what the partitions share (an exported snapshot, say); whoever planned calls it exactly once, when
    every reader has ended or none will be opened. The partitions of a `reusable` scan can be read again later, and by
    several queries at once: each reading asks the source afresh, and there is nothing to close, unless they share
    something: then `anew` gives the same scan with something of its own.

    `version` is for what costs nothing to look at, such as the times of files: a text that differs as soon as what the
    scan was planned over has changed in any way, None where that cannot be told.
    """

    partitions: tuple[Partition, ...]
    schema: pa.Schema
    residual: tuple[Predicate, ...] = ()
    estimate: Estimate = Estimate()
    close: Callable[[], None] = field(default=_nothing, repr=False, compare=False)
    reusable: bool = False
    anew: Callable[[], Scan] | None = field(default=None, repr=False, compare=False)
    version: Callable[[], str | None] | None = field(default=None, repr=False, compare=False)

    def again(self) -> Scan:
        """A reusable scan, to be read once more and to be closed by itself."""
        if self.anew is None:
            return self
        made = self.anew()
        return replace(self, partitions=made.partitions, close=made.close)


class CancelToken:
    """Carries one cancel from a query to everything that runs for it, in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], object]] = {}
        self._next = 0
        self._cause: Exception | None = None

    @property
    def cancelled(self) -> bool:
        return self._cause is not None

    def check(self) -> None:
        """Raise the cause when cancelled."""
        if self._cause is not None:
            raise self._cause

    def cancel(self, cause: Exception | None = None) -> None:
        """Run every registered callback once. Only the first call counts."""
        with self._lock:
            if self._cause is not None:
                return
            self._cause = cause or QueryCancelled("the query was cancelled")
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
        for callback in callbacks:
            callback()

    def register(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback` on cancel (at once when that was already); returns the function that unregisters it."""
        with self._lock:
            if self._cause is None:
                key = self._next
                self._next += 1
                self._callbacks[key] = callback
                return lambda: self._unregister(key)
        callback()
        return _nothing

    def _unregister(self, key: int) -> None:
        with self._lock:
            self._callbacks.pop(key, None)


class Adapter(Protocol):
    """One source. Constructed as `Factory(name, options)`, see `adapters.registry`; construction does no I/O."""

    name: str
    default_schema: str
    options: ClassVar[frozenset[str]]  # the keys of [sources.x] that this adapter takes, beside the common ones

    def list_tables(self) -> Iterable[TableName]: ...

    def get_table(self, name: TableName) -> Table:
        """Raises TableNotFound."""

    def plan_scan(self, request: ScanRequest) -> Scan: ...

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader: ...

    def close(self) -> None:
        """Close every pooled connection. Idempotent."""


@runtime_checkable
class SupportsManyTables(Protocol):
    """A source that describes many tables in few round trips."""

    def get_tables(self, names: Sequence[TableName]) -> Iterable[Table]:
        """As `get_table` for each of them; one that is gone is left out."""


@runtime_checkable
class SupportsQuery(Protocol):
    """A source that answers whole islands in its own SQL."""

    dialect: SourceDialect

    def plan_query(self, query: exp.Query, schema: pa.Schema) -> Scan | None:
        """`query` is a tree in the source's dialect (already translated: tables and columns carry the source's own
        quoted names, every operation means there what it means in DuckDB). `schema` is what the reader must yield:
        cast at the source or on arrival. None declines."""


@runtime_checkable
class SupportsLocalScan(Protocol):
    """A source that DuckDB reads by itself."""

    def local_sql(self, table: TableName) -> str | None:
        """A DuckDB table expression, such as `read_parquet(['…'])`, values quoted; None for a table that has to be
        scanned after all."""

    def local_paths(self) -> tuple[str, ...]:
        """The directories and files that DuckDB must be allowed to open."""


@runtime_checkable
class SupportsNativeQuery(Protocol):
    """A source that answers a query in its own words: the text is sent as it is, and can only read."""

    def describe_native(self, sql: str) -> tuple[Column, ...]:
        """The columns of the result, at least one, of different names. `sql` is one statement without a semicolon at
        its end; it is not run. Raises ReadOnlyError or NotSupportedError for what is not a query, DuplicateColumn,
        IndeterminateType, or the source's error."""

    def plan_native(self, sql: str, columns: tuple[Column, ...]) -> Scan:
        """The rows, with some of the columns that were described. The schema is exactly theirs, but for the width of
        decimals; a column that has changed since is SourceChanged."""


@runtime_checkable
class SupportsEstimate(Protocol):
    """A source whose optimizer can be asked."""

    def estimate(self, query: exp.Query) -> Estimate:
        """What the source's own optimizer expects of a query in its dialect (the same trees as `plan_query`), by its
        EXPLAIN: nothing is run. Raises the source's error."""


@runtime_checkable
class SupportsStatistics(Protocol):
    """A source that knows how much its tables hold."""

    def statistics(self, table: TableName) -> TableStatistics:
        """From the source's catalog, never by reading the table (a bounded, cheap probe such as max(rowid) is
        allowed). Raises TableNotFound, or the source's error."""


@runtime_checkable
class SupportsRevalidation(Protocol):
    """A source that says of its earlier answers whether they are still what it would answer."""

    def validator(self, scan: Scan) -> str:
        """Of a scan that was read to its end: what `unchanged` goes by. It holds no secrets; empty where the source
        gave nothing of the kind."""

    def unchanged(self, scan: Scan, validator: str, cancel: CancelToken) -> bool:
        """Whether the source, which is asked now, has the rows that the same scan had when it was given the validator;
        False for that of another scan. What comes instead is not asked for again when `scan` is read. Raises the
        source's error."""


@runtime_checkable
class SupportsNotifications(Protocol):
    """A source that can be listened to, and that says what has changed in it."""

    def listen(self, channel: str, cancel: CancelToken) -> Iterator[Sequence[str]]:
        """The texts that were sent on the channel, in their order: whatever is sent after the first item, which has
        none, comes in a later one. An item without any is a sign of life; one comes every few seconds. Ends with the
        cancel, raises the source's error where something may have been missed."""


class Snapshot(Protocol):
    """One state of a source, as it was when it was taken, until `close`."""

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        """As `Adapter.read`, from that state. A reader that is cancelled, or closed before its end, leaves the snapshot
        as it is. Raises SnapshotLost."""

    def outside(self) -> AbstractSet[TableName]:
        """Tables that were read so far as they are now, because the source keeps no states of them."""

    def close(self) -> None:
        """Give it back, once every reader has ended. Idempotent."""


@runtime_checkable
class SupportsSnapshot(Protocol):
    """A source several queries of which can read one state of it."""

    reads_snapshots_in_parallel: ClassVar[bool]  # otherwise the caller has one reader of a snapshot open at a time

    def take_snapshot(self, cancel: CancelToken) -> Snapshot | None:
        """Of now. It takes no connection from those that read. None where this source has none, though its kind may."""
