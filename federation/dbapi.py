"""PEP 249 connections and cursors, with Arrow, pandas and polars beside rows.

pyarrow is imported with the first statement: a connection to a server should cost little until it is used.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from adapters import errors
from adapters.errors import InterfaceError, NotSupportedError, ProgrammingError
from federation.dbtypes import decimal_size
from federation.progress import FragmentProgress, Freshness
from federation.staleness import ANY, Demand
from federation.statement import Backend, Catalog, Parameters, Statement

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa

    from federation.rows import AsyncRowStream, Row, RowStream

Description = tuple[str, str, None, None, int | None, int | None, None]


class Exceptions:
    """PEP 249 wants them on connections too."""

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError


class Connection(Exceptions):
    """Threads may share it. Everything is read-only, so there is nothing to commit or roll back."""

    def __init__(self, backend: Backend, timeout: float | None = None, demand: Demand = ANY) -> None:
        self.timeout = timeout
        self.max_staleness = demand.max_staleness
        self.no_cache = demand.no_cache
        self._backend: Backend | None = backend
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()

    @property
    def backend(self) -> Backend:
        """Raises InterfaceError after `close`."""
        if self._backend is None:
            raise InterfaceError("the connection is closed")
        return self._backend

    @property
    def catalog(self) -> Catalog:
        """What there is to ask about: `overview()`, `tables()`, `table()`."""
        return self.backend.catalog

    def cursor(self) -> Cursor:
        _ = self.backend
        cursor = Cursor(self)
        self._cursors.add(cursor)
        return cursor

    def execute(self, sql: str, parameters: Parameters | None = None) -> Cursor:
        """A new cursor that has executed `sql`."""
        return self.cursor().execute(sql, parameters)

    def commit(self) -> None:
        """Nothing to do; raises InterfaceError after `close`."""
        _ = self.backend

    def rollback(self) -> None:
        """Nothing to do; raises InterfaceError after `close`."""
        _ = self.backend

    def close(self) -> None:
        """Close every cursor, which ends its query at the sources, and all that is behind it. Idempotent."""
        backend, self._backend = self._backend, None
        if backend is None:
            return
        for cursor in list(self._cursors):
            cursor.close()
        backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Described:
    """What a cursor says of the rows that it reads."""

    _rows: RowStream | AsyncRowStream | None

    @property
    def description(self) -> list[Description] | None:
        """(name, type code, None, None, precision, scale, None) of each column; None before `execute`."""
        rows = self._rows
        return describe(rows.schema.names, rows.types) if rows is not None else None

    @property
    def rowcount(self) -> int:
        """The number of rows once they are all fetched, -1 before."""
        rows = self._rows
        return rows.window.handed_out if rows is not None and rows.window.ended else -1


class Cursor(Described):
    """One statement at a time, streamed: rows are read from the sources as they are fetched."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.arraysize = 1
        self.timeout = connection.timeout
        self.max_staleness = connection.max_staleness
        self.no_cache = connection.no_cache
        self._closed = False
        self._statement: Statement | None = None
        self._rows: RowStream | None = None

    def execute(self, sql: str, parameters: Parameters | None = None) -> Self:
        """Values are a sequence for `?` (or `$1`, `$2`, …), a mapping for `$name`."""
        from federation.rows import RowStream

        self._check_open()
        self._free()
        check_statement(sql, parameters)
        self._statement = statement = self.connection.backend.statement()
        try:
            statement.start(sql, parameters, self.timeout, Demand(self.max_staleness, self.no_cache))
            self._rows = RowStream(statement)
        except BaseException:
            self._free()
            raise
        return self

    def executemany(self, sql: str, seq_of_parameters: Sequence[Parameters]) -> Self:  # noqa: ARG002 -- PEP 249
        """For statements without a result, of which a read-only federation has none."""
        self._check_open()
        raise no_executemany(seq_of_parameters)

    def fetchone(self) -> Row | None:
        rows = self._stream().take(1)
        return rows[0] if rows else None

    def fetchmany(self, size: int | None = None) -> list[Row]:
        return self._stream().take(self.arraysize if size is None else size)

    def fetchall(self) -> list[Row]:
        stream, rows = self._stream(), []
        while part := stream.take(65_536):
            rows += part
        return rows

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        row = self.fetchone()
        if row is None:
            raise StopIteration
        return row

    def fetch_record_batch(self) -> pa.RecordBatchReader:
        """The rows that are not fetched yet, streamed as Arrow."""
        return self._stream().reader()

    def fetch_arrow_table(self) -> pa.Table:
        """The rows that are not fetched yet, as one Arrow table."""
        return self._stream().table()

    def fetch_df(self) -> pandas.DataFrame:
        """The rows that are not fetched yet, as a pandas frame; see `federation.frames` for the dtypes."""
        from federation.frames import pandas_frame

        stream = self._stream()
        return pandas_frame(stream.rest(), stream.schema, stream.types)

    def fetch_polars(self) -> polars.DataFrame:
        """The rows that are not fetched yet, as a polars frame."""
        from federation.frames import polars_frame

        return polars_frame(self._stream().table())

    def progress(self) -> Sequence[FragmentProgress]:
        """What each fragment of the statement has brought so far; may be asked from any thread."""
        statement = self._statement
        return statement.progress() if statement is not None else ()

    def freshness(self) -> Sequence[Freshness]:
        """How old the rows of each source are: from the source, or from the cache. Final once the rows are read."""
        statement = self._statement
        return statement.freshness() if statement is not None else ()

    def cancel(self) -> None:
        """End the running statement, at its sources too; may come from any thread. Its fetch raises QueryCancelled."""
        statement = self._statement
        if statement is not None:
            statement.cancel()

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """PEP 249 allows that this does nothing."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """PEP 249 allows that this does nothing."""

    def close(self) -> None:
        """End the statement, if one is running. Idempotent; every later use raises InterfaceError."""
        self._closed = True
        self._free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        _ = self.connection.backend

    def _stream(self) -> RowStream:
        self._check_open()
        rows = self._rows
        if rows is None:
            raise ProgrammingError("nothing to fetch: no statement was executed")
        return rows

    def _free(self) -> None:
        """End the statement; another thread that fetches from it is stopped first, and then waited for."""
        statement, rows = self._statement, self._rows
        self._statement = self._rows = None
        if statement is None:
            return
        if rows is None or not rows.window.ended:
            statement.cancel()
        with rows.pulling if rows is not None else nullcontext():
            statement.close()


def describe(names: Sequence[str], types: Sequence[str]) -> list[Description]:
    """PEP 249's description of columns of these DuckDB types."""
    columns = zip(names, types, strict=True)
    return [(name, kind, None, None, *decimal_size(kind), None) for name, kind in columns]


def check_statement(sql: str, parameters: object) -> None:
    """Raises ProgrammingError for what is no statement, or no parameters."""
    if not isinstance(sql, str):
        raise ProgrammingError(f"a statement is text, not {type(sql).__name__}")
    if isinstance(parameters, str | bytes) or not isinstance(parameters, Sequence | Mapping | None):
        raise ProgrammingError("parameters are a sequence (for ?) or a mapping (for $name)")


def no_executemany(given: Sequence[Parameters]) -> NotSupportedError:
    return NotSupportedError(
        f"executemany is for statements that write, and nothing here is writable ({len(given)} given)",
        hint="execute the query once with a list: WHERE id IN (SELECT unnest($ids))",
    )
