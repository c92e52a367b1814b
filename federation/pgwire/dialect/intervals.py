"""Interval literals, in the words of PostgreSQL: '1 day 2 hours', '1-2', 'P1Y2M', '1' DAY, '3 days ago'."""

from __future__ import annotations

import re
from decimal import Decimal

from sqlglot import exp

from adapters.errors import InvalidDatetime, NotSupportedError
from federation.pgwire.dialect.casts import Typed
from federation.pgwire.dialect.context import Context
from federation.pgwire.dialect.errors import place
from federation.pgwire.dialect.kinds import INTERVAL
from federation.pgwire.dialect.templates import cast, filled

_MONTHS = {"year": 12, "decade": 120, "century": 1200, "millennium": 12000, "month": 1}
_DAYS = {"week": 7, "day": 1}
_MICROS = {"hour": 3_600_000_000, "minute": 60_000_000, "second": 1_000_000, "millisecond": 1000, "microsecond": 1}
_NAMES = {
    **{"y": "year", "yr": "year", "yrs": "year", "mon": "month", "mons": "month", "w": "week", "d": "day", "h": "hour"},
    **{"hr": "hour", "hrs": "hour", "m": "minute", "min": "minute", "mins": "minute", "s": "second", "sec": "second"},
    **{"secs": "second", "ms": "millisecond", "msec": "millisecond", "us": "microsecond", "usec": "microsecond"},
    **{"centuries": "century", "c": "century", "cent": "century", "dec": "decade", "millennia": "millennium"},
}
_PART = re.compile(
    r"\s*(?:([-+]?)(\d+):(\d\d?)(?::(\d\d?(?:\.\d+)?))?|([-+]?)(\d+)-(\d\d?)(?!\d)|([-+]?(?:\d+\.?\d*|\.\d+))\s*([A-Za-z]*))"
)
_CLOCK = re.compile(r"\s*[-+]?\d+:")
_ISO = re.compile(
    r"P(?:(-?[\d.]+)Y)?(?:(-?[\d.]+)M)?(?:(-?[\d.]+)W)?(?:(-?[\d.]+)D)?(?:T(?:(-?[\d.]+)H)?(?:(-?[\d.]+)M)?(?:(-?[\d.]+)S)?)?"
)
_ISO_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")


def interval(_: Context, node: exp.Interval) -> Typed:
    """`INTERVAL '…'`, with or without a unit behind it."""
    text, unit = node.this.name if node.this else "", node.args.get("unit")
    if isinstance(unit, exp.IntervalSpan):
        if unit.this.name.upper() == "YEAR":
            return literal(text, node)
        raise NotSupportedError("INTERVAL with a range of fields is not supported", hint="write '1 day 02:00:00'")
    return literal(f"{text} {unit.name}" if unit else text, node)


def literal(text: str, at: exp.Expr) -> Typed:
    """The interval of a text. Raises InvalidDatetime."""
    parts = _parts(text)
    if parts is None:
        raise InvalidDatetime(f'invalid input syntax for type interval: "{text}"', position=place(at))
    months, days, micros = parts
    pieces = [f"{each} {unit}" for each, unit in ((months, "months"), (days, "days"), (micros, "microseconds")) if each]
    if len(pieces) == 1:
        count, name = pieces[0].split()
        whole = {"microseconds": (_MICROS, "second"), "days": (_DAYS, "day"), "months": (_MONTHS, "month")}[name]
        return Typed(_simple(int(count), *whole), INTERVAL)
    return Typed(cast(exp.Literal.string(" ".join(pieces) or "0 days"), "INTERVAL"), INTERVAL)


def _simple(count: int, sizes: dict[str, int], fallback: str) -> exp.Expr:
    """In the largest unit that divides it: what is pushed down is in one unit."""
    for unit, size in sizes.items():
        if unit in ("year", "month", "day", "hour", "minute", "second") and count % size == 0:
            return filled(f"INTERVAL '{count // size}' {unit.upper()}")
    return filled(f"INTERVAL '{count}' {'MICROSECOND' if fallback == 'second' else fallback.upper()}")


def _parts(text: str) -> tuple[int, int, int] | None:
    """Months, days, microseconds."""
    body = text.strip()
    ago = body.lower().endswith("ago")
    body = body[:-3].strip() if ago else body.removeprefix("@").strip()
    found = _iso(body) if body.startswith("P") else _verbose(body)
    if found is None:
        return None
    months, days, micros = (-each if ago else each for each in found)
    return months, days, micros


def _iso(body: str) -> tuple[int, int, int] | None:
    match = _ISO.fullmatch(body)
    if match is None or body in ("P", "PT"):
        return None
    total = (Decimal(0), Decimal(0), Decimal(0))
    for value, unit in zip(match.groups(), _ISO_UNITS, strict=True):
        if value:
            total = _added(total, Decimal(value), unit)
    return _rounded(total)


def _verbose(body: str) -> tuple[int, int, int] | None:
    if not body:
        return None
    total = (Decimal(0), Decimal(0), Decimal(0))
    at = 0
    while at < len(body):
        match = _PART.match(body, at)
        if match is None or match.end() == at:
            return None
        at = match.end()
        clock, hours, minutes, seconds, sign, years, months, number, word = match.groups()
        if hours is not None:
            value = Decimal(hours) * 3600 + Decimal(minutes) * 60 + Decimal(seconds or 0)
            total = _added(total, -value if clock == "-" else value, "second")
        elif years is not None:
            value = Decimal(years) * 12 + Decimal(months)
            total = _added(total, -value if sign == "-" else value, "month")
        else:
            unit = "day" if not word and _CLOCK.match(body, at) else _unit(word)
            if unit is None:
                return None
            total = _added(total, Decimal(number), unit)
        at += len(body[at:]) - len(body[at:].lstrip())
    return _rounded(total)


def _unit(word: str) -> str | None:
    lower = word.lower()
    if not lower:
        return "second"
    name = _NAMES.get(lower) or _NAMES.get(lower.removesuffix("s")) or lower.removesuffix("s")
    return name if name in _MONTHS or name in _DAYS or name in _MICROS else None


Parts = tuple[Decimal, Decimal, Decimal]


def _added(total: Parts, value: Decimal, unit: str) -> Parts:
    """A fraction of a unit goes into the smaller ones, a month being 30 days."""
    months, days, micros = total
    if unit in _MONTHS:
        all_months = value * _MONTHS[unit]
        whole = Decimal(int(all_months))
        if unit != "month":
            return months + whole, days, micros
        value, unit = (all_months - whole) * 30, "day"
        months += whole
    if unit in _DAYS:
        all_days = value * _DAYS[unit]
        whole = Decimal(int(all_days))
        return months, days + whole, micros + (all_days - whole) * 86_400_000_000
    return months, days, micros + value * _MICROS[unit]


def _rounded(total: Parts) -> tuple[int, int, int]:
    months, days, micros = (int(each.to_integral_value()) for each in total)
    return months, days, micros
