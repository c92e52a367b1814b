"""What of a query's fragments the cache may answer, as the catalog says it now: its policies are looked at when a
fragment is read, so that a change of them counts for what is kept already.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from adapters.base import CancelToken, Scan, SupportsQuery, SupportsRevalidation
from adapters.duck import Duck
from adapters.errors import DataTooStale, Error, MissingDriver, QueryCancelled, SourceUnavailable
from cache.about import NOTHING_SAID, About
from cache.entry import Entry
from cache.keys import FragmentKey, fingerprint, principal, scan_text
from cache.recording import Recording
from cache.regions import Region
from cache.store import MOST_BYTES, Store
from cache.versions import Known, agree
from catalog.caching import strictest, within
from catalog.catalog import Catalog
from catalog.model import CachePolicy, Source
from federation.containment import BYTES_PER_SECOND, Containment, Found, Judge, Picked, Standing
from federation.fetch import Fetcher, FetchStats
from federation.listening import Listener
from federation.local import LocalSchema
from federation.planner.fragment_shape import shown
from federation.planner.nodes import Cost, Fragment, RemoteQuery, TableScan
from federation.planner.regions import Asked
from federation.progress import Freshness, State
from federation.slots import Slots
from federation.staleness import ANY, Demand
from federation.versions import VersionQuery, Versions, version_queries

if TYPE_CHECKING:
    from cache.sealing import Seal

log = logging.getLogger(__name__)

REFRESHERS = 2
KEPT = 1024  # fragments of known plans
MOST_REFRESHES = 32  # that run or wait; what comes beyond is refreshed when it is asked for again
#: makes the fetcher of a planned fragment
MakeFetcher = Callable[[CancelToken, Recording | None], Fetcher]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A fragment that may be cached. `tables` are the full names of what it reads; `asked` says what of others answers
    it, and `region` what it holds for others. `limit` is the `max_staleness` of the query, which its `policy` obeys, if
    it makes that stricter than what the catalog `allows`. Whether the rows have changed is known by `queries`, or can
    be seen for nothing: then `current` says what there is now."""

    source: Source
    scan: Scan
    key: FragmentKey
    policy: CachePolicy
    allows: CachePolicy
    limit: float | None
    tables: tuple[str, ...]
    asked: Callable[[], Asked | None]
    known: bool  # whether nothing else restricts its rows
    statement: Callable[[], str]  # for people
    queries: tuple[VersionQuery, ...]
    current: Callable[[], Known | None]

    @property
    def region(self) -> Region | None:
        asked = self.asked() if self.known else None
        return asked.own if asked is not None else None


@dataclass(frozen=True, slots=True)
class _Filed:
    """What of a Wanted follows from the fragment alone."""

    fragment: Fragment
    allows: CachePolicy
    key: FragmentKey
    tables: tuple[str, ...]
    queries: tuple[VersionQuery, ...]

    def is_of(self, other: Fragment) -> bool:
        """Whether it is the same fragment, in whichever run of its plan."""
        mine = self.fragment
        same = mine.scan is other.scan and mine.wanted is other.wanted and mine.tables is other.tables
        return same and mine.source is other.source and _request(mine) is _request(other)


def _request(fragment: Fragment) -> object:
    return fragment.asked if isinstance(fragment, RemoteQuery) else getattr(fragment, "request", None)


@dataclass(frozen=True, slots=True)
class Cached:
    """Rows from the cache: those of an entry, or what the `query` picks out of it."""

    entry: Entry
    state: State
    as_of: float
    rows: pa.RecordBatchReader | Picked
    query: str

    def close(self) -> None:
        if isinstance(self.rows, Picked):
            self.rows.close()

    @property
    def stats(self) -> FetchStats:
        """Nothing was asked of the source: only rows and bytes are told."""
        counted = self.rows if isinstance(self.rows, Picked) else self.entry
        return FetchStats(counted.rows, counted.bytes, 0, None, 0.0, True)


