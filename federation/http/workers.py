"""The threads that may block, so that the event loop never does.

A query borrows a thread for a few chunks of its answer at a time. A client that reads slowly therefore holds none, and
the number of threads bounds the work, not the number of clients.

Threads that compute hold the interpreter in turns, and the event loop is one more in the queue: with 32 of them it
comes 100 ms late, with as many as there are processors 5 ms, and as much gets done. So only so many steps compute at
once. One that uses no processor waits for a source, and lets another begin; so does one that takes very long.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
CONTROL_THREADS = 8
LOOK_EVERY = 0.05  # seconds
LOOKS = 10
WAITING = 0.002  # seconds of a processor between two looks: less of it is no computing


class _Place:
    """The place of one step among those that compute: given back when the step has ended, waits, or takes long."""

    def __init__(self, places: asyncio.Semaphore, step: _Step[Any]) -> None:
        self._places = places
        self._step = step
        self._before = 0.0
        self._looks = 0
        self._given_back = False
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)

    def give_back(self, _: object = None) -> None:
        if not self._given_back:
            self._given_back = True
            self._timer.cancel()
            self._places.release()

    def _look(self) -> None:
        now = self._step.seconds()
        self._looks += 1
        if now - self._before < WAITING or self._looks == LOOKS:
            self.give_back()
            return
        self._before = now
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look)


class _Step(Generic[T]):
    """Work in a thread, and how much of a processor that has used."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._clock: int | None = None
        self._start = 0.0

    def __call__(self) -> T:
        clock = time.pthread_getcpuclockid(threading.get_ident())
        self._start = time.clock_gettime(clock)
        self._clock = clock
        return self._work()

    def seconds(self) -> float:
        """0 before it has begun."""
        return time.clock_gettime(self._clock) - self._start if self._clock is not None else 0.0


class Workers:
    """`run` is for queries; `control` for what must get through when all of those are busy: cancels, passwords."""

    def __init__(self, threads: int) -> None:
        self._queries = ThreadPoolExecutor(threads, thread_name_prefix="query")
        self._control = ThreadPoolExecutor(CONTROL_THREADS, thread_name_prefix="control")
        self._computing = asyncio.Semaphore(os.cpu_count() or 1)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        await self._computing.acquire()
        step = _Step(functools.partial(work, *args, **kwargs))
        done = asyncio.get_running_loop().run_in_executor(self._queries, step)
        done.add_done_callback(_Place(self._computing, step).give_back)
        return await done

    async def control(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._control, functools.partial(work, *args, **kwargs))

    def soon(self, work: Callable[[], object]) -> None:
        """Start a control task from any thread without waiting for it."""
        self._control.submit(work)

    def close(self) -> None:
        """Wait for what runs; everything that waits for a source was cancelled before."""
        self._queries.shutdown(cancel_futures=True)
        self._control.shutdown()
