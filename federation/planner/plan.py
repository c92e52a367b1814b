"""From a bound query to a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from adapters.sql.dialect import Declined, Reason
from catalog.model import CatalogTable
from federation.planner import filters
from federation.planner.common_fragments import FragmentMerger
from federation.planner.costs import Costs
from federation.planner.eager_aggregation import aggregate_eagerly
from federation.planner.fences import fenced, open_fences, put_inside
from federation.planner.fragments import Describer, Fragments, to_sql
from federation.planner.islands import Placer
from federation.planner.nodes import LocalScan, Note, Plan
from federation.planner.optimizations import ALL, Optimization, Optimizations
from federation.planner.rewrites import rewrite
from federation.planner.rewriting import Context
from federation.planner.runtime_filters import RuntimeFilterPlacer
from federation.planner.scans import ScanPlacer
from federation.planner.stages import Stages

WEIGHED_SECONDS = 0.5  # a plan that takes less is not compared with others: their estimates take time, too
COUNTED_SECONDS = 0.25  # and one that counts distinct values, for which sources sort and DuckDB does not
WORTH_COUNTING = 1.3  # how much quicker it must be to count them here
WORTH_CHANGING = 1.5  # and to do other things than planned, for estimates are rough
WORTH_MOVING = 2.3  # and to move much more data
MUCH_MORE = 2.0  # times the bytes, of which estimates are as rough
LOCAL_BYTES_PER_SECOND = 1e9
_HEAVY = (exp.AggFunc, exp.Group, exp.Distinct, exp.Join, exp.SetOperation)
_PUSHDOWN_OFF = Note("the query", "local", Reason.PUSHDOWN_OFF)
_LESS = (
    frozenset({Optimization.QUERY_PUSHDOWN, Optimization.AGGREGATE_PUSHDOWN}),
    frozenset({Optimization.QUERY_PUSHDOWN, Optimization.AGGREGATE_PUSHDOWN, Optimization.JOIN_PUSHDOWN}),
)


def local_plan(
    columns: Sequence[tuple[str, str]],
    query: exp.Query,
    tables: Mapping[str, CatalogTable],
    describer: Describer,
    optimizations: Optimizations,
    text: str | None = None,
) -> Plan | None:
    """For a bound query of which DuckDB reads all by itself, and knows best how; None for any other, where a declared
    constraint may spare it a table, and where fences need to be looked at. `text` is the query's, where it is known."""
    if not tables or not all(map(describer.reads, tables)) or fenced(query):
        return None
    if any(each.constraint for each in tables.values()):
        return None
    read = [tables[table.name] for table in query.find_all(exp.Table) if table.name in tables]
    scans = [LocalScan(each.source, each.table.name) for each in read]
    return Plan(columns, [], scans, [], text or to_sql(query), [] if optimizations.pushdown else [_PUSHDOWN_OFF])


def make_plan(
    columns: Sequence[tuple[str, str]],
    query: exp.Query,
    normalized: exp.Query | None,
    tables: Mapping[str, CatalogTable],
    describer: Describer,
    optimizations: Optimizations,
    costs: Costs,
) -> Plan:
    """`columns` are the names and types of the result. `query` is the bound one; `normalized`, which is used up, is
    None for what the planner cannot read: then whole tables are fetched, and DuckDB runs the query as it is. Fences
    are taken away from both where they are not needed."""
    if normalized is not None:
        behind: list[Note] = []
        if fenced(query):
            behind = open_fences(query, normalized, Context(tables, describer))
            local = local_plan(columns, query, tables, describer, optimizations)
            if local is not None:
                return local
        normalized, rewritten = rewrite(normalized, tables, describer, optimizations)
        if fenced(normalized):
            put_inside(normalized, Context(tables, describer))
        try:
            plan = _quickest(columns, normalized, tables, describer, optimizations, costs)
            plan.notes[:0] = [*behind, *rewritten]
            if not optimizations.pushdown:
                plan.notes.append(_PUSHDOWN_OFF)
            return plan
        except Declined as exc:
            note = Note("the query", "local", exc.reason, exc.detail)
    else:
        note = Note("the query", "local", Reason.NOT_WHITELISTED, "a form that is fetched table by table")
    whole = whole_tables(query.copy(), tables)
    plan = _plan(columns, whole, Fragments(tables, describer, Optimizations(ALL)), costs, weigh=False)
    plan.notes.append(note)
    return plan