class FragmentCache:
    """One per engine. Thread-safe."""

    def __init__(
        self,
        store: Store,
        containment: Containment,
        versions: Versions,
        listeners: Mapping[str, Listener],
        credentials: Mapping[str, str],
    ) -> None:
        """`credentials` has the fingerprints of the sources that are cached, by their names; `listeners` hear those
        that say what has changed."""
        self.store = store
        self.containment = containment
        self._versions = versions
        self._listeners = listeners
        self._lock = threading.Lock()
        self._credentials = credentials
        self.principals = {name: principal(name, each) for name, each in credentials.items()}
        self._refreshing: set[str] = set()
        self._known: OrderedDict[int, _Filed] = OrderedDict()  # by the ids of their scans
        self._workers: ThreadPoolExecutor | None = None
        self._closing = CancelToken()

    @classmethod
    def of(cls, catalog: Catalog, duck: Duck, local: LocalSchema, slots: Mapping[str, Slots]) -> FragmentCache | None:
        """None for a catalog that caches nothing."""
        names = [source.name for source in catalog.sources.values() if source.cache is not None]
        names += [note.source for note in catalog.notes if note.cache is not None and note.source in catalog.sources]
        if not names:
            return None
        settings = catalog.settings
        store = Store(
            settings.cache_directory or _default_folder(),
            most_bytes=settings.cache_size or MOST_BYTES,
            seal=_seal(settings.cache_key) if settings.cache_key is not None else None,
        )
        sources = [catalog.sources[name] for name in dict.fromkeys(names)]
        credentials = {each.name: fingerprint(each.kind, each.options, store.salt) for each in sources}
        listeners = {
            each.name: Listener(each, each.cache.notify, store)
            for each in sources
            if each.cache is not None and each.cache.notify is not None
        }
        return cls(store, Containment(store, duck, local), Versions(store, slots), listeners, credentials)

    def wanted(self, fragment: Fragment, demand: Demand) -> Wanted | None:
        """None for what the catalog, or the query, does not want to be cached."""
        scan = fragment.scan
        if demand.no_cache or scan is None or not scan.partitions:
            return None  # what no key can match is not read at all
        filed = self._filed(fragment, scan)
        if filed is None:
            return None
        limit = demand.max_staleness
        return Wanted(
            source=fragment.source,
            scan=scan,
            key=filed.key,
            policy=filed.allows if limit is None else within(filed.allows, limit),
            allows=filed.allows,
            limit=limit,
            tables=filed.tables,
            asked=cache(lambda: self.containment.asked(fragment)),  # where nothing fresh was found by the same words
            known=fragment.keys is not None,
            statement=partial(shown, fragment),
            queries=filed.queries,
            current=cache(lambda: self._current(scan)),
        )

    def find(self, wanted: Wanted, schema: pa.Schema, cancel: CancelToken) -> Cached | None:
        """What may be given without asking the source first; of that schema, or it is of no use."""
        return self._open(self._seek(wanted, self._judge(wanted)), schema, cancel)

    def find_same(self, wanted: Wanted, schema: pa.Schema, cancel: CancelToken) -> Cached | None:
        """What of that was asked for in the same words."""
        return self._open(self._same(wanted, self._judge(wanted)), schema, cancel)

    def fall_back(self, wanted: Wanted, schema: pa.Schema, cancel: CancelToken) -> Cached | None:
        """What may be given now that the source could not be reached."""
        return self._open(self._seek(wanted, self._judge(wanted, failed=True)), schema, cancel)

    def refusal(self, wanted: Wanted, error: Error) -> Error:
        """What to raise for a source that failed, whose rows `fall_back` has not: whether it has them, but too old for
        the query."""
        if wanted.limit is None or not isinstance(error, SourceUnavailable):
            return error
        found = self._seek(wanted, self._judge(replace(wanted, policy=wanted.allows), failed=True))
        if found is None:
            return error
        age = self.store.clock() - found.standing.as_of
        refused = DataTooStale(
            f"it cannot be reached, and the cache's rows are {age:.0f} s old: max_staleness is {wanted.limit:g} s",
            hint="allow a greater max_staleness, or try again once the source is back",
            source=wanted.key.source,
        )
        refused.__cause__ = error
        return refused

    def peek(self, fragments: Iterable[Fragment], demand: Demand) -> dict[str, Freshness]:
        """What `find` would find for those that are planned, by their names."""
        found = {}
        for fragment in fragments:
            wanted = self.wanted(fragment, demand)
            source = self._seek(wanted, self._judge(wanted)) if wanted is not None else None
            if source is not None:
                state, as_of = source.standing.state, source.standing.as_of
                found[fragment.name] = Freshness(fragment.source.name, state, as_of, source.query)
        return found

    def cost(self, fragment: Fragment) -> Cost | None:
        """What it costs to give the fragment as it is planned now, where it is fresh."""
        wanted = self.wanted(fragment, ANY)
        found = self._same(wanted, self._judge(wanted)) if wanted is not None else None
        if found is None or found.standing.state is not State.FRESH:
            return None
        return Cost(found.entry.rows, found.entry.bytes, found.entry.bytes / BYTES_PER_SECOND)

    def find_part(self, wanted: Wanted) -> Found | None:
        """What has a part of it, if the other one may be fetched."""
        asked = wanted.asked()
        judge = self._judge(wanted)
        return self.containment.seek_part(wanted.key, asked, judge) if asked is not None else None

    def record(
        self, wanted: Wanted, schema: pa.Schema, about: About = NOTHING_SAID, pinned_until: float = 0.0
    ) -> Recording | None:
        """As Store.record."""
        current, about = wanted.current(), replace(about, statement=wanted.statement())
        limit = wanted.policy.max_bytes
        recording = self.store.record(wanted.key, schema, wanted.tables, limit, wanted.region, about, pinned_until)
        if recording is not None and current is not None:
            recording.versions = current.versions
        return recording

    def hit(self, cached: Cached) -> None:
        """It was given."""
        self.store.usage.hit(cached.entry.source, cached.entry.digest, cached.entry.seconds)

    def miss(self, wanted: Wanted) -> None:
        """Its source was asked."""
        self.store.usage.miss(wanted.key.source)

    def checks(self, wanted: Wanted) -> bool:
        """Whether its source can say that rows have not changed, instead of sending them."""
        return bool(wanted.queries) or isinstance(wanted.source.adapter, SupportsRevalidation)

    def confirm(self, wanted: Wanted, schema: pa.Schema, recording: Recording, cancel: CancelToken) -> Cached | None:
        """What may be given after all, for its source says that it has not changed. Where there is no such thing, what
        is fetched after this will be kept with the versions that the source said. Raises the source's error."""
        known = self._ask(wanted, cancel)
        if known is None:
            return None
        recording.versions = known.versions
        return self._open(self._seek(wanted, self._judge(wanted, known)), schema, cancel)

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
        for listener in self._listeners.values():
            listener.close()
        with self._lock:
            workers, self._workers = self._workers, None
        if workers is not None:
            workers.shutdown()
        self.store.close()

    def _open(self, found: Found | None, schema: pa.Schema, cancel: CancelToken) -> Cached | None:
        rows: pa.RecordBatchReader | Picked | None = None
        if found is not None and found.query:
            rows = self.containment.run(found, schema, cancel)
        elif found is not None:
            rows = self.store.open(found.entry)
            rows = rows if rows is not None and rows.schema.equals(schema) else None
        if found is None or rows is None:
            return None
        return Cached(found.entry, found.standing.state, found.standing.as_of, rows, found.query)

    def _seek(self, wanted: Wanted, judge: Judge) -> Found | None:
        """What is fresh comes before what is not, and the same before what holds more."""
        same = self._same(wanted, judge)
        if same is not None and same.standing.state is State.FRESH:
            return same
        asked = wanted.asked()
        held = self.containment.seek(wanted.key, asked, judge) if asked is not None else None
        return held if held is not None and (same is None or held.standing.state is State.FRESH) else same

    def _same(self, wanted: Wanted, judge: Judge) -> Found | None:
        entry = self.store.look(wanted.key)
        standing = judge(entry) if entry is not None else None
        return Found(entry, standing) if entry is not None and standing is not None else None

    def judge(self, policy: CachePolicy, known: Known | None = None, *, failed: bool = False) -> Judge:
        """How an entry stands now, given what versions there are, if that is `known`; None where it is too old to be
        given: when its source has `failed`, and when not."""
        longer = policy.stale_if_error if failed else policy.stale_while_revalidate

        def judge(entry: Entry) -> Standing | None:
            if entry.as_of <= self.store.valid_from(entry):
                return None
            listener = self._listeners.get(entry.source)
            may_have_changed = listener is not None and entry.as_of <= listener.since()
            if known is not None and not may_have_changed:
                if agree(entry.versions, known.versions):
                    return Standing(State.FRESH, max(entry.as_of, known.asked))
                may_have_changed = True
            if may_have_changed and not failed:
                return None
            as_of = max(entry.as_of, self.store.versions.confirmed(entry))
            age = self.store.clock() - as_of
            if not 0 <= age <= policy.ttl + longer:  # a clock that went back says nothing of the age
                return None
            if age <= policy.ttl and not may_have_changed:
                return Standing(State.FRESH, as_of)
            return Standing(State.STALE_ON_ERROR if failed else State.STALE, as_of)

        return judge

    def _judge(self, wanted: Wanted, known: Known | None = None, *, failed: bool = False) -> Judge:
        return self.judge(wanted.policy, known or wanted.current(), failed=failed)

    def _current(self, scan: Scan) -> Known | None:
        asked = self.store.clock()
        return Known({"": scan.version() or ""}, asked) if scan.version is not None else None

    def _ask(self, wanted: Wanted, cancel: CancelToken) -> Known | None:
        """The versions that the source has now; None where it has said nothing of them."""
        asked, adapter = self.store.clock(), wanted.source.adapter
        if wanted.queries:
            return Known(self._versions.ask(wanted.source, wanted.queries, cancel), asked)
        ageless = replace(wanted, policy=replace(wanted.policy, ttl=math.inf))
        found = self._seek(ageless, self._judge(ageless))
        validator = found.entry.versions.get("") if found is not None else None
        if found is None or not validator or not isinstance(adapter, SupportsRevalidation):
            return None
        with self._versions.slot(wanted.source, cancel):
            if not adapter.unchanged(wanted.scan, validator, cancel):
                return None
        self.store.renew(found.entry, asked)
        return Known(found.entry.versions, asked)

    def _refresh(self, wanted: Wanted, schema: pa.Schema, make: MakeFetcher) -> None:
        cancel = CancelToken()
        unregister = self._closing.register(cancel.cancel)
        try:
            recording = self.record(wanted, schema)
            with closing(make(cancel, recording)) as fetcher:
                found = self.find_same(wanted, schema, cancel)  # another process may have been quicker
                if recording is not None and recording.writing and (found is None or found.state is State.STALE):
                    confirmed = self.confirm(wanted, schema, recording, cancel) if self.checks(wanted) else None
                    if confirmed is not None:
                        confirmed.close()
                        return
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

    def _filed(self, fragment: Fragment, scan: Scan) -> _Filed | None:
        """None for what the catalog does not want to be cached. A known plan has its scan again and again."""
        with self._lock:
            known = self._known.get(id(scan))
            if known is not None and known.is_of(fragment):
                self._known.move_to_end(id(scan))
                return known
        allows = strictest([table.cache for table in fragment.tables])
        if allows is None:
            return None
        key = self._key(fragment)
        tables = tuple(sorted({each.full_name for each in fragment.tables}))
        filed = _Filed(fragment, allows, key, tables, version_queries(fragment.tables, key.place))
        if scan.reusable and scan.anew is None:  # or it is another one each time
            with self._lock:
                self._known[id(scan)] = filed
                while len(self._known) > KEPT:
                    self._known.popitem(last=False)
        return filed

    def _key(self, fragment: Fragment) -> FragmentKey:
        if isinstance(fragment, TableScan):
            request = scan_text(fragment.request)
        else:
            assert isinstance(fragment, RemoteQuery)
            adapter = fragment.source.adapter
            assert isinstance(adapter, SupportsQuery)
            request = fragment.asked.sql(adapter.dialect.name)
        source = fragment.source
        return FragmentKey(source.name, self._credentials[source.name], request, fragment.wanted)


def _seal(key: bytes) -> Seal:
    try:
        from cache.sealing import Seal
    except ModuleNotFoundError as exc:
        hint = 'pip install "federation[encryption]"'
        raise MissingDriver(f"encrypting the cache needs the package {exc.name}", hint=hint) from exc
    return Seal(key)


def _default_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "federation"
