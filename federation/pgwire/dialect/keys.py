"""What GROUP BY, ORDER BY and DISTINCT ON name: positions, outputs and expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from sqlglot import exp

from adapters.errors import NotSupportedError, SQLSyntaxError
from federation.pgwire.dialect.casts import Typed
from federation.pgwire.dialect.context import Context
from federation.pgwire.dialect.errors import place
from federation.pgwire.dialect.names import identifier_name
from federation.pgwire.dialect.problems import ColumnReference

#: the outputs of a query: name, value, and what the statement says
Items: TypeAlias = Sequence[tuple[str, Typed, exp.Expr]]


def group(t: Context, node: exp.Group, items: Items) -> exp.Group:
    made = exp.Group(expressions=[_group_key(t, each, items) for each in node.expressions])
    for key in ("rollup", "cube", "grouping_sets"):
        if node.args.get(key):
            made.set(key, [_grouped(t, each, items) for each in node.args[key]])
    if node.args.get("all") or node.args.get("totals"):
        raise NotSupportedError("GROUP BY takes expressions", position=place(node))
    return made


def _grouped(t: Context, node: exp.Expr, items: Items) -> exp.Expr:
    if isinstance(node, (exp.Tuple, exp.Rollup, exp.Cube, exp.GroupingSets)):
        return type(node)(expressions=[_grouped(t, each, items) for each in node.expressions])
    if isinstance(node, exp.Paren):
        return exp.Paren(this=_grouped(t, node.this, items))
    return _group_key(t, node, items)


def _group_key(t: Context, node: exp.Expr, items: Items) -> exp.Expr:
    """A position, a column, or else an output's name."""
    if isinstance(node, (exp.Rollup, exp.Cube, exp.GroupingSets)):
        return _grouped(t, node, items)
    if isinstance(node, exp.Literal) and not node.is_string:
        _check_position(node, items, "GROUP BY")
        return node.copy()
    if isinstance(node, exp.Column) and not node.table and not _has_column(t, node.name):
        named = [typed for name, typed, _ in items if name == identifier_name(node.this)]
        if named:
            return named[0].node.copy()
    return t.expression(node).node


def _has_column(t: Context, name: str) -> bool:
    return any(each.name.lower() == name.lower() for one in t.scope.relations for each in one.columns)


def sort_key(t: Context, node: exp.Expr, items: Items) -> exp.Expr:
    """A position, an output's name, or else an expression of the columns."""
    if isinstance(node.this if isinstance(node, exp.Neg) else node, exp.Literal):
        _check_position(node, items, "ORDER BY")
        return node.copy()
    if isinstance(node, exp.Column) and not node.table:
        for place_, (name, typed, _) in enumerate(items):
            if name == identifier_name(node.this):
                if isinstance(typed.node, exp.Column):
                    return typed.node.copy()
                if _has_column(t, name):
                    return exp.Literal.number(place_ + 1)
                return exp.column(exp.to_identifier(name, quoted=True))
    return t.expression(node).node


def ordered(node: exp.Expr, key: exp.Expr) -> exp.Ordered:
    return exp.Ordered(this=key, desc=node.args.get("desc"), nulls_first=node.args.get("nulls_first"))


def distinct(t: Context, node: exp.Distinct, items: Items) -> exp.Distinct:
    on = node.args.get("on")
    if not on:
        return exp.Distinct()
    return exp.Distinct(on=exp.Tuple(expressions=[sort_key(t, each, items) for each in on.expressions]))


def output_key(node: exp.Expr, items: Items) -> exp.Expr:
    if isinstance(node, exp.Literal) and not node.is_string:
        _check_position(node, items, "ORDER BY")
        return node.copy()
    if isinstance(node, exp.Column) and not node.table:
        for number, (name, _, _) in enumerate(items):
            if name == identifier_name(node.this):
                return exp.Literal.number(number + 1)
    raise NotSupportedError(
        "ORDER BY of a set operation takes names and positions of its outputs", position=place(node)
    )


def _check_position(node: exp.Expr, items: Sequence[object], clause: str) -> None:
    if isinstance(node, exp.Literal) and node.is_string:
        raise SQLSyntaxError(f"non-integer constant in {clause}", position=place(node))
    if isinstance(node, exp.Neg) or not node.this.isdigit() or not 1 <= int(node.this) <= len(items):
        raise ColumnReference(f"{clause} position {node.sql()} is not in select list", position=place(node))
