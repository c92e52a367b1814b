"""Keeps warm what the catalog wants kept warm, as long as a server runs.

1. One thread looks every second at what is due, by what the store knows of it: so servers that share a folder agree.
2. Whoever gets the turn of a table or view refreshes it (`refreshing`), in one of few threads.
3. What came of it goes into the store: what failed is tried again after a while, and `system.cache` shows why. Until
   then the fragments of before are given, as long as the catalog lets them be.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from adapters.base import CancelToken
from adapters.errors import Error, InternalError, QueryCancelled
from cache.pins import Pin
from federation.caching import REFRESHERS
from federation.engine import Engine
from federation.pins import Pinned, due
from federation.refreshing import Refresher

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0


class Warmer:
    """Of one engine. Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._closing = CancelToken()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._workers = ThreadPoolExecutor(REFRESHERS, thread_name_prefix="warm")

    def start(self) -> None:
        """Once."""
        if self._engine.pins:
            self._thread = threading.Thread(target=self._look, name="warm", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends what is being refreshed. Idempotent; before the engine is closed."""
        self._closed.set()
        self._closing.cancel(QueryCancelled("the server does not refresh any more"))
        if self._thread is not None:
            self._thread.join()
        self._workers.shutdown()

    def refresh(self, pinned: Pinned) -> bool:
        """Refresh it if that is due and nobody else does; whether it was tried."""
        cache = self._engine.cache
        assert cache is not None
        turn = cache.store.pins.turn(pinned.key)
        if turn is None:
            return False
        try:
            pin = cache.store.pins.get(pinned.key)  # another server may have been quicker
            if not due(cache.store, pinned, pin):
                return False
            cache.store.pins.set(pinned.key, self._refreshed(pinned, pin))
            return True
        except QueryCancelled:
            return False  # nothing is known of it
        finally:
            turn.release()

    def _look(self) -> None:
        while not self._closed.wait(LOOK_SECONDS):
            for pinned in self._engine.pins:
                cache = self._engine.cache
                if cache is not None and due(cache.store, pinned, cache.store.pins.get(pinned.key)):
                    self._submit(pinned)

    def _submit(self, pinned: Pinned) -> None:
        with self._lock:
            if pinned.key in self._busy:
                return
            self._busy.add(pinned.key)
        self._workers.submit(self._work, pinned)

    def _work(self, pinned: Pinned) -> None:
        try:
            if not self._closing.cancelled:
                self.refresh(pinned)
        except Exception:
            log.exception("refreshing %s failed", pinned.name)
        finally:
            with self._lock:
                self._busy.discard(pinned.key)

    def _refreshed(self, pinned: Pinned, pin: Pin) -> Pin:
        """What is known of it afterwards. Raises QueryCancelled when this ends."""
        cache = self._engine.cache
        assert cache is not None
        now, interval = cache.store.clock(), pinned.refresh.full
        cancel = CancelToken()
        unregister = self._closing.register(lambda: cancel.cancel(QueryCancelled("the server ends")))
        refresher = Refresher(
            self._engine, cache, pinned, cancel, full=interval is not None and now - pin.full >= interval
        )
        try:
            held = refresher.run()
        except Exception as exc:
            self._closing.check()
            if not isinstance(exc, Error):
                log.exception("refreshing %s failed", pinned.name)
            error = exc if isinstance(exc, Error) else InternalError(f"refreshing failed with {type(exc).__name__}")
            text = self._engine.catalog.redactor.scrub(str(error))
            log.warning("%s was not refreshed: %s", pinned.name, text)
            return replace(pin, attempted=now, failures=pin.failures + 1, error=text)
        finally:
            unregister()
        return Pin(refreshed=now, full=now if refresher.full else pin.full, attempted=now, fragments=held)