def _quickest(
    columns: Sequence[tuple[str, str]],
    query: exp.Query,
    tables: Mapping[str, CatalogTable],
    describer: Describer,
    optimizations: Optimizations,
    costs: Costs,
) -> Plan:
    """The plan that pushes all it may, unless its sources are expected to take longer than fetching and computing."""
    weigh = optimizations.on(Optimization.COSTS) and optimizations.pushdown and query.find(*_HEAVY) is not None
    kept = query.copy() if weigh else query
    best = _plan(columns, query, Fragments(tables, describer, optimizations), costs, weigh=weigh)
    if not weigh or best.seconds is None:
        return best
    counting = any(isinstance(each.this, exp.Distinct) for each in kept.find_all(exp.AggFunc))
    if best.seconds < (COUNTED_SECONDS if counting else WEIGHED_SECONDS) or not hash_joined(kept):
        return best
    sources = {each.source.name for each in tables.values()}
    eager = kept.copy()
    if optimizations.on(Optimization.EAGER_AGGREGATION, *sources) and aggregate_eagerly(
        eager, Context(tables, describer, eager.find(exp.Collate) is not None, statistics=costs.statistics)
    ):
        other = _plan(columns, eager, Fragments(tables, describer, optimizations), costs, weigh=True)
        if other.seconds is not None and not quicker(best, other):
            best, other = other, best
        other.close()
    for less in _LESS:
        other = _plan(
            columns, kept.copy(), Fragments(tables, describer, optimizations.without(less)), costs, weigh=True
        )
        if other.seconds is not None and quicker(other, best, counting=counting):
            detail = f"{other.seconds:.2f} s rather than {best.seconds:.2f} s"
            other.notes.append(Note(", ".join(sorted(less)), "local", Reason.COST, detail))
            best, other = other, best
        other.close()
    return best


def hash_joined(query: exp.Query) -> bool:
    """Whether equalities join all relations of each SELECT: other joins take DuckDB as long as they take a source."""
    for select in query.find_all(exp.Select):
        classes = [{each.alias_or_name} for each in filters.relations(select)]
        parts = filters.where_conjuncts(select)
        parts += [part for join in select.args.get("joins") or [] for part in filters.conjuncts(join.args.get("on"))]
        for part in parts:
            sides = (filters.tables_of(part.this), filters.tables_of(part.expression)) if part.key == "eq" else ()
            if len(sides) == 2 and all(sides) and not sides[0] & sides[1]:
                touched = [each for each in classes if each & (sides[0] | sides[1])]
                classes = [each for each in classes if each not in touched] + [set().union(*touched)]
        if len(classes) > 1:
            return False
    return True


def quicker(other: Plan, best: Plan, *, counting: bool = False) -> bool:
    """Whether `other` is worth taking: computing costs the source time that nobody else waits for, while what is moved
    is moved over a shared wire. `counting` is of distinct values."""
    assert other.seconds is not None
    assert best.seconds is not None
    local = other.bytes / LOCAL_BYTES_PER_SECOND
    moving = WORTH_MOVING if other.bytes > best.bytes * MUCH_MORE else WORTH_CHANGING
    margin = WORTH_COUNTING if counting else moving
    return (other.seconds + local) * margin < best.seconds


def _plan(
    columns: Sequence[tuple[str, str]], query: exp.Query, fragments: Fragments, costs: Costs, *, weigh: bool
) -> Plan:
    stages = Stages()
    placer, scans = Placer(fragments), ScanPlacer(fragments, stages)
    try:
        placed = placer.place(query)
        scans.place(placed)
        joined = bool(fragments.made) and len(fragments.made) + len(fragments.local_scans) > 1
        filtered = fragments.optimizations.on(Optimization.RUNTIME_FILTERS)
        shared = fragments.optimizations.on(Optimization.COMMON_FRAGMENTS)
        if weigh or (joined and (filtered or shared)):
            costs.estimate(fragments.made, fragments.tables)
        if joined and filtered:
            RuntimeFilterPlacer(fragments, stages, costs).place(placed)
        if joined and shared:
            FragmentMerger(placed, fragments, stages).merge()
    except BaseException:
        _close(fragments)
        raise
    alone = placer.whole is placed and len(fragments.made) == 1
    return Plan(
        columns=columns,
        fragments=fragments.made,
        local_scans=fragments.local_scans,
        stages=stages.made,
        sql=None if alone else to_sql(placed),
        notes=list(dict.fromkeys(placer.notes)),
    )


def _close(fragments: Fragments) -> None:
    for fragment in fragments.made:
        if fragment.scan is not None:
            fragment.scan.close()


def whole_tables(query: exp.Query, tables: Mapping[str, CatalogTable]) -> exp.Query:
    """Every table becomes a subquery of all its columns, so that nothing has to be known of the rest."""
    for table in list(query.find_all(exp.Table)):
        found = tables.get(table.name)
        if found is None:
            continue
        columns = [exp.column(exp.to_identifier(each.name, quoted=True), "whole") for each in found.table.columns]
        alias = exp.TableAlias(this=exp.to_identifier("whole"))
        inner = exp.Select(expressions=columns).from_(exp.Table(this=table.this.copy(), alias=alias))
        kept = {key: value for key, value in table.args.items() if key not in ("this", "alias")}
        table.replace(exp.Subquery(this=inner, alias=table.args["alias"].copy(), **kept))
    return query
