"""PEP 249 connections and cursors over the engine, with Arrow, pandas and polars beside rows."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from adapters import errors
from adapters.base import CancelToken
from adapters.errors import InterfaceError, NotSupportedError, ProgrammingError
from federation.dbtypes import decimal_size
from federation.engine import Engine, Result
from federation.frames import pandas_frame, polars_frame
from federation.location import catalog_path
from federation.rows import Row, RowStream

if TYPE_CHECKING:
    import pandas  # type: ignore[import-untyped]
    import polars

Description = tuple[str, str, None, None, int | None, int | None, None]
Parameters = Sequence[Any] | Mapping[str, Any]


def open_connection(catalog: str | os.PathLike[str] | None, timeout: float | None) -> Connection:
    return Connection(Engine.open(catalog_path(catalog)), timeout)


class Connection:
    """Threads may share it. Everything is read-only, so there is nothing to commit or roll back."""

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

    def __init__(self, engine: Engine, timeout: float | None = None) -> None:
        self.timeout = timeout
        self._engine: Engine | None = engine
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()

    @property
    def engine(self) -> Engine:
        """Raises InterfaceError after `close`."""
        if self._engine is None:
            raise InterfaceError("the connection is closed")
        return self._engine

    def cursor(self) -> Cursor:
        _ = self.engine
        cursor = Cursor(self)
        self._cursors.add(cursor)
        return cursor

    def execute(self, sql: str, parameters: Parameters | None = None) -> Cursor:
        """A new cursor that has executed `sql`."""
        return self.cursor().execute(sql, parameters)

    def commit(self) -> None:
        """Nothing to do; raises InterfaceError after `close`."""
        _ = self.engine

    def rollback(self) -> None:
        """Nothing to do; raises InterfaceError after `close`."""
        _ = self.engine

    def close(self) -> None:
        """Close every cursor, which ends its query at the sources, and every source. Idempotent."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        for cursor in list(self._cursors):
            cursor.close()
        engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Cursor:
    """One statement at a time, streamed: rows are read from the sources as they are fetched."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.arraysize = 1
        self.timeout = connection.timeout
        self._closed = False
        self._cancel = CancelToken()
        self._result: Result | None = None
        self._rows: RowStream | None = None

    @property
    def description(self) -> list[Description] | None:
        """(name, type code, None, None, precision, scale, None) of each column; None before `execute`."""
        if self._result is None:
            return None
        columns = zip(self._result.schema.names, self._result.types, strict=True)
        return [(name, kind, None, None, *decimal_size(kind), None) for name, kind in columns]

    @property
    def rowcount(self) -> int:
        """The number of rows once they are all fetched, -1 before."""
        return self._rows.handed_out if self._rows is not None and self._rows.ended else -1

    def execute(self, sql: str, parameters: Parameters | None = None) -> Self:
        """Values are a sequence for `?` (or `$1`, `$2`, …), a mapping for `$name`."""
        self._check_open()
        self._free()
        if isinstance(parameters, str | bytes) or not isinstance(parameters, Sequence | Mapping | None):
            raise ProgrammingError("parameters are a sequence (for ?) or a mapping (for $name)")
        self._cancel = CancelToken()
        self._result = self.connection.engine.query(sql, parameters, self.timeout, cancel=self._cancel)
        self._rows = RowStream(iter(self._result.batches()), self._result.schema.names, self._result.types)
        return self

    def executemany(self, sql: str, seq_of_parameters: Sequence[Parameters]) -> Self:  # noqa: ARG002 -- PEP 249
        """For statements without a result, of which a read-only federation has none."""
        self._check_open()
        raise NotSupportedError(
            f"executemany is for statements that write, and nothing here is writable ({len(seq_of_parameters)} given)",
            hint="execute the query once with a list: WHERE id IN (SELECT unnest($ids))",
        )

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
        stream = self._stream()
        assert self._result is not None
        return pa.RecordBatchReader.from_batches(self._result.schema, stream.rest())

    def fetch_arrow_table(self) -> pa.Table:
        """The rows that are not fetched yet, as one Arrow table."""
        stream = self._stream()
        assert self._result is not None
        return pa.Table.from_batches(stream.rest(), self._result.schema)

    def fetch_df(self) -> pandas.DataFrame:
        """The rows that are not fetched yet, as a pandas frame; see `federation.frames` for the dtypes."""
        table = self.fetch_arrow_table()
        assert self._result is not None
        return pandas_frame(table, self._result.types)

    def fetch_polars(self) -> polars.DataFrame:
        """The rows that are not fetched yet, as a polars frame."""
        return polars_frame(self.fetch_arrow_table())

    def cancel(self) -> None:
        """End the running statement, at its sources too; may come from any thread. Its fetch raises QueryCancelled."""
        self._cancel.cancel()

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
        _ = self.connection.engine

    def _stream(self) -> RowStream:
        self._check_open()
        if self._rows is None:
            raise ProgrammingError("nothing to fetch: no statement was executed")
        return self._rows

    def _free(self) -> None:
        """End the statement; another thread that fetches from it is stopped first, and then waited for."""
        result, rows = self._result, self._rows
        self._result = self._rows = None
        if result is not None and rows is not None:
            result.cancel()
            with rows.pulling:
                result.close()
