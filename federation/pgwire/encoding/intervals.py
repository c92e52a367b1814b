"""Intervals, in PostgreSQL's four styles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from federation.pgwire.encoding.segments import Array, Matrix, Values, as_binary
from federation.pgwire.style import Style
from federation.text import iso_interval

_LAYOUT = np.dtype([("months", "<i4"), ("days", "<i4"), ("nanoseconds", "<i8")])  # Arrow's
_SENT = np.dtype([("microseconds", ">i8"), ("days", ">i4"), ("months", ">i4")])
_MINUTE, _HOUR = 60_000_000, 3_600_000_000


def interval_binary(array: Array) -> Matrix:
    made = np.zeros(len(array), _SENT)
    data = array.buffers()[1]
    if data is not None:
        values = np.frombuffer(data, _LAYOUT, array.offset + len(array))[array.offset :]
        made["microseconds"] = values["nanoseconds"] // 1000
        made["days"], made["months"] = values["days"], values["months"]
    return made.view(np.uint8).reshape(len(made), _SENT.itemsize)


def interval_text(array: Array, style: Style) -> Values:
    write = _STYLES[style.interval_style]
    texts = [
        b"" if value is None else write(value.months, value.days, value.nanoseconds // 1000).encode()
        for value in array.to_pylist()
    ]
    return as_binary(pa.array(texts, pa.binary()))


def _postgres(months: int, days: int, microseconds: int) -> str:
    """`-1 years -2 mons +3 days -04:05:06`: a plus stands only behind what is negative."""
    parts: list[str] = []
    after_negative = False
    for number, unit in zip((*_split(months, 12), days), ("year", "mon", "day"), strict=True):
        if number:
            plus = "+" if after_negative and number > 0 else ""
            parts.append(f"{plus}{number} {unit}{'' if number == 1 else 's'}")
            after_negative = number < 0
    if microseconds or not parts:
        sign = "-" if microseconds < 0 else "+" if after_negative else ""
        parts.append(f"{sign}{_clock(microseconds, 2)}")
    return " ".join(parts)


def _verbose(months: int, days: int, microseconds: int) -> str:
    """`@ 1 year 2 mons -3 days 4 hours ago`: `ago` turns the sign of all, and is that of the first part."""
    hours, rest = _split(microseconds, _HOUR)
    minutes, rest = _split(rest, _MINUTE)
    numbers = (*_split(months, 12), days, hours, minutes, rest)
    ago = next((number < 0 for number in numbers if number), False)
    texts = ["@"]
    for number, unit in zip(numbers, ("year", "mon", "day", "hour", "min", "sec"), strict=True):
        one = 1_000_000 if unit == "sec" else 1
        shown = -number if ago else number
        if number:
            text = f"{'-' if shown < 0 else ''}{_seconds(abs(shown), 0)}" if unit == "sec" else str(shown)
            single = abs(number) == one if unit == "sec" else shown == one
            texts.append(f"{text} {unit}{'' if single else 's'}")
    return " ".join(texts if len(texts) > 1 else ["@ 0"]) + (" ago" if ago else "")


def _standard(months: int, days: int, microseconds: int) -> str:
    """SQL's `1-2` or `3 4:05:06` behind one sign; what SQL has no word for shows every part with its sign."""
    numbers = [number for number in (months, days, microseconds) if number]
    if not numbers:
        return "0"
    year_month = "{}-{}".format(*_split(abs(months), 12))
    clock = _clock(microseconds, 1)
    mixed = min(numbers) < 0 < max(numbers) or (months and (days or microseconds))
    if mixed:
        signs = ["-" if number < 0 else "+" for number in (months, days, microseconds)]
        return f"{signs[0]}{year_month} {signs[1]}{abs(days)} {signs[2]}{clock}"
    sign = "-" if numbers[0] < 0 else ""
    return sign + (year_month if months else f"{abs(days)} {clock}" if days else clock)


def _iso(months: int, days: int, microseconds: int) -> str:
    return iso_interval(months, days, 1000 * microseconds)


def _split(number: int, by: int) -> tuple[int, int]:
    """The quotient and the rest, both with the sign."""
    whole = abs(number) // by * (-1 if number < 0 else 1)
    return whole, number - by * whole


def _clock(microseconds: int, hour_digits: int) -> str:
    """HH:MM:SS without a sign."""
    hours, rest = divmod(abs(microseconds), _HOUR)
    minutes, rest = divmod(rest, _MINUTE)
    return f"{hours:0{hour_digits}}:{minutes:02}:{_seconds(rest, 2)}"


def _seconds(microseconds: int, digits: int) -> str:
    """With a fraction that has no zeros at its end."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f"{seconds:0{digits}}" + (f".{fraction:06}".rstrip("0") if fraction else "")


_STYLES: dict[str, Callable[[int, int, int], str]] = {
    "postgres": _postgres,
    "postgres_verbose": _verbose,
    "sql_standard": _standard,
    "iso_8601": _iso,
}
