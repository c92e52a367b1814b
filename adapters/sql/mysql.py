"""The whitelist of MySQL and MariaDB.

Text is always compared by an explicit binary collation without padding, because the default one takes 'a', 'A', 'á'
and 'a ' for the same. An equality with a literal keeps the looser test beside it: it is implied, and it can use the
index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlglot import exp

from adapters.base import Collation, Column
from adapters.sql.common import (
    AVERAGE,
    COUNT,
    LENGTH,
    ROUND,
    SUBSTRING,
    SUM,
    TEMPORAL,
    aggregate,
    among_rows,
    arithmetic,
    combined,
    first,
    float_division,
    nonzero_int,
    nonzero_literal,
    pairs,
    product,
    same_node,
    signed_int,
)
from adapters.sql.dialect import Signature, SourceDialect, Typed
from adapters.sql.types import INT64, NUMERIC, Kind, SqlType

_FIELDS = frozenset({"YEAR", "MONTH", "DAY", "QUARTER"})
_TEXT_TYPES = ("char", "varchar", "text", "tinytext", "mediumtext", "longtext")


def _column(node: exp.Column, column: Column, type_: SqlType) -> Typed:
    if type_.kind is Kind.TEXT:
        if not column.source_type.lower().startswith(_TEXT_TYPES):
            return Typed(node, SqlType(Kind.OPAQUE, nullable=type_.nullable))
        if type_.collation is not Collation.BINARY:
            return Typed(_binary(node), replace(type_, collation=Collation.BINARY))
    if column.source_type.lower().startswith("year"):  # it takes 70 for 1970
        return Typed(node, SqlType(Kind.OPAQUE, nullable=type_.nullable))
    if column.source_type.lower().startswith("bit") and type_.kind is Kind.INT:
        return Typed(exp.paren(exp.Add(this=node, expression=exp.Literal.number(0))), type_)
    if type_.kind is Kind.BOOL:  # BIT(1), which is a number in some places and a string of bytes in others
        return Typed(exp.paren(exp.NEQ(this=node, expression=exp.Literal.number(0))), type_)
    return Typed(node, type_)


def _binary(node: exp.Expr) -> exp.Expr:
    unicode = exp.Cast(this=node, to=exp.DataType(this=exp.DType.CHARACTER_SET, kind=exp.var("utf8mb4")))
    return exp.Collate(this=unicode, expression=exp.var("utf8mb4_nopad_bin"))


def _literal(text: str, type_: SqlType) -> exp.Expr:
    """Without a precision DATETIME has whole seconds."""
    return exp.cast(exp.Literal.string(text), "DATE" if type_.kind is Kind.DATE else "DATETIME(6)", dialect="mysql")


def _sargable(exact: exp.Expr, column: Typed) -> exp.Expr:
    bare = column.node.find(exp.Column)
    if bare is None or bare is column.node or isinstance(exact, exp.NEQ):
        return exact
    loose = exact.copy()
    loose.this.replace(bare.copy())
    return exp.paren(exp.and_(loose, exact))


def _like(subject: Typed, pattern: str, escape: str | None, negate: bool, insensitive: bool) -> exp.Expr | None:
    if insensitive or escape is not None or "\\" in pattern or subject.type.collation is not Collation.BINARY:
        return None
    return exp.Like(this=subject.node, expression=exp.Literal.string(pattern), negate=negate)


def _signed_or(*kinds: Kind) -> Callable[[Typed], bool]:
    return lambda given: signed_int(given) or given.type.kind in kinds


def _whole_division(_: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    return exp.IntDiv(this=given[0].node, expression=given[1].node)


def _extract(node: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    unit = node.this if isinstance(node, exp.Extract) else exp.var(node.key.upper())
    return exp.Extract(this=unit.copy(), expression=given[-1].node)


def _field(given: Typed) -> bool:
    return isinstance(given.node, exp.Var) and given.node.name.upper() in _FIELDS


def _orderable(given: Typed) -> bool:
    if given.type.kind is Kind.TEXT:
        return given.type.collation is Collation.BINARY
    return given.type.kind in NUMERIC | TEMPORAL


_NUMBER = _signed_or(Kind.DECIMAL, Kind.DOUBLE)
_NUMBERS = (_NUMBER, _NUMBER)
_PART = (Signature((TEMPORAL,), INT64, _extract),)
_EXTREME = (Signature((_orderable,), first, aggregate),)

MYSQL = SourceDialect(
    name="mysql",
    functions={
        "add": (Signature(_NUMBERS, arithmetic, same_node),),
        "sub": (Signature(_NUMBERS, arithmetic, same_node),),
        "mul": (Signature(_NUMBERS, product, same_node),),
        "div": (Signature((_NUMBER, nonzero_literal), Kind.DOUBLE, float_division),),
        "intdiv": (Signature((signed_int, nonzero_int), first, _whole_division),),
        "mod": (Signature((signed_int, nonzero_int), first, same_node),),
        "neg": (Signature((_NUMBER,), first, same_node),),
        "abs": (Signature((_NUMBER,), first, same_node),),
        "round": ROUND,
        "dpipe": (Signature((Kind.TEXT, Kind.TEXT), combined, same_node),),
        "length": LENGTH,
        "substring": SUBSTRING,
        "extract": (Signature((_field, TEMPORAL), INT64, _extract),),
        "year": _PART,
        "month": _PART,
        "day": _PART,
        "quarter": _PART,
    },
    aggregates={
        "count": COUNT,
        "sum": SUM,
        "avg": AVERAGE,
        "min": _EXTREME,
        "max": _EXTREME,
    },
    comparisons=pairs(*NUMERIC) | pairs(Kind.DATE, Kind.TIMESTAMP) | {(Kind.TEXT, Kind.TEXT), (Kind.BOOL, Kind.BOOL)},
    grouping=NUMERIC | TEMPORAL | {Kind.TEXT},
    ordering=NUMERIC | TEMPORAL | {Kind.TEXT},
    joins=frozenset({"INNER", "LEFT", "RIGHT", "CROSS"}),
    set_operations=frozenset({"union", "union all"}),
    max_tables=60,  # 61 in one join
    having_keys=False,
    # MariaDB 10.11 loses rows of SELECT DISTINCT s COLLATE x, d ORDER BY d, s COLLATE x.
    distinct_order=False,
    last_of_name="\uffff",
    literal_collation=Collation.INSENSITIVE,
    literal=_literal,
    column=_column,
    like=_like,
    sargable=_sargable,
    key_rows=among_rows,
)
