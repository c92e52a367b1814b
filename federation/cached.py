"""A fragment that the cache may have: rows from there, or a fetch that is written down, or the fetch of somebody else
that is waited for.

1. `start` looks: what is fresh is mapped into memory, and so is what is stale, which is refreshed behind it.
2. Otherwise the fragment is fetched like any other, and recorded, by the one who gets the turn. Where its source can
   say that nothing has changed, it is asked that first (`renewal.py`).
3. Who does not get it waits, once its rows are wanted, until the other has committed them, has failed, or has given up
   the turn. Nobody who records waits for anybody who reads, so this ends.
4. A source that cannot be reached is replaced by what is stale, as long as none of its rows was given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from functools import partial

import pyarrow as pa

from adapters.base import CancelToken, Predicate, Scan
from adapters.errors import Error, QueryCancelled, SourceUnavailable
from cache.recording import Recording, Waiter, pauses
from catalog.listing import again
from federation.caching import Cached, FragmentCache, MakeFetcher, Wanted
from federation.fetch import Fetcher, FetchStats
from federation.progress import State
from federation.renewal import CheckedFetch
from federation.united import UnitedFetch
from federation.versions import PATIENCE

#: fetches the rows of the same fragment that fulfil conditions on its outputs; None where the source cannot be asked so
MakeRest = Callable[[Sequence[Predicate], CancelToken], "Fetcher | CachedFetch | None"]


class CachedFetch:
    """As a Fetcher."""

    def __init__(
        self,
        cache: FragmentCache,
        wanted: Wanted,
        scan: Scan,
        make: MakeFetcher,
        make_rest: MakeRest,
        cancel: CancelToken,
    ) -> None:
        self.scan = scan
        self.error: Error | None = None
        self._cache = cache
        self._wanted = wanted
        self._make = make
        self._make_rest = make_rest
        self._query = cancel
        self._fetch = CancelToken()  # apart: where it fails, the cache may still answer
        self._lock = threading.Lock()
        self._started = self._closed = False
        self._ended = threading.Event()  # closed or cancelled: nobody waits any more
        self._cached: Cached | None = None
        self._fetcher: Fetcher | UnitedFetch | CheckedFetch | None = None
        self._given = False  # rows of the source
        self._refreshed = False  # with the scan, which is closed there
        self._stream: Generator[pa.RecordBatch] | None = None
        self._unlink: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Idempotent; nothing after `close`."""
        with self._lock:
            if self._started or self._closed:
                return
            self._started = True
        self._unlink = self._query.register(self._cancelled)
        self._decide()

    def reader(self) -> pa.RecordBatchReader:
        """The one reader of this fragment; starts it when it was not."""
        self.start()
        if self._cached is not None and isinstance(self._cached.rows, pa.RecordBatchReader) and self._cache.store.maps:
            return self._cached.rows  # without Python between the file and who reads
        self._stream = self._batches()
        return pa.RecordBatchReader.from_batches(self.scan.schema, self._stream)

    @property
    def state(self) -> State:
        found = self._cached or self._fetcher
        return found.state if found is not None else State.LIVE

    @property
    def query(self) -> str:
        """What picks the rows out of a fragment that holds more."""
        found = self._cached or self._fetcher
        return found.query if found is not None else ""

    @property
    def as_of(self) -> float:
        """When the source was asked for these rows, in seconds of the epoch; 0 before it was."""
        if self._cached is not None:
            return self._cached.as_of
        return self._fetcher.as_of if self._fetcher is not None else 0.0

    @property
    def stats(self) -> FetchStats:
        found = self._cached or self._fetcher
        return found.stats if found is not None else FetchStats(0, 0, 0, None, 0.0, False)

    def close(self) -> None:
        """Stop, and wait until the source has stopped too. Idempotent."""
        with self._lock:
            first, self._closed = not self._closed, True
        self._ended.set()
        if self._cached is not None:
            self._cached.close()
        if self._fetcher is not None:
            self._fetcher.close()
        made = self._fetcher.fetcher if isinstance(self._fetcher, CheckedFetch) else self._fetcher
        if first and not self._refreshed and not isinstance(made, Fetcher):  # which closes its scan
            self.scan.close()
        self._unlink()
        if first:
            self._count()
        if self._stream is not None:
            with suppress(ValueError):  # it is just being pulled, and ends by itself
                self._stream.close()

    def _count(self) -> None:
        renewed = self._fetcher.cached if isinstance(self._fetcher, CheckedFetch) else None
        cached = self._cached or renewed
        if cached is not None:
            self._cache.hit(cached)
        elif self._fetcher is not None:
            self._cache.miss(self._wanted)

    # --- where the rows come from -------------------------------------------------------------------------------

    def _decide(self, waiter: Waiter | None = None) -> bool:
        """Whether it is known now. Raises what the fetch failed with that `waiter` waits for."""
        with self._lock:
            if self._cached is not None or self._fetcher is not None or self._closed:
                return True
            self._cached = self._cache.find(self._wanted, self.scan.schema, self._query)
            if self._cached is None:
                recording = self._cache.record(self._wanted, self.scan.schema)
                if waiter is not None and waiter.error is not None:
                    if recording is not None:
                        recording.abandon()
                    raise again(waiter.error)
                if recording is None and self._cache.store.idle(self._wanted.key.digest) < PATIENCE:
                    return False
                if recording is not None:  # who had the turn may just have ended
                    self._cached = self._cache.find_same(self._wanted, self.scan.schema, self._query)
                if self._cached is None:
                    self._lead(recording)
                elif recording is not None:
                    recording.abandon()
            if self._cached is not None and self._cached.state is State.STALE:
                self._refreshed = self._cache.refresh(self._wanted, self.scan.schema, self._make)
            return True

    def _lead(self, recording: Recording | None) -> None:
        if recording is not None and recording.writing and self._cache.checks(self._wanted):
            confirm = partial(self._cache.confirm, self._wanted, self.scan.schema)
            self._fetcher = CheckedFetch(confirm, self._source, recording, self._fetch)
        else:
            self._fetcher = self._source(recording)
        self._fetch.register(self._failed)
        self._fetcher.start()

    def _source(self, recording: Recording | None) -> Fetcher | UnitedFetch:
        united = self._united()
        if united is not None and recording is not None:
            recording.abandon()  # what is fetched is another fragment
        return united or self._make(self._fetch, recording)

    def _united(self) -> UnitedFetch | None:
        found = self._cache.find_part(self._wanted)
        if found is None:
            return None
        try:
            rest = self._make_rest(found.missing, self._fetch)
        except Error:  # which the whole fragment has as well, or does not
            return None
        if rest is None:
            return None
        picked = self._cache.containment.run(found, self.scan.schema, self._fetch, rest.reader())
        if picked is None:
            rest.close()
            return None
        return UnitedFetch(found, picked, rest)

    def _wait(self) -> None:
        """Until it is known. Raises what the other fetch failed with."""
        pause = pauses()
        with self._cache.store.waiters.waiting(self._wanted.key.digest) as waiter:
            while not self._decide(waiter):
                self._query.check()
                self._ended.wait(next(pause))

    # --- the rows -----------------------------------------------------------------------------------------------

    def _batches(self) -> Generator[pa.RecordBatch]:
        try:
            self._wait()
            if self._fetcher is not None:
                yield from self._fetched(self._fetcher)
        except Error as exc:
            self._query.check()
            if not self._falls_back(exc):
                error = self._cache.refusal(self._wanted, exc)
                self._fail(error)
                raise error from error.__cause__
        if self._cached is not None:
            yield from self._kept(self._cached)
        self._query.check()
        if self._ended.is_set():
            raise QueryCancelled("the fragment was closed while it was read")

    def _kept(self, cached: Cached) -> Generator[pa.RecordBatch]:
        try:
            for batch in cached.rows:
                self._query.check()
                yield batch
        except Error as exc:  # of the query that picks them
            self._query.check()
            self._fail(exc)
            raise

    def _fetched(self, fetcher: Fetcher | UnitedFetch | CheckedFetch) -> Generator[pa.RecordBatch]:
        for batch in fetcher.batches():
            with self._lock:
                if self._cached is not None:
                    return
                self._given = True
            yield batch

    def _falls_back(self, error: Error) -> bool:
        """Whether the cache answers in place of a source that cannot be reached."""
        with self._lock:
            if self._cached is None and isinstance(error, SourceUnavailable) and not self._given:
                self._cached = self._cache.fall_back(self._wanted, self.scan.schema, self._query)
            return self._cached is not None

    def _fail(self, error: Error) -> None:
        self.error = self.error or error
        self._query.cancel(error)

    # --- from other threads -------------------------------------------------------------------------------------

    def _failed(self) -> None:
        """The fetch was cancelled, by its own failure or by the query's end. DuckDB may be busy elsewhere: the query
        ends now, if it has to."""
        error = self._fetcher.error if self._fetcher is not None else None
        if error is not None and not self._falls_back(error):
            self._fail(self._cache.refusal(self._wanted, error))

    def _cancelled(self) -> None:
        """The query was cancelled."""
        self._fetch.cancel()
        self._ended.set()
