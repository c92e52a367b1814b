"""One refresh of what is pinned: its fragments are fetched again, beside what is given of them, and take its place.

1. The table or view is planned like a query for all of it, without runtime filters: each fragment is then whole, and
   answers whatever asks for less of it.
2. Each fragment that may be cached is fetched and recorded like any other. Readers have the old one until the new
   one is committed. What its source knows to be unchanged is renewed instead.
3. Of a table with a cursor, only what is new is fetched, if there is a fragment to begin with (`increment`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pyarrow as pa

from adapters.base import CancelToken
from adapters.errors import CatalogError, Error, OperationalError, SourceChanged
from cache.about import About
from cache.entry import Entry
from cache.pins import Held
from cache.recording import Recording
from catalog.model import CatalogTable
from federation.caching import Cached, FragmentCache, Wanted
from federation.containment import Found, Standing
from federation.engine import Engine
from federation.increment import Increment, literal
from federation.normalize import fold_now
from federation.pins import Pinned
from federation.planner import filters
from federation.planner.nodes import Fragment
from federation.planner.optimizations import Optimization
from federation.progress import State
from federation.result import Result
from federation.staleness import ANY
from federation.versions import PATIENCE

PLANNING = {"disable": [str(Optimization.RUNTIME_FILTERS)]}
LIVE = {"no_cache": True}
WAIT_SECONDS = 0.05  # between two looks for the turn
_LARGEST = pa.schema({"value": pa.string(), "kind": pa.string()})


def check_pinned(engine: Engine, pinned: Pinned) -> None:
    """Raises CatalogError for a view whose rows are others each time."""
    query = engine.bind(_all_of(pinned)).query
    if filters.volatile(query) or fold_now(query):
        raise CatalogError(
            f"{pinned.name} cannot be refreshed: its rows depend on the time or on chance",
            hint="leave such functions to the queries that read it",
        )


class Refresher:
    """One refresh. `full` fetches all rows in any case; afterwards it says whether that was done."""

    def __init__(
        self, engine: Engine, cache: FragmentCache, pinned: Pinned, cancel: CancelToken, *, full: bool
    ) -> None:
        self.full = full
        self._engine = engine
        self._cache = cache
        self._pinned = pinned
        self._cancel = cancel

    def run(self) -> tuple[Held, ...]:
        """What is held now. Raises the error of a source, CatalogError for what cannot be refreshed, OperationalError
        for what cannot be kept."""
        check_pinned(self._engine, self._pinned)
        planned = self._engine.plan(_all_of(self._pinned), options=PLANNING)
        waiting, held = list(planned.plan.fragments), []
        (table,) = planned.tables.values() if self._pinned.source is not None else (None,)
        try:
            found = [self._cache.wanted(fragment, ANY) for fragment in waiting]
            if not found or None in found:
                raise CatalogError(
                    f"{self._pinned.name} cannot be refreshed: not all that it reads is cached",
                    hint="give its sources a ttl; what DuckDB reads by itself, such as Parquet files, is not cached",
                )
            for wanted in found:
                assert wanted is not None
                held.append(self._refresh(waiting.pop(0), wanted, table))
        except SourceChanged:
            self._engine.forget(planned.tables)
            raise
        finally:
            for fragment in waiting:
                if fragment.scan is not None:
                    fragment.scan.close()
        return tuple(held)

    def _refresh(self, fragment: Fragment, wanted: Wanted, table: CatalogTable | None) -> Held:
        """Closes the fragment's scan, as a fetcher does."""
        assert fragment.scan is not None
        store, schema = self._cache.store, fragment.scan.schema
        began = store.clock()
        with ExitStack() as unused:
            unused.callback(fragment.scan.close)
            increment = Increment.of(self._pinned, table) if table is not None else None
            base = store.look(wanted.key)
            if base is not None and base.as_of <= store.valid_from(base):
                base = None
            policy = wanted.policy
            pinned_until = began + policy.ttl + max(policy.stale_while_revalidate, policy.stale_if_error)
            recording = self._turn(wanted, schema, self._about(increment, base), pinned_until)
            held = Held(wanted.key.digest, wanted.key.source, wanted.tables)
            if self._renewed(wanted, schema, recording, pinned_until):
                return held
            if self.full or increment is None or base is None or not self._merge(increment, base, schema, recording):
                self.full = True
                unused.pop_all()
                with closing(self._engine.fetcher(fragment, self._cancel, recording)) as fetcher:
                    for _ in fetcher.batches():
                        pass
        entry = store.look(wanted.key)
        if entry is None or entry.as_of < began:
            raise OperationalError(
                f"{self._pinned.name} was fetched, and could not be kept",
                hint="the disk may be full, or max_size or cache_size too small; the log says more",
            )
        return held

    def _renewed(self, wanted: Wanted, schema: pa.Schema, recording: Recording, pinned_until: float) -> bool:
        """Whether nothing has to be fetched, and the recording was ended. Otherwise what is fetched will be kept with
        the versions of now."""
        asked = self._cache.store.clock()
        try:
            found = self._unchanged(wanted, schema, recording)
        except BaseException:
            recording.abandon()
            raise
        if found is None:
            return False
        found.close()
        if self.full or found.query or found.entry.digest != wanted.key.digest:  # or it is one that holds more
            return False
        recording.abandon()
        self._cache.store.renew(found.entry, asked, pinned_until)
        return True

    def _unchanged(self, wanted: Wanted, schema: pa.Schema, recording: Recording) -> Cached | None:
        if wanted.current() is not None:
            return self._cache.find_same(wanted, schema, self._cancel)
        return self._cache.confirm(wanted, schema, recording, self._cancel) if self._cache.checks(wanted) else None

    def _turn(self, wanted: Wanted, schema: pa.Schema, about: About, pinned_until: float) -> Recording:
        """Waits for a query that fetches the same just now."""
        while True:
            recording = self._cache.record(wanted, schema, about, pinned_until)
            if recording is not None:
                return recording
            self._cancel.check()
            if self._cache.store.idle(wanted.key.digest) > PATIENCE:
                raise OperationalError(f"{self._pinned.name} is being fetched, without any progress", hint="wait")
            time.sleep(WAIT_SECONDS)

    # --- only what is new ---------------------------------------------------------------------------------------

    def _about(self, increment: Increment | None, base: Entry | None) -> About:
        """Where the next refresh begins: at what was there before this one."""
        if increment is None:
            return About()
        row = None
        if base is not None:
            found = Found(base, Standing(State.FRESH, base.as_of), increment.largest())
            picked = self._cache.containment.run(found, _LARGEST, self._cancel)
            row = pa.Table.from_batches(picked, _LARGEST).to_pylist()[0] if picked is not None else None
        if row is None:
            with self._engine.query(increment.largest_at_source(), options=LIVE, cancel=self._cancel) as result:
                row = result.read_all().to_pylist()[0]
        return About(increment=increment.name, boundary=literal(row["value"], row["kind"]))

    def _merge(self, increment: Increment, base: Entry, schema: pa.Schema, recording: Recording) -> bool:
        """Whether the fragment was one to begin with, and was brought up to date."""
        about = self._cache.store.about(base)
        if about.increment != increment.name or not about.boundary:
            return False
        rest = _Rest(self._engine.query(increment.rest(about.boundary), options=LIVE, cancel=self._cancel))
        try:
            found = Found(base, Standing(State.FRESH, base.as_of), increment.merged(schema.names, about.boundary))
            merged = self._cache.containment.run(found, schema, self._cancel, rest.reader())
            if merged is not None:
                with closing(merged):
                    for batch in merged:
                        recording.append(batch)
            if rest.error is not None:
                raise rest.error
        except BaseException as exc:
            recording.abandon()
            raise rest.error or exc from None  # not as DuckDB has it
        finally:
            rest.close()
        if merged is None:
            return False
        recording.commit(base.seconds)  # what it takes to fetch all of it
        return True


class _Rest:
    """The rows that are new, and what reading them failed with."""

    def __init__(self, result: Result) -> None:
        self.error: Error | None = None
        self._result = result

    def reader(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self._result.schema, self._batches())

    def close(self) -> None:
        self._result.close()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._result.batches()
        except Error as exc:
            self.error = exc
            raise


def _all_of(pinned: Pinned) -> str:
    return f"SELECT * FROM {pinned.table.sql('duckdb')}"
