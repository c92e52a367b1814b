"""What the parts of the translation share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from sqlglot import exp

from federation.pgwire.dialect.casts import Casts, Typed
from federation.pgwire.dialect.errors import no_function
from federation.pgwire.dialect.functions import Calls
from federation.pgwire.dialect.scope import Column, Scope


@dataclass(frozen=True, slots=True)
class Settings:
    """What a statement may ask of its session."""

    user: str = "federation"
    database: str = "federation"
    search_path: tuple[str, ...] = ("public",)
    timezone: str = "UTC"


class Context(Protocol):
    """The translation of one statement, as the handlers of its expressions see it."""

    settings: Settings
    casts: Casts
    calls: Calls
    scope: Scope
    windows: set[str]  # the names of the WINDOW clause

    def expression(self, node: exp.Expr) -> Typed:
        """The node in DuckDB's words. Raises the errors that PostgreSQL would, and NotSupportedError."""

    def condition(self, node: exp.Expr, where: str) -> exp.Expr:
        """The node as a condition. Raises TypeMismatch."""

    def subquery(self, query: exp.Query) -> tuple[exp.Query, Sequence[Column]]:
        """A query inside an expression, and its outputs."""

    def arrange(self, node: exp.Order) -> exp.Order:
        """The ORDER BY of an aggregate or a window."""


def operands_of(t: Context, node: exp.Anonymous, least: int, most: int | None = None) -> list[Typed]:
    """What a call is given. Raises FunctionNotFound for fewer than `least` or more than `most` (None: than `least`)."""
    operands = [t.expression(each) for each in node.expressions]
    if not least <= len(operands) <= (least if most is None else most):
        raise no_function(node.name.lower(), [each.kind for each in operands], node)
    return operands


Handlers: TypeAlias = Mapping[type[exp.Expr], Callable[[Context, Any], Typed]]
