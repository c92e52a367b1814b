"""Sets of values of one column, closed under union, intersection and complement, in DuckDB's order.

A value is stood for by its rank, which Python compares as DuckDB compares the values. Where nothing lies between a
value and the next one it is an int: whole numbers, days, and of a DOUBLE its place among all of them, where NaN is the
greatest, equal to itself, and -0.0 is 0.0. Decimals and timestamps (microseconds, in UTC) are fractions. Text is
compared by code points, which is by bytes of UTF-8.
"""

from __future__ import annotations

import datetime
import math
import struct
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.types as pt

from adapters.base import Predicate

Rank: TypeAlias = "int | Fraction | str | bytes"
#: a place between values: (0, rank, 0) is just below that rank, (0, rank, 1) just above it
Cut: TypeAlias = tuple[Any, ...]

_LOWEST: Cut = (-1,)
_HIGHEST: Cut = (1,)
_MOST_MEMBERS, _WIDEST = 10_000, 16  # that are listed, and of a range in a list
_MOST_DIGITS = 38  # of a DECIMAL
_EPOCH = datetime.datetime(1970, 1, 1)
_EPOCH_DAY = datetime.date(1970, 1, 1)
_SIGN = 1 << 63
_INFINITY: int = struct.unpack("<q", struct.pack("<d", math.inf))[0]
_NAN = _INFINITY + 1


@dataclass(frozen=True, slots=True)
class Domain:
    """`cuts` ascend strictly: what lies between the first and the second, the third and the fourth, … is in it. `null`
    says whether NULL is."""

    cuts: tuple[Cut, ...]
    null: bool = False

    def __bool__(self) -> bool:
        return bool(self.cuts) or self.null

    def __le__(self, other: Domain) -> bool:
        """Whether the other one holds all of this."""
        if self.null and not other.null:
            return False
        for low, high in self.ranges():
            place = bisect_right(other.cuts, low)
            if place % 2 == 0 or other.cuts[place] < high:
                return False
        return True

    def __invert__(self) -> Domain:
        cuts = self.cuts[1:] if self.cuts[:1] == (_LOWEST,) else (_LOWEST, *self.cuts)
        cuts = cuts[:-1] if cuts[-1:] == (_HIGHEST,) else (*cuts, _HIGHEST)
        return Domain(cuts, not self.null)

    def __and__(self, other: Domain) -> Domain:
        mine, others = self.ranges(), other.ranges()
        cuts: list[Cut] = []
        i = j = 0
        while i < len(mine) and j < len(others):
            low, high = max(mine[i][0], others[j][0]), min(mine[i][1], others[j][1])
            if low < high:
                cuts += (low, high)
            if mine[i][1] <= others[j][1]:
                i += 1
            else:
                j += 1
        return Domain(tuple(cuts), self.null and other.null)

    def __or__(self, other: Domain) -> Domain:
        return ~(~self & ~other)

    def __sub__(self, other: Domain) -> Domain:
        return self & ~other

    def ranges(self) -> list[tuple[Cut, Cut]]:
        return list(zip(self.cuts[::2], self.cuts[1::2], strict=True))

    def point(self) -> Rank | None:
        """The value that is all of it."""
        members = _members(self) if len(self.cuts) == 2 and not self.null else None
        return members[0] if members is not None and len(members) == 1 else None

    def dump(self) -> list[Any]:
        """As JSON has it; `load` reads it."""
        return [self.null, *([cut[0], *(_dumped(cut[1]), cut[2])] if len(cut) > 1 else [cut[0]] for cut in self.cuts)]


def load(dumped: Sequence[Any]) -> Domain:
    """Raises ValueError, TypeError or LookupError for what `dump` did not write."""
    null, *rest = dumped
    cuts = tuple((0, _loaded(cut[1]), cut[2]) if len(cut) > 1 else (cut[0],) for cut in rest)
    if len(cuts) % 2 or any(low >= high for low, high in pairwise(cuts)):
        raise ValueError(dumped)
    return Domain(cuts, bool(null))


