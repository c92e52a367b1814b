"""Whether each source answers: asked now and then, and remembered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.errors import Error
from catalog.model import Source
from catalog.shared import at_once
from federation.http.engines import Engines
from federation.http.workers import Workers

PROBE_TTL = 15.0
PROBE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Probe:
    """`sqlstate` is None when the source answered."""

    seconds: float
    sqlstate: str | None


class Probes:
    """Asks every source for its tables, all at once, and remembers the answers for `PROBE_TTL` seconds."""

    def __init__(self, engines: Engines, workers: Workers) -> None:
        self._engines = engines
        self._workers = workers
        self._lock = asyncio.Lock()
        self._found: Mapping[str, Probe] = {}
        self._at = float("-inf")

    async def get(self) -> Mapping[str, Probe]:
        async with self._lock:
            if time.monotonic() - self._at > PROBE_TTL:
                self._found = await self._workers.control(self._probe)
                self._at = time.monotonic()
            return self._found

    @property
    def last(self) -> Mapping[str, Probe]:
        """What was found last, without asking."""
        return self._found

    def _probe(self) -> Mapping[str, Probe]:
        with self._engines.lease() as engine:
            tasks = {name: _task(source) for name, source in engine.catalog.sources.items()}
            answers = at_once(tasks, PROBE_SECONDS)
        return {name: _probed(answer) for name, answer in answers.items()}


def _task(source: Source) -> Callable[[], float]:
    def ask() -> float:
        started = time.monotonic()
        list(source.adapter.list_tables())
        return time.monotonic() - started

    return ask


def _probed(answer: float | Exception) -> Probe:
    if isinstance(answer, Exception):
        return Probe(PROBE_SECONDS, answer.sqlstate if isinstance(answer, Error) else "08006")
    return Probe(answer, None)
