"""Running a plan: fragments are fetched side by side, stages in order, and the last query streams out."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import pyarrow as pa

from adapters.base import CancelToken, Predicate
from adapters.duck import Duck, Kept, Rows
from adapters.errors import Error, InterfaceError, InternalError, QueryCancelled
from catalog.model import Source
from federation.cached import CachedFetch
from federation.caching import FragmentCache
from federation.fetch import Fetcher, FetchStats
from federation.overflow import table_on_disk
from federation.planner.keys import apply_filters, distinct_keys, remaining
from federation.planner.nodes import Fragment, Keys, Plan, RuntimeFilter, Stage
from federation.progress import FragmentProgress, Freshness, State
from federation.slots import Slots
from federation.snapshots import Reads, Snapshots
from federation.staleness import Demand

# One busy Python thread starves DuckDB of the interpreter at the default of 5 ms.
sys.setswitchinterval(1e-4)
KEPT_BYTES = 64 << 20  # of a stage, in memory
WORKERS = 4  # for one fragment, unless limits.concurrency says more


class Execution:
    """One run of one plan. `batches` may be taken once; `close` ends everything, wherever it stands."""

    def __init__(
        self,
        plan: Plan,
        duck: Duck,
        slots: Mapping[str, Slots],
        cancel: CancelToken,
        schema: pa.Schema,
        on_close: Callable[[], None],
        observe: Callable[[Fragment, FetchStats], None],
        cache: FragmentCache | None,
        demand: Demand,
        snapshots: Snapshots | None = None,
    ) -> None:
        self.plan = plan
        self.cancel = cancel
        self.schema = schema
        self.started = time.monotonic()
        self._duck = duck
        self._slots = slots
        self._on_close = on_close
        self._observe = observe
        self._fragments = {fragment.name for fragment in plan.fragments}
        self._cache = cache if snapshots is None else None
        self._demand = demand
        self._snapshots = snapshots
        self._fetchers: dict[str, Fetcher | CachedFetch] = {}
        self._kept: dict[str, Kept] = {}
        self._unkept: dict[str, Kept] = {}  # stages that were too large to keep
        self._running: list[Rows] = []
        #: what became of the runtime filters of each fragment
        self.filtered: dict[str, dict[RuntimeFilter, str]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._taken = False
        self._complete = False
        if snapshots is not None:
            try:
                snapshots.begin_query(slots)
            except Error:
                plan.close()
                on_close()
                raise

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The result, streaming. Raises the source's own error when one fails."""
        if self._taken:
            raise InterfaceError("the result was read already", hint="run the query again")
        self._taken = True
        self.cancel.check()
        if self._snapshots is not None:
            self._snapshots.add_outside({each.source.name for each in self.plan.local_scans})
        try:
            self._start_ready()
            for stage in self.plan.stages:
                with self._translated():
                    self._run_stage(stage)
                    self._start_ready()
            yield from self._direct() if self.plan.sql is None else self._local(self.plan.sql)
            self._complete = True
        except BaseException:
            # The consumer may have cancelled while DuckDB was saying something else.
            self.cancel.cancel()
            raise
        finally:
            self.close()

    def stats(self) -> dict[str, FetchStats]:
        """What each fragment has cost, by its name."""
        fetchers = list(self._fetchers.items())  # another thread may be starting some
        return {name: fetcher.stats for name, fetcher in fetchers}

    def progress(self) -> list[FragmentProgress]:
        sources = {fragment.name: fragment.source.name for fragment in self.plan.fragments}
        return [
            FragmentProgress(sources[name], stats.rows, stats.bytes, stats.done) for name, stats in self.stats().items()
        ]

    def freshness(self) -> dict[str, Freshness]:
        """Where the rows of each fragment that was started are from, by its name."""
        sources = {fragment.name: fragment.source.name for fragment in self.plan.fragments}
        fetchers = list(self._fetchers.items())
        return {name: Freshness(sources[name], each.state, each.as_of, each.query) for name, each in fetchers}

    def close(self) -> None:
        """Stop the readers and free the connections. Idempotent, from any thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if not self._complete:
            # First of all, for whoever still reads: a fragment that is closed must not look like one that has ended.
            self.cancel.cancel(QueryCancelled("the result was closed before it was read to its end"))
        for fetcher in list(self._fetchers.values()):
            fetcher.close()
        for rows in reversed(self._running):  # who reads comes before what is read
            with contextlib.suppress(ValueError):  # its generator is just being pulled by another thread
                rows.close()
        for fragment in self.plan.fragments:
            if fragment.name not in self._fetchers and fragment.scan is not None:
                fragment.scan.close()
        self._kept.clear()
        self._unkept.clear()
        if self._snapshots is not None:
            self._snapshots.end_query()
        self._learn()
        self._on_close()

    def _learn(self) -> None:
        """A fragment that ended early, or that keys restricted, says nothing about what it is without them, and the
        cache nothing about the source."""
        for fragment in self.plan.fragments:
            fetcher = self._fetchers.get(fragment.name)
            if fetcher is None or fetcher.state is not State.LIVE or fragment.name in self.filtered:
                continue
            if fetcher.stats.done:
                self._observe(fragment, fetcher.stats)

    # --- fragments ------------------------------------------------------------------------------------------------

    def _start_ready(self) -> None:
        """Start what waits for no stage any more; what waits for nothing goes first."""
        waiting = [each for each in self.plan.fragments if each.name not in self._fetchers]
        for fragment in waiting:
            if not fragment.runtime_filters:
                self._fetch(fragment)
        for fragment in waiting:
            if fragment.runtime_filters and all(self._done(each.keys) for each in fragment.runtime_filters):
                self._filter(fragment)
                self._fetch(fragment)

    def _done(self, keys: Keys) -> bool:
        return all(name in self._kept or name in self._unkept for name in keys.stages())

    def _filter(self, fragment: Fragment) -> None:
        """Reconsider the fragment, now that its keys are known."""
        found = []
        for each in fragment.runtime_filters:
            sql = each.keys.sql(self._unkept.keys())
            if sql is not None:
                rows = self._duck.query(sql, self._kept, self.cancel).read_all()
                found.append((each, distinct_keys(rows)))
        if found:
            made = apply_filters(fragment, found)
            self.filtered[fragment.name] = {each: text for (each, _), text in zip(found, made, strict=True)}

    def _fetch(self, fragment: Fragment) -> None:
        fetcher = self._fetchers[fragment.name] = self._fetcher(fragment, self.cancel)
        fetcher.start()

    def _rest(
        self, fragment: Fragment, missing: Sequence[Predicate], cancel: CancelToken
    ) -> Fetcher | CachedFetch | None:
        rest = remaining(fragment, missing)
        return self._fetcher(rest, cancel) if rest is not None else None

    def _fetcher(self, fragment: Fragment, cancel: CancelToken) -> Fetcher | CachedFetch:
        assert fragment.scan is not None
        reads: Reads = fragment.source.adapter
        slots = self._slots[fragment.source.name]
        if self._snapshots is not None and fragment.scan.partitions:
            reads, slots = self._snapshots.reader(fragment.source)
        make = partial(
            Fetcher,
            reads,
            fragment.scan,
            workers=self._workers(fragment.source, slots),
            slots=slots,
            spill_folder=self._duck.spill_folder,
        )
        wanted = self._cache.wanted(fragment, self._demand) if self._cache is not None else None
        if wanted is None or self._cache is None:
            return make(cancel)
        return CachedFetch(self._cache, wanted, fragment.scan, make, partial(self._rest, fragment), cancel)

    def _workers(self, source: Source, slots: Slots) -> int:
        """The fragments of one query share what its source bears, so that none waits for a slot that need not."""
        fragments = sum(each.source.name == source.name for each in self.plan.fragments)
        return max(1, min(source.limits.concurrency or WORKERS, slots.size // fragments))

    def _run_stage(self, stage: Stage) -> None:
        inputs = {name: self._fetchers[name].reader() for name in stage.reads & self._fragments}
        sql = stage.sql(self._unkept.keys())
        rows = self._duck.query(sql, {**inputs, **self._kept, **self._unkept}, self.cancel)
        batches, size = [], 0
        for batch in rows:
            batches.append(batch)
            size += batch.nbytes
            if size > KEPT_BYTES:
                whole = itertools.chain(batches, rows)
                if stage.optional:
                    self._running.append(rows)
                    reader = pa.RecordBatchReader.from_batches(rows.schema, whole)
                    self._unkept[stage.name] = Kept(reader, rows.types)
                else:
                    table = table_on_disk(rows.schema, whole, self._duck.spill_folder)
                    self._kept[stage.name] = Kept(table, rows.types)
                return
        self._kept[stage.name] = Kept(pa.Table.from_batches(batches, rows.schema), rows.types)

    # --- the result -----------------------------------------------------------------------------------------------

    def _direct(self) -> Iterator[pa.RecordBatch]:
        """The only fragment is the answer."""
        fetcher = self._fetchers[self.plan.fragments[0].name]
        with self._translated():
            for batch in fetcher.reader():
                yield _as(batch, self.schema)
            self.cancel.check()

    def _local(self, sql: str) -> Iterator[pa.RecordBatch]:
        inputs = {name: fetcher.reader() for name, fetcher in self._fetchers.items() if name not in self._staged()}
        with self._translated():
            rows = self._duck.query(sql, {**inputs, **self._kept, **self._unkept}, self.cancel)
            self._running.append(rows)
            if rows.schema.types != self.schema.types:
                raise InternalError(
                    f"the plan gives {rows.schema.types}, the query {self.schema.types}",
                    hint="report the statement with its EXPLAIN; options={'pushdown': False} avoids the plan",
                )
            for batch in rows:
                yield _as(batch, self.schema)

    def _staged(self) -> set[str]:
        return {name for stage in self.plan.stages for name in stage.reads}

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """A source's failure is raised as it was, not as what DuckDB made of it."""
        try:
            yield
        except GeneratorExit:
            raise
        except Exception as exc:
            for fetcher in self._fetchers.values():
                if fetcher.error is not None and fetcher.error is not exc:
                    raise fetcher.error from None
            raise


def _as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch under the result's names, decimals in their one width."""
    if batch.schema == schema:
        return batch
    columns = [
        array if array.type == field.type else array.cast(field.type)
        for array, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema) if columns else batch
