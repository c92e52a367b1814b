"""Signatures that several dialects share, and the patterns that they are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from sqlglot import exp

from adapters.sql.dialect import Declined, Reason, Signature, Typed
from adapters.sql.types import DOUBLE, INT64, Kind, SqlType, common_collation

EXACT_NUMBER = frozenset({Kind.INT, Kind.DECIMAL})
TEMPORAL = frozenset({Kind.DATE, Kind.TIMESTAMP})


def same_node(node: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    """The same node over the translated operands."""
    made = node.copy()
    at = 0
    for key in node.arg_types:
        value = made.args.get(key)
        if isinstance(value, exp.Expr):
            made.set(key, given[at].node)
            at += 1
        elif isinstance(value, list):
            made.set(key, [each.node for each in given[at : at + len(value)]])
            at += len(value)
    return made


def aggregate(node: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    """The same aggregate over the translated operand, DISTINCT kept."""
    value = given[0].node
    inner = exp.Distinct(expressions=[value]) if isinstance(node.this, exp.Distinct) else value
    return type(node)(this=inner)


def as_double(node: exp.Expr) -> exp.Expr:
    return exp.cast(node, "DOUBLE")


def float_division(_: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    """DuckDB's `/` is a division of doubles, whatever the operands."""
    return exp.Div(this=as_double(given[0].node), expression=as_double(given[1].node), typed=True, safe=False)


def exact_average(node: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    """avg as DuckDB computes it over exact numbers: the exact sum and the count, divided as doubles."""
    distinct = isinstance(node.this, exp.Distinct)
    total, count = (exp.Distinct(expressions=[value]) if distinct else value for value in _twice(given[0].node))
    return exp.Div(this=as_double(exp.Sum(this=total)), expression=exp.Count(this=count), typed=True, safe=False)


def _twice(node: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
    return node, node.copy()


def nonzero_literal(given: Typed) -> bool:
    text = given.node.unnest().sql()
    return bool(re.fullmatch(r"-?\s?\d+(\.\d+)?", text)) and Decimal(text.replace(" ", "")) != 0


def nonzero_int(given: Typed) -> bool:
    return given.type.kind is Kind.INT and nonzero_literal(given)


def literal_from(least: int) -> Callable[[Typed], bool]:
    """A pattern: an integer literal of at least that value."""

    def test(given: Typed) -> bool:
        return isinstance(given.node, exp.Literal) and given.node.this.isdigit() and int(given.node.this) >= least

    return test


def signed_int(given: Typed) -> bool:
    return given.type.kind is Kind.INT and given.type.signed


def arithmetic(given: Sequence[Typed]) -> SqlType:
    """The result of + and - over exact numbers and doubles."""
    kinds = {each.type.kind for each in given}
    if Kind.DOUBLE in kinds:
        return DOUBLE
    if Kind.DECIMAL in kinds:
        return SqlType(Kind.DECIMAL, scale=max(each.type.scale for each in given))
    return SqlType(Kind.INT, bits=max(each.type.bits for each in given))


def product(given: Sequence[Typed]) -> SqlType:
    result = arithmetic(given)
    if result.kind is Kind.DECIMAL:
        return SqlType(Kind.DECIMAL, scale=sum(each.type.scale for each in given))
    return result


def first(given: Sequence[Typed]) -> SqlType:
    """The type of the first operand, now possibly NULL."""
    return replace(given[0].type, nullable=True)


def combined(given: Sequence[Typed]) -> SqlType:
    """The text that is made of the text operands."""
    types = [each.type for each in given if each.type.kind is Kind.TEXT]
    collation = common_collation(types)
    if collation is None:
        raise Declined(Reason.COLLATION, "text of several collations")
    return SqlType(Kind.TEXT, collation=collation, coercible=all(each.coercible for each in types))


def rounded(given: Sequence[Typed]) -> SqlType:
    places = int(given[1].node.this) if len(given) > 1 else 0
    return SqlType(Kind.DECIMAL, scale=places)


def pairs(*kinds: Kind) -> frozenset[tuple[Kind, Kind]]:
    return frozenset((a, b) for a in kinds for b in kinds)


COUNT = (
    Signature((frozenset(Kind) - {Kind.OPAQUE, Kind.NULL},), SqlType(Kind.INT, bits=64, nullable=False), aggregate),
)
SUBSTRING = (
    Signature((Kind.TEXT, literal_from(1)), combined, same_node),
    Signature((Kind.TEXT, literal_from(1), literal_from(0)), combined, same_node),
)
LENGTH = (Signature((Kind.TEXT,), INT64, same_node),)
ROUND = (
    Signature((Kind.DECIMAL,), rounded, same_node),
    Signature((Kind.DECIMAL, literal_from(0)), rounded, same_node),
)
SUM = (
    Signature((Kind.INT,), SqlType(Kind.INT, bits=128), aggregate),
    Signature((Kind.DECIMAL,), first, aggregate),
    Signature((Kind.DOUBLE,), Kind.DOUBLE, aggregate),
)
AVERAGE = (
    Signature((EXACT_NUMBER,), Kind.DOUBLE, exact_average),
    Signature((Kind.DOUBLE,), Kind.DOUBLE, aggregate),
)


def among_rows(subjects: Sequence[exp.Expr], keys: Sequence[Sequence[str]]) -> exp.In:
    """`(a, b) IN ((1, 2), ...)`, of integers."""
    rows = [
        exp.Tuple(expressions=[exp.Literal(this=text, is_string=False) for text in row])
        for row in zip(*keys, strict=True)
    ]
    return exp.In(this=exp.Tuple(expressions=list(subjects)), expressions=rows)
