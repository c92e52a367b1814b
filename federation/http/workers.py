"""The threads that may block, so that the event loop never does.

A query borrows a thread for one chunk of its answer at a time. A client that reads slowly therefore holds none, and
the number of threads bounds the work, not the number of clients.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
CONTROL_THREADS = 8


class Workers:
    """`run` is for queries; `control` for what must get through when all of those are busy: cancels, passwords."""

    def __init__(self, threads: int) -> None:
        self._queries = ThreadPoolExecutor(threads, thread_name_prefix="query")
        self._control = ThreadPoolExecutor(CONTROL_THREADS, thread_name_prefix="control")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await _in(self._queries, functools.partial(work, *args, **kwargs))

    async def control(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await _in(self._control, functools.partial(work, *args, **kwargs))

    def soon(self, work: Callable[[], object]) -> None:
        """Start a control task from any thread without waiting for it."""
        self._control.submit(work)

    def close(self) -> None:
        """Wait for what runs; everything that waits for a source was cancelled before."""
        self._queries.shutdown(cancel_futures=True)
        self._control.shutdown()


async def _in(pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(pool, work)
