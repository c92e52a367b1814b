"""The overlays of one engine: one for each set of roles, of what these grant."""

from __future__ import annotations

import threading
from collections import OrderedDict

from catalog.policies import Caller, Rights
from federation.engine import Engine
from federation.pgwire.overlay.granted import granted
from federation.pgwire.overlay.overlay import Overlay
from federation.pgwire.overlay.rows import Oids
from federation.pgwire.overlay.sessions import Sessions
from federation.pgwire.overlay.snapshot import Snapshots

KEPT = 16  # each has the rows of PostgreSQL's catalog in memory


class Overlays:
    """Every method may be called from several threads."""

    def __init__(self, engine: Engine, sessions: Sessions) -> None:
        self._engine = engine
        self._sessions = sessions
        self._snapshots = Snapshots(engine)
        self._oids = Oids()
        self._lock = threading.Lock()
        self._made: OrderedDict[frozenset[str] | None, Overlay] = OrderedDict()

    def of(self, caller: Caller | None) -> Overlay:
        """What that caller may see. One that was not asked for long is forgotten, and goes with its last query."""
        catalog = self._engine.catalog
        rights = Rights(catalog, caller)
        with self._lock:
            found = self._made.pop(rights.key, None)
            if found is None:
                found = Overlay(
                    self._engine,
                    self._snapshots,
                    self._oids,
                    lambda snapshot: granted(snapshot, catalog, rights),
                    self._sessions,
                )
            self._made[rights.key] = found
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
        return found

    def close(self) -> None:
        with self._lock:
            made = list(self._made.values())
        for overlay in made:
            overlay.close()
