"""SQLite files through ADBC, read-only.

The driver has no cancel and gives no error codes. So a blocking call runs in a thread of its own, which a cancel
leaves behind, and a failure is explained by looking again: is the file there, is it a database, are the tables still
what was planned with, which value is not of its column's type.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import adbc_driver_manager
import pyarrow as pa
from adbc_driver_sqlite import StatementOptions, dbapi
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
from adapters.sqlite_schema import SCHEMA, read_table, table_names
from adapters.sqlite_statistics import read_statistics
from adapters.sqlite_types import Array, Transport, transport

_BATCH_ROWS = "4096"
_HEADER = b"SQLite format 3\x00"
_BUSY_MILLISECONDS = 5000
_UNBOUNDED = 1 << 30
T = TypeVar("T")
_File: TypeAlias = tuple[int, int]  # device and inode
Field: TypeAlias = "pa.Field[Any]"


@dataclass(frozen=True, slots=True)
class _Fetch:
    """`query` is the island, `sql` the same with every output column checked, after a first row that fixes types."""

    query: exp.Query
    sql: str
    names: tuple[str, ...]
    schema: pa.Schema
    transports: tuple[Transport, ...]


class SQLiteAdapter:
    options: ClassVar[frozenset[str]] = frozenset({"path"})
    default_schema = SCHEMA
    dialect: SourceDialect = SQLITE

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        path = options.get("path")
        if not isinstance(path, str | Path):
            raise CatalogError("path is missing", hint='path = "file.db"', source=name)
        self._path = Path(path).absolute()
        # Without a bound of its own: who reads decides how many readers there are.
        self._pool: Pool[dbapi.Connection] = Pool(self._connect, lambda connection: connection.close(), _UNBOUNDED)
        # Apart from the readers, which may all wait for a consumer that wants to know a table first.
        self._describing: Pool[dbapi.Connection] = Pool(self._connect, lambda connection: connection.close(), 1)
        self._opened: WeakKeyDictionary[dbapi.Connection, _File] = WeakKeyDictionary()
        self._tables: dict[TableName, Table] = {}
        self._version: tuple[_File, int] | None = None
        self._lock = threading.Lock()

    # --- metadata ----------------------------------------------------------------------------------------------

    def list_tables(self) -> Iterable[TableName]:
        with self._connection() as connection:
            return table_names(lambda sql: _rows(connection, sql))

    def get_table(self, name: TableName) -> Table:
        with self._connection() as connection:
            found = self._table(connection, name)
        if found is None:
            raise TableNotFound(f'there is no table "{name.schema}"."{name.name}"', source=self.name)
        return found

    def statistics(self, table: TableName) -> TableStatistics:
        known = self.get_table(table)
        with self._connection() as connection:
            return read_statistics(lambda sql: _rows(connection, sql), known)

    def _table(self, connection: dbapi.Connection, name: TableName) -> Table | None:
        """Kept for as long as the schema of the file does not change."""
        with self._lock:
            ((number,),) = _rows(connection, "PRAGMA schema_version")
            version = self._opened[connection], number
            if version != self._version:
                self._tables.clear()
                self._version = version
            if name not in self._tables:
                found = read_table(lambda sql: _rows(connection, sql), name, adbc_driver_manager.ProgrammingError)
                if found is None:
                    return None
                self._tables[name] = found
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
        return Scan((partition,), schema, residual)

    def plan_query(self, query: exp.Query, schema: pa.Schema) -> Scan | None:
        partition = self._partition(query, schema)
        return Scan((partition,), schema) if partition else None

    def describe_native(self, sql: str) -> tuple[Column, ...]:
        with self._connection() as connection:
            return native_columns(partial(_rows, connection), sql, adbc_driver_manager.Error, self.name)

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
        first = [each.first_value() for each in known] or [exp.Literal.number(1)]
        checked = [each.checked(_column(name)) for each, name in zip(known, names, strict=True)]
        rows = exp.select(*(checked or [exp.Literal.number(1)]), copy=False).from_(query.subquery("q"), copy=False)
        sql = exp.union(exp.select(*first, copy=False), rows, distinct=False, copy=False).sql("sqlite")
        return Partition(query.sql("sqlite"), _Fetch(query, sql, names, schema, known))

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        fetch: _Fetch = partition.payload
        return pa.RecordBatchReader.from_batches(fetch.schema, self._batches(fetch, cancel))

    def _batches(self, fetch: _Fetch, cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        cancel.check()
        reading = _Reading(self._pool, self._acquire(self._pool, cancel))
        try:
            with self._explained(reading.connection, fetch):
                first = _interruptible(lambda: reading.open(fetch.sql), cancel, reading)
                batch: pa.RecordBatch | None = first.slice(1)  # without the row that fixes the types
                while batch is not None:
                    yield self._arrived(batch, fetch)
                    cancel.check()
                    batch = _interruptible(reading.next, cancel, reading)
        finally:
            reading.close()

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
        self._pool.close()
        self._describing.close()

    def _connect(self) -> dbapi.Connection:
        """Autocommit: a kept connection would otherwise go on reading the state of its first query."""
        file = self._require_database()
        connection = dbapi.connect(f"{self._path.as_uri()}?mode=ro", autocommit=True)
        self._opened[connection] = file
        try:
            _rows(connection, f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _acquire(self, pool: Pool[dbapi.Connection], cancel: CancelToken | None = None) -> dbapi.Connection:
        """A kept connection to a file that was replaced since would go on reading the old one."""
        with self._explained():
            while True:
                file = self._require_database()
                connection = pool.acquire(cancel)
                if self._opened[connection] == file:
                    return connection
                pool.release(connection, broken=True)

    @contextmanager
    def _connection(self) -> Iterator[dbapi.Connection]:
        connection = self._acquire(self._describing)
        try:
            with self._explained(connection):
                yield connection
        finally:
            self._describing.release(connection)

    @contextmanager
    def _explained(self, connection: dbapi.Connection | None = None, fetch: _Fetch | None = None) -> Iterator[None]:
        """From the driver's exceptions to ours."""
        try:
            yield
        except (adbc_driver_manager.Error, OSError, pa.ArrowException) as exc:
            raise self._explain(exc, connection, fetch) from exc

    def _explain(self, exc: Exception, connection: dbapi.Connection | None, fetch: _Fetch | None) -> Error:
        reason = str(exc).partition("\n")[0]  # the whole query follows
        try:
            self._require_database()
            if connection is not None:
                _rows(connection, "SELECT count(*) FROM sqlite_schema")
        except (adbc_driver_manager.Error, OSError):
            return SourceUnavailable(
                f"the database cannot be read: {reason}",
                hint="another program may hold it locked, or its folder may not be writable while it is in WAL mode",
                source=self.name,
            )
        except Error as known:
            return known
        found = None
        if connection is not None and fetch is not None:
            with suppress(adbc_driver_manager.Error, OSError):
                # A kept connection notices a change at its first step only, with the code of a bad value.
                found = self._changed(connection, fetch) or self._bad_value(connection, fetch)
        return found or SourceError(f"SQLite failed: {reason}", source=self.name)

    def _changed(self, connection: dbapi.Connection, fetch: _Fetch) -> Error | None:
        """The table or the column that the query names and that is not there any more."""
        columns: dict[str, set[str]] = {}
        for node in fetch.query.find_all(exp.Table):
            if not node.db:
                continue  # a CTE
            table = self._table(connection, TableName(node.db, node.name))
            if table is None:
                return SourceChanged(f'"{node.name}" is no longer there', hint="run the query again", source=self.name)
            columns.setdefault(node.alias_or_name, set()).update(column.name.lower() for column in table.columns)
        for used in fetch.query.find_all(exp.Column):
            if used.table in columns and used.name.lower() not in columns[used.table]:
                return SourceChanged(
                    f'column "{used.name}" is no longer there', hint="run the query again", source=self.name
                )
        return None

    def _bad_value(self, connection: dbapi.Connection, fetch: _Fetch) -> Error | None:
        """The first value that its column's type does not accept; found again, for the driver does not say which."""
        for name, field, how in zip(fetch.names, fetch.schema, fetch.transports, strict=True):
            column = _column(name)
            # As bytes, because what is wrong with text may be that it is not UTF-8.
            shown = exp.cast(exp.func("substr", exp.func("quote", column), 1, 60), "BLOB")
            bad = exp.select(exp.func("typeof", column), shown).from_(fetch.query.copy().subquery("q"))
            for stored, value in _rows(connection, bad.where(how.refuses(column)).limit(1).sql("sqlite")):
                return self._conversion_error(field, how, f"the {stored} {value.decode(errors='replace')}")
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

    def _require_database(self) -> _File:
        try:
            with self._path.open("rb") as file:
                header = file.read(len(_HEADER))
                status = os.fstat(file.fileno())
        except OSError as exc:
            raise SourceUnavailable(
                f"{self._path.name} cannot be opened: {exc.strerror}", hint="check path", source=self.name
            ) from exc
        if header and header != _HEADER:  # an empty file is an empty database
            raise SourceError(f"{self._path.name} is not an SQLite database", hint="check path", source=self.name)
        return status.st_dev, status.st_ino


