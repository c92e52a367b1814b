"""The operand types that the whitelists are keyed on: DuckDB's types as far as pushdown must tell them apart."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.types as pt

from adapters.base import Collation


class Kind(enum.StrEnum):
    BOOL = "bool"
    INT = "int"
    DECIMAL = "decimal"
    REAL = "real"
    DOUBLE = "double"
    TEXT = "text"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIMESTAMPTZ = "timestamptz"
    UUID = "uuid"
    INTERVAL = "interval"
    NULL = "null"
    OPAQUE = "opaque"  # can be fetched, and tested for NULL, but nothing else is known to be the same there


NUMERIC = frozenset({Kind.INT, Kind.DECIMAL, Kind.DOUBLE})


@dataclass(frozen=True, slots=True)
class SqlType:
    """`bits` and `signed` are of integers, `scale` of decimals, `collation` of text."""

    kind: Kind
    bits: int = 0
    signed: bool = True
    scale: int = 0
    collation: Collation = Collation.BINARY
    nullable: bool = True
    coercible: bool = False  # text that takes the collation of what it meets: literals, and what is made of them only
    dynamic: bool = False  # the source may hold values of other types in it


BOOL = SqlType(Kind.BOOL)
INT64 = SqlType(Kind.INT, bits=64)
DOUBLE = SqlType(Kind.DOUBLE)
TEXT = SqlType(Kind.TEXT)
DATE = SqlType(Kind.DATE)
TIMESTAMP = SqlType(Kind.TIMESTAMP)
OPAQUE = SqlType(Kind.OPAQUE)


def from_arrow(arrow: pa.DataType) -> SqlType:
    """The operand type of a column of that Arrow type."""
    if pt.is_integer(arrow):
        return SqlType(Kind.INT, bits=arrow.bit_width, signed=pt.is_signed_integer(arrow))
    if pt.is_decimal(arrow):
        return SqlType(Kind.DECIMAL, scale=arrow.scale)
    for test, kind in _SIMPLE:
        if test(arrow):
            return SqlType(kind)
    if pt.is_timestamp(arrow):
        return SqlType(Kind.TIMESTAMPTZ if arrow.tz else Kind.TIMESTAMP)
    if isinstance(arrow, pa.UuidType):
        return SqlType(Kind.UUID)
    return OPAQUE


_SIMPLE = (
    (pt.is_boolean, Kind.BOOL),
    (pt.is_float32, Kind.REAL),
    (pt.is_float64, Kind.DOUBLE),
    (pt.is_string, Kind.TEXT),
    (pt.is_date32, Kind.DATE),
)


def common_collation(types: Sequence[SqlType]) -> Collation | None:
    """The collation of a text made of these; None between several."""
    fixed = {each.collation for each in types if not each.coercible} or {each.collation for each in types}
    return fixed.pop() if len(fixed) == 1 else None


def unify(types: list[SqlType]) -> SqlType | None:
    """The common type of CASE branches, COALESCE arguments and set operations; None where engines may differ."""
    known = [each for each in types if each.kind is not Kind.NULL]
    if not known:
        return None
    nullable = any(each.nullable for each in types)
    kinds = {each.kind for each in known}
    first = known[0]
    if len(kinds) == 1:
        collation = common_collation(known)
        if first.kind is Kind.OPAQUE or collation is None:
            return None
        return replace(
            first,
            collation=collation,
            coercible=all(each.coercible for each in known),
            bits=max(each.bits for each in known),
            signed=all(each.signed for each in known),
            scale=max(each.scale for each in known),
            nullable=nullable,
        )
    if not kinds <= NUMERIC:
        return None
    if Kind.DOUBLE in kinds:
        return replace(DOUBLE, nullable=nullable)
    return SqlType(Kind.DECIMAL, scale=max(each.scale for each in known), nullable=nullable)
