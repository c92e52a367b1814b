"""MySQL and MariaDB: PyMySQL for the conversation, our own bulk reader for the rows (`adapters.mysql_wire`).

Every value travels as the text that the server prints, and is read strictly as the type that was planned. FLOAT is
the one type that the server prints with loss; it is cast to DOUBLE, which is not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, ClassVar, TypeAlias, TypeVar

import pyarrow as pa
from sqlglot import exp

from adapters.base import (
    CancelToken,
    Column,
    Estimate,
    Partition,
    Scan,
    ScanRequest,
    Table,
    TableName,
    TableStatistics,
)
from adapters.errors import (
    CatalogError,
    ColumnNotFound,
    ConversionError,
    Error,
    NumericOutOfRange,
    SourceAuthError,
    SourceChanged,
    TableNotFound,
)
from adapters.mysql_explain import asked, expected
from adapters.mysql_native import native_column, native_fields
from adapters.mysql_schema import read_tables, table_names
from adapters.mysql_session import IN_SNAPSHOT, MEANING, Meaning, Session, parse_uri, translated
from adapters.mysql_snapshot import MySQLSnapshot, Reading
from adapters.mysql_statistics import ADVICE_SECONDS, COLUMNS, SETTINGS, read_statistics
from adapters.mysql_types import helpful_cast, readable, to_arrow
from adapters.mysql_wire import RowStream
from adapters.pool import Pool
from adapters.sql.dialect import SourceDialect
from adapters.sql.mysql import MYSQL
from adapters.sql.native import relation_of
from adapters.sql.scan import scan_query

_READERS = 16
_TABLES_AT_ONCE = 1000  # whose columns are in memory
_UNBOUNDED = 1 << 30
_SHOWN_CHARACTERS = 40
Field: TypeAlias = "pa.Field[Any]"
Array: TypeAlias = "pa.Array[Any]"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Fetch:
    sql: str
    schema: pa.Schema
    tables: tuple[TableName, ...]
    native: bool = False  # the caller's own text: its session is for nobody else


class MySQLAdapter:
    options: ClassVar[frozenset[str]] = frozenset({"uri", "zero_dates", "limits"})
    dialect: SourceDialect = MYSQL
    reads_snapshots_in_parallel: ClassVar[bool] = False

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self._address = parse_uri(options.get("uri"), name)
        self.default_schema = self._address.database
        zero_dates = options.get("zero_dates", "error")
        if zero_dates not in ("error", "null"):
            raise CatalogError('zero_dates is "error" or "null"', source=name)
        self._zero_dates_as_null = zero_dates == "null"
        limits: Mapping[str, Any] = options.get("limits") or {}
        self._timeout: float | None = limits.get("timeout")
        self._pool = self._new_pool(self._session, limits.get("concurrency") or _READERS)
        # Apart from the readers, which may all wait for a consumer that wants to know a table first.
        self._describing = self._new_pool(self._session, 2)
        self._advising = self._new_pool(self._adviser, 2)
        self._snapshots = self._new_pool(self._session, _UNBOUNDED)
        self._known: dict[TableName, Table] = {}
        self._lock = threading.Lock()

    def _new_pool(self, open_session: Callable[[], Session], size: int) -> Pool[Session]:
        return Pool(open_session, Session.close, size)

    def _session(self) -> Session:
        with translated(self.name):
            return Session(self._address, self._timeout)

    def _adviser(self) -> Session:
        with translated(self.name):
            return Session(self._address, min(self._timeout or ADVICE_SECONDS, ADVICE_SECONDS), SETTINGS)

    # --- metadata ----------------------------------------------------------------------------------------------

    def list_tables(self) -> Iterable[TableName]:
        return self._asked(self._describing, lambda session: table_names(session.rows))

    def get_table(self, name: TableName) -> Table:
        found = next(iter(self._described(name.schema, [name.name])), None)
        with self._lock:
            if found is None:
                self._known.pop(name, None)
                raise TableNotFound(f'there is no table "{name.schema}"."{name.name}"', source=self.name)
            self._known[name] = found
        return found

    def get_tables(self, names: Sequence[TableName]) -> Iterator[Table]:
        for schema in dict.fromkeys(each.schema for each in names):
            wanted = [each.name for each in names if each.schema == schema]
            for first in range(0, len(wanted), _TABLES_AT_ONCE):
                yield from self._described(schema, wanted[first : first + _TABLES_AT_ONCE])

    def _described(self, schema: str, names: Sequence[str]) -> list[Table]:
        def described(session: Session) -> list[Table]:
            nulls = self._zero_dates_as_null
            return list(read_tables(session.rows, schema, names, mariadb=session.is_mariadb, zero_dates_as_null=nulls))

        return self._asked(self._describing, described)

    def statistics(self, table: TableName) -> TableStatistics:
        known = self._table(table)
        return self._asked(self._advising, lambda session: self._statistics(session, known))

    def _statistics(self, session: Session, table: Table) -> TableStatistics:
        details: Iterable[tuple[Any, ...]] = ()
        if session.is_mariadb:
            with suppress(SourceAuthError), translated(self.name):
                details = session.rows(COLUMNS, table.name.schema, table.name.name)
        return read_statistics(session.rows, table, details)

    def _table(self, name: TableName) -> Table:
        """As it was last described. A change since then is found by the read, which then forgets the table."""
        with self._lock:
            known = self._known.get(name)
        return known or self.get_table(name)

    def _forget(self, names: Iterable[TableName]) -> None:
        with self._lock:
            for name in names:
                self._known.pop(name, None)

    # --- planning ----------------------------------------------------------------------------------------------

    def plan_scan(self, request: ScanRequest) -> Scan:
        table = self._table(request.table)
        types = {column.name: column.type for column in table.columns}
        unknown = {*request.columns, *(p.column for p in request.predicates)} - set(types)
        if unknown:
            raise ColumnNotFound(f'"{request.table.name}" has no column "{min(unknown)}"', source=self.name)
        local = tuple(p for p in request.predicates if self._is_local(table.column(p.column)))
        pushed = tuple(p for p in request.predicates if p not in local)
        limit = None if local else request.limit
        query, residual = scan_query(self.dialect, table, ScanRequest(request.table, request.columns, pushed, limit))
        schema = pa.schema([(column, types[column]) for column in request.columns])
        return Scan((self._partition(query, schema),), schema, residual + local, reusable=True)

    def plan_query(self, query: exp.Query, schema: pa.Schema) -> Scan | None:
        if len(query.selects) != len(schema) or not all(readable(kind) for kind in schema.types):
            return None
        if self._touches_zero_dates(query):
            return None
        return Scan((self._partition(query, schema),), schema, reusable=True)

    def describe_native(self, sql: str) -> tuple[Column, ...]:
        fields = self._asked(self._describing, lambda session: native_fields(session, sql, self.name))
        table = cache(self.get_table)
        return tuple(native_column(field, table) for field in fields)

    def plan_native(self, sql: str, columns: tuple[Column, ...]) -> Scan:
        schema = pa.schema([(column.name, column.type) for column in columns])
        partition = self._partition(relation_of(sql, schema.names), schema)
        fetch = replace(partition.payload, native=True)
        return Scan((Partition(partition.request, fetch),), schema)

    def estimate(self, query: exp.Query) -> Estimate:
        """A second question is asked about a grouped query: how many values its keys have."""
        prepared = self._prepared(query.copy())

        def estimated(session: Session) -> Estimate:
            explained = session.rows(asked(prepared))
            return expected(explained, prepared, lambda name: self._statistics(session, self._table(name)))

        return self._asked(self._advising, estimated)

    def _is_local(self, column: Column) -> bool:
        """Where a zero date is to be NULL, the server would compare it as the date that it is not; a year it compares
        with 70 as with 1970."""
        return self._may_hide_nulls(column.type) or column.source_type.startswith("year")

    def _may_hide_nulls(self, kind: pa.DataType) -> bool:
        return self._zero_dates_as_null and (pa.types.is_date32(kind) or pa.types.is_timestamp(kind))

    def _touches_zero_dates(self, query: exp.Query) -> bool:
        if not self._zero_dates_as_null:
            return False
        columns = (column for name in _tables(query) for column in self._columns(name))
        return any(self._may_hide_nulls(column.type) for column in columns)

    def _has_dates_without_null(self, query: exp.Query) -> bool:
        columns = (column for name in _tables(query) for column in self._columns(name))
        return any(not column.nullable and column.source_type.startswith(("date", "timestamp")) for column in columns)

    def _columns(self, name: TableName) -> tuple[Column, ...]:
        """None of a table that is not there: reading it says so."""
        try:
            return self._table(name).columns
        except TableNotFound:
            return ()

    def _partition(self, query: exp.Query, schema: pa.Schema) -> Partition:
        sql = self._prepared(_with_doubles(query.copy(), schema)).sql("mysql")
        return Partition(sql, _Fetch(sql, schema, tuple(_tables(query))))

    def _prepared(self, query: exp.Query) -> exp.Query:
        query = _with_microseconds(query)
        return _with_plain_null_tests(query) if self._has_dates_without_null(query) else query

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        fetch: _Fetch = partition.payload

        def begin(_: Sequence[TableName]) -> Reading:
            return _Reading(self._pool, self.name, cancel, native=fetch.native)

        return self._read(partition, cancel, begin)

    def take_snapshot(self, cancel: CancelToken) -> MySQLSnapshot:
        read = partial(self._read, meaning=IN_SNAPSHOT)
        return MySQLSnapshot(self._snapshots, read, self.name, cancel)

    def _read(
        self,
        partition: Partition,
        cancel: CancelToken,
        begin: Callable[[Sequence[TableName]], Reading],
        meaning: Meaning = MEANING,
    ) -> pa.RecordBatchReader:
        fetch: _Fetch = partition.payload
        return pa.RecordBatchReader.from_batches(fetch.schema, self._batches(fetch, cancel, begin, meaning))

    def _batches(
        self, fetch: _Fetch, cancel: CancelToken, begin: Callable[[Sequence[TableName]], Reading], meaning: Meaning
    ) -> Iterator[pa.RecordBatch]:
        cancel.check()
        with translated(self.name, cancel, meaning):
            reading = begin(fetch.tables)
        # In a thread of its own: the server may take seconds to answer, and whoever cancels has others to tell.
        unregister = cancel.register(threading.Thread(target=reading.kill, name="mysql-kill", daemon=True).start)
        try:
            with translated(self.name, cancel, meaning):
                for columns, wire_types in reading.open(fetch.sql):
                    yield self._arrived(columns, wire_types, fetch.schema)
                    cancel.check()
        except SourceChanged:
            self._forget(fetch.tables)
            raise
        finally:
            unregister()
            reading.close()

    def _arrived(self, sent: list[Array], wire_types: list[int], schema: pa.Schema) -> pa.RecordBatch:
        if not len(schema):
            return pa.record_batch({"one": sent[0]}).select([])
        if len(sent) != len(schema):
            raise SourceChanged(f"{len(schema)} columns were planned, {len(sent)} came", source=self.name)
        arrays = []
        for array, wire_type, field in zip(sent, wire_types, schema, strict=True):
            try:
                arrays.append(self._converted(array, wire_type, field.type))
            except pa.ArrowInvalid as exc:
                raise self._conversion_error(array, wire_type, field) from exc
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _converted(self, sent: Array, wire_type: int, kind: pa.DataType) -> Array:
        return to_arrow(sent, wire_type, kind, zero_dates_as_null=self._zero_dates_as_null)

    def _conversion_error(self, sent: Array, wire_type: int, field: Field) -> Error:
        """Names the first value that is refused, found by halving."""
        while len(sent) > 1:
            half = sent.slice(0, len(sent) // 2)
            try:
                self._converted(half, wire_type, field.type)
                sent = sent.slice(len(half))
            except pa.ArrowInvalid:
                sent = half
        value = sent[0].as_py()
        shown = value.decode("utf-8", "backslashreplace")[:_SHOWN_CHARACTERS] if value is not None else "NULL"
        number = pa.types.is_integer(field.type) or pa.types.is_decimal(field.type)
        cast = helpful_cast(field.type, exp.to_identifier(field.name, quoted=True).sql("mysql"))
        dates = pa.types.is_date32(field.type) or pa.types.is_timestamp(field.type)
        return (NumericOutOfRange if number else ConversionError)(
            f'column "{field.name}" holds {shown!r}, which is not a value of type {field.type}',
            hint=f"read it through a view at the source that selects {cast}"
            + (', or set zero_dates = "null" for the source' if dates else ""),
            source=self.name,
        )

    # --- connections -------------------------------------------------------------------------------------------

    def close(self) -> None:
        self._pool.close()
        self._describing.close()
        self._advising.close()
        self._snapshots.close()

    def _asked(self, pool: Pool[Session], ask: Callable[[Session], T]) -> T:
        """The whole of an answer."""

        def translating(session: Session) -> T:
            with translated(self.name):
                return ask(session)

        session, answer = pool.start(translating)
        pool.release(session)
        return answer


class _Reading:
    """One open result. `kill` may come from another thread, and never hits the connection's next user."""

    def __init__(self, pool: Pool[Session], source: str, cancel: CancelToken, *, native: bool) -> None:
        self._pool = pool
        self._source = source
        self._cancel = cancel
        self._native = native
        self._session: Session | None = None
        self._stream: RowStream | None = None
        self._lock = threading.Lock()
        self._killed = False

    def open(self, sql: str) -> Iterator[tuple[list[Array], list[int]]]:
        _, (stream, wire_types) = self._pool.start(partial(self._ask, sql=sql), self._cancel)
        self._stream = stream
        return ((columns, wire_types) for columns in stream)

    def _ask(self, session: Session, sql: str) -> tuple[RowStream, list[int]]:
        self._hold(session)
        try:
            self._cancel.check()  # for a `kill` that came when there was no session
            with translated(self._source, self._cancel):
                if self._native:
                    session.rows("START TRANSACTION READ ONLY")
                return session.open(sql)
        except BaseException:
            self._hold(None)
            raise

    def _hold(self, session: Session | None) -> None:
        with self._lock:
            self._session = session

    def kill(self) -> None:
        with self._lock:
            if self._session is not None and not self._killed:
                self._killed = True
                self._session.kill()

    def close(self) -> None:
        """A result that was not read to its end cannot be skipped, only killed. A query that failed has no connection
        any more."""
        if self._stream is not None and not self._stream.finished:
            self.kill()
        session = self._session
        self._hold(None)
        if session is not None:
            self._pool.release(session, broken=self._killed or self._native)


