"""Splitting an aggregating SELECT: the groups and aggregates below, what is computed from them above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from federation.planner import filters

_ALIAS = "grouped"


@dataclass
class AggregationSplit:
    """`inner` computes the group keys and the aggregates; `outer` is the original SELECT over their names."""

    inner: exp.Select
    outer: dict[str, Any]

    def finish(self, select: exp.Select, relation: exp.Expr) -> None:
        """Make `select` the outer part, over the relation that answers the inner one."""
        for key in ("from_", "joins", "where", "group", "having"):
            select.set(key, None)
        for key, value in self.outer.items():
            select.set(key, value)
        relation.set("alias", exp.TableAlias(this=exp.to_identifier(_ALIAS, quoted=True)))
        select.set("from_", exp.From(this=relation))


def split_aggregation(select: exp.Select) -> AggregationSplit | None:
    """None for a SELECT that does not aggregate, or whose outer part needs more than the groups."""
    group = select.args.get("group")
    keys = list(group.expressions) if group is not None else []
    if group is not None and any(value for name, value in group.args.items() if name != "expressions"):
        return None
    if any(select.args.get(key) for key in ("qualify", "sample", "windows", "laterals", "with_")):
        return None
    work = select.copy()
    inner = exp.Select()
    for key in ("from_", "joins", "where"):
        if select.args.get(key):
            value = select.args[key]
            inner.set(key, [each.copy() for each in value] if isinstance(value, list) else value.copy())
    names: dict[str, str] = {}
    for key in keys:
        names.setdefault(key.sql(), f"g{len(names)}")
    items = [exp.alias_(key.copy(), names[key.sql()], quoted=True) for key in {key.sql(): key for key in keys}.values()]
    outer: dict[str, Any] = {}
    aggregates: dict[str, exp.Expr] = {}
    for clause in ("expressions", "having", "order"):
        value = work.args.get(clause)
        if isinstance(value, list):
            outer[clause] = [_renamed(each, names, aggregates) for each in value]
        elif value is not None:
            outer[clause] = _renamed(value, names, aggregates)
    if not keys and not aggregates:
        return None
    items += [exp.alias_(node, name, quoted=True) for name, node in aggregates.items()]
    inner.set("expressions", items)
    if keys:
        inner.set("group", exp.Group(expressions=[key.copy() for key in keys]))
    if not _complete(outer):
        return None
    having = outer.pop("having", None)
    if isinstance(having, exp.Having):
        outer["where"] = exp.Where(this=having.this)
    return AggregationSplit(inner, outer)


def _renamed(node: exp.Expr, keys: dict[str, str], aggregates: dict[str, exp.Expr]) -> exp.Expr:
    """The node with group keys and aggregates replaced by the columns that carry them."""
    if isinstance(node, exp.Query):
        return node
    if node.sql() in keys and not isinstance(node, (exp.Alias, exp.Ordered)):
        return _column(keys[node.sql()])
    if isinstance(node, (exp.AggFunc, exp.Filter)) and not isinstance(node.parent, exp.Window):
        return _column(_aggregate_name(node, aggregates))
    for child in list(node.iter_expressions()):
        replacement = _renamed(child, keys, aggregates)
        if replacement is not child:
            child.replace(replacement)
    return node


def _aggregate_name(node: exp.Expr, aggregates: dict[str, exp.Expr]) -> str:
    for name, known in aggregates.items():
        if known == node:
            return name
    name = f"a{len(aggregates)}"
    aggregates[name] = node.copy()
    return name


def _column(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True), exp.to_identifier(_ALIAS, quoted=True))


def _complete(outer: dict[str, Any]) -> bool:
    """Whether nothing above looks at a column that is neither grouped nor aggregated, and no function there may be an
    aggregate that the parser does not know, such as `product`."""
    for value in outer.values():
        for node in value if isinstance(value, list) else [value]:
            if filters.tables_of(node) - {_ALIAS} or node.find(exp.Anonymous):
                return False
    return True
