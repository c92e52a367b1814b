"""What the statistics of several sources have in common: values that they print, and tables that are made of parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from math import isnan
from typing import Any

import pyarrow as pa

from adapters.base import ColumnStatistics


def extremes(texts: Iterable[str], type_: pa.DataType) -> tuple[Any, Any]:
    """The smallest and the largest of some numbers or dates; None twice when one of the texts cannot be read."""
    try:
        values = [_value(text, type_) for text in texts]
    except (ValueError, InvalidOperation):
        return None, None
    return (min(values), max(values)) if values and None not in values else (None, None)


def merged(parts: Sequence[tuple[float, Mapping[str, ColumnStatistics]]]) -> dict[str, ColumnStatistics]:
    """The columns of a table that is made of parts, each with its number of rows. Of a column that a part does not know
    nothing is known."""
    names = [name for name in (parts[0][1] if parts else ()) if all(name in columns for _, columns in parts)]
    if len(parts) == 1:
        return dict(parts[0][1])
    return {name: _merged([(rows, columns[name]) for rows, columns in parts]) for name in names}


def _merged(parts: Sequence[tuple[float, ColumnStatistics]]) -> ColumnStatistics:
    filled = [column for _, column in parts if column.null_fraction != 1]
    minimum = maximum = distinct = None
    if filled and all(column.minimum is not None and column.maximum is not None for column in filled):
        minimum, maximum = min(each.minimum for each in filled), max(each.maximum for each in filled)
    counts = [column.distinct for column in filled if column.distinct is not None]
    if counts and len(counts) == len(filled):
        # The key of the parts has other values in each of them; of other columns each part may have all values.
        distinct = sum(counts) if minimum is not None and _are_apart(filled) else max(counts)
    return ColumnStatistics(
        distinct,
        _average([(rows, column.null_fraction) for rows, column in parts]),
        minimum,
        maximum,
        _average([(rows, column.bytes) for rows, column in parts]),
    )


def _are_apart(columns: Sequence[ColumnStatistics]) -> bool:
    ordered = sorted(columns, key=lambda column: column.minimum)
    return all(before.maximum < after.minimum for before, after in pairwise(ordered))


def _average(parts: Sequence[tuple[float, float | None]]) -> float | None:
    known = [(rows, value) for rows, value in parts if value is not None]
    total = sum(rows for rows, _ in known)
    return sum(rows * value for rows, value in known) / total if total and len(known) == len(parts) else None


def _value(text: str, type_: pa.DataType) -> Any:
    """None for other types, and for what has no place on the line of numbers."""
    if pa.types.is_integer(type_):
        return int(text)
    if pa.types.is_floating(type_):
        value = float(text)
        return None if isnan(value) else value
    if pa.types.is_decimal(type_):
        number = Decimal(text)
        return number if number.is_finite() else None
    if pa.types.is_date(type_):
        return date.fromisoformat(text)
    return datetime.fromisoformat(text) if pa.types.is_timestamp(type_) else None
