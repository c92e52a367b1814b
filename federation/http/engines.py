"""The engine that answers, and how another one takes its place while queries run.

A query leases the engine that is current when it starts and keeps it to its end. A reload opens the catalog anew beside
it; the engine of before closes with the last query that leased it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from federation.engine import Engine
from federation.invalidation import Target
from federation.query_tables import Queries
from federation.warming import Warmer


class _Leased:
    """An engine, what keeps its cache warm, the number of its users, and whether it is retired."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.warmer = Warmer(engine)
        engine.at_close(self.warmer.stop)
        self.users = 0
        self.retired = False


class Engines:
    """Those of one of so many processes. Every method may be called from any thread. Raises CatalogError when the
    catalog has a fault."""

    def __init__(self, path: Path, processes: int = 1) -> None:
        self.path = path
        self._processes = processes
        self._lock = threading.Lock()
        self._reloading = threading.Lock()
        self._at_invalidation: list[Callable[[Target], None]] = []
        self.relay: Callable[[Target], None] = lambda _: None
        self.queries: Queries = list  # of all processes
        self._current = _Leased(self._opened())
        self._current.warmer.start()
        self.loaded_at = time.time()

    @property
    def current(self) -> Engine:
        """For looking at what is configured; what runs at the sources needs a lease."""
        return self._current.engine

    @contextmanager
    def lease(self) -> Iterator[Engine]:
        with self._lock:
            leased = self._current
            leased.users += 1
        try:
            yield leased.engine
        finally:
            with self._lock:
                leased.users -= 1
                last = leased.retired and leased.users == 0
            if last:
                leased.engine.close()

    def reload(self) -> None:
        """Read the catalog again. With a fault in it, the engine of before goes on."""
        with self._reloading:
            fresh = _Leased(self._opened())
            with self._lock:
                before, self._current = self._current, fresh
                before.retired = True
                unused = before.users == 0
                self.loaded_at = time.time()
            before.warmer.stop()
            fresh.warmer.start()
            if unused:
                before.engine.close()

    def close(self) -> None:
        """Ends the queries of the current engine."""
        with self._lock:
            self._current.retired = True
        self._current.engine.close()

    def at_invalidation(self, callback: Callable[[Target], None]) -> None:
        """Have it told what is invalidated from now on, by whichever engine of whichever process."""
        self._at_invalidation.append(callback)

    def announce(self, target: Target) -> None:
        """Another process has invalidated it. The disk, which all share, knows that already."""
        for callback in self._at_invalidation:
            callback(target)

    def _invalidated(self, target: Target) -> None:
        self.announce(target)
        self.relay(target)

    def _opened(self) -> Engine:
        """The first caller should not wait for what is loaded with the first query."""
        engine = Engine.open(self.path, self._processes, lambda: self.queries())
        engine.at_invalidation(self._invalidated)
        engine.query("SELECT 1").read_all()
        return engine
