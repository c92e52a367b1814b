"""Dates and times: PostgreSQL's text in ISO style, and its binary form, which counts from 2000.

The years 1 to 9999 are written by whole columns; what is beyond, and infinity, value by value.
"""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa

from adapters.errors import DataError, DatetimeOverflow
from federation.pgwire.encoding.clock import MICROSECONDS, date_texts, time_texts
from federation.pgwire.encoding.segments import (
    Array,
    Mask,
    Matrix,
    Numbers,
    Values,
    as_binary,
    big_endian,
    join,
    numbers,
    pc,
    varying,
)
from federation.pgwire.encoding.time_zones import offsets_from_utc
from federation.pgwire.style import Style

DAY = 86_400
_DAYS_TO_2000 = 10_957
_TO_2000 = _DAYS_TO_2000 * DAY * MICROSECONDS
_ENDLESS = 2**63 - 1  # with its sign, DuckDB's infinity
_ENDLESS_DAYS = 2**31 - 1
_EPOCH = datetime.date(1970, 1, 1)
_FIRST_DAY = (datetime.date.min - _EPOCH).days
_LAST_DAY = (datetime.date.max - _EPOCH).days
_DAYS_IN_400_YEARS = 146_097
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def date_text(array: Array, _style: Style) -> Values:
    days = _days(array)
    far = (days < _FIRST_DAY) | (days > _LAST_DAY)
    near = date_texts(np.where(far, 0, days))
    if not far.any():
        return near
    return _with_far(near, far, [_far_text(int(day), None, "") for day in days[far]])


def date_binary(array: Array) -> Matrix:
    days = _days(array).astype(np.int64)
    endless = np.abs(days) == _ENDLESS_DAYS
    counted = days - _DAYS_TO_2000
    if (counted[~endless] < -(2**31) + 1).any():
        raise _beyond("date")
    return big_endian(np.where(endless, np.where(days > 0, 2**31 - 1, -(2**31)), counted), "i4")


def time_text(array: Array, _style: Style) -> Values:
    values = _microseconds(array)
    end = values == DAY * MICROSECONDS  # 24:00:00, which Arrow does not write
    near = time_texts(np.where(end, 0, values))
    return _with_far(near, end, ["24:00:00"] * np.count_nonzero(end)) if end.any() else near


def time_binary(array: Array) -> Matrix:
    return big_endian(_microseconds(array), "i8")


def timetz_text(array: Array, _style: Style) -> Values:
    """DuckDB's own text, which is PostgreSQL's."""
    return as_binary(array)


def timetz_binary(array: Array) -> Matrix:
    made = np.zeros(len(array), [("time", ">i8"), ("west", ">i4")])
    for row, text in enumerate(array.to_pylist()):
        if text is not None:
            made[row] = _timetz(text)
    return made.view(np.uint8).reshape(len(made), 12)


def _timetz(text: str) -> tuple[int, int]:
    """The microseconds since midnight, and the seconds west of UTC."""
    at = max(text.find("+"), text.find("-"))
    clock, _, fraction = text[:at].partition(".")
    zone = _seconds(text[at + 1 :])
    return _seconds(clock) * MICROSECONDS + int(fraction.ljust(6, "0")), zone if text[at] == "-" else -zone


def _seconds(clock: str) -> int:
    parts = [*map(int, clock.split(":")), 0, 0]
    return parts[0] * 3600 + parts[1] * 60 + parts[2]


def timestamp_text(array: Array, _style: Style) -> Values:
    return _timestamp_text(_microseconds(array), None)