def _tables(query: exp.Query) -> list[TableName]:
    """The stored tables of an island; a name without a schema is one of its own WITH clauses."""
    return [TableName(table.db, table.name) for table in query.find_all(exp.Table) if table.db]


def _with_doubles(query: exp.Query, schema: pa.Schema) -> exp.Query:
    """FLOAT is printed with six digits; as a DOUBLE it is printed so that it can be read back exactly."""
    floating = [place for place, kind in enumerate(schema.types) if pa.types.is_floating(kind)]
    if isinstance(query, exp.SetOperation):
        for side in (query.this, query.expression):
            _with_doubles(side, schema)
    elif isinstance(query, exp.Subquery):
        _with_doubles(query.this, schema)
    elif isinstance(query, exp.Select):
        selected = query.expressions
        for place in floating:
            name = selected[place].alias_or_name
            cast = exp.cast(selected[place].unalias().copy(), exp.DType.DOUBLE)
            selected[place].replace(exp.alias_(cast, name, quoted=True) if name else cast)
    return query


def _with_plain_null_tests(query: exp.Query) -> exp.Query:
    """IS NULL finds zero dates in columns that are NOT NULL, for the sake of ODBC; the other spelling does not."""
    for test in query.find_all(exp.Is):
        if isinstance(test.expression, exp.Null) and isinstance(test.this, exp.Column):
            test.replace(exp.NullSafeEQ(this=test.this.copy(), expression=exp.Null()))
    return query


def _with_microseconds(query: exp.Query) -> exp.Query:
    """A timestamp has microseconds; MySQL's DATETIME has them only where it says so."""
    for cast in query.find_all(exp.Cast):
        kind = cast.to
        if kind.this in (exp.DType.DATETIME, exp.DType.TIMESTAMP) and not kind.expressions:
            kind.replace(
                exp.DataType(this=exp.DType.DATETIME, expressions=[exp.DataTypeParam(this=exp.Literal.number(6))])
            )
    return query
