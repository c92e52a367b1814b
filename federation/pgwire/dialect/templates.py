"""DuckDB expressions written as text with `$1`, `$2`, … in the places of operands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import sqlglot
from sqlglot import exp

from adapters.errors import StatementTooComplex

MAX_NODES = 20_000  # of a statement: what stands in a template twice doubles with each level of nesting


@lru_cache(4096)
def _parsed(template: str) -> tuple[exp.Expr, Counter[str]]:
    tree = sqlglot.parse_one(template, read="duckdb")
    return tree, Counter(each.name for each in tree.find_all(exp.Placeholder))


def filled(template: str, *operands: exp.Expr) -> exp.Expr:
    """The template as DuckDB's parser reads it, with the operands in it. Raises StatementTooComplex."""
    tree, uses = _parsed(template)
    if any(count > 1 for count in uses.values()):
        size = sum(_size(operand) * uses[str(number + 1)] for number, operand in enumerate(operands))
        if size > MAX_NODES:
            raise StatementTooComplex("the expression is nested too deeply", hint="split it into subqueries")
    made = tree.copy()
    for slot in [made] if isinstance(made, exp.Placeholder) else list(made.find_all(exp.Placeholder)):
        operand = wrapped(operands[int(slot.name) - 1].copy())
        if slot is made:
            return operand
        slot.replace(operand)
    return made


def _size(node: exp.Expr) -> int:
    return sum(1 for _ in node.walk())


def wrapped(node: exp.Expr) -> exp.Expr:
    """In parentheses, where the operators around an operand could take it apart."""
    if isinstance(node, (exp.Binary, exp.Unary, exp.Between, exp.In, exp.Interval)) and not isinstance(node, exp.Paren):
        return exp.Paren(this=node)
    return node


def cast(node: exp.Expr, type_: str) -> exp.Cast:
    """The node, which becomes part of it, as a DuckDB type."""
    return exp.Cast(this=node, to=_type(type_).copy())


@lru_cache(1024)
def _type(name: str) -> exp.DataType:
    return exp.DataType.build(name, dialect="duckdb")


def call(name: str, operands: Sequence[exp.Expr]) -> exp.Expr:
    """A call of a DuckDB function."""
    places = ", ".join(f"${place + 1}" for place in range(len(operands)))
    return filled(f"{name}({places})", *operands)