def _dumped(rank: Rank) -> Any:
    if isinstance(rank, Fraction):
        return {"fraction": str(rank)}
    return {"bytes": rank.hex()} if isinstance(rank, bytes) else rank


def _loaded(dumped: Any) -> Rank:
    if not isinstance(dumped, dict):
        return dumped  # type: ignore[no-any-return]
    return Fraction(dumped["fraction"]) if "fraction" in dumped else bytes.fromhex(dumped["bytes"])


NOTHING = Domain(())
EVERYTHING = Domain((_LOWEST, _HIGHEST), null=True)
NOT_NULL = Domain((_LOWEST, _HIGHEST))
NULL = Domain((), null=True)


# --- from values and back ---------------------------------------------------------------------------------------------


def domain_of(type_: pa.DataType, op: str, values: Iterable[Any] = ()) -> Domain | None:
    """Where `column op values`, as `adapters.base.Predicate` has it, is true. `values` are Python values of the
    column's type, of a number any exact one, of a date or timestamp also a Fraction of days or microseconds since 1970.
    None for what is not understood."""
    if op in ("is null", "is not null"):
        return NULL if op == "is null" else NOT_NULL
    ranks = [_rank(each, type_) for each in values]
    if any(each is None for each in ranks):
        return None
    points = [Domain((low, high)) for low, high in (_around(each, type_) for each in ranks) if low < high]
    if op == "in":
        return Domain(_joined(points))
    if op in ("=", "<>"):
        same = points[0] if points else NOTHING
        return same if op == "=" else NOT_NULL - same
    low, high = _around(ranks[0], type_)
    cuts = {"<": (_LOWEST, low), "<=": (_LOWEST, high), ">": (high, _HIGHEST), ">=": (low, _HIGHEST)}[op]
    return Domain(cuts) if cuts[0] < cuts[1] else NOTHING


def predicates_of(column: str, domain: Domain, type_: pa.DataType) -> tuple[Predicate, ...] | None:
    """A conjunction that is true in the domain and nowhere else; None where one column needs more than one."""
    try:
        if domain.null:
            return (Predicate(column, "is null"),) if not domain.cuts else None
        if len(domain.cuts) == 2 and domain.point() is None:
            return _bounds(column, *domain.cuts, type_=type_)
        members = _members(domain)
        if members is None:
            return None
        return (Predicate(column, "in", tuple(_value(each, type_) for each in members)),)
    except (OverflowError, ValueError):  # a date that Python has none for
        return None


def _bounds(column: str, low: Cut, high: Cut, *, type_: pa.DataType) -> tuple[Predicate, ...]:
    made = []
    if low != _LOWEST:
        made.append(Predicate(column, ">" if low[2] else ">=", (_value(low[1], type_),)))
    if high != _HIGHEST:
        last = high[1] - 1 if isinstance(high[1], int) else high[1]
        made.append(Predicate(column, "<=" if high[2] or last != high[1] else "<", (_value(last, type_),)))
    return tuple(made) or (Predicate(column, "is not null"),)


def _around(rank: Any, type_: pa.DataType) -> tuple[Cut, Cut]:
    """The cuts on both sides of a value."""
    if not _discrete(type_):
        return (0, rank, 0), (0, rank, 1)
    low, high = (0, math.ceil(rank), 0), (0, math.floor(rank) + 1, 0)
    if pt.is_float64(type_):  # no further value has a place
        return _LOWEST if rank == -_INFINITY else low, _HIGHEST if rank == _NAN else high
    return low, high


