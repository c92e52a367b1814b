"""Hearing what a source says of its changes, such as by PostgreSQL's NOTIFY.

A text `schema.table` is about that table, any other about the whole source. What is said while nobody listens is never
known, so that rows count only from when the channel was opened: after the start, and after each time that the
connection broke.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterable

from adapters.base import CancelToken, SupportsNotifications
from adapters.errors import Error
from cache.store import Store
from catalog.model import Source
from catalog.names import split_name

log = logging.getLogger(__name__)

SILENCE = 15.0  # seconds without a sign of life, beyond which something may have been missed
_SHORTEST, _LONGEST = 0.2, 30.0  # seconds between two tries to connect
_JOIN_SECONDS = 1.0  # connecting cannot be interrupted


class Listener:
    """Of one source, in a thread of its own. Thread-safe."""

    def __init__(self, source: Source, channel: str, store: Store) -> None:
        self._source = source
        self._channel = channel
        self._store = store
        self._cancel = CancelToken()
        self._since = math.inf
        self._heard = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"listen-{source.name}", daemon=True)
        self._thread.start()

    def since(self) -> float:
        """Since when nothing was missed, in seconds of the epoch; infinite while something may be."""
        return self._since if time.monotonic() - self._heard <= SILENCE else math.inf

    def close(self) -> None:
        """Idempotent."""
        self._ended.set()
        self._cancel.cancel()
        self._thread.join(_JOIN_SECONDS)

    def _run(self) -> None:
        pause = _SHORTEST
        while not self._ended.is_set():
            try:
                adapter = self._source.adapter
                assert isinstance(adapter, SupportsNotifications)  # the catalog has seen to it
                for texts in adapter.listen(self._channel, self._cancel):
                    self._take(texts)
                    pause = _SHORTEST
            except (Error, OSError) as exc:
                if not self._ended.is_set() and pause == _SHORTEST:  # once for each time that it breaks
                    name, sqlstate = self._source.name, getattr(exc, "sqlstate", "")
                    log.warning(
                        "nothing of %s is cached: its channel is closed (%s %s)", name, type(exc).__name__, sqlstate
                    )
            finally:
                self._since = math.inf
            self._ended.wait(pause)
            pause = min(2 * pause, _LONGEST)

    def _take(self, texts: Iterable[str]) -> None:
        """Raises OSError where it cannot be written down: then nothing may be given that came before."""
        source = self._source.name
        tables = {self._table(text) for text in texts}
        if tables:
            self._store.outdate({source} if None in tables else set(), {each for each in tables if each is not None})
        if self._since == math.inf:
            self._since = self._store.clock()
        self._heard = time.monotonic()

    def _table(self, text: str) -> str | None:
        """The full name; None for the whole source."""
        parts = split_name(text.strip()) or ()
        return ".".join((self._source.name, *parts)) if len(parts) == 2 else None
