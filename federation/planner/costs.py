"""What fragments and tables are expected to cost. The best estimator of a fragment is its source's own optimizer; what
it says is kept for a while, by the text of the query.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlglot import exp

from adapters.base import Estimate, SupportsEstimate, SupportsStatistics, TableName, TableStatistics
from adapters.errors import Error
from cache.learned import Learned
from catalog.model import CatalogTable, Source
from federation.fetch import FetchStats
from federation.planner import filters
from federation.planner.fragment_shape import shape
from federation.planner.nodes import Cost, Fragment, Plan, RemoteQuery, TableScan

T = TypeVar("T")

log = logging.getLogger(__name__)

KEPT = 4096
KEPT_SECONDS = 300.0
ASKING = 8  # sources that are asked at once
# Until reads have shown better. A unit of cost is a page that PostgreSQL finds in memory.
SECONDS_PER_COST = 6e-6
BYTES_PER_SECOND = 200e6
LATENCY = 0.001
SELECTIVITY = 0.2  # of a condition of which nothing is known
ROW_BYTES = 50.0


class Costs:
    """Thread-safe; one per engine."""

    def __init__(self, learned: Learned, cached: Callable[[Fragment], Cost | None] = lambda _: None) -> None:
        """`cached` is what it costs to take a fragment from the cache, None for one that is not there."""
        self._learned = learned
        self._cached = cached
        self._lock = threading.Lock()
        self._kept: OrderedDict[object, tuple[float, object]] = OrderedDict()
        self._asking: ThreadPoolExecutor | None = None

    def estimate(self, fragments: Sequence[Fragment], tables: Mapping[str, CatalogTable]) -> None:
        """Set the cost of the fragments, whose queries name the `tables`; their sources are asked side by side."""
        if len(fragments) < 2:
            for fragment in fragments:
                self._set(fragment, tables)
            return
        with self._lock:
            self._asking = self._asking or ThreadPoolExecutor(ASKING, thread_name_prefix="estimate")
        list(self._asking.map(lambda each: self._set(each, tables), fragments))

    def statistics(self, table: CatalogTable) -> TableStatistics:
        """What the source knows of a table; nothing, if it knows none."""
        return self._statistics(table.source, table.table.name)

    def _statistics(self, source: Source, table: TableName) -> TableStatistics:
        adapter = source.adapter
        found = None
        if isinstance(adapter, SupportsStatistics):
            found = self._known((source.name, table), lambda: adapter.statistics(table))
        return found or TableStatistics()

    def query(self, source: Source, query: exp.Query) -> Cost:
        """What a query in the source's dialect would cost."""
        adapter = source.adapter
        if not isinstance(adapter, SupportsEstimate):
            return Cost()
        text = query.sql(adapter.dialect.name)  # type: ignore[attr-defined]
        found = self._known((source.name, text), lambda: adapter.estimate(query))
        return self._cost(source, found) if found is not None else Cost()

    def answer(self, plan: Plan, tables: Mapping[str, CatalogTable]) -> Cost:
        """What a plan is expected to answer: the rows and bytes of the largest part that it reads, for nothing is known
        of what DuckDB makes of them, and the seconds of all parts."""
        self.estimate([each for each in plan.fragments if each.expected.rows is None], tables)
        parts = [each.expected for each in plan.fragments]
        for scan in plan.local_scans:
            parts.append(self._cost(scan.source, Estimate(self._statistics(scan.source, scan.table).rows)))
        largest = max(parts, key=lambda each: each.rows or 0.0, default=Cost())
        seconds = [each.seconds for each in parts if each.seconds is not None]
        return Cost(largest.rows, largest.bytes, sum(seconds) if len(seconds) == len(parts) else None)

    def bytes_per_second(self, source: Source) -> float:
        """How fast the source's answers arrive."""
        link = self._learned.link(source.name)
        return (link.bytes_per_second if link is not None else None) or BYTES_PER_SECOND

    def observe(self, fragment: Fragment, stats: FetchStats) -> None:
        """Learn from a fragment that was read to its end."""
        self._learned.record(
            fragment.source.name,
            shape(fragment),
            stats.rows,
            stats.bytes,
            stats.requests,
            stats.first_batch,
            stats.seconds,
        )

    def close(self) -> None:
        self._learned.close()
        with self._lock:
            asking, self._asking = self._asking, None
        if asking is not None:
            asking.shutdown(wait=False, cancel_futures=True)

    def _set(self, fragment: Fragment, tables: Mapping[str, CatalogTable]) -> None:
        found = self._cached(fragment)
        if found is not None:
            fragment.cost = fragment.expected = found
            return
        if isinstance(fragment, RemoteQuery):
            known = self.query(fragment.source, fragment.translated.query)
            fragment.cost = known if known.rows is not None else self._guessed(fragment, tables)
        elif isinstance(fragment, TableScan):
            fragment.cost = self._scanned(fragment)
        if fragment.cost.rows is None:
            seen = self._learned.fragment(fragment.source.name, shape(fragment))
            fragment.cost = Cost(seen.rows, seen.bytes, seen.seconds) if seen is not None else Cost()
        fragment.expected = fragment.cost

    def _guessed(self, fragment: RemoteQuery, tables: Mapping[str, CatalogTable]) -> Cost:
        """For a source that estimates no queries: its largest table, and a share of it for each condition."""
        names = {table.name for table in fragment.query.find_all(exp.Table)} & tables.keys()
        sizes = [self.statistics(tables[name]).rows for name in names]
        known = [each for each in sizes if each is not None]
        if not known or len(known) < len(sizes):
            return Cost()
        query = fragment.translated.query
        if query.args.get("group") is None and any(each.find(exp.AggFunc) for each in query.selects):
            return self._cost(fragment.source, Estimate(1.0))
        tests = len(filters.conjuncts(where.this)) if (where := query.args.get("where")) is not None else 0
        return self._cost(fragment.source, Estimate(max(known) * SELECTIVITY**tests))

    def _scanned(self, scan: TableScan) -> Cost:
        known = self._statistics(scan.source, scan.table).rows
        if known is None:
            return Cost()
        rows = known * SELECTIVITY ** len(scan.conditions)
        return self._cost(scan.source, Estimate(min(rows, scan.limit) if scan.limit is not None else rows))

    def _cost(self, source: Source, estimate: Estimate) -> Cost:
        if estimate.rows is None:
            return Cost()
        size = estimate.bytes if estimate.bytes is not None else estimate.rows * ROW_BYTES
        link = self._learned.link(source.name)
        latency = link.latency if link is not None and link.latency is not None else LATENCY
        seconds = latency + (estimate.cost or 0.0) * SECONDS_PER_COST + size / self.bytes_per_second(source)
        return Cost(estimate.rows, size, seconds)

    def _known(self, key: object, ask: Callable[[], T]) -> T | None:
        """None when it cannot be found out, whatever the reason: a query that runs without estimates never fails for
        one, and if the source is at fault, that shows when it is read."""
        now = time.monotonic()
        with self._lock:
            at, value = self._kept.get(key, (0.0, None))
            if value is not None and now - at < KEPT_SECONDS:
                self._kept.move_to_end(key)
                return value  # type: ignore[return-value]
        try:
            value = ask()
        except Exception as exc:
            log.log(logging.INFO if isinstance(exc, Error) else logging.ERROR, "an estimate failed", exc_info=exc)
            return None
        with self._lock:
            self._kept[key] = now, value
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return value
