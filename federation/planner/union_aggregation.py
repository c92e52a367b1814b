"""Aggregates over UNION ALL become partial aggregates of its branches, and a final one above: what a source sends is
one row for each group, not the rows of its branch.

Only for aggregates whose parts add up to exactly what DuckDB gives for the whole. A sum of DOUBLE depends on its order,
so it stays as it is. AVG of integers and decimals is their exact sum, as a DOUBLE, divided by their number: so DuckDB
computes it too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from adapters.base import SupportsQuery
from federation.planner import filters
from federation.planner.aggregates import AggregationSplit, split_aggregation
from federation.planner.constants import integer
from federation.planner.rewriting import Context, columns_of_branch, fresh_aliases

_PLACES = {"from_", "where", "group", "expressions", "having", "order", "limit", "offset", "distinct"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\d+\)")
_MAX_DIGITS = 28  # of what is summed: ten thousand million million values fit in the 38 digits of a sum


_COUNT = "_n"  # the number of values beside a sum, for AVG


def _mean(column: exp.Column) -> exp.Expr:
    number = exp.column(exp.to_identifier(column.name + _COUNT, quoted=True), column.table)
    return exp.Div(this=exp.cast(exp.Sum(this=column), "DOUBLE"), expression=exp.Sum(this=number))


#: How the parts of an aggregate are put together.
FINAL: dict[type[exp.Expr], Callable[[exp.Column], exp.Expr]] = {
    exp.Sum: lambda column: exp.Sum(this=column),
    exp.Count: lambda column: exp.cast(exp.Sum(this=column), "BIGINT"),
    exp.Avg: _mean,
    exp.Min: lambda column: exp.Min(this=column),
    exp.Max: lambda column: exp.Max(this=column),
    exp.LogicalAnd: lambda column: exp.LogicalAnd(this=column),
    exp.LogicalOr: lambda column: exp.LogicalOr(this=column),
}


def union_aggregation(query: exp.Query, context: Context) -> exp.Query:
    """The query, which is used up, with the aggregates over UNION ALL taken apart."""
    if query.find(exp.Union) is None:
        return query
    for select in list(query.find_all(exp.Select)):
        branches = _branches(select)
        if branches and _worth_while(branches, context):
            _take_apart(select, branches, query, context)
    return query


def _branches(select: exp.Select) -> list[exp.Query]:
    """The branches of the UNION ALL that is all of FROM."""
    if any(value for key, value in select.args.items() if key not in _PLACES) or not select.args.get("from_"):
        return []
    relation = select.args["from_"].this
    if not isinstance(relation, exp.Subquery) or not isinstance(relation.this, exp.Union):
        return []
    found: list[exp.Query] = []
    pending: list[exp.Expr] = [relation.this]
    while pending:
        node = pending.pop()
        if isinstance(node, exp.Union):
            if any(node.args.get(key) for key in ("distinct", "by_name", "order", "limit", "offset", "with_")):
                return []
            pending += [node.expression, node.this]
        elif isinstance(node, exp.Query):
            found.append(node)
    return found


def _worth_while(branches: Sequence[exp.Query], context: Context) -> bool:
    """Whether a source can take a part of the work, and none can take all of it."""
    tables = [context.base(table) for branch in branches for table in branch.find_all(exp.Table)]
    names = {table.source.name for table in tables if table is not None}
    return len(names) > 1 and any(table and isinstance(table.source.adapter, SupportsQuery) for table in tables)


def _take_apart(select: exp.Select, branches: Sequence[exp.Query], root: exp.Query, context: Context) -> None:
    split = split_aggregation(select)
    if split is None or not _exact(split, context):
        return
    union = context.describe(select.args["from_"].this.this)
    described = [context.describe(each) for each in branches]
    if union is None or any(each is None or len(each) != len(union) for each in described):
        return
    above, over, *parts = fresh_aliases("part", root, len(branches) + 2)
    partial = [
        _over_branch(split.inner, branch, alias, columns_of_branch(union, columns or (), alias))
        for branch, alias, columns in zip(branches, parts, described, strict=True)
    ]
    final = _final(split.inner, partial, over)
    if context.describe(final) != context.describe(split.inner):
        return
    finish(select, split, final, above)


def _exact(split: AggregationSplit, context: Context) -> bool:
    """Whether the aggregates are such that their parts add up, and nothing else is computed of the rows."""
    aggregates = [each.this for each in split.inner.expressions if each.alias.startswith("a")]
    keys = [each.this for each in split.inner.expressions if each.alias.startswith("g")]
    where = split.inner.args.get("where")
    if not all(map(filters.plain, [*keys, *([where.this] if where else [])])):
        return False
    if any(filters.volatile(each) for each in split.inner.expressions) or (where and filters.volatile(where)):
        return False
    outer = [node for value in split.outer.values() for node in (value if isinstance(value, list) else [value])]
    return all(map(filters.plain, outer)) and all(_adds_up(each, split.inner, context) for each in aggregates)


def _adds_up(aggregate: exp.Expr, inner: exp.Select, context: Context) -> bool:
    if isinstance(aggregate, exp.Filter):
        return filters.plain(aggregate.expression.this) and _adds_up(aggregate.this, inner, context)
    if type(aggregate) not in FINAL or aggregate.expressions:
        return False
    operand = aggregate.this
    if isinstance(aggregate, exp.Count) and isinstance(operand, exp.Star):
        return not any(operand.args.values())
    if operand is None or isinstance(operand, (exp.Distinct, exp.Order)) or not filters.plain(operand):
        return False
    return not isinstance(aggregate, (exp.Sum, exp.Avg)) or _operand_sums_exactly(operand, inner, context)


def _operand_sums_exactly(operand: exp.Expr, inner: exp.Select, context: Context) -> bool:
    source = exp.Select(expressions=[exp.alias_(operand.copy(), "x")])
    source.set("from_", inner.args["from_"].copy())
    described = context.describe(source)
    return sums_exactly(described[0][1] if described else "")


def sums_exactly(type_: str) -> bool:
    """Whether the order of a sum of values of this DuckDB type does not matter, and no part of it is out of range."""
    decimal = _DECIMAL.fullmatch(type_)
    return integer(type_) or type_ == "BOOLEAN" or (decimal is not None and int(decimal[1]) <= _MAX_DIGITS)


def _over_branch(inner: exp.Select, branch: exp.Query, alias: str, columns: Mapping[str, exp.Expr]) -> exp.Select:
    """The groups and aggregates of one branch; `columns` says what the columns of the union are in it."""
    made = inner.copy()
    made.set("expressions", [part for each in made.expressions for part in parts(each)])
    query = branch.this if isinstance(branch, exp.Subquery) else branch
    relation = exp.Subquery(this=query.copy(), alias=exp.TableAlias(this=exp.to_identifier(alias)))
    made.set("from_", None)
    for column in list(made.find_all(exp.Column)):
        column.replace(columns[column.name.lower()].copy())
    made.set("from_", exp.From(this=relation))
    return made


def parts(item: exp.Expr) -> list[exp.Expr]:
    """What is computed of some of the rows for an aggregate."""
    mean = item.find(exp.Avg)
    if mean is None:
        return [item]
    number = item.copy()
    for copy, made in ((item, exp.Sum), (number, exp.Count)):
        node = copy.find(exp.Avg)
        assert node is not None
        node.replace(made(this=node.this.copy()))
    return [item, exp.alias_(number.unalias(), item.alias + _COUNT, quoted=True)]


def _final(inner: exp.Select, parts: Sequence[exp.Select], alias: str) -> exp.Select:
    """The same columns as `inner`, of the parts."""
    union: exp.Query = parts[0]
    for part in parts[1:]:
        union = exp.Union(this=union, expression=part, distinct=False)
    items = []
    keys = []
    for each in inner.expressions:
        column = exp.column(exp.to_identifier(each.alias, quoted=True), alias)
        if each.alias.startswith("g"):
            keys.append(column)
            items.append(exp.alias_(column.copy(), each.alias, quoted=True))
        else:
            aggregate = each.this.this if isinstance(each.this, exp.Filter) else each.this
            items.append(exp.alias_(FINAL[type(aggregate)](column), each.alias, quoted=True))
    made = exp.Select(expressions=items)
    made.set("from_", exp.From(this=exp.Subquery(this=union, alias=exp.TableAlias(this=exp.to_identifier(alias)))))
    if keys:
        made.set("group", exp.Group(expressions=[each.copy() for each in keys]))
    return made


def finish(select: exp.Select, split: AggregationSplit, final: exp.Select, alias: str) -> None:
    """Make `select` the outer part of the split over `final`, which has the columns of the inner one."""
    relation = exp.Subquery(this=final)
    split.finish(select, relation)
    given = relation.alias
    relation.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    for column in list(select.find_all(exp.Column)):
        if column.table == given:
            column.set("table", exp.to_identifier(alias))
