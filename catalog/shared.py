"""Work that several threads want: load once for all who ask, and ask several sources at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class _Entry(Generic[V]):
    value: Future[V] = field(default_factory=Future)
    loaded_at: float = float("inf")


class Loaded(Generic[K, V]):
    """Values by key, each loaded once for all threads that ask at the same time, and kept for `ttl` seconds.

    A failure goes to everyone who waited for it and is not kept; what was there before it remains for `peek`.
    """

    def __init__(self, ttl: float) -> None:
        self._ttl = ttl
        self._lock = threading.Lock()
        self._entries: dict[K, _Entry[V]] = {}

    def get(self, key: K, load: Callable[[], V], *, newer_than: float | None = None) -> V:
        """`newer_than` (of `time.monotonic`) refuses what was loaded before that moment."""
        with self._lock:
            before = self._entries.get(key)
            if before is not None and self._usable(before, newer_than):
                entry = before
            else:
                entry = self._entries[key] = _Entry()
        if entry is not before:
            self._load(key, entry, before, load)
        return entry.value.result()

    def peek(self, key: K, *, stale: bool = False) -> V | None:
        """The value if it is there, `stale` however old; nothing is loaded."""
        with self._lock:
            entry = self._entries.get(key)
        if entry is None or not entry.value.done() or not (stale or self._usable(entry, None)):
            return None
        return None if entry.value.exception() else entry.value.result()

    def forget(self, matches: Callable[[K], bool]) -> None:
        with self._lock:
            for key in [key for key in self._entries if matches(key)]:
                del self._entries[key]

    def _usable(self, entry: _Entry[V], newer_than: float | None) -> bool:
        oldest = time.monotonic() - self._ttl
        return entry.loaded_at >= (oldest if newer_than is None else max(oldest, newer_than))

    def _load(self, key: K, entry: _Entry[V], before: _Entry[V] | None, load: Callable[[], V]) -> None:
        try:
            value = load()
        except BaseException as exc:
            with self._lock:
                if self._entries.get(key) is entry:
                    del self._entries[key]
                    if before is not None:
                        self._entries[key] = before
            entry.value.set_exception(exc)
        else:
            entry.loaded_at = time.monotonic()
            entry.value.set_result(value)


def at_once(tasks: Mapping[K, Callable[[], V]], seconds: float) -> dict[K, V | Exception]:
    """Run the tasks side by side and give each result or failure; TimeoutError for what takes longer.

    The threads are daemons: one that hangs in a driver does not keep the process from ending.
    """
    futures: dict[K, Future[V]] = {key: Future() for key in tasks}

    def run(key: K) -> None:
        try:
            futures[key].set_result(tasks[key]())
        except BaseException as exc:
            futures[key].set_exception(exc)

    for key in tasks:
        threading.Thread(target=run, args=(key,), name=f"ask {key}", daemon=True).start()
    wait_for(futures.values(), seconds)
    results: dict[K, V | Exception] = {}
    for key, future in futures.items():
        failure = future.exception() if future.done() else TimeoutError(f"no answer within {seconds:g} s")
        if failure is not None and not isinstance(failure, Exception):
            raise failure
        results[key] = failure if failure is not None else future.result()
    return results
