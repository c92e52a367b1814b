"""Intervals, in PostgreSQL's four styles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from federation.pgwire.segments import Array, Matrix, Values, as_binary
from federation.pgwire.style import Style

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


def _clock(microseconds: int, pad: bool = True) -> str:
    """HH:MM:SS of what is not negative, with a fraction that has no zeros at its end."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    digits = f".{fraction:06}".rstrip("0") if fraction else ""
    hours = seconds // 3600
    return f"{hours:02}" * pad + f"{hours}" * (not pad) + f":{seconds // 60 % 60:02}:{seconds % 60:02}{digits}"


def _years(months: int) -> tuple[int, int]:
    """Years and months, both with the sign."""
    years = abs(months) // 12 * (1 if months >= 0 else -1)
    return years, months - 12 * years


def _postgres(months: int, days: int, microseconds: int) -> str:
    """`-1 years -2 mons +3 days -04:05:06`: a sign stands where the part before it was negative."""
    years, rest = _years(months)
    parts: list[str] = []
    before_negative = False
    for number, unit in ((years, "year"), (rest, "mon"), (days, "day")):
        if number:
            plus = "+" if before_negative and number > 0 else ""
            parts.append(f"{plus}{number} {unit}{'' if number == 1 else 's'}")
            before_negative = number < 0
    if microseconds or not parts:
        sign = "-" if microseconds < 0 else "+" if before_negative else ""
        parts.append(sign + _clock(abs(microseconds)))
    return " ".join(parts)


_STYLES: dict[str, Callable[[int, int, int], str]] = {"postgres": _postgres}
