"""Errors that PostgreSQL has for an expression, with its words and codes."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from adapters.errors import FunctionNotFound
from federation.bind import position_of
from federation.pgwire.dialect.kinds import Kind

HINT = "SET dialect = 'duckdb' makes DuckDB's functions and operators available"


def place(node: exp.Expr) -> int | None:
    """The first position that is known in an expression, which counts from 1."""
    found = (position_of(each) for each in node.walk())
    return min((each for each in found if each is not None), default=None)


def no_operator(symbol: str, kinds: Iterable[Kind], node: exp.Expr) -> FunctionNotFound:
    shown = [kind.shown for kind in kinds]
    text = f"{shown[0]} {symbol} {shown[1]}" if len(shown) == 2 else f"{symbol} {shown[0]}"
    return FunctionNotFound(
        f"operator does not exist: {text}",
        hint="No operator matches the given name and argument types. You might need to add explicit type casts.",
        position=place(node),
    )


def no_function(name: str, kinds: Iterable[Kind], node: exp.Expr) -> FunctionNotFound:
    shown = ", ".join(kind.shown for kind in kinds)
    return FunctionNotFound(f"function {name}({shown}) does not exist", hint=HINT, position=place(node))
