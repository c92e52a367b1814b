"""What earlier reads returned and how fast their sources are, kept on disk.

A shape is a fragment without its constants, a text that the caller makes; only its hash is stored. Numbers are averages
in which the newest weighs most. They live in memory; one thread alone uses the file, mixing in what other processes
have learned meanwhile, so that no query waits for a disk or a lock. Whatever goes wrong with the file means that less
is known, never that a query fails.
"""

from __future__ import annotations

import atexit
import logging
import math
import queue
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWaiting
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TypeAlias

from cache.index import FAILURES, Index, is_busy, open_index

log = logging.getLogger(__name__)

MOST_SHAPES = 10_000  # in memory; the least recently used go
MOST_BYTES = 8 << 20  # on disk
_NEWEST = 0.6  # the weight of the newest read in an average
_BETTER, _WORSE = 0.5, 0.05  # of a link: waiting for a slow reader or a busy server says little about it
_LARGE, _SMALL = 1 << 20, 1 << 16  # bytes: the throughput shows in large reads, the latency in small ones
_LOOK_SECONDS = 0.05
_FIRST_LOOK_SECONDS = 0.3  # opens the file
_CLOSE_SECONDS = 2.0
_LOCK_SECONDS = 1.0
_MOST_TASKS = 1000  # wait for the file; what comes beyond is not kept

_Numbers: TypeAlias = tuple[float, float, float]  # NaN is unknown
_Task: TypeAlias = Callable[["Index | None"], None]  # without one where the file is no use
_Mix: TypeAlias = Callable[[_Numbers | None], _Numbers]


@dataclass(frozen=True, slots=True)
class Observed:
    """What the reads of one shape returned and how long they took, by and large."""

    rows: float
    bytes: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Link:
    """A source as seen from here. `latency` is the seconds until a small answer begins; None before such a read."""

    bytes_per_second: float | None
    latency: float | None


class Learned:
    """Thread-safe. `path` is a folder of its own, which several processes may share; None learns in memory only."""

    def __init__(self, path: Path | None, *, most_bytes: int = MOST_BYTES) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, _Numbers] = OrderedDict()
        self._shelf = _Shelf(path, most_bytes, self._keep) if path is not None else None

    def record(
        self, source: str, shape: str, rows: int, bytes: int, requests: int, first_batch: float | None, seconds: float
    ) -> None:
        """One complete read: `first_batch` and `seconds` since it was asked for, over all its requests."""
        self._mix(_key(source, shape), lambda old: _averaged(old, (float(rows), float(bytes), seconds)))
        begun = first_batch if first_batch is not None else seconds / max(requests, 1)
        if bytes <= _SMALL or bytes >= _LARGE:
            self._mix(_key(source), lambda old: _linked(old, bytes, begun, seconds))

    def fragment(self, source: str, shape: str) -> Observed | None:
        found = self._look(_key(source, shape))
        return Observed(*found) if found and all(number >= 0 for number in found) else None

    def link(self, source: str) -> Link | None:
        found = self._look(_key(source))
        if found is None:
            return None
        throughput, latency, _ = (None if math.isnan(number) else number for number in found)
        return Link(throughput, latency)

    def close(self) -> None:
        """Writes what is not written yet, or gives up soon. Idempotent."""
        if self._shelf:
            self._shelf.close()

    def _mix(self, key: bytes, mix: _Mix) -> None:
        with self._lock:
            self._store(key, mix(self._known.get(key)))
        if self._shelf:
            self._shelf.mix(key, mix)

    def _look(self, key: bytes) -> _Numbers | None:
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                return found
        found = self._shelf.look(key) if self._shelf else None
        if found is not None:
            self._keep(key, found)
        return found

    def _keep(self, key: bytes, numbers: _Numbers) -> None:
        with self._lock:
            self._store(key, numbers)

    def _store(self, key: bytes, numbers: _Numbers) -> None:
        self._known[key] = numbers
        self._known.move_to_end(key)
        if len(self._known) > MOST_SHAPES:
            self._known.popitem(last=False)


