"""What a source's SQL can do exactly as DuckDB would: the whitelist of one dialect, as data.

A dialect lists signatures by the key of sqlglot's node (`add`, `substring`, `sum`). A signature names the operand
kinds it was checked for, the kind of its result, and how the call is written at the source. What no signature
matches is not pushed.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from adapters.base import Collation, Column
from adapters.sql.types import Kind, SqlType

#: A LIMIT of more rows than any table has, and nothing else, keeps conditions around a subquery out of it.
FENCE = 2**63 - 1


def is_fence(query: exp.Expr) -> bool:
    """Whether the LIMIT of the query is there to keep conditions out, and cuts nothing."""
    limit = query.args.get("limit")
    count = limit.args.get("expression") if isinstance(limit, exp.Limit) else None
    return isinstance(count, exp.Literal) and count.this == str(FENCE) and not query.args.get("offset")


class Reason(enum.StrEnum):
    """Why a predicate or an operator runs where it runs; EXPLAIN prints it."""

    EXACT = "EXACT"
    SUPERSET_DYNAMIC_TYPE = (
        "SUPERSET_DYNAMIC_TYPE"  # rows with values of other types come along, so that reading raises
    )
    SUPERSET_RESIDUAL = "SUPERSET_RESIDUAL"  # the source filters as well as it can, DuckDB filters again
    NOT_WHITELISTED = "NOT_WHITELISTED"
    COLLATION = "COLLATION"
    TYPE_MISMATCH = "TYPE_MISMATCH"
    DYNAMIC_TYPE = "DYNAMIC_TYPE"
    DIVISION_BY_ZERO = "DIVISION_BY_ZERO"
    OTHER_SOURCE = "OTHER_SOURCE"
    CORRELATED = "CORRELATED"
    NULL_EXTENDED = "NULL_EXTENDED"
    VOLATILE = "VOLATILE"
    NO_QUERY_INTERFACE = "NO_QUERY_INTERFACE"
    PUSHDOWN_OFF = "PUSHDOWN_OFF"
    QUARANTINED = "QUARANTINED"  # a verified answer was wrong
    CONTRADICTION = "CONTRADICTION"
    PRUNED = "PRUNED"  # a declared constraint excludes the condition
    NATIVE_QUERY = "NATIVE_QUERY"  # a text of the caller's runs as it is, and what is about its rows runs in DuckDB
    FETCHED_ONCE = "FETCHED_ONCE"  # two parts of the query ask the same: DuckDB reads it twice
    ROW_FILTER = "ROW_FILTER"  # it may raise, which would tell of rows that a row filter hides
    COST = "COST"  # fetching is expected to take less time than computing it at the source
    DECLINED = "DECLINED"  # the adapter itself declined the island


class Declined(Exception):
    """The construct stays local. Caught by whoever asked for the translation; never leaves the planner."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Typed:
    """A translated expression and the type that DuckDB gives the original. `stored` is a column as the source itself
    compares it: its values are equal where the translated ones are, but a literal may mean something else."""

    node: exp.Expr
    type: SqlType
    stored: exp.Expr | None = None


Build = Callable[[exp.Expr, Sequence[Typed]], exp.Expr]
Result = Kind | SqlType | Callable[[Sequence[Typed]], SqlType]
#: an operand pattern: a kind, a set of kinds, or a test of the typed operand
Pattern = Kind | frozenset[Kind] | Callable[[Typed], bool]


@dataclass(frozen=True, slots=True)
class Signature:
    """`operands` in the order of `expressions.operands`; the last one repeats when `variadic`."""

    operands: tuple[Pattern, ...]
    result: Result
    build: Build
    variadic: bool = False

    def matches(self, given: Sequence[Typed]) -> bool:
        patterns = list(self.operands)
        if self.variadic and len(given) > len(patterns):
            patterns += [patterns[-1]] * (len(given) - len(patterns))
        return len(patterns) == len(given) and all(_fits(p, g) for p, g in zip(patterns, given, strict=True))

    def result_type(self, given: Sequence[Typed]) -> SqlType:
        if isinstance(self.result, SqlType):
            return self.result
        if isinstance(self.result, Kind):
            return SqlType(self.result, bits=64)
        return self.result(given)


