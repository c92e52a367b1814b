"""Whether each source answers: asked now and then, and remembered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from federation.http.engines import Engines
from federation.http.workers import Workers
from federation.probes import Probe, probe

PROBE_TTL = 15.0


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
            return probe(engine.catalog.sources.values())
