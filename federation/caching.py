"""What of a query's fragments the cache may answer, as the catalog says it now: its policies are looked at when a
fragment is read, so that a change of them counts for what is kept already.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from adapters.base import CancelToken, SupportsQuery
from adapters.errors import Error, QueryCancelled
from cache.entry import Entry
from cache.keys import FragmentKey, fingerprint, scan_text
from cache.recording import Recording
from cache.store import MOST_BYTES, Store
from catalog.caching import strictest
from catalog.catalog import Catalog
from catalog.model import CachePolicy, Source
from federation.fetch import Fetcher
from federation.planner.nodes import Fragment, RemoteQuery, TableScan
from federation.progress import Freshness, State

log = logging.getLogger(__name__)

REFRESHERS = 2
MOST_REFRESHES = 32  # that run or wait; what comes beyond is refreshed when it is asked for again
#: makes the fetcher of a planned fragment
MakeFetcher = Callable[[CancelToken, Recording | None], Fetcher]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fragment that may be cached. `tables` are the full names of what it reads."""

    key: FragmentKey
    policy: CachePolicy
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cached:
    """Rows from the cache."""

    entry: Entry
    state: State
    rows: pa.RecordBatchReader


class FragmentCache:
    """One per engine. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._credentials: dict[str, str] = {}
        self._refreshing: set[str] = set()
        self._workers: ThreadPoolExecutor | None = None
        self._closing = CancelToken()

    @classmethod
    def of(cls, catalog: Catalog) -> FragmentCache | None:
        """None for a catalog that caches nothing."""
        policies = [each.cache for each in catalog.sources.values()] + [each.cache for each in catalog.notes]
        if not any(policies):
            return None
        settings = catalog.settings
        return cls(Store(settings.cache_directory or _default_folder(), most_bytes=settings.cache_size or MOST_BYTES))

    def wanted(self, fragment: Fragment) -> Wanted | None:
        """None for what the catalog does not want to be cached."""
        policy = strictest([table.cache for table in fragment.tables])
        if policy is None or fragment.scan is None or not fragment.scan.partitions:
            return None  # what no key can match is not read at all
        names = {f"{each.source.name}.{each.table.name.schema}.{each.table.name.name}" for each in fragment.tables}
        return Wanted(self._key(fragment), policy, tuple(sorted(names)))

    def find(self, wanted: Wanted, schema: pa.Schema) -> Cached | None:
        """What may be given without asking the source first; of that schema, or it is of no use."""
        return self._open(wanted, schema, wanted.policy.stale_while_revalidate, State.STALE)

    def fall_back(self, wanted: Wanted, schema: pa.Schema) -> Cached | None:
        """What may be given now that the source could not be reached."""
        return self._open(wanted, schema, wanted.policy.stale_if_error, State.STALE_ON_ERROR)

    def peek(self, fragments: Iterable[Fragment]) -> dict[str, Freshness]:
        """What `find` would find for those that are planned, by their names."""
        found = {}
        for fragment in fragments:
            wanted = self.wanted(fragment)
            entry = self.store.look(wanted.key) if wanted is not None else None
            if wanted is not None and entry is not None:
                state = self._judge(entry, wanted.policy, wanted.policy.stale_while_revalidate, State.STALE)
                if state is not None:
                    found[fragment.name] = Freshness(fragment.source.name, state, entry.as_of)
        return found

    def record(self, wanted: Wanted, schema: pa.Schema) -> Recording | None:
        """As Store.record."""
        return self.store.record(wanted.key, schema, wanted.tables, wanted.policy.max_bytes)

    def refresh(self, wanted: Wanted, schema: pa.Schema, make: MakeFetcher) -> bool:
        """Ask the source again, behind everyone's back; False when that is not needed, or there is too much to do."""
        digest = wanted.key.digest
        with self._lock:
            if digest in self._refreshing or len(self._refreshing) >= MOST_REFRESHES or self._closing.cancelled:
                return False
            self._refreshing.add(digest)
            self._workers = self._workers or ThreadPoolExecutor(REFRESHERS, thread_name_prefix="refresh")
            self._workers.submit(self._refresh, wanted, schema, make)
        return True

    def close(self) -> None:
        """Ends what is being refreshed. Idempotent."""
        self._closing.cancel(QueryCancelled("the engine was closed"))
        with self._lock:
            workers, self._workers = self._workers, None
        if workers is not None:
            workers.shutdown()
        self.store.close()

    def _open(self, wanted: Wanted, schema: pa.Schema, longer: float, then: State) -> Cached | None:
        entry = self.store.look(wanted.key)
        state = self._judge(entry, wanted.policy, longer, then) if entry is not None else None
        if entry is None or state is None:
            return None
        rows = self.store.open(entry)
        return Cached(entry, state, rows) if rows is not None and rows.schema.equals(schema) else None

    def _judge(self, entry: Entry, policy: CachePolicy, longer: float, then: State) -> State | None:
        """The state of an entry now: `then` where it is `longer` than its ttl, None where it is too old."""
        age = self.store.clock() - entry.as_of
        if not 0 <= age <= policy.ttl + longer:  # a clock that went back says nothing of the age
            return None
        return State.FRESH if age <= policy.ttl else then

    def _refresh(self, wanted: Wanted, schema: pa.Schema, make: MakeFetcher) -> None:
        cancel = CancelToken()
        unregister = self._closing.register(cancel.cancel)
        try:
            recording = self.record(wanted, schema)
            with closing(make(cancel, recording)) as fetcher:
                found = self.find(wanted, schema)  # another process may have been quicker
                if recording is not None and recording.writing and (found is None or found.state is State.STALE):
                    for _ in fetcher.batches():
                        pass
        except Error as exc:
            log.info("%s could not be refreshed: %s", ", ".join(wanted.tables), type(exc).__name__)
        except Exception:
            log.exception("refreshing %s failed", ", ".join(wanted.tables))
        finally:
            unregister()
            with self._lock:
                self._refreshing.discard(wanted.key.digest)

    # --- keys ---------------------------------------------------------------------------------------------------

    def _key(self, fragment: Fragment) -> FragmentKey:
        if isinstance(fragment, TableScan):
            request = scan_text(fragment.request)
        else:
            assert isinstance(fragment, RemoteQuery)
            adapter = fragment.source.adapter
            assert isinstance(adapter, SupportsQuery)
            request = fragment.asked.sql(adapter.dialect.name)
        source = fragment.source
        return FragmentKey(source.name, self._credentials_of(source), request, fragment.wanted)

    def _credentials_of(self, source: Source) -> str:
        with self._lock:
            known = self._credentials.get(source.name)
            if known is None:
                known = self._credentials[source.name] = fingerprint(source.kind, source.options, self.store.salt)
            return known


def _default_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "federation"