def _members(domain: Domain) -> tuple[Rank, ...] | None:
    """The values one by one, if they are so few."""
    found: list[Rank] = []
    for low, high in domain.ranges():
        if len(low) == 1 or len(high) == 1:
            return None
        if isinstance(low[1], int) and high[1] - low[1] <= _WIDEST:
            found += range(low[1], high[1])
        elif low[1] == high[1]:
            found.append(low[1])
        else:
            return None
    return tuple(found) if len(found) <= _MOST_MEMBERS else None


def _joined(points: Iterable[Domain]) -> tuple[Cut, ...]:
    """The cuts of disjoint or equal ranges, neighbours made one."""
    cuts: list[Cut] = []
    for low, high in sorted({each.cuts for each in points}):
        if cuts and cuts[-1] == low:
            cuts.pop()
            cuts.append(high)
        else:
            cuts += (low, high)
    return tuple(cuts)


def _discrete(type_: pa.DataType) -> bool:
    return bool(pt.is_integer(type_) or pt.is_date32(type_) or pt.is_float64(type_))


def _rank(value: Any, type_: pa.DataType) -> Rank | None:
    if pt.is_boolean(type_):
        return Fraction(value) if isinstance(value, bool) else None
    if pt.is_integer(type_) or pt.is_decimal(type_):
        return _number(value, type_)
    if pt.is_float64(type_):
        return _double(value) if isinstance(value, float) else None
    if pt.is_string(type_) or pt.is_large_string(type_):
        return value if isinstance(value, str) else None
    if pt.is_binary(type_) or pt.is_large_binary(type_):
        return value if isinstance(value, bytes) else None
    if pt.is_date32(type_):
        return _days(value)
    return _microseconds(value, type_) if pt.is_timestamp(type_) else None


def _number(value: Any, type_: pa.DataType) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return Fraction(value) if _exact(Decimal(value), type_) else None


def _exact(value: Decimal, type_: pa.DataType) -> bool:
    """Whether DuckDB has a DECIMAL that holds both the column and the literal: beyond it compares them as DOUBLE."""
    if not value.is_finite() or not pt.is_decimal(type_):
        return value.is_finite()
    scale = max(type_.scale, -value.as_tuple().exponent)  # type: ignore[operator]
    return bool(max(type_.precision - type_.scale, value.adjusted() + 1) + scale <= _MOST_DIGITS)


def _double(value: float) -> int:
    if math.isnan(value):
        return _NAN
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits if bits >= 0 else -(bits + _SIGN)


def _days(value: Any) -> int | Fraction | None:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return (value - _EPOCH_DAY).days
    return None


def _microseconds(value: Any, type_: pa.TimestampType) -> Fraction | None:
    if isinstance(value, Fraction):
        return value
    if not isinstance(value, datetime.datetime) or (value.tzinfo is None) != (type_.tz is None):
        return None
    if value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return Fraction((value - _EPOCH) // datetime.timedelta(microseconds=1))


def _value(rank: Any, type_: pa.DataType) -> Any:
    """The Python value of the column's type. Raises ValueError, OverflowError for one that Python has not."""
    if pt.is_boolean(type_):
        return bool(rank)
    if pt.is_float64(type_):
        return struct.unpack("<d", struct.pack("<Q", rank if rank >= 0 else _SIGN - rank))[0]
    if pt.is_decimal(type_):
        return _decimal(Fraction(rank))
    if pt.is_date32(type_):
        return _EPOCH_DAY + datetime.timedelta(days=rank)
    if pt.is_timestamp(type_):
        if rank != int(rank):
            raise ValueError(rank)
        moment = _EPOCH + datetime.timedelta(microseconds=int(rank))
        return moment if type_.tz is None else moment.replace(tzinfo=datetime.UTC)
    return rank


def _decimal(value: Fraction) -> Decimal:
    """Exactly, whatever the precision of the context: a literal has no more than so many digits."""
    for scale in range(40):
        scaled = value * 10**scale
        if scaled.denominator == 1:
            return Decimal((int(scaled < 0), tuple(map(int, str(abs(scaled.numerator)))), -scale))
    raise ValueError(value)
