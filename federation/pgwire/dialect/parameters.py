"""Parameters of a prepared statement: which types they have, and their values put in."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from adapters.errors import UndefinedParameter


def bind(tree: exp.Query, literals: Sequence[exp.Expr]) -> exp.Query:
    """A copy of the tree with `$1` as the first of the literals, and so on. Raises UndefinedParameter."""
    bound = tree.copy()
    for parameter in list(bound.find_all(exp.Parameter)):
        number = int(parameter.name)
        if not 1 <= number <= len(literals):
            raise UndefinedParameter(f"there is no parameter ${number}")
        parameter.replace(literals[number - 1].copy())
    return bound