class _Reading:
    """One open cursor. Closed once, by the reader or by the call that a cancel left behind."""

    def __init__(self, pool: Pool[dbapi.Connection], connection: dbapi.Connection) -> None:
        self.connection = connection
        self._pool = pool
        self._cursor = connection.cursor()
        self._reader: pa.RecordBatchReader | None = None
        self.abandoned = False

    def open(self, sql: str) -> pa.RecordBatch:
        self._cursor.adbc_statement.set_options(**{StatementOptions.BATCH_ROWS.value: _BATCH_ROWS})
        self._cursor.execute(sql)
        self._reader = self._cursor.fetch_record_batch()
        return self._reader.read_next_batch()

    def next(self) -> pa.RecordBatch | None:
        assert self._reader is not None
        return next(self._reader, None)

    def close(self) -> None:
        if not self.abandoned:
            self.release()

    def release(self) -> None:
        self._reader = None
        self._cursor.close()
        self._pool.release(self.connection)


def _interruptible(call: Callable[[], T], cancel: CancelToken, reading: _Reading) -> T:
    """What `call` returns, or the cancel's error at once; `call` then ends by itself and closes `reading`."""
    future: Future[T] = Future()
    ended = threading.Event()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as exc:
            future.set_exception(exc)
        ended.set()

    threading.Thread(target=run, name="sqlite", daemon=True).start()
    unregister = cancel.register(ended.set)
    try:
        ended.wait()
    finally:
        unregister()
        if not future.done():  # cancelled, or interrupted from the keyboard
            reading.abandoned = True
            future.add_done_callback(lambda _: reading.release())
    cancel.check()
    return future.result()


def _rows(connection: dbapi.Connection, sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [tuple(row.values()) for row in cursor.fetch_arrow_table().to_pylist()]


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
