"""The engine in this process behind asynchronous connections: what blocks is done in threads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pyarrow as pa

from federation.embedded import Embedded, EmbeddedStatement
from federation.progress import FragmentProgress, Freshness
from federation.staleness import Demand
from federation.statement import Parameters

T = TypeVar("T")
THREADS = 32  # how many statements of one connection may wait for their rows at once


async def open_threaded(catalog: str | os.PathLike[str] | None) -> Threaded:
    """Raises CatalogError."""
    return Threaded(await asyncio.to_thread(Embedded, catalog))


class Threaded:
    """A connection has threads of its own, so that its queries leave those of the event loop alone."""

    def __init__(self, embedded: Embedded) -> None:
        self._embedded = embedded
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="federation")

    def statement(self) -> ThreadedStatement:
        return ThreadedStatement(self, self._embedded.statement())

    async def run(self, work: Callable[[], T], otherwise: Callable[[], object]) -> T:
        """`work` in a thread. A task that is cancelled meanwhile calls `otherwise`, and waits for the thread."""
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            otherwise()
            await asyncio.wait([running])
            running.exception()  # it is known why
            raise

    async def close(self) -> None:
        await asyncio.to_thread(self._embedded.close)
        self._threads.shutdown(wait=False)


class ThreadedStatement:
    """As federation.statement.AsyncStatement."""

    def __init__(self, threads: Threaded, statement: EmbeddedStatement) -> None:
        self._threads = threads
        self._statement = statement

    @property
    def schema(self) -> pa.Schema:
        return self._statement.schema

    @property
    def types(self) -> Sequence[str]:
        return self._statement.types

    async def start(self, sql: str, parameters: Parameters | None, timeout: float | None, demand: Demand) -> None:
        await self._run(lambda: self._statement.start(sql, parameters, timeout, demand))

    async def batches(self) -> AsyncIterator[pa.RecordBatch]:
        batches = self._statement.batches()
        while (batch := await self._run(lambda: next(batches, None))) is not None:
            yield batch

    async def progress(self) -> Sequence[FragmentProgress]:
        return self._statement.progress()

    async def freshness(self) -> Sequence[Freshness]:
        return self._statement.freshness()

    async def cancel(self) -> None:
        await asyncio.to_thread(self._statement.cancel)  # it talks to the sources

    async def close(self) -> None:
        await asyncio.to_thread(self._statement.close)

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._threads.run(work, self._statement.cancel)
