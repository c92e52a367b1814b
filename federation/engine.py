"""The engine: from SQL text to a streaming result or an explanation.

1. `parse` reads one query, `parameters` fills it in.
2. `bind` resolves the names; DuckDB types the query against empty tables, and says what is wrong with it.
3. `normalize` and the planner decide what runs where.
4. `execute` fetches and finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pyarrow as pa
from sqlglot import exp

from adapters.base import CancelToken
from adapters.duck import Duck
from adapters.errors import Error, OperationalError, QueryCancelled, StatementTooComplex
from cache.learned import Learned
from cache.recording import Recording
from catalog.catalog import Catalog
from catalog.load import load_catalog
from catalog.model import CatalogTable
from catalog.policies import Caller, Rights
from catalog.roles import Policy
from federation.bind import Binder, Bound
from federation.cache_table import CacheTable
from federation.caching import FragmentCache
from federation.execute import Execution
from federation.fetch import Fetcher, start_deadline
from federation.invalidation import Target, called, find_target
from federation.known_statements import KnownStatements, count_parameters
from federation.local import LocalSchema, local_paths
from federation.normalize import fold_now, normalize
from federation.parameters import Parameters, substitute
from federation.parse import parse
from federation.pins import pins
from federation.planner.costs import Costs
from federation.planner.explain import Explanation
from federation.planner.fragments import to_sql
from federation.planner.known_plans import KnownPlans
from federation.planner.nodes import Fragment, Plan
from federation.planner.optimizations import Optimizations, read_options
from federation.planner.plan import local_plan, make_plan
from federation.planner.statement_shape import Shape, shape_of
from federation.policies_table import policies_table
from federation.positions import placed
from federation.query_tables import Queries, no_queries, query_tables
from federation.relations_table import RelationTables
from federation.restrict import check_policy
from federation.result import Planned, Result
from federation.slots import DEFAULT_SIZE, Slots
from federation.snapshots import Places, Snapshots
from federation.sources_table import sources_table
from federation.staleness import ANY, Demand, read_demand
from federation.system import SYSTEM, system_source
from federation.verify import SECONDS, Statement, Verifier


class Engine:
    """One catalog and one local DuckDB. Every method may be called from several threads.

    Where a method takes a `caller`, the roles of the catalog restrict what it reads and changes; None is the operator,
    who may do everything. Raises InsufficientPrivilege."""

    def __init__(self, catalog: Catalog, queries: Queries = no_queries) -> None:
        """`queries` gives those that the server has."""
        self.catalog = catalog
        settings = catalog.settings
        self._duck = Duck(
            local_paths(catalog),
            memory_limit=settings.memory_limit,
            temp_directory=str(settings.spill_directory) if settings.spill_directory else None,
            threads=settings.threads,
        )
        self._slots = {
            source.name: Slots(source.limits.concurrency or DEFAULT_SIZE) for source in catalog.sources.values()
        }
        self._slots[SYSTEM] = Slots(DEFAULT_SIZE)
        self._places = Places()
        self._at_close: list[Callable[[], None]] = []
        self._at_invalidation: list[Callable[[Target], None]] = []
        self._running: WeakSet[Execution] = WeakSet()
        self._transactions: WeakSet[Snapshots] = WeakSet()
        self._local = LocalSchema(self._duck)
        self.cache = FragmentCache.of(catalog, self._duck, self._local, self._slots)
        self.pins = tuple(pins(catalog, self.cache.principals)) if self.cache is not None else ()
        learned = Learned(settings.statistics_directory)
        relations = RelationTables(catalog, self._local, self.describe)
        tables = {
            "sources": sources_table(catalog, learned),
            "tables": relations.tables,
            "columns": relations.columns,
            "cache": CacheTable(catalog, self.cache, self.pins).table,
            "policies": policies_table(catalog),
            **query_tables(catalog, queries),
        }
        catalog.add_system(system_source(tables))
        self._costs = Costs(learned, self.cache.cost) if self.cache is not None else Costs(learned)
        self._known_plans = KnownPlans()
        self.verifier = Verifier(self._duck, settings.verify_sample, catalog.redactor.scrub)
        self._binder = Binder(catalog, self._local)
        self._known_statements = KnownStatements(self._binder.holds)

    @classmethod
    def open(cls, path: str | Path, processes: int = 1, queries: Queries = no_queries) -> Engine:
        """The engine of a catalog file or folder, one of so many that keep its limits together. Raises CatalogError."""
        return cls(load_catalog(Path(path), processes), queries)

    def query(
        self,
        sql: str | exp.Query,
        params: Parameters = None,
        timeout: float | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        cancel: CancelToken | None = None,
        snapshots: Snapshots | None = None,
        caller: Caller | None = None,
    ) -> Result:
        """Plan and start a query: a text, or a tree in DuckDB's dialect, whose identifiers may carry positions for
        errors. `timeout` is in seconds; `options={"pushdown": False}` fetches whole columns,
        `options={"disable": [...]}` plans without the named optimisations; `max_staleness` and `no_cache` are those of
        `federation.staleness.Demand`. A `cancel` of the caller's may come before there is a result. `snapshots` are
        those of a transaction, see `begin`."""
        demand = read_demand(options or {})
        name = called(sql)
        if name is not None:
            sql, params = f"SELECT {self.invalidate(name, caller)}::BIGINT AS fragments", None
        seconds = timeout if timeout is not None else self.catalog.settings.timeout
        planned = self.plan(sql, params, options=options, caller=caller)
        result = self._started(planned, cancel or CancelToken(), seconds, self.cache, demand, snapshots)
        if snapshots is None:  # which nobody could read again
            result.sample = self.verifier.sample(lambda: self._statement(sql, params, options, planned, caller))
        return result

    def begin(self) -> Snapshots:
        """For the queries of one transaction: of each source that can, they read the state at the first of them, and
        nothing from the cache. It must be ended."""
        snapshots = Snapshots(self._slots, self._places)
        self._transactions.add(snapshots)
        return snapshots

    def invalidate(self, name: str, caller: Caller | None = None) -> int:
        """What the cache has of a source, a table, what a view reads, or all with a tag (`tag:name`) is not given any
        more, here and in all processes that share its folder; the number of fragments. What is being fetched is not
        kept for others either. Raises ProgrammingError for an unknown name, OperationalError where it cannot be
        written down."""
        target = find_target(self.catalog, self._binder, name, caller)
        try:
            count = self.cache.store.invalidate(target.sources, target.tables) if self.cache is not None else 0
        except OSError as exc:
            raise OperationalError(f"the cache could not be changed: {exc}", hint="try again") from exc
        for callback in self._at_invalidation:
            callback(target)
        return count

    def explain(
        self,
        sql: str | exp.Query,
        params: Parameters = None,
        *,
        analyze: bool = False,
        estimate: bool = False,
        options: Mapping[str, Any] | None = None,
        cancel: CancelToken | None = None,
        snapshots: Snapshots | None = None,
        caller: Caller | None = None,
    ) -> Explanation:
        """What would run where, and why; with `analyze` the query runs, and its actual figures are added, else with
        `estimate` what is expected of the answer, for which its sources are asked."""
        demand = read_demand(options or {})
        planned = self._planned(sql, params, self._allowed(options), caller, anew=True)
        if not analyze:
            planned.plan.close()
            cache = self.cache if snapshots is None else None
            cached = cache.peek(planned.plan.fragments, demand) if cache is not None else {}
            expected = self._costs.answer(planned.plan, planned.tables) if estimate else None
            return Explanation(planned.plan, scrub=self.catalog.redactor.scrub, freshness=cached, expected=expected)
        execution = self._execution(planned, cancel or CancelToken(), _nothing, self.cache, demand, snapshots)
        with Result(planned, execution, self.catalog, self.forget) as result:
            rows = sum(batch.num_rows for batch in result.batches())
        return Explanation(
            planned.plan,
            scrub=self.catalog.redactor.scrub,
            freshness=execution.freshness(),
            execution=execution,
            rows=rows,
        )

    def plan(
        self,
        sql: str | exp.Query,
        params: Parameters = None,
        *,
        options: Mapping[str, Any] | None = None,
        caller: Caller | None = None,
    ) -> Planned:
        """The plan of a query. Its scans hold nothing at the sources before they run, but must be closed or run."""
        return self._planned(sql, params, self._allowed(options), caller)

    def describe(
        self, sql: str | exp.Query, params: Parameters = None, caller: Caller | None = None
    ) -> tuple[pa.Schema, Sequence[tuple[str, str]]]:
        """The result's schema and DuckDB types, without running or planning anything."""
        bound = self._binder.bind(_read(sql, params), caller)
        columns = self._typed(bound, to_sql(bound.query))
        return self._local.arrow_schema(columns), columns

    def columns(self, table: exp.Table, caller: Caller | None = None) -> Sequence[tuple[str, str]]:
        """The columns of a table reference, as the catalog resolves it: names and DuckDB types. Raises the catalog's
        errors with the position of the name."""
        bare = exp.Table(this=table.this.copy(), db=table.args.get("db"), catalog=table.args.get("catalog"))
        return self.describe(exp.Select(expressions=[exp.Star()]).from_(bare.copy()), caller=caller)[1]

    def bind(self, sql: str) -> Bound:
        """The query with its names resolved, and its views put in."""
        return self._binder.bind(_read(sql, None))

    def check_policy(self, policy: Policy) -> None:
        """Whether a filter or a mask fits its table. Raises CatalogError with what is wrong, and what a source says."""
        check_policy(self.catalog, policy, self._local)

    def fetcher(self, fragment: Fragment, cancel: CancelToken, recording: Recording) -> Fetcher:
        """Fetches a planned fragment by itself, beside the queries."""
        assert fragment.scan is not None
        source = fragment.source
        slots, folder = self._slots[source.name], self._duck.spill_folder
        return Fetcher(source.adapter, fragment.scan, cancel, recording, slots=slots, spill_folder=folder)

    def forget(self, tables: Mapping[str, CatalogTable]) -> None:
        """A table is not what it was planned as."""
        self._known_plans.forget()
        for each in tables.values():
            self.catalog.forget(each.source.name, each.table.name)

    def at_close(self, callback: Callable[[], None]) -> None:
        """Have what stands on this engine closed with it."""
        self._at_close.append(callback)

    def at_invalidation(self, callback: Callable[[Target], None]) -> None:
        """Have it told what is invalidated from now on by this engine, in the thread that does it."""
        self._at_invalidation.append(callback)

    def close(self) -> None:
        """Ends the queries that still run, and closes every source. Idempotent."""
        self.verifier.close()
        for callback in self._at_close:
            callback()
        for execution in list(self._running):
            execution.cancel.cancel(QueryCancelled("the engine was closed"))
            execution.close()
        for snapshots in list(self._transactions):
            snapshots.end()
        if self.cache is not None:
            self.cache.close()
        self._costs.close()
        self._duck.close()
        self.catalog.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _execution(
        self,
        planned: Planned,
        cancel: CancelToken,
        on_close: Callable[[], None],
        cache: FragmentCache | None,
        demand: Demand,
        snapshots: Snapshots | None = None,
    ) -> Execution:
        observe, schema = self._costs.observe, planned.schema
        execution = Execution(
            planned.plan, self._duck, self._slots, cancel, schema, on_close, observe, cache, demand, snapshots
        )
        self._running.add(execution)
        return execution

    def _started(
        self,
        planned: Planned,
        cancel: CancelToken,
        seconds: float | None,
        cache: FragmentCache | None,
        demand: Demand,
        snapshots: Snapshots | None = None,
    ) -> Result:
        stop_clock = start_deadline(cancel, seconds) if seconds is not None else _nothing
        execution = self._execution(planned, cancel, stop_clock, cache, demand, snapshots)
        return Result(planned, execution, self.catalog, self.forget)

    def _statement(
        self,
        sql: str | exp.Query,
        params: Parameters,
        options: Mapping[str, Any] | None,
        planned: Planned,
        caller: Caller | None,
    ) -> Statement:
        """How verification runs the query again. What the system says of itself differs each time: such a query has no
        sources that could be at fault."""
        params = copy(params)  # the caller may put others into it
        sources = {fragment.source.name for fragment in planned.plan.fragments}
        return Statement(
            bind=lambda: self._binder.bind(_read(sql, params), caller).query,
            run=lambda how, cancel: self._started(self._planned(sql, params, how, caller), cancel, SECONDS, None, ANY),
            explain=lambda: self.explain(sql, params, options=options, caller=caller).text(),
            sources=() if SYSTEM in sources else tuple(sorted(sources)),
            schema=planned.schema,
            optimizations=read_options(options or {}),
        )

    def _allowed(self, options: Mapping[str, Any] | None) -> Optimizations:
        return self.verifier.restricted(read_options(options or {}))

    def _planned(
        self,
        sql: str | exp.Query,
        params: Parameters,
        optimizations: Optimizations,
        caller: Caller | None,
        *,
        anew: bool = False,
    ) -> Planned:
        try:
            return self._plan(sql, params, optimizations, caller, anew=anew)
        except RecursionError as exc:
            raise StatementTooComplex("the statement is nested too deeply", hint="split it into CTEs or views") from exc
        except Error as exc:
            self.catalog.redactor.scrub_error(exc)
            raise

    def _plan(
        self,
        sql: str | exp.Query,
        params: Parameters,
        optimizations: Optimizations,
        caller: Caller | None,
        *,
        anew: bool,
    ) -> Planned:
        """A plan that is made `anew` has the notes of this very statement."""
        rights = Rights(self.catalog, caller)
        whose = rights.whose
        known = None if anew else self._known_statements.get(sql, params, whose)
        plan = self._known_plans.get(*known, optimizations) if known is not None else None
        if known is not None and plan is not None:
            return self._noted(plan, known[1], rights)
        query = _read(sql, params)
        placeholders = count_parameters(query)
        bound = self._binder.bind(query, caller)
        shape = shape_of(query, bound.tables)
        self._known_statements.keep(sql, params, whose, bound, shape, placeholders)
        plan = None if anew else self._known_plans.get(shape, bound.tables, optimizations)
        if plan is None:
            plan = self._made_plan(bound, shape, optimizations)
        return self._noted(plan, bound.tables, rights)

    def _noted(self, plan: Plan, tables: Mapping[str, CatalogTable], rights: Rights) -> Planned:
        plan.notes += self.verifier.notes(fragment.source.name for fragment in plan.fragments)
        return Planned(plan, self._local.arrow_schema(plan.columns), tables, rights.withholds)

    def _made_plan(self, bound: Bound, shape: Shape, optimizations: Optimizations) -> Plan:
        text = to_sql(bound.query) if shape.keys else shape.text
        columns = self._typed(bound, text)
        for node in bound.query.walk():
            node._meta = None  # positions have served, and every copy of the tree would copy them
        timeless = not fold_now(bound.query)
        plan = local_plan(columns, bound.query, bound.tables, self._local, optimizations, text)
        if plan is None:
            known = {identifier: self._local.columns(identifier) for identifier in bound.tables}
            normalized = normalize(bound.query, known, self._local.evaluate)
            plan = make_plan(columns, bound.query, normalized, bound.tables, self._local, optimizations, self._costs)
        if timeless:
            self._known_plans.keep(shape, bound.tables, optimizations, plan)
        return plan

    def _typed(self, bound: Bound, text: str) -> Sequence[tuple[str, str]]:
        """What DuckDB makes of the query; its complaints get the position in the caller's text."""
        try:
            return self._local.describe(text)
        except Error as exc:
            raise placed(exc, bound.query, bound.columns) from exc.__cause__


def _read(sql: str | exp.Query, params: Parameters) -> exp.Query:
    """The query as a tree of its own, which binding changes."""
    return substitute(parse(sql) if isinstance(sql, str) else sql.copy(), params)


def _nothing() -> None:
    return None
