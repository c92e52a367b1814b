"""What a conjunction says of the columns in it, and whether it can be true at all.

Columns that the conjunction makes equal are one class, if their types are the same; each class has a domain: bounds,
the values that are left, the values that are excluded. A conjunction is impossible when a domain is empty. What is not
understood says nothing. "Impossible" means false or NULL for every row, which is all that WHERE asks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from federation.planner import filters
from federation.planner.constants import discrete, integer, is_null, value_of
from federation.planner.rewriting import Scope

Key = tuple[str, str]

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_MIRRORED: dict[type[exp.Expr], type[exp.Expr]] = {exp.LT: exp.GT, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.GTE: exp.LTE}
_MANY = 20  # values of an IN
_MAX_CASES = 64  # of several disjunctions together; more are looked at one by one
_MAX_WORK = 2_000  # disjuncts of one disjunction, times the conjuncts beside them
#: Types whose equal values are interchangeable, and compare as `constants` says.
_UNDERSTOOD = ("BOOLEAN", "VARCHAR", "DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "DOUBLE")


@dataclass
class Domain:
    """`low` and `high` are (value, strict); `values` None allows all between them."""

    low: tuple[Any, bool] | None = None
    high: tuple[Any, bool] | None = None
    values: set[Any] | None = None
    excluded: set[Any] = field(default_factory=set)
    null: bool = False
    not_null: bool = False

    def at_least(self, value: Any, strict: bool) -> None:
        if self.low is None or (value, strict) > self.low:
            self.low = (value, strict)

    def at_most(self, value: Any, strict: bool) -> None:
        if self.high is None or (value, not strict) < (self.high[0], not self.high[1]):
            self.high = (value, strict)

    def one_of(self, values: Iterable[Any]) -> None:
        self.values = set(values) if self.values is None else self.values & set(values)

    def empty(self) -> bool:
        """Whether no value is left, and not NULL either."""
        if self.null:
            return self.not_null
        if self.values is not None:
            return not any(self._holds(each) for each in self.values)
        if self.low is None or self.high is None:
            return False
        return self.low[0] > self.high[0] or (self.low[0] == self.high[0] and (self.low[1] or self.high[1]))

    def _holds(self, value: Any) -> bool:
        above = self.low is None or value > self.low[0] or (value == self.low[0] and not self.low[1])
        below = self.high is None or value < self.high[0] or (value == self.high[0] and not self.high[1])
        return above and below and value not in self.excluded


class Facts:
    """What the conjuncts, all of them true, say. `extended` are aliases that an outer join may fill with NULLs, where
    the conjunction is tested. Each of `declared` is about one column, and true wherever that is not NULL."""

    def __init__(
        self, parts: Sequence[exp.Expr], scope: Scope, extended: set[str], declared: Sequence[exp.Expr] = ()
    ) -> None:
        self._scope = scope
        self._extended = extended
        self._parents: dict[Key, Key] = {}
        self._domains: dict[Key, Domain] = {}
        self._alone: set[Key] = set()  # columns with one condition
        self.impossible = False
        if not declared and not any(_constrains(each) for each in parts):
            return  # nothing but joins: the types of their columns need not be known
        for part in parts:
            self._unite(part)
        columns = Counter(self._root(each) for part in parts for each in part.find_all(exp.Column))
        self._alone = {root for root, count in columns.items() if count == 1 and not declared}
        for part in parts:
            self._add(part)
        for part in declared:
            if any(self._not_null(each) for each in part.find_all(exp.Column)):
                self._add(part)
        self.impossible = self.impossible or any(each.empty() for each in self._domains.values())

    def _root(self, column: exp.Column) -> Key:
        """Equal for columns that the conjunction makes equal."""
        key = (column.table, column.name.lower())
        while key in self._parents:
            key = self._parents[key]
        return key

    def _not_null(self, column: exp.Column) -> bool:
        """Whether the row would not be here otherwise."""
        domain = self._domains.get(self._root(column))
        known = domain is not None and domain.not_null
        return known or (column.table not in self._extended and self._scope.required(column))

    def _unite(self, part: exp.Expr) -> None:
        if not isinstance(part, exp.EQ) or not equal_columns(part, self._scope):
            return
        left, right = self._root(part.this), self._root(part.expression)
        if left != right:
            self._parents[left] = right

    def _domain(self, column: exp.Column) -> Domain:
        return self._domains.setdefault(self._root(column), Domain())

    def _add(self, part: exp.Expr) -> None:
        negated = isinstance(part, exp.Not)
        inner = part.this.unnest() if negated else part
        if not part.find(exp.Column, exp.Query):
            self.impossible |= self._scope.context.truth(part) is False
        elif isinstance(inner, exp.Is):
            self._is(inner, negated)
        elif isinstance(inner, exp.Column):
            self._one_of(inner, [exp.false() if negated else exp.true()])
        elif isinstance(inner, exp.In):
            self._in(inner, negated)
        elif not negated and isinstance(inner, exp.Between) and not inner.args.get("symmetric"):
            self._between(inner)
        elif not negated and isinstance(inner, _COMPARISONS) and _of_values(inner):
            self._comparison(inner)

    def _is(self, part: exp.Is, negated: bool) -> None:
        if not isinstance(part.this, exp.Column) or not isinstance(part.expression, exp.Null):
            return
        domain = self._domain(part.this)
        if negated:
            domain.not_null = True
            return
        domain.null = True
        domain.not_null = self._not_null(part.this)

    def _comparison(self, part: exp.Expr) -> None:
        left, right = part.this, part.expression
        for side in (left, right):
            if isinstance(side, exp.Column):
                self._domain(side).not_null = True
            self.impossible |= is_null(side)
        if isinstance(left, exp.Column) and isinstance(right, exp.Column):
            same = self._root(left) == self._root(right)
            self.impossible |= same and isinstance(part, (exp.NEQ, exp.LT, exp.GT))
        elif isinstance(left, exp.Column):
            self._bound(left, type(part), right)
        elif isinstance(right, exp.Column):
            self._bound(right, _MIRRORED.get(type(part), type(part)), left)

    def _between(self, part: exp.Between) -> None:
        low, high = part.args["low"], part.args["high"]
        self.impossible |= is_null(low) or is_null(high)
        if not isinstance(part.this, exp.Column):
            return
        self._domain(part.this).not_null = True
        # One type is found for all three: two bounds that are not understood together may cast the column.
        if all(self._value(each, part.this) is not None for each in (low, high)):
            self._bound(part.this, exp.GTE, low)
            self._bound(part.this, exp.LTE, high)

    def _in(self, part: exp.In, negated: bool) -> None:
        given = part.expressions
        if not given or any(part.args.get(key) for key in ("query", "unnest", "field")):
            return
        if negated and any(is_null(each) for each in given):
            self.impossible = True
        if isinstance(part.this, exp.Column):
            self._domain(part.this).not_null = True
            if len(given) > _MANY and self._root(part.this) in self._alone:
                return  # nothing to compare the values with
            self._one_of(part.this, [each for each in given if not is_null(each)], negated)

    def _one_of(self, column: exp.Column, given: Sequence[exp.Expr], negated: bool = False) -> None:
        domain = self._domain(column)
        domain.not_null = True
        values = [self._value(each, column) for each in given]
        if any(each is None for each in values):
            return
        if negated:
            domain.excluded.update(values)
        else:
            domain.one_of(values)

    def _bound(self, column: exp.Column, comparison: type[exp.Expr], given: exp.Expr) -> None:
        value = self._value(given, column)
        if value is None:
            return
        domain = self._domain(column)
        whole = discrete(self._scope.type(column))
        if comparison is exp.EQ:
            domain.one_of(() if whole and value != math.floor(value) else (value,))
        elif comparison is exp.NEQ:
            domain.excluded.add(value)
        elif comparison in (exp.GT, exp.GTE):
            strict = comparison is exp.GT
            low = (math.floor(value) + 1 if strict else math.ceil(value)) if whole else value
            domain.at_least(low, strict and not whole)
        else:
            strict = comparison is exp.LT
            high = (math.ceil(value) - 1 if strict else math.floor(value)) if whole else value
            domain.at_most(high, strict and not whole)

    def _value(self, node: exp.Expr, column: exp.Column) -> Any:
        type_ = self._scope.type(column)
        return value_of(node, type_, self._scope.context) if type_ else None


def _of_values(part: exp.Expr) -> bool:
    """Whether two values are compared: a comparison with ALL of a list is true where the list is empty."""
    return filters.plain(part) and not part.find(exp.Any, exp.All)


def _constrains(part: exp.Expr) -> bool:
    columns = {(each.table, each.name) for each in part.find_all(exp.Column)}
    return len(columns) < 2 or isinstance(part, (exp.NEQ, exp.LT, exp.GT))


def _family(type_: str) -> str:
    """Types whose values compare as one: integers, but for the widest, are compared in one that holds both."""
    return "BIGINT" if integer(type_) else type_


def equal_columns(part: exp.EQ, scope: Scope) -> bool:
    """Whether the equality makes two columns interchangeable: both of one type that is compared as it is, or both
    integers."""
    left, right = part.this, part.expression
    if not isinstance(left, exp.Column) or not isinstance(right, exp.Column):
        return False
    type_ = scope.type(left)
    understood = type_ in _UNDERSTOOD or type_.startswith("DECIMAL") or discrete(type_)
    return understood and _family(type_) == _family(scope.type(right))


def impossible(parts: Sequence[exp.Expr], scope: Scope, extended: set[str], declared: Sequence[exp.Expr] = ()) -> bool:
    """Whether the conjuncts cannot all be true for one row, by cases where one of them is a disjunction."""
    simple = [each for each in parts if not isinstance(each, exp.Or)]
    if Facts(simple, scope, extended, declared).impossible:
        return True
    either = [each for each in parts if isinstance(each, exp.Or)]
    together = math.prod(len(list(each.flatten())) for each in either) <= _MAX_CASES
    for index, part in enumerate(either):
        rest = either[index + 1 :] if together else []
        cases = [[*simple, *rest, *filters.conjuncts(each)] for each in part.flatten()]
        if len(cases) * len(simple) <= _MAX_WORK and all(impossible(each, scope, extended, declared) for each in cases):
            return True
        if together:
            return False
    return False
