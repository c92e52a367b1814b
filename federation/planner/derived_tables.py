"""Derived tables of a fragment, such as views, put into the SELECT that reads them: so a fragment over one looks like
the fragment without it. Every rewrite is legal in DuckDB itself.

1. One that picks rows and computes columns of single rows is merged: its columns become what they are computed from.
2. Any other one takes the place of a SELECT that does nothing but pick its columns.
3. What is left stands between the SELECT and the tables: a group, a LIMIT, a set operation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from sqlglot import exp

from federation.planner import filters

TYPE = "type"  # the key in `meta` of a computed column that was put in, of its DuckDB type

_PICKING = frozenset({"expressions", "from_"})
_MERGED = frozenset({"expressions", "from_", "joins", "where"})

#: the names and DuckDB types of a query's outputs, None where they cannot be told
Describe = Callable[[exp.Expr], Sequence[tuple[str, str]] | None]


def merge_derived(select: exp.Select, describe: Describe) -> None:
    """In place. Inner joins become cross joins, their conditions part of WHERE."""
    aliases = Counter(each.alias_or_name.lower() for each in select.find_all(exp.Table, exp.Subquery) if each.alias)
    if all(number == 1 for number in aliases.values()):
        _merge(select, describe)
    elif filters.plain_joins(select):  # without aliases of their own columns do not say where they are from
        filters.join_conditions_to_where(select)


def derived_select(relation: exp.Expr) -> exp.Select | None:
    """The SELECT that a relation of FROM is."""
    alias = relation.args.get("alias")
    if not isinstance(relation, exp.Subquery) or alias is None or _set(relation) > {"this", "alias"}:
        return None
    select = relation.this
    return select if isinstance(select, exp.Select) and not alias.args.get("columns") and not select.is_star else None


def order_of(select: exp.Select) -> list[exp.Expr]:
    order = select.args.get("order")
    return order.expressions if order is not None else []


def resolve_order(select: exp.Select) -> None:
    """ORDER BY an output becomes one by its expression."""
    outputs = {each.alias.lower(): each.unalias() for each in select.expressions}
    for key in order_of(select):
        if isinstance(key.this, exp.Column) and not key.this.table and key.this.name.lower() in outputs:
            key.set("this", outputs[key.this.name.lower()].copy())


def _merge(select: exp.Select, describe: Describe) -> None:
    for relation in filters.relations(select):
        inner = derived_select(relation)
        if inner is not None:
            _merge(inner, describe)
    if not filters.plain_joins(select):
        return
    filters.join_conditions_to_where(select)
    extended = filters.null_extended(select)
    for relation in filters.relations(select):
        inner = derived_select(relation)
        if inner is None:
            continue
        if relation.alias not in extended and _set(inner) <= _MERGED and filters.plain_joins(inner):
            _put_in(select, relation, inner, describe)
        elif _set(select) == _PICKING:
            _take_place(select, inner)


def _set(node: exp.Expr) -> set[str]:
    return {key for key, value in node.args.items() if value}


def _outputs(select: exp.Select) -> dict[str, exp.Expr]:
    return {each.alias_or_name.lower(): each.unalias() for each in select.expressions}


def _put_in(select: exp.Select, relation: exp.Expr, inner: exp.Select, describe: Describe) -> None:
    """The relations and conditions of the derived table in its place, if all that it computes is of single rows."""
    outputs = _outputs(inner)
    columns = [each for each in select.find_all(exp.Column) if each.table.lower() == relation.alias.lower()]
    from_ = inner.args.get("from_")
    if from_ is None or not all(map(filters.plain, outputs.values())):
        return
    if not all(_mergeable(each, outputs.get(each.name.lower())) for each in columns):
        return
    computed = not all(isinstance(outputs[each.name.lower()], exp.Column) for each in columns)
    types = {name.lower(): type_ for name, type_ in (describe(inner) if computed else None) or ()}
    for column in columns:
        _replace(column, outputs[column.name.lower()], types.get(column.name.lower()))
    joins = list(select.args.get("joins") or [])
    place = next((number + 1 for number, join in enumerate(joins) if join.this is relation), 0)
    joins[place:place] = inner.args.get("joins") or []
    filters.set_where(select, [*filters.where_conjuncts(inner), *filters.where_conjuncts(select)])
    relation.replace(from_.this)
    select.set("joins", joins or None)


def _mergeable(column: exp.Column, output: exp.Expr | None) -> bool:
    """A constant as a key would be the number of an output."""
    return output is not None and (
        output.find(exp.Column) is not None or not isinstance(column.parent, (exp.Group, exp.Ordered))
    )


def _replace(column: exp.Column, output: exp.Expr, type_: str | None) -> None:
    output = output.copy()
    whole = isinstance(output, (exp.Column, exp.Literal, exp.Boolean, exp.Null, exp.Paren)) or (
        isinstance(output, exp.Func) and not isinstance(output, exp.Binary)
    )
    if type_ is not None and not isinstance(output, exp.Column):
        output.meta[TYPE] = type_
    if isinstance(column.parent, exp.Select):
        output = exp.alias_(output, column.name, quoted=True)
    elif not whole and not isinstance(column.parent, (exp.Alias, exp.Group, exp.Ordered)):
        output = exp.paren(output, copy=False)
    column.replace(output)


def _take_place(select: exp.Select, inner: exp.Select) -> None:
    """In place, if the SELECT only picks columns, and leaving out others does not change the rows of the inner one."""
    outputs, items = _outputs(inner), [each.unalias() for each in select.expressions]
    picked = [each.name.lower() for each in items if isinstance(each, exp.Column)]
    by_rows = inner.args.get("group") or (not inner.args.get("having") and all(map(filters.plain, outputs.values())))
    some = by_rows and not inner.args.get("distinct")
    if len(picked) != len(items) or not set(picked) <= set(outputs) or not (some or set(picked) == set(outputs)):
        return
    resolve_order(inner)
    names = [each.alias_or_name for each in select.expressions]
    for key, value in inner.args.items():
        select.set(key, value)
    made = [exp.alias_(outputs[each].copy(), name, quoted=True) for each, name in zip(picked, names, strict=True)]
    select.set("expressions", made)
