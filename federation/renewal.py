"""A fragment whose source is first asked whether the rows that the cache has are still right; it is fetched if not."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pyarrow as pa

from adapters.base import CancelToken
from adapters.errors import Error, InternalError, QueryCancelled
from cache.recording import Recording
from federation.caching import Cached
from federation.fetch import JOIN_SECONDS, Fetcher, FetchStats
from federation.progress import State
from federation.united import UnitedFetch

log = logging.getLogger(__name__)


class CheckedFetch:
    """As a Fetcher. A thread of its own asks, so that other fragments start meanwhile."""

    def __init__(
        self,
        confirm: Callable[[Recording, CancelToken], Cached | None],
        fetch: Callable[[Recording], Fetcher | UnitedFetch],
        recording: Recording,
        cancel: CancelToken,
    ) -> None:
        """The `recording` is ended by what `fetch` makes, or here."""
        self.cached: Cached | None = None
        self.fetcher: Fetcher | UnitedFetch | None = None
        self._error: Error | None = None
        self._confirm = confirm
        self._fetch = fetch
        self._recording = recording
        self._query = cancel
        self._cancel = CancelToken()  # of the question
        self._asked = 0.0  # in seconds of the epoch
        self._closed = False
        self._decided = threading.Event()
        self._thread = threading.Thread(target=self._work, name="check", daemon=True)
        self._unlink: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Once."""
        self._asked = time.time()
        self._unlink = self._query.register(self._cancelled)
        self._thread.start()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Raises the source's error as it was."""
        self._decided.wait()
        if self._error is not None:
            raise self._error
        self._query.check()
        if self.cached is not None:
            yield from self.cached.rows
        elif self.fetcher is not None:
            yield from self.fetcher.batches()

    @property
    def error(self) -> Error | None:
        return self._error or (self.fetcher.error if self.fetcher is not None else None)

    @property
    def state(self) -> State:
        found = self.cached or self.fetcher
        return found.state if found is not None else State.LIVE

    @property
    def query(self) -> str:
        found = self.cached or self.fetcher
        return found.query if found is not None else ""

    @property
    def as_of(self) -> float:
        found = self.cached or self.fetcher
        return (found.as_of if found is not None else 0.0) or self._asked

    @property
    def stats(self) -> FetchStats:
        found = self.cached or self.fetcher
        return found.stats if found is not None else FetchStats(0, 0, 0, None, 0.0, False)

    def close(self) -> None:
        """Stop, and wait until the source has stopped too. Idempotent."""
        self._closed = True
        self._query.cancel(QueryCancelled("the fragment was closed while it was read"))
        self._thread.join(JOIN_SECONDS)
        if self._thread.is_alive():
            log.warning("a source does not end a question that was cancelled")
        if self.cached is not None:
            self.cached.close()
        if self.fetcher is not None:
            self.fetcher.close()
        self._unlink()

    def _work(self) -> None:
        try:
            self.cached = self._confirm(self._recording, self._cancel)
            if self.cached is not None or self._closed:
                self._recording.abandon()
                return
            self.fetcher = self._fetch(self._recording)
            self.fetcher.start()
            if self._closed:  # and did not wait for this
                self.fetcher.close()
        except Error as exc:
            self._fail(exc)
        except BaseException as exc:
            failure = InternalError(f"asking whether rows have changed failed with {type(exc).__name__}")
            failure.__cause__ = exc
            self._fail(failure)
        finally:
            self._decided.set()

    def _fail(self, error: Error) -> None:
        stopped = self._query.cancelled
        self._recording.abandon(None if stopped else error)
        if not stopped:
            self._error = error
            self._decided.set()
            self._query.cancel(error)

    def _cancelled(self) -> None:
        self._cancel.cancel()
        self._decided.set()
