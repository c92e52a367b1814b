"""What is counted and measured, for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.errors import Error, InternalError
from cache.usage import Totals
from federation.http.engines import Engines
from federation.http.place import Place
from federation.http.run import Run
from federation.http.siblings import asks

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
LAG = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
LAG_EVERY = 0.02
CACHE = "federation_cache_"
OF_ALL = (f"{CACHE}entries", f"{CACHE}bytes")  # of the folder that all processes share
WORKER = "worker"


class Metrics:
    """The figures of one process of a server. `observe` is called with each query that has ended."""

    def __init__(self, engines: Engines, place: Place) -> None:
        self._place = place
        self.registry = CollectorRegistry()
        self.registry.register(_Cache(engines))
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.queries = Counter("federation_queries", "queries that have ended", ["state"], registry=self.registry)
        self.errors = Counter("federation_query_errors", "failed queries", ["sqlstate"], registry=self.registry)
        self.seconds = Histogram(
            "federation_query_seconds", "from admission to the last row", buckets=SECONDS, registry=self.registry
        )
        self.first = Histogram(
            "federation_query_first_batch_seconds", "to the first rows", buckets=SECONDS, registry=self.registry
        )
        self.rows = Counter("federation_result_rows", "rows of results", registry=self.registry)
        self.source_rows = Counter("federation_source_rows", "rows fetched", ["source"], registry=self.registry)
        self.source_bytes = Counter(
            "federation_source_bytes", "bytes fetched, as Arrow", ["source"], registry=self.registry
        )
        self.up = Gauge(
            "federation_source_up", "whether the last probe was answered", ["source"], registry=self.registry
        )
        self.open = Gauge("federation_queries_open", "queries that wait or run", registry=self.registry)
        self.requests = Counter(
            "federation_http_requests", "requests", ["method", "path", "status"], registry=self.registry
        )
        self.lag = Histogram(
            "federation_event_loop_lag_seconds", "how late the event loop is", buckets=LAG, registry=self.registry
        )

    def observe(self, run: Run) -> None:
        self.queries.labels(run.state).inc()
        if run.error is not None:
            error = run.error if isinstance(run.error, Error) else InternalError("")
            self.errors.labels(error.sqlstate).inc()
        if run.ended is not None:
            self.seconds.observe(run.ended - run.created)
        if run.first_batch is not None:
            self.first.observe(run.first_batch)
        self.rows.inc(run.rows)
        for each in run.progress():
            self.source_rows.labels(each.source).inc(each.rows)
            self.source_bytes.labels(each.source).inc(each.bytes)

    def text(self) -> bytes:
        """Labelled with the number of the process where there are several."""
        return generate_latest(self.registry if self._place.count == 1 else _Labelled(self.registry, self._place))

    async def watch_loop(self) -> None:
        """Measure, until cancelled, how late a timer of the event loop is."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            self.lag.observe(max(0.0, loop.time() - due))


class _Cache(Collector):
    """Of the cache, by source: what was counted since the catalog was read, and what lies in the folder, whoever put it
    there. Reads the disk."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines

    def describe(self) -> Iterator[Metric]:
        """Nothing is read when it is registered."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        label = ["source"]
        hits = CounterMetricFamily(f"{CACHE}hits", "fragments that the cache gave", labels=label)
        misses = CounterMetricFamily(f"{CACHE}misses", "fragments that a source was asked for", labels=label)
        evictions = CounterMetricFamily(f"{CACHE}evictions", "fragments that made room for others", labels=label)
        entries = GaugeMetricFamily(f"{CACHE}entries", "fragments on disk", labels=label)
        size = GaugeMetricFamily(f"{CACHE}bytes", "what they take there", labels=label)
        families: list[CounterMetricFamily | GaugeMetricFamily] = [hits, misses, evictions, entries, size]
        with self._engines.lease() as engine:
            if engine.cache is not None:
                store = engine.cache.store
                totals = store.usage.totals()
                for source in engine.cache.principals:
                    counted = totals.get(source, Totals())
                    found = (counted.hits, counted.misses, counted.evictions, *store.sizes(source))
                    for family, value in zip(families, found, strict=True):
                        family.add_metric([source], value)
        yield from families


class _Labelled(Collector):
    """A series of each process: a sum of them would fall when one ends, which Prometheus takes for one that began
    anew."""

    def __init__(self, registry: CollectorRegistry, place: Place) -> None:
        self._registry = registry
        self._label = {WORKER: str(place.number)}

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            if family.name not in OF_ALL:
                family.samples = [each._replace(labels={**each.labels, **self._label}) for each in family.samples]
            yield family


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def together(place: Place, own: bytes, others: Mapping[int, bytes]) -> bytes:
    """The figures of all processes of a server; one that is missing in `others` is not up."""
    families: dict[str, Metric] = {}
    for text in (own, *others.values()):
        for family in text_string_to_metric_families(text.decode()):
            known = families.setdefault(family.name, family)
            if known is not family and family.name not in OF_ALL:
                known.samples += family.samples
    up = GaugeMetricFamily("federation_worker_up", "whether the worker told its figures", labels=[WORKER])
    for number in range(place.count):
        up.add_metric([str(number)], number == place.number or number in others)
    return generate_latest(_Families([*families.values(), up]))


class CountRequests:
    """The middleware that counts requests by route and status."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or asks(scope):
            await self._app(scope, receive, send)
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                # A route's pattern, or there would be a series for each path that anybody makes up.
                path = getattr(scope.get("route"), "path", "other")
                self._metrics.requests.labels(scope["method"], path, message["status"]).inc()
            await send(message)

        await self._app(scope, receive, counted)
