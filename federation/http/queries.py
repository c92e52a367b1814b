"""The queries that run, and those that ran a while ago: admission, and what the list of them shows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import islice

from federation.http.errors import ShuttingDown, TooManyQueries
from federation.http.models import QueryInfo
from federation.http.problems import HttpProblem
from federation.http.run import Run

KEPT = 500  # queries that have ended
WAITING = 1000
WAIT_SECONDS = 30.0


class Queries:
    """`admit` and `release` are for the event loop's thread alone, the others for any."""

    def __init__(self, most_open: int, on_end: Callable[[Run], None]) -> None:
        self.draining = False
        self._free = asyncio.Semaphore(most_open)
        self._waiting = 0
        self._on_end = on_end
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._ended: dict[str, Run] = {}

    @property
    def open(self) -> int:
        return len(self._runs)

    async def admit(self, run: Run) -> None:
        """Wait for a place; `release` gives it back. Raises TooManyQueries, ShuttingDown."""
        if self.draining:
            raise ShuttingDown("the server is shutting down", hint="ask again in a moment, or another server")
        if run.id in self._runs or run.id in self._ended:
            raise HttpProblem(409, f"there is a query {run.id} already", hint="give every query an id of its own")
        if self._waiting >= WAITING:
            raise _too_many()
        self._runs[run.id] = run
        self._waiting += 1
        try:
            if self._free.locked():
                await asyncio.wait_for(self._free.acquire(), WAIT_SECONDS)
            else:
                await self._free.acquire()  # at once, and without the task that a time limit takes
        except TimeoutError:
            run.end(failure := _too_many())
            self._forget(run)
            raise failure from None
        except asyncio.CancelledError:
            run.end()
            self._forget(run)
            raise
        finally:
            self._waiting -= 1

    def release(self, run: Run) -> None:
        """The run has ended."""
        self._free.release()
        self.unregister(run)

    def register(self, run: Run) -> None:
        """List a run that has its place elsewhere; `unregister` when it has ended."""
        self._runs[run.id] = run

    def unregister(self, run: Run) -> None:
        self._forget(run)
        self._on_end(run)

    def get(self, query_id: str) -> Run | None:
        return self._runs.get(query_id) or self._ended.get(query_id)

    def all(self) -> list[Run]:
        """Those that run, then those that have ended, the newest first."""
        return [*reversed(list(self._runs.values())), *reversed(list(self._ended.values()))]

    def here(self) -> list[QueryInfo]:
        """What is shown of `all`."""
        return [QueryInfo.model_validate(run.info()) for run in self.all()]

    def running(self) -> list[Run]:
        return list(self._runs.values())

    def _forget(self, run: Run) -> None:
        with self._lock:
            del self._runs[run.id]
            self._ended[run.id] = run
            for old in list(islice(self._ended, max(0, len(self._ended) - KEPT))):
                del self._ended[old]


def _too_many() -> TooManyQueries:
    return TooManyQueries("too many queries are waiting", hint="ask again in a moment, with fewer at once")