def _fits(pattern: Pattern, given: Typed) -> bool:
    if isinstance(pattern, Kind):
        return given.type.kind is pattern
    if isinstance(pattern, frozenset):
        return given.type.kind in pattern
    return pattern(given)


Signatures = Mapping[str, tuple[Signature, ...]]


def _plain_column(node: exp.Column, column: Column, type_: SqlType) -> Typed:  # noqa: ARG001 - the hook's shape
    return Typed(node, type_)


def _no_like(*_: object) -> exp.Expr | None:
    return None


def _if_binary(typed: Typed) -> exp.Expr | None:
    return typed.node if typed.type.collation is Collation.BINARY else None


def _literal(text: str, type_: SqlType) -> exp.Expr:
    names = {Kind.DATE: "DATE", Kind.TIMESTAMP: "TIMESTAMP", Kind.UUID: "UUID", Kind.REAL: "FLOAT"}
    names[Kind.TIMESTAMPTZ] = "TIMESTAMPTZ"
    value = exp.Literal.string(text) if type_.kind is not Kind.REAL else exp.Literal.number(text)
    return exp.cast(value, names[type_.kind])


def _no_guard(typed: Typed) -> exp.Expr | None:  # noqa: ARG001 - the hook's shape
    return None


@dataclass(frozen=True)
class SourceDialect:
    """`name` is sqlglot's name of the dialect. The hooks say what differs between sources beyond a list of names."""

    name: str
    functions: Signatures = field(default_factory=dict)
    aggregates: Signatures = field(default_factory=dict)
    comparisons: frozenset[tuple[Kind, Kind]] = frozenset()
    grouping: frozenset[Kind] = frozenset()  # kinds that GROUP BY, DISTINCT and set operations treat alike
    ordering: frozenset[Kind] = frozenset()
    joins: frozenset[str] = frozenset({"INNER", "LEFT", "CROSS"})
    set_operations: frozenset[str] = frozenset()
    aggregate_filter: bool = False
    literal_collation: Collation = Collation.BINARY  # how two string literals are compared
    having_keys: bool = True  # HAVING may name a group key, and not only aggregates
    distinct_order: bool = True  # SELECT DISTINCT may be sorted by expressions, and not only by columns
    last_of_name: str = "\U0010ffff"  # the last character that a name may hold
    offset_alone: bool = False  # OFFSET without LIMIT
    fences: bool = False  # it is documented that no condition gets into a subquery with LIMIT
    max_tables: int = 200  # in one statement; above, planning alone takes long
    scalar_subquery: bool = True  # more than one row raises
    literal: Callable[[str, SqlType], exp.Expr] = _literal
    column: Callable[[exp.Column, Column, SqlType], Typed] = _plain_column
    #: the operand so written that it sorts by bytes; None where that cannot be said
    by_bytes: Callable[[Typed], exp.Expr | None] = _if_binary
    #: (subject, pattern text, escape character, negated, case-insensitive) -> the test, or None
    like: Callable[[Typed, str, str | None, bool, bool], exp.Expr | None] = _no_like
    #: true for the rows whose stored value is not of the declared type
    guard: Callable[[Typed], exp.Expr | None] = _no_guard
    #: (=, <> or IN of a column and string literals, the column) -> the same, such that an index can serve it
    sargable: Callable[[exp.Expr, Typed], exp.Expr] | None = None
    #: whether a value is among many integers, written shorter than IN
    key_array: Callable[[exp.Expr, Sequence[str]], exp.Expr] | None = None
    #: (columns, their values, each of as many rows) -> whether a row of integers is among many, NULL never being
    key_rows: Callable[[Sequence[exp.Expr], Sequence[Sequence[str]]], exp.Expr] | None = None
