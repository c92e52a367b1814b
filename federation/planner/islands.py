"""Cutting a query into islands: the largest subtrees that one source answers exactly.

`place` works from the top. What a source can answer whole becomes one remote query. Otherwise the SELECT is taken
apart, and each part is tried again: first its aggregation, then its sorted head, then groups of tables of one source
joined to each other, then single tables with their filters. What is left runs in DuckDB, over the fragments.
"""

from __future__ import annotations

from sqlglot import exp

from adapters.sql.dialect import Declined, Reason, is_fence
from catalog.model import Source
from federation.native import is_native
from federation.planner import filters
from federation.planner.aggregates import split_aggregation
from federation.planner.fences import without_fence
from federation.planner.fragments import Fragments
from federation.planner.groups import GroupPlacer
from federation.planner.nodes import Note
from federation.planner.optimizations import Optimization


class Placer:
    """Rewrites a normalized query, in place, into one over fragments."""

    def __init__(self, fragments: Fragments) -> None:
        self.fragments = fragments
        self.notes: list[Note] = []
        self.whole: exp.Query | None = None  # the last query that went to its source as it was
        self.groups = GroupPlacer(fragments)

    def place(self, query: exp.Query) -> exp.Query:
        """The query that DuckDB runs instead."""
        whole = self._whole(query)
        if whole is not None:
            self.whole = whole
            return whole
        if with_ := query.args.get("with_"):
            for cte in with_.expressions:
                cte.set("this", self.place(cte.this))
        if isinstance(query, exp.SetOperation):
            for side in ("this", "expression"):
                inner = query.args[side]
                query.set(side, self._nested(inner))
            return query
        if isinstance(query, exp.Select):
            self._select(query)
        return query

    def _nested(self, node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Subquery):
            node.set("this", self._nested(node.this))
            return node
        return self.place(node) if isinstance(node, exp.Query) else node

    # --- the whole query, or its aggregation, or its head ---------------------------------------------------------

    def _single_source(self, *nodes: exp.Expr) -> Source | None:
        """The one source whose tables, and no others, are below the nodes, if it takes queries."""
        names = {table.name for node in nodes for table in node.find_all(exp.Table)}
        names -= {cte.alias for node in nodes for cte in node.find_all(exp.CTE)}
        if not names or not all(name in self.fragments.tables for name in names):
            return None
        if any(is_native(self.fragments.tables[name]) for name in names):
            return None
        sources = {self.fragments.tables[name].source.name: self.fragments.tables[name].source for name in names}
        source = next(iter(sources.values()))
        return source if len(sources) == 1 and self.fragments.dialect(source) else None

    def _on(self, optimization: Optimization, source: Source) -> bool:
        return self.fragments.optimizations.on(optimization, source.name)

    def _tests(self, source: Source, *nodes: exp.Expr) -> bool:
        """Whether the conditions in the nodes, if there are any, may be tested at the source."""
        kinds = (exp.Where, exp.Having, exp.Filter)
        tested = any(isinstance(node, kinds) or node.find(*kinds) or _has_on(node) for node in nodes)
        return not tested or self._on(Optimization.FILTER_PUSHDOWN, source)

    def _whole(self, query: exp.Query) -> exp.Query | None:
        query = without_fence(query)
        source = self._single_source(query)
        if source is None or not self._on(Optimization.QUERY_PUSHDOWN, source) or not self._tests(source, query):
            return None
        try:
            translated = self.fragments.translate(source, query)
            relation = self.fragments.remote(source, query, translated, _pushed_notes(query))
        except Declined as exc:
            self._note(query, exc)
            return None
        return exp.select("*").from_(relation, copy=False)

    def _note(self, query: exp.Query, exc: Declined) -> None:
        note = Note(_label(query), "local", exc.reason, exc.detail)
        if exc.reason is not Reason.CORRELATED and note not in self.notes:
            self.notes.append(note)

    def _select(self, select: exp.Select) -> None:
        if filters.plain_joins(select):
            filters.join_conditions_to_where(select)
            filters.push_into_derived(select)
        if self._aggregation(select):
            return
        for relation in filters.relations(select) + (select.args.get("laterals") or []):
            if isinstance(relation, (exp.Subquery, exp.Lateral)):
                relation.set("this", self._nested(relation.this))
        groups = self.groups.find(select)
        for group in groups:
            self.groups.push_conditions(select, group)
        self._subqueries(select)
        self.groups.cut(select, groups)

    def _aggregation(self, select: exp.Select) -> bool:
        """GROUP BY and the aggregates at the source, what is computed from them here."""
        inputs = [each for clause in ("from_", "joins", "where") for each in filters.clause(select, clause)]
        source = self._single_source(*inputs) if _aggregates(select) else None
        if source is None or not self._on(Optimization.AGGREGATE_PUSHDOWN, source) or not self._tests(source, *inputs):
            return False
        split = split_aggregation(select)
        if split is None:
            return False
        try:
            translated = self.fragments.translate(source, split.inner)
            relation = self.fragments.remote(source, split.inner, translated, _pushed_notes(split.inner))
        except Declined as exc:
            self._note(select, exc)
            return False
        split.finish(select, relation)
        self._subqueries(select)
        return True

    def _subqueries(self, select: exp.Select) -> None:
        """Queries inside expressions; relations were placed before."""
        for node in list(filters.own_subqueries(select)):
            node.replace(self.place(node))


def _has_on(node: exp.Expr) -> bool:
    return any(join.args.get("on") is not None for join in node.find_all(exp.Join))


def _aggregates(select: exp.Select) -> bool:
    return bool(select.args.get("group")) or any(each.find(exp.AggFunc) for each in select.expressions)


def _pushed_notes(query: exp.Expr) -> list[Note]:
    """One note per condition, and one per operator, of a query that goes to its source as it is."""
    notes = [
        Note(part.sql("duckdb"), "pushed", Reason.EXACT)
        for where in query.find_all(exp.Where, exp.Having)
        for part in filters.conjuncts(where.this)
    ]
    for kind in (exp.Join, exp.Group, exp.Distinct, exp.SetOperation, exp.Order, exp.Limit):
        if any(not (each.parent and is_fence(each.parent)) for each in query.find_all(kind)):
            notes.append(Note(kind.__name__.upper(), "pushed", Reason.EXACT))
    return notes


def _label(query: exp.Expr) -> str:
    text = query.sql("duckdb")
    return text if len(text) <= 80 else f"{text[:77]}..."
