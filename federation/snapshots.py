"""One snapshot of each source for the queries of a transaction.

1. A query that is given `Snapshots` reads through `Held`, one for each source, in place of the adapter. The first read
   takes the snapshot, all others see it, those of one source that run side by side too.
2. Where a snapshot is one connection, its reads take turns. They do so by slots of its own within those of the source,
   and so by the same rule that excludes rings: see `federation.slots`.
3. What cannot be read so is read as it is now, and its name is kept for `outside`.
4. The snapshots are given back when the transaction has ended and nothing reads from them any more; and once they lay
   unused for `IDLE_SECONDS`, whatever their owner does. What is read then is an error.

The cache has no part in it: what it holds is from other times.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

import pyarrow as pa

from adapters.base import CancelToken, Partition, Snapshot, SupportsSnapshot
from adapters.errors import OperationalError, SnapshotLost
from catalog.model import Source
from federation.slots import Slots

log = logging.getLogger(__name__)

IDLE_SECONDS = 600.0
MOST_PER_SLOT = 4  # snapshots of one source, each of which is a connection there
_AGAIN = "end the transaction and begin it again"


class TooManySnapshots(OperationalError, sqlstate="53300", retryable=True):
    """As many transactions hold a snapshot of the source as it is to bear."""


class Reads(Protocol):
    """What a fragment is fetched from: an adapter, or one that a transaction holds."""

    name: str

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader: ...


class Held:
    """One source in a transaction. Thread-safe."""

    def __init__(self, adapter: SupportsSnapshot, source: Source, slots: Slots, places: Places) -> None:
        self.name = source.name
        self.slots = slots if adapter.reads_snapshots_in_parallel else Slots(1, within=slots)
        self._adapter = adapter
        self._source = source
        self._most = slots.size * MOST_PER_SLOT
        self._places = places
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._without = False  # the source has none after all
        self._closed = False

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        snapshot = self._taken(cancel)
        return (snapshot or self._source.adapter).read(partition, cancel)

    def _taken(self, cancel: CancelToken) -> Snapshot | None:
        with self._lock:
            if self._closed:
                raise SnapshotLost("the transaction's snapshot is gone", hint=_AGAIN, source=self.name)
            if self._snapshot is None and not self._without:
                self._places.take(self.name, self._most)
                try:
                    self._snapshot = self._adapter.take_snapshot(cancel)
                finally:
                    if self._snapshot is None:
                        self._places.give_back(self.name)
                self._without = self._snapshot is None
            return self._snapshot

    def outside(self) -> Iterator[str]:
        with self._lock:
            snapshot = self._snapshot
        if self._without:
            yield self.name
        elif snapshot is not None:
            yield from (f"{self.name}.{table.schema}.{table.name}" for table in snapshot.outside())

    def close(self) -> None:
        with self._lock:
            self._closed = True
            snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            try:
                snapshot.close()
            finally:
                self._places.give_back(self.name)


class Places:
    """How many snapshots there are of each source."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, source: str, most: int) -> None:
        """Raises TooManySnapshots: to wait for one could be to wait for somebody who waits for one of ours."""
        with self._lock:
            if self._taken[source] >= most:
                raise TooManySnapshots(
                    f"{most} transactions hold a snapshot of it already",
                    hint="try again later, raise limits.concurrency, or use READ COMMITTED",
                    source=source,
                )
            self._taken[source] += 1

    def give_back(self, source: str) -> None:
        with self._lock:
            self._taken[source] -= 1


class Snapshots:
    """Those of one transaction, over the sources of one engine. Thread-safe."""

    def __init__(self, slots: Mapping[str, Slots], places: Places, idle_seconds: float = IDLE_SECONDS) -> None:
        self._slots = slots
        self._places = places
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._outside: set[str] = set()
        self._queries = 0  # that read from it
        self._ended = self._expired = False
        self._clock: threading.Timer | None = None

    def begin_query(self, slots: Mapping[str, Slots]) -> None:
        """`end_query` follows. Raises SnapshotLost, also for `slots` that are those of another engine: a catalog that
        was read again may say something else of a source."""
        with self._lock:
            if self._expired:
                raise SnapshotLost(f"the transaction was idle for more than {self._idle_seconds:g} s", hint=_AGAIN)
            if slots is not self._slots:
                raise SnapshotLost("the catalog was read again since the transaction began", hint=_AGAIN)
            self._queries += 1
            self._stop_clock()

    def end_query(self) -> None:
        with self._lock:
            self._queries -= 1
        self._close_unused()

    def end(self) -> None:
        """The transaction has ended. Idempotent."""
        with self._lock:
            self._ended = True
        self._close_unused()

    def reader(self, source: Source) -> tuple[Reads, Slots]:
        """What to fetch the fragments of a source from, and by which slots."""
        adapter, slots = source.adapter, self._slots[source.name]
        if not isinstance(adapter, SupportsSnapshot):
            self.add_outside([source.name])
            return adapter, slots
        with self._lock:
            held = self._held.get(source.name)
            if held is None:
                held = self._held[source.name] = Held(adapter, source, slots, self._places)
        return held, held.slots

    def add_outside(self, names: Collection[str]) -> None:
        """They are read, and have no part in it."""
        with self._lock:
            self._outside.update(names)

    def outside(self) -> list[str]:
        """Sources, and tables of sources, that were read as they are now."""
        with self._lock:
            held = list(self._held.values())
            names = set(self._outside)
        return sorted(names.union(*(each.outside() for each in held)))

    def _close_unused(self) -> None:
        with self._lock:
            if self._queries:
                return
            self._stop_clock()
            if not self._ended and self._held:
                self._clock = threading.Timer(self._idle_seconds, self._expire)
                self._clock.daemon = True
                self._clock.start()
                return
            held = list(self._held.values())
        for each in held:
            each.close()

    def _expire(self) -> None:
        with self._lock:
            if self._queries or self._ended:
                return
            self._expired = self._ended = True
        log.info("a transaction was idle for more than %g s: its snapshots are given back", self._idle_seconds)
        self._close_unused()

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