class _Shelf:
    """The file, and the one thread that opens, reads and writes it. `learned` is told of what was mixed there."""

    def __init__(self, path: Path, most_bytes: int, learned: Callable[[bytes, _Numbers], None]) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._learned = learned
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._patience = _FIRST_LOOK_SECONDS
        self._usable = True
        self._complained = False
        self._thread = threading.Thread(target=self._work, name="learned", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def mix(self, key: bytes, mix: _Mix) -> None:
        self._ask(lambda index: self._mix(index, key, mix))

    def look(self, key: bytes) -> _Numbers | None:
        """None as well when the file does not answer at once; then nobody waits until it has answered something."""
        answer: Future[_Numbers | None] = Future()

        def find(index: Index | None) -> None:
            found: object = None
            try:
                found = index.get(key) if index is not None else None
            finally:
                answer.set_result(_unpacked(found))

        if self._ask(find):
            try:
                return answer.result(self._patience)
            except StillWaiting:
                self._patience = 0.0
        return None

    def close(self) -> None:
        atexit.unregister(self.close)
        self._usable = False
        self._tasks.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _ask(self, task: _Task) -> bool:
        if not self._usable or self._tasks.qsize() > _MOST_TASKS:
            return False
        self._tasks.put(task)
        return True

    def _work(self) -> None:
        index = self._opened()
        while (task := self._tasks.get()) is not None:
            try:
                task(index)
                self._patience = _LOOK_SECONDS
            except FAILURES as exc:
                self._complain(exc)
                if not is_busy(exc):
                    self._usable = False
                    _close(index)
                    index = None
        _close(index)

    def _opened(self) -> Index | None:
        try:
            return open_index(self._path, most_bytes=self._most_bytes, seconds=_LOCK_SECONDS)
        except FAILURES as exc:
            self._usable = False
            self._complain(exc)
            return None

    def _mix(self, index: Index | None, key: bytes, mix: _Mix) -> None:
        """In one transaction, or the reads of another process would be lost in between."""
        if index is None:
            return
        with index.transact():
            numbers = mix(_unpacked(index.get(key)))
            index.set(key, struct.pack("<3d", *numbers))
        self._learned(key, numbers)

    def _complain(self, exc: Exception) -> None:
        if not self._complained:
            self._complained = True
            log.warning("what reads have shown is not kept in %s: %s", self._path, exc)


def _close(index: Index | None) -> None:
    if index is not None:
        with suppress(*FAILURES):
            index.close()


def _key(*names: str) -> bytes:
    """The same for the same names, however long; a source with a shape is never a source alone."""
    hashed = blake2b(digest_size=16)
    for name in names:
        text = name.encode("utf-8", "surrogatepass")
        hashed.update(len(text).to_bytes(8, "little") + text)
    return hashed.digest()


def _unpacked(stored: object) -> _Numbers | None:
    """None for what is not ours."""
    if not isinstance(stored, bytes) or len(stored) != struct.calcsize("<3d"):
        return None
    first, second, third = struct.unpack("<3d", stored)
    return first, second, third


def _averaged(old: _Numbers | None, new: _Numbers) -> _Numbers:
    if old is None or not all(map(math.isfinite, old)):
        return new
    first, second, third = (_NEWEST * now + (1 - _NEWEST) * before for now, before in zip(new, old, strict=True))
    return first, second, third


def _linked(old: _Numbers | None, size: int, begun: float, seconds: float) -> _Numbers:
    """The best that a source does, forgotten slowly: what it computes and how slowly it is read hide the link."""
    throughput, latency, unused = old or (math.nan, math.nan, math.nan)
    if size <= _SMALL:
        return throughput, _towards(latency, begun, better=begun < latency), unused
    travelled = seconds - latency if latency < seconds else seconds
    found = size / max(travelled, 1e-6)
    return _towards(throughput, found, better=found > throughput), latency, unused


def _towards(old: float, new: float, *, better: bool) -> float:
    if math.isnan(old):
        return new
    weight = _BETTER if better else _WORSE
    return weight * new + (1 - weight) * old
