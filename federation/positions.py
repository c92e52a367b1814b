"""Where in the caller's statement a complaint of DuckDB belongs: DuckDB sees a rewriting of it, and counts there."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

from adapters.errors import AmbiguousColumn, ColumnNotFound, Error, FunctionNotFound
from federation.bind import nearest, position_of

_QUOTED = re.compile(r'"([^"]+)"')
_WORD = re.compile(r"\w+")


def placed(exc: Error, query: exp.Query, known: Sequence[str]) -> Error:
    """The error with the position of the name that it is about, and the nearest of the `known` columns."""
    exc.message = exc.message.splitlines()[0]  # candidates are in the hint
    found = _functions(exc, query) if isinstance(exc, FunctionNotFound) else _names(exc, query)
    exc.position = min((at for each in found if (at := position_of(each)) is not None), default=None)
    if isinstance(exc, ColumnNotFound) and not exc.hint and found:
        exc.hint = nearest(found[0].name, known)
    return exc


def _functions(exc: Error, query: exp.Query) -> Sequence[exp.Expr]:
    words = {word.lower() for word in _WORD.findall(exc.message)}
    return [each for each in query.find_all(exp.Func) if _function_name(each) in words]


def _function_name(node: exp.Func) -> str:
    return (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()


def _names(exc: Error, query: exp.Query) -> Sequence[exp.Expr]:
    """The identifiers of the columns that the message names, or else of the tables that columns are said to be of."""
    names = {name.lower() for name in _QUOTED.findall(exc.message)}
    columns = list(query.find_all(exp.Column))
    named = [each for each in columns if each.name.lower() in names]
    if isinstance(exc, AmbiguousColumn):
        named = [each for each in named if not each.table]
    qualified = [each for each in named if each.table.lower() in names]
    if named:
        return [each.this for each in qualified or named]
    return [each.args["table"] for each in columns if each.table.lower() in names]
