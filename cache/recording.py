"""One fragment that is being fetched, on its way to the disk; and those who wait for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from cache.index import FAILURES
from cache.locks import FileLock
from cache.payload import PayloadWriter, TooLarge, Written

#: what ends a recording, and nothing else
WRITING = (*FAILURES, pa.ArrowException, TooLarge)
SIGN_SECONDS = 1.0  # between two signs of life
_SHORTEST, _LONGEST = 0.002, 0.05  # seconds between two looks


class Recording:
    """Whoever has it is the only one, of all processes, who fetches its key. Every method may be called from any
    thread, and none of them raises: what cannot be written is not kept. Ends with `commit` or `abandon`, of which the
    first call counts. `versions` are kept with what is committed."""

    def __init__(
        self,
        lock: FileLock | None,
        writer: PayloadWriter | None,
        enter: Callable[[PayloadWriter, Written, float, Mapping[str, str]], None],
        fail: Callable[[Exception], None],
        complain: Callable[[Exception], None],
    ) -> None:
        self.versions: Mapping[str, str] = {}
        self._lock = lock
        self._writer = writer
        self._enter = enter
        self._fail = fail
        self._complain = complain
        self._shown = time.monotonic()
        self._ending = threading.Lock()

    @property
    def writing(self) -> bool:
        return self._writer is not None

    def append(self, batch: pa.RecordBatch) -> None:
        writer = self._writer
        if writer is not None:
            try:
                writer.append(batch)
                self._show_life()
            except WRITING as exc:
                self._complain(exc)
                self.abandon()

    def commit(self, seconds: float) -> None:
        """Every row was appended, and the source said that there are no more. It took that long."""
        with self._ending:
            writer, self._writer = self._writer, None
            if writer is not None:
                try:
                    self._enter(writer, writer.finish(), seconds, self.versions)
                except WRITING as exc:
                    self._complain(exc)
                    writer.discard()
            self._release()

    def abandon(self, error: Exception | None = None) -> None:
        """Nothing is kept. An `error` of the source is what those raise who wait for it."""
        with self._ending:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.discard()
            if error is not None and self._lock is not None:
                self._fail(error)
            self._release()

    def _show_life(self) -> None:
        now = time.monotonic()
        if now - self._shown > SIGN_SECONDS and (lock := self._lock) is not None:
            self._shown = now
            lock.touch()

    def _release(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


@dataclass(slots=True, eq=False)
class Waiter:
    """One of several. `error` is what the fetch failed with that it waits for."""

    error: Exception | None = None


class Waiters:
    """Those of one process, by what they wait for. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Waiter]] = {}

    @contextmanager
    def waiting(self, digest: str) -> Iterator[Waiter]:
        waiter = Waiter()
        with self._lock:
            self._waiting.setdefault(digest, []).append(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                others = self._waiting[digest]
                others.remove(waiter)
                if not others:
                    del self._waiting[digest]

    def fail(self, digest: str, error: Exception) -> None:
        with self._lock:
            for waiter in self._waiting.get(digest, ()):
                waiter.error = error


def pauses() -> Iterator[float]:
    """Seconds to wait between looks at what another does: it may be done soon, or not for long."""
    pause = _SHORTEST
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST)
