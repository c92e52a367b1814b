"""The connections and cursors of `federation`, for asyncio.

    connection = await federation.aio.connect("http://host:8470", token=…)
    async with connection:
        cursor = await connection.execute("SELECT …")
        async for row in cursor:
            …

To a server it is asynchronous all the way; a catalog in this process runs in threads. Errors, types and parameters are
those of the blocking ones. A task that is cancelled ends its statement.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from adapters.errors import InterfaceError, ProgrammingError
from federation.dbapi import Described, Exceptions, check_statement, no_executemany
from federation.progress import FragmentProgress, Freshness
from federation.staleness import ANY, Demand
from federation.statement import AsyncBackend, AsyncStatement, Parameters
from federation.targets import open_target_async

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa

    from federation.rows import AsyncRowStream, Row


async def connect(
    target: str | os.PathLike[str] | None = None,
    *,
    token: str | None = None,
    ca_file: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    max_staleness: float | None = None,
    no_cache: bool = False,
) -> AsyncConnection:
    """As `federation.connect`."""
    demand = Demand(max_staleness, no_cache)
    return AsyncConnection(await open_target_async(target, token, ca_file), timeout, demand)


class AsyncConnection(Exceptions):
    """Tasks of one event loop may share it."""

    def __init__(self, backend: AsyncBackend, timeout: float | None = None, demand: Demand = ANY) -> None:
        self.timeout = timeout
        self.max_staleness = demand.max_staleness
        self.no_cache = demand.no_cache
        self._backend: AsyncBackend | None = backend
        self._cursors: weakref.WeakSet[AsyncCursor] = weakref.WeakSet()

    @property
    def backend(self) -> AsyncBackend:
        """Raises InterfaceError after `close`."""
        if self._backend is None:
            raise InterfaceError("the connection is closed")
        return self._backend

    def cursor(self) -> AsyncCursor:
        _ = self.backend
        cursor = AsyncCursor(self)
        self._cursors.add(cursor)
        return cursor

    async def execute(self, sql: str, parameters: Parameters | None = None) -> AsyncCursor:
        """A new cursor that has executed `sql`."""
        return await self.cursor().execute(sql, parameters)

    async def commit(self) -> None:
        """Nothing to do; raises InterfaceError after `close`."""
        _ = self.backend

    async def rollback(self) -> None:
        """Nothing to do; raises InterfaceError after `close`."""
        _ = self.backend

    async def close(self) -> None:
        """Close every cursor, which ends its query at the sources, and all that is behind it. Idempotent."""
        backend, self._backend = self._backend, None
        if backend is None:
            return
        for cursor in list(self._cursors):
            await cursor.close()
        await backend.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()


class AsyncCursor(Described):
    """One statement at a time, streamed. Any task may call `cancel`; the rest is for one task at a time."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self.arraysize = 1
        self.timeout = connection.timeout
        self.max_staleness = connection.max_staleness
        self.no_cache = connection.no_cache
        self._closed = False
        self._statement: AsyncStatement | None = None
        self._rows: AsyncRowStream | None = None

    async def execute(self, sql: str, parameters: Parameters | None = None) -> Self:
        """Values are a sequence for `?` (or `$1`, `$2`, …), a mapping for `$name`."""
        from federation.rows import AsyncRowStream

        self._check_open()
        await self._free()
        check_statement(sql, parameters)
        self._statement = statement = self.connection.backend.statement()
        try:
            await statement.start(sql, parameters, self.timeout, Demand(self.max_staleness, self.no_cache))
            self._rows = AsyncRowStream(statement)
        except BaseException:
            await self._free()
            raise
        return self

    async def executemany(self, sql: str, seq_of_parameters: Sequence[Parameters]) -> Self:  # noqa: ARG002 -- PEP 249
        """For statements without a result, of which a read-only federation has none."""
        self._check_open()
        raise no_executemany(seq_of_parameters)

    async def fetchone(self) -> Row | None:
        rows = await self._stream().take(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> list[Row]:
        return await self._stream().take(self.arraysize if size is None else size)

    async def fetchall(self) -> list[Row]:
        stream, rows = self._stream(), []
        while part := await stream.take(65_536):
            rows += part
        return rows

    def __aiter__(self) -> AsyncIterator[Row]:
        return self

    async def __anext__(self) -> Row:
        row = await self.fetchone()
        if row is None:
            raise StopAsyncIteration
        return row

    def fetch_record_batches(self) -> AsyncIterator[pa.RecordBatch]:
        """The rows that are not fetched yet, streamed as Arrow."""
        return self._stream().rest()

    async def fetch_arrow_table(self) -> pa.Table:
        """The rows that are not fetched yet, as one Arrow table."""
        return await self._stream().table()

    async def fetch_df(self) -> pandas.DataFrame:
        """The rows that are not fetched yet, as a pandas frame."""
        from federation.frames import pandas_frame

        stream = self._stream()
        return pandas_frame((await stream.table()).to_batches(), stream.schema, stream.types)

    async def fetch_polars(self) -> polars.DataFrame:
        """The rows that are not fetched yet, as a polars frame."""
        from federation.frames import polars_frame

        return polars_frame(await self._stream().table())

    async def progress(self) -> Sequence[FragmentProgress]:
        """What each fragment of the statement has brought so far."""
        statement = self._statement
        return await statement.progress() if statement is not None else ()

    async def freshness(self) -> Sequence[Freshness]:
        """As the blocking cursor's."""
        statement = self._statement
        return await statement.freshness() if statement is not None else ()

    async def cancel(self) -> None:
        """End the running statement, at its sources too. Its fetch raises QueryCancelled."""
        statement = self._statement
        if statement is not None:
            await statement.cancel()

    async def close(self) -> None:
        """End the statement, if one is running. Idempotent; every later use raises InterfaceError."""
        self._closed = True
        await self._free()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        _ = self.connection.backend

    def _stream(self) -> AsyncRowStream:
        self._check_open()
        rows = self._rows
        if rows is None:
            raise ProgrammingError("nothing to fetch: no statement was executed")
        return rows

    async def _free(self) -> None:
        statement, self._statement, self._rows = self._statement, None, None
        if statement is not None:
            await statement.close()
