"""What is known of the tables and views that are kept warm: when each was refreshed last, and what came of it.

It lies in the index, so that all servers that share the folder know when the next refresh is due, also after a restart.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from cache.index import FAILURES, Index
from cache.locks import FileLock

_PIN = "pin "


@dataclass(frozen=True, slots=True)
class Held:
    """A fragment of what is pinned."""

    digest: str
    source: str
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pin:
    """Times are in seconds of the epoch: when the last refresh began that succeeded, when the last one that fetched all
    rows, and when the last one at all, `failures` of which have failed since, the last with `error`."""

    refreshed: float = 0.0
    full: float = 0.0
    attempted: float = 0.0
    failures: int = 0
    error: str = ""
    fragments: tuple[Held, ...] = ()


class Pins:
    """Those of one folder, by their names. Nothing raises: what cannot be read is not known. `index` gives None where
    nothing is kept."""

    def __init__(
        self, index: Callable[[], Index | None], lock: Callable[[str], Path], complain: Callable[[Exception], None]
    ) -> None:
        self._index = index
        self._lock = lock
        self._complain = complain

    def turn(self, name: str) -> FileLock | None:
        """The turn to refresh it; None while another process has it."""
        try:
            return FileLock.attempt(self._lock(name)) if self._index() is not None else None
        except FAILURES as exc:
            self._complain(exc)
            return None

    def get(self, name: str) -> Pin:
        index = self._index()
        try:
            found = index.get(_PIN + name) if index is not None else None
            values = json.loads(found) if isinstance(found, str) else {"fragments": []}
            held = [Held(each["digest"], each["source"], tuple(each["tables"])) for each in values["fragments"]]
            return Pin(**values | {"fragments": tuple(held)})
        except (*FAILURES, TypeError, KeyError) as exc:
            self._complain(exc)
            return Pin()

    def set(self, name: str, pin: Pin) -> None:
        """For whoever has the turn."""
        index = self._index()
        try:
            if index is not None:
                index.set(_PIN + name, json.dumps(asdict(pin)))
        except FAILURES as exc:
            self._complain(exc)
