"""SQLite files, read-only.

Whole tables are scanned in this process (`sqlite_scan`), everything else is a statement that may be silent for long
and runs in a process that a cancel ends (`sqlite_session`). What SQLite says of a failure is not enough for a typed
error. So it is explained by looking again: is the file there, are the tables still what was planned with, which value
is not of its column's type.
"""

from __future__ import annotations

import re
import stat
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar

import pyarrow as pa
from sqlglot import exp

from adapters.base import CancelToken, Column, Partition, Scan, ScanRequest, Table, TableName, TableStatistics
from adapters.errors import (
    CatalogError,
    ColumnNotFound,
    ConversionError,
    Error,
    NumericOutOfRange,
    SourceChanged,
    SourceError,
    SourceUnavailable,
    TableNotFound,
)
from adapters.pool import Pool
from adapters.sql.dialect import SourceDialect
from adapters.sql.native import relation_of
from adapters.sql.scan import scan_query
from adapters.sql.sqlite import SQLITE
from adapters.sqlite_native import native_columns
from adapters.sqlite_scan import Scanner, scanned_table
from adapters.sqlite_schema import SCHEMA, Rows, is_stored, read_table, table_names
from adapters.sqlite_session import ENDED, Failure, Identity, Session, StatementFailure
from adapters.sqlite_snapshot import SQLiteSnapshot
from adapters.sqlite_statistics import read_statistics
from adapters.sqlite_types import Array, Transport, transport

_DAMAGED = ("NotADBError", "CorruptError")
_UNREADABLE = ("BusyError", "CantOpenError", "IOError", "LockedError", "ProtocolError")
_UNBOUNDED = 1 << 30
R = TypeVar("R", Session, Scanner)
Field: TypeAlias = "pa.Field[Any]"


@dataclass(frozen=True, slots=True)
class _Fetch:
    """`query` is the island, `sql` the same with every output column checked. `plain` is a scan of
    a whole table: its batches come one after the other without a pause."""

    query: exp.Query
    sql: str
    names: tuple[str, ...]
    schema: pa.Schema
    transports: tuple[Transport, ...]
    plain: bool


