"""Conditions move through set operations, into the branches: towards the sources that can test them, or that need not
be asked because of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp
from sqlglot.optimizer.pushdown_projections import pushdown_projections

from federation.planner import filters
from federation.planner.rewriting import Context, columns_of_branch


def push_into_branches(query: exp.Query, context: Context) -> exp.Query:
    """The query, which is used up, with conditions moved into the derived tables that have set operations in them."""
    if query.find(exp.SetOperation) is None:
        return query
    selects = list(query.find_all(exp.Select))
    moved = [_push_from(select, context) for select in selects]  # the outermost first
    if not any(moved):
        return query
    pruned = pushdown_projections(query)  # columns that only the moved conditions needed
    assert isinstance(pruned, exp.Query)
    return pruned


def _push_from(select: exp.Select, context: Context) -> bool:
    """Whether a condition left the SELECT."""
    targets = {
        each.alias: each.this
        for each in filters.relations(select)
        if isinstance(each, exp.Subquery) and each.find(exp.SetOperation)
    }
    if not targets:
        return False
    before = len(list(_conditions(select)))
    extended = filters.null_extended(select)
    if filters.plain_joins(select):
        filters.join_conditions_to_where(select)
        for join in select.args.get("joins") or []:
            alias = join.this.alias_or_name
            if join.side == "LEFT" and alias in targets:
                kept = _pushed(filters.conjuncts(join.args.get("on")), {alias: targets[alias]}, context)
                join.set("on", filters.conjunction(kept) or exp.true())
    inner = {alias: query for alias, query in targets.items() if alias not in extended}
    filters.set_where(select, _pushed(filters.where_conjuncts(select), inner, context))
    return len(list(_conditions(select))) < before


def _conditions(select: exp.Select) -> Iterator[exp.Expr]:
    yield from filters.where_conjuncts(select)
    for join in select.args.get("joins") or []:
        yield from filters.conjuncts(join.args.get("on"))


def _pushed(parts: list[exp.Expr], targets: dict[str, exp.Expr], context: Context) -> list[exp.Expr]:
    """The conditions that still have to be tested above."""
    kept = []
    for part in parts:
        tables = filters.tables_of(part)
        target = targets.get(next(iter(tables))) if len(tables) == 1 else None
        if target is None or part.find(exp.Query) or not _push(target, part, context):
            kept.append(part)
    return kept


def _push(query: exp.Expr, condition: exp.Expr, context: Context) -> bool:
    """Whether every row of the query fulfils the condition now. Some branches may have taken it where not all could."""
    query = query.unnest() if isinstance(query, exp.Subquery) else query
    if isinstance(query, exp.Select):
        pushed = filters.push_condition(query, condition)
        if pushed:  # a branch may have taken the condition before, when another did not
            filters.set_where(query, list(dict.fromkeys(filters.where_conjuncts(query))))
        return pushed
    if not isinstance(query, exp.SetOperation):
        return False
    if filters.volatile(condition) or any(query.args.get(key) for key in ("limit", "offset", "with_", "by_name")):
        return False
    described = context.describe(query)
    if described is None:
        return False
    branches = [_push_branch(each, condition, described, context) for each in (query.this, query.expression)]
    return all(branches)


def _push_branch(branch: exp.Expr, condition: exp.Expr, columns: list[tuple[str, str]], context: Context) -> bool:
    """`columns` are those of the set operation, which casts its branches to their types."""
    described = context.describe(branch)
    if described is None or len(described) != len(columns):
        return False
    own = columns_of_branch(columns, described, next(iter(filters.tables_of(condition))))
    wrapped = exp.paren(condition.copy(), copy=False)
    for column in list(wrapped.find_all(exp.Column)):
        made = own.get(column.name.lower())
        if made is None:
            return False
        column.replace(made.copy())
    return isinstance(wrapped.this, exp.Expr) and _push(branch, wrapped.this, context)
