"""Arrow values as Python values, for the rows of a DB-API cursor.

What Python cannot hold is an error that names the column and a cast that helps: a date before year 1 or after 9999,
infinity, 24:00:00, nanoseconds in a `datetime`. Nothing is rounded or clipped.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from adapters.errors import DataError
from federation.nested import Values, list_rows, map_rows, struct_rows
from federation.quoting import quoted
from federation.text import PER_DAY

EPOCH_DAY = datetime.date(1970, 1, 1).toordinal()
MICROSECONDS = {"s": 1_000_000, "ms": 1000, "us": 1}
WHOLE = frozenset({"HUGEINT", "UHUGEINT"})  # decimals of scale 0 in Arrow
MOST_DAYS = 20_000  # which are kept: some 55 years


class _Days(dict[int, datetime.date]):
    """Dates by their number of days since 1970. A column has few of them many times, and to look one up takes half as
    long as to make it."""

    def __missing__(self, day: int) -> datetime.date:
        date = datetime.date.fromordinal(EPOCH_DAY + day)
        if len(self) < MOST_DAYS:
            self[day] = date
        return date


DAYS = _Days()


def python_values(array: Values, name: str, type_name: str) -> list[Any]:
    """The values of one column; `type_name` is its DuckDB type."""
    try:
        values = _convert(array)
        if type_name in WHOLE:
            return [None if value is None else int(value) for value in values]
        if type_name == "TIME WITH TIME ZONE":  # text in Arrow, which has no such type
            return [None if value is None else datetime.time.fromisoformat(value) for value in values]
        return values
    except (OverflowError, ValueError) as exc:
        column = quoted(name)
        raise DataError(
            f"column {column} ({type_name}) has a value that Python's types cannot hold",
            hint=f"CAST({column} AS VARCHAR), or read the result with fetch_arrow_table()",
        ) from exc


def _convert(array: Values) -> list[Any]:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _convert(array.dictionary_decode())
    if pa.types.is_nested(kind):
        return _nested(array)
    if pa.types.is_decimal(kind):
        return _each(Decimal, array.cast(pa.string()))
    if pa.types.is_date32(kind):
        return _each(DAYS.__getitem__, array.cast(pa.int32()))
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        array = array.cast(pa.timestamp("us", kind.tz))  # refuses to drop digits
    if pa.types.is_timestamp(kind) and kind.tz in (None, "UTC"):
        return _instants(array)
    if pa.types.is_time(kind):
        numbers = array.cast(pa.int64() if kind.bit_width == 64 else pa.int32()).to_pylist()
        if PER_DAY[kind.unit] in numbers:
            raise ValueError("24:00:00")  # to_pylist would say 00:00:00
    values: list[Any] = array.to_pylist()
    return values


def _each(make: Callable[[Any], Any], array: Values) -> list[Any]:
    values = array.to_pylist()
    if array.null_count:
        return [None if value is None else make(value) for value in values]
    return list(map(make, values))


def _instants(array: Values) -> list[Any]:
    """Timestamps without a zone, or in UTC. As with dates and decimals, pyarrow's own way takes three times as long."""
    epoch: Any = pa.scalar(0, pa.timestamp("us", array.type.tz)).as_py()
    factor = MICROSECONDS[array.type.unit]
    numbers = array.cast(pa.int64()).to_pylist()
    return [None if each is None else epoch + datetime.timedelta(0, 0, each * factor) for each in numbers]


def _nested(array: Values) -> list[Any]:
    kind = array.type
    rows: list[Any]
    if pa.types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        rows = [dict(zip(names, row, strict=True)) for row in struct_rows(array, _convert)]
    elif pa.types.is_map(kind):
        rows = [_mapping(entries) for entries in map_rows(array, _convert, _convert)]
    else:
        rows = list_rows(array, _convert)
    return [row if valid else None for row, valid in zip(rows, array.is_valid().to_pylist(), strict=True)]


def _mapping(entries: list[tuple[Any, Any]]) -> dict[Any, Any] | list[tuple[Any, Any]]:
    """Keys that cannot be hashed (lists, structs) leave the entries as pairs."""
    try:
        return dict(entries)
    except TypeError:
        return entries
