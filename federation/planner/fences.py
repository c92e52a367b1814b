"""Rows that a row filter hides are hidden from what the caller computes, too, as far as that might raise.

The subquery that filters a table has a LIMIT that no table reaches (`restrict.py`). Nothing moves a condition below a
LIMIT: no rule of this planner, nor DuckDB, nor a source. Where nothing that the statement tests can raise, the fence is
taken away before anything is planned; elsewhere harmless conditions are put inside. What is selected, grouped or sorted
comes after WHERE everywhere and needs no fence.
"""

from __future__ import annotations

from sqlglot import exp

from adapters.sql.dialect import Reason, is_fence
from federation.planner import filters
from federation.planner.leakproof import Leakproof, conditions, readable
from federation.planner.nodes import Note
from federation.planner.rewriting import Context


def fenced(query: exp.Expr) -> list[exp.Select]:
    """The SELECTs that filter a table for the caller."""
    return [select for select in query.find_all(exp.Select) if is_fence(select)]


def open_fences(query: exp.Query, normalized: exp.Query, context: Context) -> list[Note]:
    """Take the fences away from both forms of a query, in place, if nothing that it tests may raise. Otherwise the
    conditions that wait behind them."""
    judge = Leakproof(normalized, context)
    tested = (part for select, part in conditions(normalized) if not is_fence(select))
    behind = [Note(each.sql("duckdb"), "fenced", Reason.ROW_FILTER) for each in tested if not judge.condition(each)]
    if not behind and readable(normalized):
        for select in fenced(query) + fenced(normalized):
            select.set("limit", None)
    return behind


def without_fence(query: exp.Query) -> exp.Query:
    """The query, with nothing around it that could get inside."""
    if not is_fence(query):
        return query
    made = query.copy()
    made.set("limit", None)
    return made


def put_inside(query: exp.Query, context: Context) -> None:
    """Harmless conditions move towards the tables, through the fences, in place."""
    judge = Leakproof(query, context)
    for select in list(query.find_all(exp.Select)):  # the outermost first
        if filters.plain_joins(select):
            filters.join_conditions_to_where(select)
            _put_inside(select, judge)


def _put_inside(select: exp.Select, judge: Leakproof) -> None:
    extended = filters.null_extended(select)
    derived = {
        each.alias: each.this
        for each in filters.relations(select)
        if isinstance(each, exp.Subquery) and each.alias not in extended
    }
    kept = []
    for part in filters.where_conjuncts(select):
        tables = filters.tables_of(part)
        query = derived.get(next(iter(tables))) if len(tables) == 1 and not part.find(exp.Query) else None
        if query is None or not judge.condition(part) or not _moved(query, part):
            kept.append(part)
    filters.set_where(select, kept)


def _moved(query: exp.Expr, condition: exp.Expr) -> bool:
    fence = query.args.get("limit") if is_fence(query) else None
    if fence is None:
        return filters.push_condition(query, condition)
    query.set("limit", None)
    try:
        return filters.push_condition(query, condition)
    finally:
        query.set("limit", fence)
