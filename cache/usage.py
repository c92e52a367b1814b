"""How often fragments were given again, and what that spared.

Counted in memory, for a write per hit would cost more than the hit, and added to the index now and then: what several
processes count adds up there, and stays. A process that is killed takes with it what it counted since the last time.
"""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cache.index import FAILURES, Index

FLUSH_SECONDS = 10.0
_USED = "used "


@dataclass(frozen=True, slots=True)
class Used:
    """Of one fragment: how often it was given, and the `seconds` that fetching it as often would have taken."""

    hits: int = 0
    seconds: float = 0.0

    def __add__(self, other: Used) -> Used:
        return Used(self.hits + other.hits, self.seconds + other.seconds)


@dataclass(slots=True)
class Totals:
    """Of one source, in this process."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0


class Usage:
    """Thread-safe. `write` adds to what the index has, and may raise what an index raises."""

    def __init__(self, write: Callable[[Mapping[str, Used]], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._waiting: dict[str, Used] = {}
        self._totals: defaultdict[str, Totals] = defaultdict(Totals)
        self._timer: threading.Timer | None = None
        self._closed = False

    def hit(self, source: str, digest: str, seconds: float) -> None:
        """A fragment was given that took `seconds` to fetch."""
        with self._lock:
            self._totals[source].hits += 1
            self._waiting[digest] = self._waiting.get(digest, Used()) + Used(1, seconds)
            if self._timer is None and not self._closed:
                self._timer = threading.Timer(FLUSH_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def miss(self, source: str) -> None:
        """The source was asked for a fragment that may be cached."""
        with self._lock:
            self._totals[source].misses += 1

    def evicted(self, source: str) -> None:
        with self._lock:
            self._totals[source].evictions += 1

    def totals(self) -> dict[str, Totals]:
        """By source."""
        with self._lock:
            return {source: replace(each) for source, each in self._totals.items()}

    def flush(self) -> None:
        """Write what was counted. What cannot be written waits for the next time."""
        with self._lock:
            timer, self._timer = self._timer, None
            waiting, self._waiting = self._waiting, {}
        if timer is not None:
            timer.cancel()
        if not waiting:
            return
        try:
            self._write(waiting)
        except FAILURES:
            with self._lock:
                for digest, used in waiting.items():
                    self._waiting[digest] = self._waiting.get(digest, Used()) + used

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._closed = True
        self.flush()


def read_used(index: Index, digest: str) -> Used:
    found = index.get(_USED + digest)
    return Used(*json.loads(found)) if isinstance(found, str) else Used()


def add_used(index: Index, digest: str, more: Used) -> None:
    """Within a transaction of the caller's."""
    total = read_used(index, digest) + more
    index.set(_USED + digest, json.dumps([total.hits, total.seconds]))


def forget_used(index: Index, digest: str) -> None:
    """Within a transaction of the caller's."""
    index.delete(_USED + digest)
