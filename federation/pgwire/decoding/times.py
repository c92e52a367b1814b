"""Dates and times as clients send them: ISO 8601, and PostgreSQL's own text in ISO style."""

from __future__ import annotations

import datetime
import re
from typing import Any

import pyarrow as pa

from adapters.errors import DatetimeOverflow, InvalidDatetime
from federation.parameters import Typed
from federation.pgwire.encoding.time_zones import offset_of_local
from federation.text import to_text

ENDLESS = 2**63 - 1  # with its sign, DuckDB's infinity
ENDLESS_DAYS = 2**31 - 1
_EPOCH = datetime.date(1970, 1, 1)
_DAYS_IN_400_YEARS = 146_097
_DAY = 86_400 * 10**6
_CLOCK = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?P<fraction>\.\d*)?)?"
_ZONE = r"(?P<zone>[zZ]|[+-]\d{1,2}(?::?\d{2}(?::?\d{2})?)?|(?!BC|AD)[A-Za-z][\w/+-]*)"
_MOMENT = re.compile(
    rf"\s*(?P<year>\d{{4,7}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}})(?:(?:[tT]|\s+){_CLOCK})?(?:\s*{_ZONE})?"
    r"(?:\s+(?P<era>BC|AD))?\s*",
    re.ASCII,
)
_TIME = re.compile(rf"\s*{_CLOCK}(?:\s*{_ZONE})?\s*", re.ASCII)
_ENDLESS = {"infinity": 1, "+infinity": 1, "-infinity": -1}
_OFFSET = re.compile(r"([+-])(\d{1,2}):?(\d{2})?:?(\d{2})?", re.ASCII)


def read_date(text: str) -> Typed:
    """A time and a zone behind a date mean nothing, as in PostgreSQL."""
    if sign := _ENDLESS.get(text.strip().lower()):
        return date_of(sign * ENDLESS_DAYS)
    return date_of(_days(_parts(_MOMENT, text, "date"), text))


def read_timestamp(text: str) -> Typed:
    """A zone means nothing."""
    if sign := _ENDLESS.get(text.strip().lower()):
        return timestamp_of(sign * ENDLESS, "TIMESTAMP")
    return timestamp_of(_microseconds(_parts(_MOMENT, text, "timestamp"), text), "TIMESTAMP")


def read_timestamptz(text: str, zone: str) -> Typed:
    """`zone` is that of the session, for texts without one."""
    if sign := _ENDLESS.get(text.strip().lower()):
        return timestamp_of(sign * ENDLESS, "TIMESTAMPTZ")
    parts = _parts(_MOMENT, text, "timestamp with time zone")
    local = _microseconds(parts, text)
    offset = _offset(parts["zone"] or zone, local // 10**6, text, named=parts["zone"] is None)
    return timestamp_of(local - offset * 10**6, "TIMESTAMPTZ")


def read_time(text: str) -> Typed:
    return time_of(_clock(_parts(_TIME, text, "time"), text))


def read_timetz(text: str, zone: str) -> Typed:
    """Without a zone in the text, the session's of today."""
    parts = _parts(_TIME, text, "time with time zone")
    local = _clock(parts, text)
    today = int(datetime.datetime.now(datetime.UTC).timestamp()) // 86_400 * 86_400
    offset = _offset(parts["zone"] or zone, today + local // 10**6, text, named=parts["zone"] is None)
    return timetz_of(local, offset)


def date_of(days: int) -> Typed:
    """A date by its days since 1970."""
    if abs(days) > ENDLESS_DAYS:
        raise DatetimeOverflow("a date is out of range")
    return Typed("DATE", _text(days, pa.date32()))


def time_of(microseconds: int) -> Typed:
    """A time of day by its microseconds since midnight, up to 24:00:00."""
    if not 0 <= microseconds <= _DAY:
        raise DatetimeOverflow("a time is out of range")
    return Typed("TIME", _text(microseconds, pa.time64("us")))


def timetz_of(microseconds: int, offset: int) -> Typed:
    """`offset` is in seconds east of UTC."""
    time = time_of(microseconds).text
    minutes, seconds = divmod(abs(offset), 60)
    tail = f":{seconds:02}" if seconds else ""
    return Typed("TIMETZ", f"{time}{'-' if offset < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}{tail}")


def timestamp_of(microseconds: int, kind: str) -> Typed:
    """A timestamp by its microseconds since 1970, in UTC if it has a zone."""
    if abs(microseconds) > ENDLESS:
        raise DatetimeOverflow("a timestamp is out of range")
    zone = "+00" if kind == "TIMESTAMPTZ" and abs(microseconds) != ENDLESS else ""
    return Typed(kind, _text(microseconds, pa.timestamp("us")) + zone)


def _text(number: int, kind: Any) -> str:
    """As DuckDB writes it."""
    text: str = to_text(pa.array([number], pa.int32() if kind == pa.date32() else pa.int64()).view(kind))[0].as_py()
    return text


def _parts(form: re.Pattern[str], text: str, kind: str) -> dict[str, str | None]:
    found = form.fullmatch(text)
    if found is None:
        raise InvalidDatetime(f'invalid input syntax for type {kind}: "{text}"', hint="such as 2020-12-31 23:59:59")
    return found.groupdict()


def _days(parts: dict[str, str | None], text: str) -> int:
    year, month, day = (int(parts[name] or 0) for name in ("year", "month", "day"))
    if year == 0:
        raise _beyond(text)
    cycles, rest = divmod((1 - year if parts["era"] == "BC" else year) - 1, 400)
    try:
        return (datetime.date(rest + 1, month, day) - _EPOCH).days + cycles * _DAYS_IN_400_YEARS
    except ValueError:
        raise _beyond(text) from None


def _clock(parts: dict[str, str | None], text: str) -> int:
    """Microseconds since midnight; a fraction is rounded to them, as PostgreSQL does."""
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    made = ((hour * 60 + minute) * 60 + second) * 10**6 + round(float(f"0{parts['fraction'] or ''}") * 10**6)
    if minute > 59 or second > 60 or made > _DAY:
        raise _beyond(text)
    return made


def _microseconds(parts: dict[str, str | None], text: str) -> int:
    return _days(parts, text) * _DAY + _clock(parts, text)


def _offset(zone: str, local: int, text: str, *, named: bool) -> int:
    """Seconds east of UTC. In a text, `+05` is east; as the name of a zone, POSIX has it west."""
    fixed = None if named else _OFFSET.fullmatch(zone)
    if fixed is not None:
        hours, minutes, seconds = (int(part or 0) for part in fixed.groups()[1:])
        if hours > 15 or minutes > 59 or seconds > 59:
            raise _beyond(text)
        east = hours * 3600 + minutes * 60 + seconds
        return -east if fixed[1] == "-" else east
    return offset_of_local("UTC" if zone in ("z", "Z") else zone, local)


def _beyond(text: str) -> DatetimeOverflow:
    return DatetimeOverflow(f'date/time field value out of range: "{text}"')
