"""Dates of the years 1 to 9999 and times of a day in digits.

They are put together from tables: of the days of two centuries (others are written by Arrow), of all minutes, seconds
and thousandths. Their cells have room at the end, for numpy moves only powers of two quickly; the next cell covers it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa

from federation.pgwire.encoding.segments import Matrix, Numbers, Spans, array_of, as_binary, data_of

MICROSECONDS = 1_000_000
_DATE, _CLOCK, _PART = "V16", "V8", "V4"
_DATE_WIDTH, _TIME_WIDTH = len("2000-01-01"), len("00:00:00.000000")
_FIRST_DAY, _END_DAY = -25_567, 47_482  # 1900 to 2099
_ZEROS = np.array([3] + [len(text) - len(text.rstrip("0")) for text in map(str, range(1, 1000))], np.int32)


def _table(texts: list[str], cell: str) -> Numbers:
    return np.array([text.encode() for text in texts], cell.replace("V", "S")).view(cell)


_MINUTES = _table([f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60)], _CLOCK)
_SECONDS = _table([f"{second:02}." for second in range(60)], _PART)
_THOUSANDS = _table([f"{number:03}" for number in range(1000)], _PART)


def date_texts(days: Numbers) -> Spans:
    """Of days since 1970."""
    return _spans(_dates(days), len(days), _DATE_WIDTH)


def time_texts(times: Numbers, days: Numbers | None = None) -> Spans:
    """Of microseconds since midnight, behind the day if there is one; a fraction of a second without the zeros at its
    end."""
    seconds = times // MICROSECONDS
    fraction = times - seconds * MICROSECONDS
    minutes, thousandths = seconds // 60, fraction // 1000
    millionths = fraction - thousandths * 1000
    at = 0 if days is None else _DATE_WIDTH + 1
    width = at + _TIME_WIDTH
    made = np.empty((len(times), width + 1), np.uint8)
    if days is not None:
        _put(made, 0, _dates(days))
    _put(made, at, _MINUTES.take(minutes))
    _put(made, at + 6, _SECONDS.take(seconds - minutes * 60))
    _put(made, at + 9, _THOUSANDS.take(thousandths))
    _put(made, at + 12, _THOUSANDS.take(millionths))
    return _spans(made, len(made), width).shortened(_zeros(thousandths, millionths))


def _zeros(thousandths: Numbers, millionths: Numbers) -> Numbers:
    """At the end of a fraction, and its point if there is nothing else."""
    count = _ZEROS.take(millionths)
    at = np.flatnonzero(millionths == 0)
    left = thousandths[at]
    count[at] += _ZEROS.take(left) + (left == 0)
    return count


def _put(made: Matrix, at: int, cells: Numbers) -> None:
    np.ndarray(len(cells), cells.dtype, made, at, made.strides[:1])[:] = cells


def _dates(days: Numbers) -> Numbers:
    """With blanks behind each."""
    if len(days) and (days.min() < _FIRST_DAY or days.max() >= _END_DAY):
        return _written(days)
    return _calendar().take(days - _FIRST_DAY)


@lru_cache(1)
def _calendar() -> Numbers:
    return _written(np.arange(_FIRST_DAY, _END_DAY))


def _written(days: Numbers) -> Numbers:
    texts = as_binary(array_of(pa.date32(), days.astype(np.int32)).cast(pa.string()))
    made = np.full((len(days), 16), ord(" "), np.uint8)
    made[:, :_DATE_WIDTH] = np.frombuffer(data_of(texts), np.uint8).reshape(-1, _DATE_WIDTH)
    return made.view(_DATE)[:, 0]


def _spans(data: Numbers, rows: int, width: int) -> Spans:
    starts = np.arange(rows, dtype=np.int32) * np.int32(data.nbytes // max(rows, 1))
    return Spans(data, starts, starts + np.int32(width))
