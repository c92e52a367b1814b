"""Which values of a column a condition allows: conditions of WHERE as `cache.domains`, where that says all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from sqlglot import exp

from cache.domains import Domain, domain_of
from federation.planner.constants import is_null, value_of
from federation.planner.rewriting import Scope

_OPERATORS: Mapping[type[exp.Expr], tuple[str, str]] = {
    exp.EQ: ("=", "="),
    exp.NEQ: ("<>", "<>"),
    exp.LT: ("<", ">"),
    exp.LTE: ("<=", ">="),
    exp.GT: (">", "<"),
    exp.GTE: (">=", "<="),
}
_BETWEEN = frozenset({"this", "low", "high"})
_IN = frozenset({"this", "expressions"})

Found = tuple[exp.Column, Domain]


class DomainReader:
    """Reads the conditions of one SELECT; `type_of` gives the Arrow type of a column of a table, None of any other."""

    def __init__(self, scope: Scope, type_of: Callable[[exp.Column], pa.DataType | None]) -> None:
        self._scope = scope
        self._type_of = type_of

    def read(self, part: exp.Expr) -> Found | None:
        """The only column of a condition, and where the condition is true; None for one that says more or less."""
        part = part.unnest()
        if isinstance(part, exp.Not):
            return self._negated(part.this.unnest())
        if isinstance(part, exp.Or):
            return self._either(part)
        if isinstance(part, exp.Column):
            return self._domain(part, "=", exp.true())
        if isinstance(part, exp.Is) and isinstance(part.expression, exp.Null):
            return self._domain(part.this, "is null")
        if isinstance(part, exp.In) and _only(part, _IN) and part.expressions:
            given = [each for each in part.expressions if not is_null(each)]
            return self._domain(part.this, "in", *given)
        if isinstance(part, exp.Between) and _only(part, _BETWEEN):
            return self._between(part)
        if type(part) in _OPERATORS:
            forward, backward = _OPERATORS[type(part)]
            return self._domain(part.this, forward, part.expression) or self._domain(
                part.expression, backward, part.this
            )
        return None

    def _negated(self, part: exp.Expr) -> Found | None:
        """What is not true may be NULL, and then its negation is not true either."""
        if isinstance(part, exp.Is) and isinstance(part.expression, exp.Null):
            return self._domain(part.this, "is not null")
        if isinstance(part, exp.Column):
            return self._domain(part, "=", exp.false())
        if isinstance(part, exp.In) and any(map(is_null, part.expressions)):
            return None
        found = self.read(part) if isinstance(part, (exp.In, exp.Between)) else None
        not_null = self._domain(found[0], "is not null") if found is not None else None
        return (found[0], not_null[1] - found[1]) if found is not None and not_null is not None else None

    def _either(self, part: exp.Or) -> Found | None:
        found = [self.read(each) for each in part.flatten()]
        first = found[0]
        if first is None:
            return None
        column, domain = first
        for each in found[1:]:
            if each is None or each[0] != column:
                return None
            domain = domain | each[1]
        return column, domain

    def _between(self, part: exp.Between) -> Found | None:
        low = self._domain(part.this, ">=", part.args["low"])
        high = self._domain(part.this, "<=", part.args["high"])
        return (low[0], low[1] & high[1]) if low is not None and high is not None else None

    def _domain(self, column: exp.Expr, op: str, *given: exp.Expr) -> Found | None:
        if not isinstance(column, exp.Column):
            return None
        type_, name = self._type_of(column), self._scope.type(column)
        if type_ is None or not name:
            return None
        values = [self._value(each, name) for each in given]
        domain = domain_of(type_, op, values) if all(each is not None for each in values) else None
        return (column, domain) if domain is not None else None

    def _value(self, node: exp.Expr, type_: str) -> Any:
        found = value_of(node, type_, self._scope.context)
        return _special(node) if found is None and type_ == "DOUBLE" else found


def _special(node: exp.Expr) -> float | None:
    """The numbers that are written as text."""
    if isinstance(node, exp.Cast) and node.to.sql("duckdb") == "DOUBLE" and isinstance(node.this, exp.Literal):
        text = node.this.this.lower()
        return {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}.get(
            text
        )
    return None


def _only(node: exp.Expr, known: frozenset[str]) -> bool:
    return all(key in known for key, value in node.args.items() if value)