def timestamptz_text(array: Array, style: Style) -> Values:
    values = _microseconds(array)
    offsets = offsets_from_utc(style.timezone, np.where(np.abs(values) == _ENDLESS, 0, values // MICROSECONDS))
    return _timestamp_text(values, offsets)


def timestamp_binary(array: Array) -> Matrix:
    values = _microseconds(array)
    endless = np.abs(values) == _ENDLESS
    if (values[~endless] < -(2**63) + 1 + _TO_2000).any():
        raise _beyond("timestamp")
    counted = np.where(endless, 0, values) - _TO_2000
    return big_endian(np.where(endless, np.where(values > 0, 2**63 - 1, -(2**63)), counted), "i8")


def _days(array: Array) -> Numbers:
    return numbers(array if pa.types.is_date32(array.type) else array.cast(pa.date32()), "i4")


def _microseconds(array: Array) -> Numbers:
    """Microseconds of a time or a timestamp of any unit. Raises DataError rather than rounding one of nanoseconds."""
    unit = array.type.unit
    values = numbers(array, f"i{array.type.bit_width // 8}").astype(np.int64, copy=False)
    factor = MICROSECONDS // _PER_SECOND[unit]
    if factor == 1:
        return values
    endless = np.abs(values) == _ENDLESS
    if unit == "ns":
        whole, rest = np.divmod(values, 1000)
        if (rest[~endless] != 0).any():
            raise DataError(
                "a value has nanoseconds, PostgreSQL's types have microseconds", hint="cast the column to TIMESTAMP"
            )
        return np.where(endless, values, whole)
    if (np.abs(values[~endless]) > _ENDLESS // factor).any():
        raise _beyond("timestamp")
    return np.where(endless, values, np.where(endless, 0, values) * factor)


def _timestamp_text(values: Numbers, offsets: Numbers | None) -> Values:
    local = values if offsets is None else values + np.where(np.abs(values) == _ENDLESS, 0, offsets) * MICROSECONDS
    day = DAY * MICROSECONDS
    far = (local < _FIRST_DAY * day) | (local >= (_LAST_DAY + 1) * day)
    shown = np.where(far, 0, local) if far.any() else local
    days = shown // day
    near: Values = time_texts(shown - days * day, days)
    if offsets is not None:
        near = _with_offset(near, offsets)
    if not far.any():
        return near
    zones = [""] * len(local) if offsets is None else [_offset(int(offset)) for offset in offsets[far]]
    texts = [
        _far_text(int(value) // day, int(value) % day, zone)
        if abs(int(value)) != _ENDLESS
        else ("infinity" if value > 0 else "-infinity")
        for value, zone in zip(local[far], zones, strict=False)
    ]
    return _with_far(near, far, texts)


def _with_offset(texts: Values, offsets: Numbers) -> Values:
    found, where = np.unique(offsets, return_inverse=True)
    names = [_offset(int(offset)).encode() for offset in found]
    if len(names) == 1:
        return join([texts, names[0]], len(offsets))
    return join([texts, pc.take(pa.array(names, pa.binary()), pa.array(where))], len(offsets))


def _offset(seconds: int) -> str:
    """As PostgreSQL writes it: minutes and seconds only where they are not zero."""
    hours, rest = divmod(abs(seconds), 3600)
    minutes, second = divmod(rest, 60)
    tail = f":{minutes:02}:{second:02}" if second else f":{minutes:02}" if minutes else ""
    return f"{'-' if seconds < 0 else '+'}{hours:02}{tail}"


def _with_far(near: Values, far: Mask, texts: list[str]) -> Values:
    return pc.replace_with_mask(varying(near), pa.array(far), pa.array([text.encode() for text in texts], pa.binary()))


def _far_text(days: int, microseconds: int | None, zone: str) -> str:
    """The Gregorian calendar repeats every 400 years, which brings any day into the range of `datetime`."""
    if microseconds is None and abs(days) == _ENDLESS_DAYS:
        return "infinity" if days > 0 else "-infinity"
    cycles, rest = divmod(days, _DAYS_IN_400_YEARS)
    day = _EPOCH + datetime.timedelta(rest)
    year = day.year + 400 * cycles
    text = f"{year if year > 0 else 1 - year:04}-{day:%m-%d}"
    if microseconds is not None:
        seconds, fraction = divmod(microseconds, MICROSECONDS)
        digits = f".{fraction:06}".rstrip("0") if fraction else ""
        text += f" {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{digits}{zone}"
    return text if year > 0 else f"{text} BC"


def _beyond(kind: str) -> DatetimeOverflow:
    return DatetimeOverflow(f"a {kind} is too early for PostgreSQL's {kind}", hint="cast the column to VARCHAR")