class SQLiteAdapter:
    options: ClassVar[frozenset[str]] = frozenset({"path"})
    default_schema = SCHEMA
    dialect: SourceDialect = SQLITE
    reads_snapshots_in_parallel: ClassVar[bool] = False

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        path = options.get("path")
        if not isinstance(path, str | Path):
            raise CatalogError("path is missing", hint='path = "file.db"', source=name)
        self._path = Path(path).absolute()
        # Without a bound of its own: who reads decides how many readers there are.
        self._sessions: Pool[Session] = Pool(partial(self._connect, Session), Session.close, _UNBOUNDED)
        self._scanners: Pool[Scanner] = Pool(partial(self._connect, Scanner), Scanner.close, _UNBOUNDED)
        # Apart from the readers, which may all wait for a consumer that wants to know a table first.
        self._describing: Pool[Session] = Pool(partial(self._connect, Session), Session.close, 1)
        self._tables: dict[TableName, Table] = {}
        self._stored: set[TableName] = set()  # of those, what is neither a view nor virtual
        self._version: tuple[Identity, int] | None = None
        self._lock = threading.Lock()

    # --- metadata ----------------------------------------------------------------------------------------------

    def list_tables(self) -> Iterable[TableName]:
        with self._described() as session:
            return table_names(session.rows)

    def get_table(self, name: TableName) -> Table:
        with self._described() as session:
            found = self._table(session.rows, session.file, name)
        if found is None:
            raise TableNotFound(f'there is no table "{name.schema}"."{name.name}"', source=self.name)
        return found

    def statistics(self, table: TableName) -> TableStatistics:
        known = self.get_table(table)
        with self._described() as session:
            return read_statistics(session.rows, known)

    def _table(self, rows: Rows, file: Identity, name: TableName) -> Table | None:
        """Kept for as long as the schema of the file does not change."""
        with self._lock:
            ((number,),) = rows("PRAGMA schema_version")
            version = file, number
            if version != self._version:
                self._tables.clear()
                self._stored.clear()
                self._version = version
            if name not in self._tables:
                found = read_table(rows, name, StatementFailure)
                if found is None:
                    return None
                self._tables[name] = found
                if is_stored(rows, name):
                    self._stored.add(name)
            return self._tables[name]

    # --- planning ----------------------------------------------------------------------------------------------

    def plan_scan(self, request: ScanRequest) -> Scan:
        table = self.get_table(request.table)
        types = {column.name: column.type for column in table.columns}
        unknown = {*request.columns, *(p.column for p in request.predicates)} - set(types)
        if unknown:
            raise ColumnNotFound(f'"{request.table.name}" has no column "{min(unknown)}"', source=self.name)
        query, residual = scan_query(self.dialect, table, request)
        schema = pa.schema([(column, types[column]) for column in request.columns])
        partition = self._partition(query, schema)
        if partition is None:
            raise AssertionError("every declared type has a transport")
        return Scan((partition,), schema, residual, reusable=True)

    def plan_query(self, query: exp.Query, schema: pa.Schema) -> Scan | None:
        partition = self._partition(query, schema)
        return Scan((partition,), schema, reusable=True) if partition else None

    def describe_native(self, sql: str) -> tuple[Column, ...]:
        with self._described() as session:
            return native_columns(session.rows, sql, StatementFailure, self.name)

    def plan_native(self, sql: str, columns: tuple[Column, ...]) -> Scan:
        schema = pa.schema([(column.name, column.type) for column in columns])
        scan = self.plan_query(relation_of(sql, schema.names), schema)
        if scan is None:
            raise AssertionError("every described type has a transport")
        return scan

    def _partition(self, query: exp.Query, schema: pa.Schema) -> Partition | None:
        """None for a type that nothing here becomes, or for names that SQLite would take for one another."""
        names = tuple(query.named_selects) if len(schema) else ()
        transports = [transport(kind) for kind in schema.types]
        known = tuple(each for each in transports if each)
        if len(known) != len(schema) or len(names) != len(schema) or len({n.lower() for n in names}) != len(names):
            return None
        checked = [each.checked(_column(name)) for each, name in zip(known, names, strict=True)]
        rows = exp.select(*(checked or [exp.Literal.number(1)]), copy=False).from_(query.subquery("q"), copy=False)
        sql = rows.sql("sqlite")
        table = scanned_table(query)
        plain = table is not None and TableName(table.db, table.name) in self._stored
        return Partition(query.sql("sqlite"), _Fetch(query, sql, names, schema, known, plain))

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        return self._read(partition, cancel, partial(self._reader, partition.payload, cancel))

    def take_snapshot(self, cancel: CancelToken) -> SQLiteSnapshot | None:
        with self._explained(cancel=cancel):
            session = self._acquire(self._sessions, cancel)
            try:
                begun = session.begin(cancel)
            except BaseException:
                self._sessions.release(session, broken=True)
                raise
        if not begun:
            self._sessions.release(session)
            return None
        return SQLiteSnapshot(self._sessions, session, self._read, self._described, self.name)

    def _read(
        self, partition: Partition, cancel: CancelToken, reader: Callable[[], AbstractContextManager[Session | Scanner]]
    ) -> pa.RecordBatchReader:
        fetch: _Fetch = partition.payload
        return pa.RecordBatchReader.from_batches(fetch.schema, self._batches(fetch, cancel, reader))

    def _batches(
        self, fetch: _Fetch, cancel: CancelToken, reader: Callable[[], AbstractContextManager[Session | Scanner]]
    ) -> Iterator[pa.RecordBatch]:
        cancel.check()
        types = [each.sent for each in fetch.transports] or [pa.int64()]
        with (
            self._explained(fetch, cancel),
            reader() as opened,
            closing(opened.batches(fetch.sql, types, cancel)) as batches,
        ):
            for batch in batches:
                yield self._arrived(batch, fetch)

    def _reader(self, fetch: _Fetch, cancel: CancelToken) -> AbstractContextManager[Session | Scanner]:
        return self._borrowed(self._scanners, cancel) if fetch.plain else self._borrowed(self._sessions, cancel)

    def _arrived(self, batch: pa.RecordBatch, fetch: _Fetch) -> pa.RecordBatch:
        if not len(fetch.schema):
            return batch.select([])
        arrays = []
        for array, field, how in zip(batch.columns, fetch.schema, fetch.transports, strict=True):
            try:
                arrays.append(how.arrive(array, field.type))
            except pa.ArrowInvalid as exc:
                raise self._conversion_error(field, how, _first_bad(array, field, how)) from exc
        return pa.RecordBatch.from_arrays(arrays, schema=fetch.schema)

    # --- connections and failures ------------------------------------------------------------------------------

    def close(self) -> None:
        self._sessions.close()
        self._scanners.close()
        self._describing.close()

    def _connect(self, kind: Callable[[Path, Identity], R]) -> R:
        try:
            return kind(self._path, self._identity())
        except OSError as exc:
            raise SourceUnavailable(
                f"no process can be started to read {self._path.name}: {exc.strerror}", source=self.name
            ) from exc

    @contextmanager
    def _borrowed(self, pool: Pool[R], cancel: CancelToken | None = None) -> Iterator[R]:
        reader = self._acquire(pool, cancel)
        try:
            yield reader
        finally:
            pool.release(reader, broken=reader.broken)

    def _acquire(self, pool: Pool[R], cancel: CancelToken | None) -> R:
        """A kept connection to a file that was replaced since would go on reading the old one."""
        while True:
            file = self._identity()
            reader = pool.acquire(cancel)
            if reader.file == file and not reader.broken:
                return reader
            pool.release(reader, broken=True)

    @contextmanager
    def _described(self) -> Iterator[Session]:
        with self._explained(), self._borrowed(self._describing) as session:
            yield session

    def _identity(self) -> Identity:
        """By its status alone: opening and closing the file would drop this process's locks on it."""
        try:
            status = self._path.stat()
        except OSError as exc:
            raise SourceUnavailable(
                f"{self._path.name} cannot be opened: {exc.strerror}", hint="check path", source=self.name
            ) from exc
        if not stat.S_ISREG(status.st_mode):
            raise SourceUnavailable(f"{self._path.name} is not a file", hint="check path", source=self.name)
        return status.st_dev, status.st_ino

    @contextmanager
    def _explained(self, fetch: _Fetch | None = None, cancel: CancelToken | None = None) -> Iterator[None]:
        """From the driver's exceptions to ours."""
        try:
            yield
        except Failure as exc:
            raise self._explain(exc, fetch, cancel) from exc

    def _explain(self, exc: Failure, fetch: _Fetch | None, cancel: CancelToken | None) -> Error:
        kind, found = exc.kind, None
        try:
            self._identity()
            if kind not in (*_DAMAGED, *_UNREADABLE, ENDED):
                with self._borrowed(self._sessions, cancel) as session:
                    found = self._looked_again(session, exc, fetch, cancel)
        except Failure as again:
            kind = again.kind
        except Error as known:
            return known
        if kind == ENDED:
            return SourceUnavailable(f"reading broke off: {exc}", hint="run the query again", source=self.name)
        if kind in _DAMAGED:
            return SourceError(
                f"{self._path.name} is damaged, or not an SQLite database: {exc}", hint="check path", source=self.name
            )
        if kind in _UNREADABLE:
            return SourceUnavailable(
                f"the database cannot be read: {exc}",
                hint="another program may hold it locked, or its folder may not be writable while it is in WAL mode",
                source=self.name,
            )
        return found or SourceError(f"SQLite failed: {exc}", source=self.name)

    def _looked_again(
        self, session: Session, exc: Failure, fetch: _Fetch | None, cancel: CancelToken | None
    ) -> Error | None:
        rows = partial(session.rows, cancel=cancel)
        rows("SELECT count(*) FROM sqlite_schema")
        if fetch is None:
            return None
        return self._changed(rows, session.file, fetch) or self._bad_value(rows, fetch, exc)

    def _changed(self, rows: Rows, file: Identity, fetch: _Fetch) -> Error | None:
        """The table or the column that the query names and that is not there any more."""
        columns: dict[str, set[str]] = {}
        for node in fetch.query.find_all(exp.Table):
            if not node.db:
                continue  # a CTE
            table = self._table(rows, file, TableName(node.db, node.name))
            if table is None:
                return SourceChanged(f'"{node.name}" is no longer there', hint="run the query again", source=self.name)
            columns.setdefault(node.alias_or_name, set()).update(column.name.lower() for column in table.columns)
        for used in fetch.query.find_all(exp.Column):
            if used.table in columns and used.name.lower() not in columns[used.table]:
                return SourceChanged(
                    f'column "{used.name}" is no longer there', hint="run the query again", source=self.name
                )
        return None

    def _bad_value(self, rows: Rows, fetch: _Fetch, exc: Failure) -> Error | None:
        """The first value that its column's type does not accept; found again, for the driver does not say which."""
        for name, field, how in zip(fetch.names, fetch.schema, fetch.transports, strict=True):
            column = _column(name)
            # As bytes, because what is wrong with text may be that it is not UTF-8.
            shown = exp.cast(exp.func("substr", exp.func("quote", column), 1, 60), "BLOB")
            bad = exp.select(exp.func("typeof", column), shown).from_(fetch.query.copy().subquery("q"))
            for stored, value in rows(bad.where(how.refuses(column)).limit(1).sql("sqlite")):
                return self._conversion_error(field, how, f"the {stored} {value.decode(errors='replace')}")
            if exc.text is not None:
                same = exp.EQ(this=exp.cast(column, "BLOB"), expression=exp.HexString(this=exc.text.hex()))
                if rows(exp.select("1").from_(fetch.query.copy().subquery("q")).where(same).limit(1).sql("sqlite")):
                    return self._conversion_error(field, how, f"{exc.text[:30]!r}, not UTF-8")
        return None

    def _conversion_error(self, field: Field, how: Transport, value: str) -> Error:
        column = exp.to_identifier(field.name, quoted=True).sql("sqlite")
        cast = re.sub(r"\bx\b", lambda _: column, how.cast)
        number = pa.types.is_integer(field.type) and field.type != pa.int64()
        error = NumericOutOfRange if number else ConversionError
        return error(
            f'column "{field.name}" holds {value}, which is not a value of type {field.type}',
            hint=f"read it through a view at the source that selects {cast}",
            source=self.name,
        )


def _column(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), "q")


def _first_bad(array: Array, field: Field, how: Transport) -> str:
    for row in range(len(array)):
        one = array.slice(row, 1)
        try:
            how.arrive(one, field.type)
        except pa.ArrowInvalid:
            try:
                return repr(one[0].as_py())[:60]
            except UnicodeDecodeError:
                return f"{one[0].as_buffer().to_pybytes()[:30]!r}, not UTF-8"
    return "a value"
