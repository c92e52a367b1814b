"""ORDER BY and LIMIT go below LEFT JOINs that they do not look at. Each row of the preserved side gives at least one
row of the result, so no more than the first of them are needed. Both are done again above.
"""

from __future__ import annotations

from sqlglot import exp

from adapters.sql.expressions import quoted_column
from federation.planner import filters
from federation.planner.groups import columns_of
from federation.planner.rewriting import Context, fresh_aliases

_BLOCKING = ("group", "having", "distinct", "qualify", "sample", "windows", "laterals")


def topn_joins(query: exp.Query, context: Context) -> exp.Query:  # noqa: ARG001 - the shape of a rule
    """Put the preserved side of such a SELECT into a derived table of as many rows as are wanted."""
    for select in list(query.find_all(exp.Select)):
        first = select.args["from_"].this if select.args.get("from_") else None
        count = _wanted(select)
        if isinstance(first, exp.Table | exp.Subquery) and count is not None and _only_left_joins(select):
            _push(select, first, count)
    return query


def _wanted(select: exp.Select) -> int | None:
    limit, offset = select.args.get("limit"), select.args.get("offset")
    counts = [each.expression for each in (limit, offset) if each is not None]
    if limit is None or not all(isinstance(each, exp.Literal) and each.this.isdigit() for each in counts):
        return None
    return sum(int(each.this) for each in counts)


def _only_left_joins(select: exp.Select) -> bool:
    joins = select.args.get("joins") or []
    if not joins or any(select.args.get(key) for key in _BLOCKING) or not filters.plain_joins(select):
        return False
    return all(join.side == "LEFT" for join in joins) and all(filters.plain(each) for each in select.expressions)


def _push(select: exp.Select, first: exp.Expr, count: int) -> None:
    alias = first.alias_or_name
    outputs = {each.alias_or_name: each.unalias() for each in select.expressions}
    order = select.args["order"].copy() if select.args.get("order") else None
    for key in order.expressions if order is not None else []:
        if isinstance(key.this, exp.Column) and not key.this.table:
            key.set("this", outputs.get(key.this.name, key.this).copy())
    parts = filters.where_conjuncts(select)
    looked_at = [*parts, *(order.expressions if order is not None else [])]
    if not all(_about(each, alias) for each in looked_at):
        return
    names = columns_of(select, alias)
    if not names:
        return
    (below,) = fresh_aliases(alias, select.root())
    relation = first.copy()
    relation.set("alias", exp.TableAlias(this=exp.to_identifier(below, quoted=True)))
    inner = exp.Select(expressions=[exp.alias_(quoted_column(name, below), name, quoted=True) for name in names])
    inner = inner.from_(relation, copy=False)
    filters.set_where(inner, [each.copy() for each in parts])
    inner.set("order", order)
    for column in [
        each for key in ("where", "order") if inner.args.get(key) for each in inner.args[key].find_all(exp.Column)
    ]:
        column.replace(quoted_column(column.name, below))
    select.set("where", None)
    first.replace(
        exp.Subquery(this=inner.limit(count), alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
    )


def _about(part: exp.Expr, alias: str) -> bool:
    known = filters.tables_of(part) == {alias} and all(column.table for column in part.find_all(exp.Column))
    return known and filters.plain(part) and not filters.volatile(part)
