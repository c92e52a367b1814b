"""Aggregates over a join are computed in parts before it: the tables of one source that they are about are grouped by
the columns that the join and the rest of the query look at, and the parts are put together after it.

Each row of a group meets the same rows of the other side, so a sum of the parts is the sum of the rows, whatever the
join multiplies. Aggregates of bare columns alone, because the parts are computed of rows, too, that the join would have
dropped, and must not raise for them; and those alone whose parts add up to exactly what DuckDB gives for the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from adapters.base import SupportsQuery
from adapters.sql.expressions import quoted_column
from catalog.model import CatalogTable
from federation.native import is_native
from federation.planner import filters
from federation.planner.aggregates import split_aggregation
from federation.planner.rewriting import Context, Scope, fresh_aliases
from federation.planner.union_aggregation import FINAL, finish, parts, sums_exactly

USEFUL = 0.2  # groups that are more of the rows are not worth making
LEAST_ROWS = 10_000  # of a table that is worth grouping
_PLACES = {"from_", "joins", "where", "group", "expressions", "having", "order", "limit", "offset", "distinct"}
#: types whose equal values are the same, so that any of them may stand for its group
_KEYS = frozenset("TINYINT SMALLINT INTEGER BIGINT BOOLEAN VARCHAR DATE TIMESTAMP".split())  # noqa: SIM905


@dataclass
class _Side:
    """Tables of one source that equalities join to each other, by their aliases; `inside` are the conditions about
    them alone, `outside` all others."""

    tables: Mapping[str, CatalogTable]
    inside: list[exp.Expr]
    outside: list[exp.Expr]


def aggregate_eagerly(query: exp.Query, context: Context) -> bool:
    """Compute aggregates in parts where that is expected to leave few rows to join, in place; whether there are any.

    Not one of the rules that always hold good: `plan` weighs the query against itself as it was.
    """
    if context.collated:
        return False
    selects = reversed(list(query.find_all(exp.Select)))  # inner ones first: what is around them is copied
    made = [_split_one(each, query, context) for each in selects if _is_aggregating_join(each)]
    return any(made)


def _is_aggregating_join(select: exp.Select) -> bool:
    if any(value for key, value in select.args.items() if key not in _PLACES) or not select.args.get("joins"):
        return False
    inner = all(filters.is_inner(join) for join in select.args["joins"]) and filters.plain_joins(select)
    return inner and any(each.find(exp.AggFunc) for each in select.expressions)


def _split_one(select: exp.Select, root: exp.Query, context: Context) -> bool:
    split = split_aggregation(select)
    if split is None:
        return False
    inner = split.inner.copy()
    filters.join_conditions_to_where(inner)
    scope = Scope(inner, context)
    aggregates = [each.this for each in inner.expressions if each.alias.startswith("a")]
    groups = [each.this for each in inner.expressions if each.alias.startswith("g")]
    if not all(_adds_up(each, scope) for each in aggregates) or not all(map(_is_about_rows, groups)):
        return False
    about = set().union(*map(filters.tables_of, aggregates))
    for side in _sides(inner, context):
        keys = _keys(inner, side)
        if about <= side.tables.keys() and keys and _reduces(side, keys, scope, context):
            above, part = fresh_aliases("part", root, 2)
            final = _final(inner, side, keys, part)
            described = context.describe(split.inner)
            if described is not None and described == context.describe(final):
                finish(select, split, final, above)
                return True
    return False


def _adds_up(aggregate: exp.Expr, scope: Scope) -> bool:
    operand = aggregate.this
    if isinstance(aggregate, exp.Count) and isinstance(operand, exp.Star):
        return not any(operand.args.values())
    if type(aggregate) not in FINAL or aggregate.expressions or not isinstance(operand, exp.Column):
        return False
    return not isinstance(aggregate, (exp.Sum, exp.Avg)) or sums_exactly(scope.type(operand))


def _sides(inner: exp.Select, context: Context) -> list[_Side]:
    """What may be aggregated before the rest is joined to it."""
    relations = filters.relations(inner)
    conditions = filters.where_conjuncts(inner)
    tables = {each.alias_or_name: table for each in relations if (table := context.base(each)) is not None}
    able = {
        alias: table
        for alias, table in tables.items()
        if isinstance(table.source.adapter, SupportsQuery) and not is_native(table)
    }
    groups: list[set[str]] = [{alias} for alias in able]
    for part in conditions:
        aliases = filters.tables_of(part)
        sources = {able[alias].source.name for alias in aliases if alias in able}
        if isinstance(part, exp.EQ) and aliases <= able.keys() and len(sources) == 1:
            touched = [each for each in groups if each & aliases]
            groups = [each for each in groups if each not in touched] + [set().union(*touched)]
    found = []
    for group in groups:
        others = [each for each in relations if each.alias_or_name not in group]
        elsewhere = any(tables.get(each.alias_or_name) is None or each.alias_or_name not in able for each in others)
        sources = {able[alias].source.name for alias in able}
        if others and (elsewhere or len(sources) > 1):
            inside = [each for each in conditions if filters.tables_of(each) <= group and _is_about_rows(each)]
            outside = [each for each in conditions if not any(each is other for other in inside)]
            found.append(_Side({alias: able[alias] for alias in group}, inside, outside))
    return found


def _is_about_rows(node: exp.Expr) -> bool:
    """Whether the node is computed of rows of FROM, of each alone."""
    return bool(filters.tables_of(node)) and filters.plain(node) and not filters.volatile(node)


def _keys(inner: exp.Select, side: _Side) -> list[exp.Column]:
    """The columns of the side that are needed after the aggregation; none if something there must not run twice."""
    if any(filters.volatile(each) for each in side.outside):
        return []
    group = inner.args.get("group")
    looked_at = [*side.outside, *(group.expressions if group is not None else [])]
    columns = [column for each in looked_at for column in each.find_all(exp.Column) if column.table in side.tables]
    return list({(column.table, column.name): column for column in columns}.values())


def _reduces(side: _Side, keys: Sequence[exp.Column], scope: Scope, context: Context) -> bool:
    types = [scope.type(each) for each in keys]
    if not all(type_ in _KEYS or type_.startswith("DECIMAL") for type_ in types):
        return False
    rows = max(context.statistics(table).rows or 0.0 for table in side.tables.values())
    groups = math.prod(_distinct(each, side.tables[each.table], context) or rows for each in keys)
    return rows >= LEAST_ROWS and min(groups, rows) <= rows * USEFUL


def _distinct(column: exp.Column, table: CatalogTable, context: Context) -> float | None:
    known = context.statistics(table).columns
    found = next((each for name, each in known.items() if name.lower() == column.name.lower()), None)
    return found.distinct if found is not None else None


def _final(inner: exp.Select, side: _Side, keys: Sequence[exp.Column], alias: str) -> exp.Select:
    """The same columns as `inner`, over the side's groups."""
    names = {(column.table, column.name): f"k{number}" for number, column in enumerate(keys)}
    partial = exp.Select(expressions=[exp.alias_(key.copy(), f"k{n}", quoted=True) for n, key in enumerate(keys)])
    relations = [each for each in filters.relations(inner) if each.alias_or_name in side.tables]
    partial.set("from_", exp.From(this=relations[0].copy()))
    for table in relations[1:]:
        partial.append("joins", exp.Join(this=table.copy(), kind="CROSS"))
    filters.set_where(partial, [each.copy() for each in side.inside])
    partial.set("group", exp.Group(expressions=[key.copy() for key in keys]))
    items = []
    for each in inner.expressions:
        if each.alias.startswith("a"):
            for part in parts(each.copy()):
                partial.append("expressions", part)
            whole = FINAL[type(each.this)](quoted_column(each.alias, alias))
            if isinstance(each.this, exp.Count):  # of no row at all there is no part either
                whole = exp.Coalesce(this=whole, expressions=[exp.Literal.number(0)])
            items.append(exp.alias_(whole, each.alias, quoted=True))
        else:
            items.append(each.copy())
    made = exp.Select(expressions=items)
    made.set("from_", exp.From(this=exp.Subquery(this=partial, alias=exp.TableAlias(this=exp.to_identifier(alias)))))
    for relation in filters.relations(inner):
        if relation.alias_or_name not in side.tables:
            made.append("joins", exp.Join(this=relation.copy(), kind="CROSS"))
    filters.set_where(made, [each.copy() for each in side.outside])
    if inner.args.get("group"):
        made.set("group", inner.args["group"].copy())
    inside = {id(column) for column in partial.find_all(exp.Column)}
    for column in list(made.find_all(exp.Column)):
        if id(column) not in inside and (column.table, column.name) in names:
            column.replace(quoted_column(names[column.table, column.name], alias))
    return made
