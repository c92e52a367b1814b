"""Whether two answers are the same: types, then values as a multiset, or as a list when the order is total."""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

RELATIVE = 1e-9


@dataclass(frozen=True)
class Answer:
    """`types` are DuckDB's type names; `rows` hold Python values."""

    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]


def difference(expected: Answer, actual: Answer, ordered: bool) -> str | None:
    """What differs, for a person to read; None when nothing does."""
    if expected.types != actual.types:
        return f"types: expected {list(expected.types)}, got {list(actual.types)}"
    if len(expected.rows) != len(actual.rows):
        return f"rows: expected {len(expected.rows)}, got {len(actual.rows)}\n{_samples(expected, actual)}"
    left, right = [_comparable(row) for row in expected.rows], [_comparable(row) for row in actual.rows]
    if not ordered:
        if Counter(map(_typed, left)) == Counter(map(_typed, right)):
            return None
        left, right = sorted(left, key=_sort_key), sorted(right, key=_sort_key)
    for index, (one, other) in enumerate(zip(left, right, strict=True)):
        if not all(map(_same, one, other)):
            return f"row {index}: expected {one}, got {other}\n{_samples(expected, actual)}"
    return None


def _comparable(row: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(map(_value, row))


def _value(value: Any) -> Any:
    """A hashable value. NaN becomes a string, so that it equals itself; intervals become one length of time."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else value
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0:
        return int(value)  # a HUGEINT is an int to one reader and a Decimal without a scale to another
    if isinstance(value, list):
        return tuple(map(_value, value))
    if isinstance(value, dict):
        return tuple((key, _value(part)) for key, part in value.items())
    if isinstance(value, pa.MonthDayNano):
        days = value.months * 30 + value.days
        return datetime.timedelta(days=days, microseconds=value.nanoseconds // 1000)
    return value


def _typed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Python takes True for 1 and 1.5 for a decimal; here they differ."""
    return tuple((type(value), value) for value in row)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return one == other or math.isclose(one, other, rel_tol=RELATIVE, abs_tol=1e-12)
    return type(one) is type(other) and one == other


def _sort_key(row: Sequence[Any]) -> tuple[Any, ...]:
    """Floats last and rounded, since they are compared with a tolerance."""
    exact = tuple((value is None, type(value).__name__, str(value)) for value in row if not isinstance(value, float))
    floats = tuple(float(f"{value:.7g}") for value in row if isinstance(value, float))
    return (exact, floats)


def _samples(expected: Answer, actual: Answer) -> str:
    left, right = Counter(map(_comparable, expected.rows)), Counter(map(_comparable, actual.rows))
    missing, extra = list((left - right).elements()), list((right - left).elements())
    return f"missing ({len(missing)}): {missing[:3]}\nextra ({len(extra)}): {extra[:3]}"
