"""Intervals as clients send them: PostgreSQL's text in all its styles, and ISO 8601."""

from __future__ import annotations

import re
from fractions import Fraction

from adapters.errors import DatetimeOverflow, InvalidDatetime
from federation.parameters import Typed

_SECOND = 10**6
_DAY = 86_400 * _SECOND
_MONTHS = {
    **dict.fromkeys(("month", "months", "mon", "mons"), 1),
    **dict.fromkeys(("year", "years", "y", "yr", "yrs"), 12),
    **dict.fromkeys(("decade", "decades", "dec", "decs"), 120),
    **dict.fromkeys(("century", "centuries", "c", "cent"), 1200),
    **dict.fromkeys(("millennium", "millennia", "mil", "mils"), 12_000),
}
_DAYS = {**dict.fromkeys(("day", "days", "d"), 1), **dict.fromkeys(("week", "weeks", "w"), 7)}
_MICROSECONDS = {
    **dict.fromkeys(("hour", "hours", "h", "hr", "hrs"), 3600 * _SECOND),
    **dict.fromkeys(("minute", "minutes", "m", "min", "mins"), 60 * _SECOND),
    **dict.fromkeys(("second", "seconds", "s", "sec", "secs"), _SECOND),
    **dict.fromkeys(("millisecond", "milliseconds", "ms", "msec", "msecs", "msecond", "mseconds"), 1000),
    **dict.fromkeys(("microsecond", "microseconds", "us", "usec", "usecs", "usecond", "useconds"), 1),
}
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"
_TOKEN = re.compile(
    r"\s*(?:(?P<sign>[+-]?)(?P<hour>\d+):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2}(?:\.\d*)?))?(?=\s|$)"
    r"|(?P<years>[+-]?\d+)-(?P<months>\d{1,2})(?=\s|$)"
    rf"|(?P<number>{_NUMBER})\s*(?P<unit>[a-z]+)"
    rf"|(?P<plain>{_NUMBER})\s*(?=$|[+-]?\d+:))",
    re.ASCII,
)
_ISO = re.compile(r"P(?=[\dT.+-])(?P<date>[^T]*)(?:T(?P<time>.+))?")
_ISO_PART = re.compile(rf"({_NUMBER})([YMWDHS])", re.ASCII)


class _Sum:
    """Months, days and microseconds; what is left of a larger unit goes to the next smaller one."""

    def __init__(self) -> None:
        self.months = self.days = 0
        self.microseconds = Fraction(0)

    def add(self, number: Fraction, unit: str) -> None:
        """Raises KeyError for a unit that is not known."""
        if unit in _MICROSECONDS:
            self.microseconds += number * _MICROSECONDS[unit]
            return
        whole = int(number)
        rest = number - whole
        if unit in _DAYS:
            self.days += whole * _DAYS[unit]
            self._add_days(rest * _DAYS[unit])
            return
        self.months += whole * _MONTHS[unit]
        if _MONTHS[unit] == 1:
            self._add_days(rest * 30)
        else:
            self.months += round(rest * _MONTHS[unit])

    def _add_days(self, days: Fraction) -> None:
        self.days += int(days)
        self.microseconds += (days - int(days)) * _DAY


def read_interval(text: str) -> Typed:
    """Raises InvalidDatetime and DatetimeOverflow."""
    parts = text.strip()
    try:
        total = _iso(parts) if parts.startswith("P") else _words(parts.lower())
    except KeyError:
        total = None
    if total is None:
        raise InvalidDatetime(f'invalid input syntax for type interval: "{text}"', hint="such as 1 day 02:00:00")
    return interval_of(total.months, total.days, round(total.microseconds))


def interval_of(months: int, days: int, microseconds: int) -> Typed:
    if max(abs(months), abs(days)) >= 2**31 or abs(microseconds) >= 2**63:
        raise DatetimeOverflow("an interval is out of range")
    return Typed("INTERVAL", f"{months} months {days} days {microseconds} microseconds")


def _words(text: str) -> _Sum | None:
    """`1 year -2 mons +3 days 04:05:06`, `@ 1 day ago`, `1-2`, `3 4:05:06`; a number alone is seconds, or days before
    a time of day."""
    words = text.removeprefix("@")
    ago = words.rstrip().endswith("ago")
    words = words.rstrip().removesuffix("ago").rstrip()
    total, at = _Sum(), 0
    while at < len(words):
        token = _TOKEN.match(words, at)
        if token is None:
            return None
        at = token.end()
        if token["hour"]:
            _add_clock(total, token)
        elif token["years"]:
            sign = -1 if token["years"].startswith("-") else 1
            total.months += int(token["years"]) * 12 + sign * int(token["months"])
        elif token["unit"]:
            total.add(Fraction(token["number"]), token["unit"])
        else:
            total.add(Fraction(token["plain"]), "day" if at < len(words) else "second")
    if not words:
        return None
    if ago:
        total.months, total.days, total.microseconds = -total.months, -total.days, -total.microseconds
    return total


def _add_clock(total: _Sum, token: re.Match[str]) -> None:
    sign = -1 if token["sign"] == "-" else 1
    total.add(Fraction(sign * int(token["hour"])), "hour")
    total.add(Fraction(sign * int(token["minute"])), "minute")
    total.add(sign * Fraction(token["second"] or 0), "second")


def _iso(text: str) -> _Sum | None:
    """`P1Y2M3DT4H5M6.7S`"""
    form = _ISO.fullmatch(text)
    total = _Sum()
    if form is None:
        return None
    units = {"Y": "year", "M": "month", "W": "week", "D": "day"}, {"H": "hour", "M": "minute", "S": "second"}
    for part, names in zip((form["date"], form["time"] or ""), units, strict=True):
        if _ISO_PART.sub("", part):
            return None
        for number, unit in _ISO_PART.findall(part):
            total.add(Fraction(number), names[unit])
    return total
