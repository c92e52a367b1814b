"""Fields of dates and times, truncation, zones, age and make_interval."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from adapters.errors import NotSupportedError
from federation.pgwire.dialect.casts import Typed, firm
from federation.pgwire.dialect.context import Context, Handlers, operands_of
from federation.pgwire.dialect.errors import no_function, place
from federation.pgwire.dialect.kinds import (
    FLOAT8,
    INTERVAL,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    UNKNOWN,
    numeric,
)
from federation.pgwire.dialect.problems import InvalidField
from federation.pgwire.dialect.templates import cast, filled
from federation.pgwire.encoding.time_zones import find_zone

_FIELDS = {
    **{each: each for each in ("year", "month", "day", "hour", "minute", "quarter", "week", "dow", "doy", "isodow")},
    **{each: each for each in ("isoyear", "century", "decade", "millennium", "epoch", "second", "julian")},
    **{"seconds": "second", "milliseconds": "milliseconds", "microseconds": "microseconds", "years": "year"},
    **{"months": "month", "days": "day", "hours": "hour", "minutes": "minute", "weeks": "week", "qtr": "quarter"},
    **{"timezone": "timezone", "timezone_hour": "timezone_hour", "timezone_minute": "timezone_minute"},
}
_OF_TIME = ("hour", "minute", "second", "milliseconds", "microseconds", "epoch")
_TRUNCATED = (
    *("microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year"),
    "decade",
)
_WHOLE = numeric(19, 0)
_EPOCH = "CAST(epoch_us($1) AS DECIMAL(19, 0)) * CAST(0.000001 AS DECIMAL(7, 6))"


def field(t: Context, name: str, value: Typed, node: exp.Expr, *, as_float: bool) -> Typed:
    """EXTRACT, which is numeric, and date_part, which is float8."""
    word = _FIELDS.get(name.lower())
    if value.kind == UNKNOWN:
        raise no_function("date_part" if as_float else "extract", [TEXT, UNKNOWN], node)
    kind = value.kind.name
    if kind not in ("date", "timestamp", "timestamptz", "time", "interval"):
        raise no_function("date_part" if as_float else "pg_catalog.extract", [TEXT, value.kind], node)
    if word is None:
        raise InvalidField(f'unit "{name}" not recognized for type {value.kind.shown}', position=place(node))
    supported = word in _OF_TIME if kind == "time" else not (kind == "date" and word in _OF_TIME[:-1])
    if not supported or word.startswith("timezone") or word in ("julian", "millennium", "decade", "century"):
        if supported and word == "century" and kind != "interval":
            return _plain(word, _local(t, value), as_float)
        raise NotSupportedError(f'unit "{name}" is not supported for type {value.kind.shown}', position=place(node))
    if word == "epoch":
        return _epoch(value, as_float)
    local = _local(t, value)
    if word in ("second", "milliseconds", "microseconds"):
        return _seconds(word, local, as_float)
    if kind == "interval" and word not in ("year", "month", "day", "hour", "minute", "quarter"):
        raise NotSupportedError(f'unit "{name}" is not supported for type interval', position=place(node))
    return _plain(word, local, as_float)


def _local(t: Context, value: Typed) -> exp.Expr:
    """An instant as the wall clock of the session; everything else as it is."""
    if value.kind == TIMESTAMPTZ:
        return t.casts.cast(value, TIMESTAMP).node
    return firm(value)


def _plain(word: str, node: exp.Expr, as_float: bool) -> Typed:
    made = exp.Extract(this=exp.var(word.upper()), expression=node)
    return Typed(made, FLOAT8 if as_float else _WHOLE, loose=True)


def _epoch(value: Typed, as_float: bool) -> Typed:
    name, node = value.kind.name, firm(value)
    if name == "interval":
        # A month has 30 days, a year 365.25.
        made = filled(
            "(date_part('year', $1) * 31557600 + date_part('month', $1) * 2592000 + date_part('day', $1) * 86400 "
            "+ date_part('hour', $1) * 3600 + date_part('minute', $1) * 60) + date_part('microsecond', $1) / 1000000",
            node,
        )
        return Typed(
            cast(made, "DOUBLE" if as_float else "DECIMAL(38, 6)"),
            FLOAT8 if as_float else numeric(38, 6),
        )
    if name == "time":
        made = filled("date_part('epoch', $1)", node)
        return Typed(
            made if as_float else cast(made, "DECIMAL(38, 6)"),
            FLOAT8 if as_float else numeric(38, 6),
        )
    scaled = filled(_EPOCH, node if name != "date" else cast(node, "TIMESTAMP"))
    kind = numeric(26, 0 if name == "date" else 6)
    made = cast(scaled, "DOUBLE" if as_float else kind.duckdb)
    return Typed(made, FLOAT8 if as_float else kind)


def _seconds(word: str, node: exp.Expr, as_float: bool) -> Typed:
    if word == "microseconds":
        return Typed(filled("date_part('microsecond', $1)", node), FLOAT8 if as_float else _WHOLE, loose=True)
    scale = {"second": 6, "milliseconds": 3}[word]
    factor = f"CAST({10**-scale:.{scale}f} AS DECIMAL({scale + 1}, {scale}))"
    made = filled(f"CAST(date_part('microsecond', $1) AS DECIMAL(19, 0)) * {factor}", node)
    return Typed(cast(made, "DOUBLE"), FLOAT8) if as_float else Typed(made, numeric(26, scale))


def _extract(t: Context, node: exp.Extract) -> Typed:
    return field(t, node.this.name, t.expression(node.expression), node, as_float=False)


def _date_part(t: Context, node: exp.Anonymous) -> Typed:
    unit, value = operands_of(t, node, 2)
    return field(t, _word(unit, node), value, node, as_float=True)


def _word(unit: Typed, node: exp.Anonymous) -> str:
    if unit.literal is None:
        raise NotSupportedError(f"{node.name} takes a literal unit here", position=place(node))
    return unit.literal


def _date_trunc(t: Context, node: exp.Anonymous) -> Typed:
    given, value, *zones = operands_of(t, node, 2, 3)
    unit = _word(given, node).lower()
    word = next((each for each in _TRUNCATED if unit in (each, f"{each}s")), None)
    if value.kind == UNKNOWN:
        value = t.casts.settle(value, TIMESTAMPTZ)
    if value.kind.name not in ("date", "timestamp", "timestamptz"):
        raise NotSupportedError(f"date_trunc of {value.kind.shown} is not supported", position=place(node))
    if word is None:
        raise InvalidField(f'unit "{unit}" not recognized for type {value.kind.shown}', position=place(node))
    zone = _zone(zones[0], node) if zones else t.casts.zone
    made = filled(f"date_trunc('{word}', $1)", _in_zone(value, zone))
    if value.kind == TIMESTAMP:
        return Typed(made, TIMESTAMP)
    if zone:
        return Typed(filled("timezone($1, CAST($2 AS TIMESTAMP))", exp.Literal.string(zone), made), TIMESTAMPTZ)
    return Typed(made, TIMESTAMPTZ, loose=True)


def _in_zone(value: Typed, zone: str | None) -> exp.Expr:
    if value.kind == TIMESTAMPTZ and zone:
        return filled("timezone($1, $2)", exp.Literal.string(zone), value.node)
    return firm(value)


def _at_zone(t: Context, node: exp.AtTimeZone) -> Typed:
    return zoned(t, t.expression(node.args["zone"]), t.expression(node.this), node)


def zoned(t: Context, zone: Typed, value: Typed, node: exp.Expr) -> Typed:
    """AT TIME ZONE: an instant becomes a wall clock, and the other way round."""
    if value.kind == UNKNOWN:
        value = t.casts.settle(value, TIMESTAMPTZ)
    if value.kind.name == "date":
        value = t.casts.cast(value, TIMESTAMPTZ)
    if value.kind not in (TIMESTAMP, TIMESTAMPTZ) or zone.kind.name not in ("unknown", "text"):
        raise NotSupportedError(f"AT TIME ZONE of {value.kind.shown} is not supported", position=place(node))
    if zone.literal is not None:
        _zone(zone, node)
    kind = TIMESTAMPTZ if value.kind == TIMESTAMP else TIMESTAMP
    return Typed(filled("timezone($1, $2)", zone.node, firm(value)), kind)


def _zone(zone: Typed, node: exp.Expr) -> str:
    """The name of a zone that there is. Raises UnknownTimeZone, and NotSupportedError for what is no name."""
    if zone.literal is None or not zone.literal[:1].isalpha():
        raise NotSupportedError("a zone is a name here, such as Europe/Berlin", position=place(node))
    find_zone(zone.literal)
    return zone.literal


def _timezone(t: Context, node: exp.Anonymous) -> Typed:
    zone, value = operands_of(t, node, 2)
    return zoned(t, zone, value, node)


def _age(t: Context, node: exp.Anonymous) -> Typed:
    operands = operands_of(t, node, 1, 2)
    if len(operands) == 1:
        operands.insert(0, t.expression(exp.CurrentDate()))
    moments = [
        t.casts.settle(each, TIMESTAMP) if each.kind == UNKNOWN else t.casts.cast(each, TIMESTAMP) for each in operands
    ]
    return Typed(filled("age($1, $2)", *(each.node for each in moments)), INTERVAL)


_PARTS = ("years", "months", "weeks", "days", "hours", "mins", "secs")
_UNITS = {"years": "to_years", "months": "to_months", "weeks": "to_weeks", "days": "to_days", "hours": "to_hours"}


def _make_interval(t: Context, node: exp.Anonymous) -> Typed:
    made: exp.Expr | None = None
    if len(node.expressions) > len(_PARTS):
        raise no_function("make_interval", [t.expression(each).kind for each in node.expressions], node)
    for place_, item in enumerate(node.expressions):
        named = isinstance(item, (exp.Kwarg, exp.PropertyEQ))
        name = item.this.name.lower() if named else _PARTS[place_]
        value = t.expression(item.expression if named else item)
        if name not in _PARTS or value.kind.name not in ("int2", "int4", "int8", "numeric", "float8"):
            raise no_function("make_interval", [value.kind], node)
        if name == "secs":
            part = filled("to_microseconds(CAST(round($1 * 1000000) AS BIGINT))", value.node)
        elif name == "mins":
            part = filled("to_minutes($1)", value.node)
        else:
            part = filled(f"{_UNITS[name]}(CAST($1 AS INTEGER))", value.node)
        made = part if made is None else filled("$1 + $2", made, part)
    if made is None:
        made = cast(exp.Literal.string("0 days"), "INTERVAL")
    return Typed(made, INTERVAL)


FUNCTIONS: dict[str, Callable[[Context, exp.Anonymous], Typed]] = {
    "date_part": _date_part,
    "date_trunc": _date_trunc,
    "timezone": _timezone,
    "age": _age,
    "make_interval": _make_interval,
}
HANDLERS: Handlers = {exp.Extract: _extract, exp.AtTimeZone: _at_zone}
