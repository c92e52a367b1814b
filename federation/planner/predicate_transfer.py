"""What holds for one column holds for every column that equals it: a.k = b.k AND a.k = 5 says that b.k = 5, and both
sources can be told.

Only between columns of one type, or two integers, so that no cast stands between their values, and only for conditions
that cannot raise. Onto the nullable side of a left join the condition goes into its ON: rows of the other side that do
not fulfil it are not in the result, or match nothing anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from adapters.base import SupportsQuery
from federation.planner import filters
from federation.planner.constants import value_of
from federation.planner.emptiness import certain
from federation.planner.facts import equal_columns
from federation.planner.rewriting import Context, Scope

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_MAX_ADDED = 100  # to one SELECT: many columns that are all equal would have many conditions each


def predicate_transfer(query: exp.Query, context: Context) -> exp.Query:
    """The query, which is used up, with the conditions that follow from equalities written down."""
    for select in list(query.find_all(exp.Select)):
        if select.args.get("joins") and filters.plain_joins(select):
            _transfer(select, context)
    return query


def _transfer(select: exp.Select, context: Context) -> None:
    scope, extended = Scope(select, context), filters.null_extended(select)
    parts = certain(select)
    targets = set(scope.relations) - extended
    added = _implied(parts, targets, scope)
    if added:
        filters.set_where(select, filters.where_conjuncts(select) + added)
    beside = [each for each in [*parts, *added] if not filters.tables_of(each) & extended]
    for join in select.args.get("joins") or []:
        if join.side == "LEFT":
            on = filters.conjuncts(join.args.get("on"))
            more = _implied([*on, *beside], {join.this.alias_or_name}, scope)
            join.set("on", filters.conjunction(on + more))


def _implied(parts: Sequence[exp.Expr], targets: set[str], scope: Scope) -> list[exp.Expr]:
    """The conditions on columns of the targets that follow, and are not written yet."""
    simple = [each for each in parts if _column(each) is not None]
    if not simple or not any(_joins(each) for each in parts):
        return []
    classes = _classes(parts, scope)
    written = set(parts)
    added: list[exp.Expr] = []
    for part in simple:
        given = _column(part)
        if given is None or not _understood(part, given, scope.type(given), scope):
            continue
        for column in _equals(given, classes):
            if column.table not in targets or _told_together(column, given, scope):
                continue
            if scope.type(column) != scope.type(given) and not _understood(part, given, scope.type(column), scope):
                continue
            made = part.transform(lambda node, column=column: column.copy() if isinstance(node, exp.Column) else node)
            if made not in written and len(added) < _MAX_ADDED:
                written.add(made)
                added.append(made)
    return added


def _joins(part: exp.Expr) -> bool:
    return isinstance(part, exp.EQ) and isinstance(part.this, exp.Column) and isinstance(part.expression, exp.Column)


def _classes(parts: Sequence[exp.Expr], scope: Scope) -> list[dict[str, exp.Column]]:
    """The columns that are equal to each other, by their text."""
    classes: list[dict[str, exp.Column]] = []
    for part in parts:
        if isinstance(part, exp.EQ) and equal_columns(part, scope):
            members = {each.sql().lower(): each for each in (part.this, part.expression)}
            for other in [each for each in classes if each.keys() & members.keys()]:
                members |= other
                classes.remove(other)
            classes.append(members)
    return classes


def _equals(column: exp.Column, classes: list[dict[str, exp.Column]]) -> Iterator[exp.Column]:
    for members in classes:
        if column.sql().lower() in members:
            yield from (each for each in members.values() if each.table != column.table)


def _column(part: exp.Expr) -> exp.Column | None:
    """The only column of a comparison, BETWEEN or IN with constants."""
    if isinstance(part, _COMPARISONS):
        sides = (part.this, part.expression)
        columns = [each for each in sides if isinstance(each, exp.Column)]
    elif isinstance(part, (exp.Between, exp.In)):
        columns = [part.this] if isinstance(part.this, exp.Column) else []
    else:
        return None
    return columns[0] if len(columns) == 1 and len(list(part.find_all(exp.Column))) == 1 else None


def _understood(part: exp.Expr, column: exp.Column, type_: str, scope: Scope) -> bool:
    """Whether every constant that the column is compared with means the same to a column of this type."""
    if isinstance(part, exp.In):
        constants = part.expressions
    elif isinstance(part, exp.Between):
        constants = [] if part.args.get("symmetric") else [part.args["low"], part.args["high"]]
    else:
        constants = [each for each in (part.this, part.expression) if each is not column]
    return bool(constants and type_) and all(value_of(each, type_, scope.context) is not None for each in constants)


def _told_together(column: exp.Column, given: exp.Column, scope: Scope) -> bool:
    """Whether one source is asked for both tables: then its own planner draws the conclusion."""
    tables = [scope.context.base(scope.relations.get(each.table)) for each in (column, given)]
    sources = [table.source for table in tables if table is not None]
    return len(sources) == 2 and sources[0] is sources[1] and isinstance(sources[0].adapter, SupportsQuery)
