"""Operators of two operands: which kinds they take, and what they are in DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sqlglot import exp

from adapters.errors import DivisionByZero, NotSupportedError
from federation.pgwire.dialect.casts import Casts, Typed, firm
from federation.pgwire.dialect.errors import no_operator, place
from federation.pgwire.dialect.kinds import (
    ANY_NUMERIC,
    DATE,
    FLOAT8,
    INT4,
    INTEGERS,
    INTERVAL,
    NUMBERS,
    SCALE,
    TEXT,
    TEXTS,
    TIMESTAMP,
    Kind,
    as_numeric,
    numeric,
    wider,
)
from federation.pgwire.dialect.problems import AmbiguousOperator
from federation.pgwire.dialect.templates import cast, filled, wrapped

MOST_SCALE = 20  # of an exact product; one with more digits is computed in double precision
ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.Pow: "^",
}
_BY_SYMBOL: dict[str, type[exp.Binary]] = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul, "%": exp.Mod}
_FLOATS = ("float4", "float8")
# Nothing of the quotient is lost: its whole part, then 17 digits of the remainder, rounded to 16.
_EXACT = (
    "CAST($1 // $2 AS DECIMAL(38, 0)) + round(CAST((($1 % $2) * 100000000000000000) // $2 AS DECIMAL(38, 0)) "
    f"* CAST('0.00000000000000001' AS DECIMAL(17, 17)), {SCALE})"
)
_DIVIDED = "CASE WHEN $2 = 0 THEN error('Division by zero') ELSE $1 / $2 END"


def arithmetic(symbol: str, left: Typed, right: Typed, casts: Casts, node: exp.Expr) -> Typed:
    """`left symbol right` for + - * / % ^. Raises FunctionNotFound, DivisionByZero."""
    if symbol == "+" and {left.kind.name, right.kind.name} == {"date", "unknown"}:
        raise AmbiguousOperator(
            "operator is not unique: date + unknown", hint="write interval '1 day'", position=place(node)
        )
    left, right = _settled(symbol, left, right, casts)
    names = (left.kind.name, right.kind.name)
    if names[0] in NUMBERS and names[1] in NUMBERS:
        return _numbers(symbol, left, right, node)
    special = _TEMPORAL.get((names[0], symbol, names[1]))
    if special is None:
        raise no_operator(symbol, (left.kind, right.kind), node)
    return special(left, right, casts)


def _settled(symbol: str, left: Typed, right: Typed, casts: Casts) -> tuple[Typed, Typed]:
    """Operands of open type take that of the other; beside a time, they are intervals."""
    if left.kind.name == "unknown" and right.kind.name == "unknown":
        return left, right
    if left.kind.name == "unknown":
        return casts.settle(left, _beside(symbol, right.kind, first=True)), right
    if right.kind.name == "unknown":
        return left, casts.settle(right, _beside(symbol, left.kind, first=False))
    return left, right


def _beside(symbol: str, kind: Kind, first: bool) -> Kind:
    if kind.name in ("date", "timestamp", "timestamptz", "time"):
        return kind if first or symbol == "-" else INTERVAL
    if kind == INTERVAL and symbol in "*/":
        return FLOAT8
    return kind if kind.precision else ANY_NUMERIC


# --- numbers -------------------------------------------------------------------------------------------------------


def _numbers(symbol: str, left: Typed, right: Typed, node: exp.Expr) -> Typed:
    kind = wider(left.kind, right.kind) or FLOAT8
    if kind.name == "float4" and left.kind != right.kind:
        kind = FLOAT8
    if symbol == "^":
        return power(left, right)
    if kind.name in _FLOATS:
        return _floats(symbol, left, right, kind, node)
    if kind.name == "numeric":
        return _numerics(symbol, left, right)
    if symbol == "/":
        _check_zero(right)
        return Typed(exp.IntDiv(this=_wide(left, kind), expression=_wide(right, kind)), kind, left.loose or right.loose)
    if symbol == "%":
        _check_zero(right)
    made = _BY_SYMBOL[symbol](this=_wide(left, kind), expression=_wide(right, kind))
    return Typed(made, kind, left.loose or right.loose)


def _wide(typed: Typed, kind: Kind) -> exp.Expr:
    """DuckDB takes an integer literal for one of its neighbour's type, which may be too narrow for the result."""
    if typed.kind.name != kind.name and not isinstance(typed.node, exp.Literal) and not typed.loose:
        return cast(typed.node, kind.duckdb)
    return wrapped(typed.node)


def _check_zero(right: Typed) -> None:
    if isinstance(right.node, exp.Literal) and not right.node.is_string and float(right.node.this) == 0:
        raise DivisionByZero("division by zero")


def _floats(symbol: str, left: Typed, right: Typed, kind: Kind, node: exp.Expr) -> Typed:
    if symbol == "%":
        raise no_operator(symbol, (left.kind, right.kind), node)
    one, other = (_float(each, kind) for each in (left, right))
    if symbol != "/":
        return Typed(_BY_SYMBOL[symbol](this=one, expression=other), kind)
    _check_zero(right)
    if isinstance(right.node, exp.Literal):
        return Typed(filled("$1 / $2", one, other), kind)
    return Typed(filled(_DIVIDED, one, other), kind)


def _float(typed: Typed, kind: Kind) -> exp.Expr:
    if typed.kind.name == kind.name or (isinstance(typed.node, exp.Literal) and kind == FLOAT8):
        return wrapped(firm(typed))
    return cast(firm(typed), kind.duckdb)


def decimal(typed: Typed) -> exp.Expr:
    """A number that is no float as DuckDB's DECIMAL."""
    if isinstance(typed.node, exp.Literal) or (typed.kind.name == "numeric" and typed.kind.precision):
        return wrapped(firm(typed))
    return cast(typed.node, as_numeric(typed.kind).duckdb)


def _numerics(symbol: str, left: Typed, right: Typed) -> Typed:
    one, other = as_numeric(left.kind), as_numeric(right.kind)
    if symbol == "/":
        _check_zero(right)
        return Typed(_quotient(left, right, one.scale, other.scale), ANY_NUMERIC)
    if symbol == "%":
        _check_zero(right)
        return Typed(exp.Mod(this=decimal(left), expression=decimal(right)), numeric(38, max(one.scale, other.scale)))
    if symbol == "*":
        scale = one.scale + other.scale
        if scale > MOST_SCALE:
            product = exp.Mul(this=_float(left, FLOAT8), expression=_float(right, FLOAT8))
            return Typed(cast(product, ANY_NUMERIC.duckdb), ANY_NUMERIC)
        made: exp.Expr = exp.Mul(this=decimal(left), expression=decimal(right))
        return Typed(made, numeric(38, scale))
    made = _BY_SYMBOL[symbol](this=decimal(left), expression=decimal(right))
    scale = max(one.scale, other.scale)
    return Typed(made, numeric(max(one.precision - one.scale, other.precision - other.scale) + scale + 1, scale))


def _quotient(left: Typed, right: Typed, one: int, other: int) -> exp.Expr:
    scale = max(one, other)
    return filled(_EXACT, *(_whole(each, scale) for each in (left, right)))


def _whole(typed: Typed, scale: int) -> exp.Expr:
    """The number times 10 to the power of `scale`, as an integer."""
    if scale == 0 or isinstance(typed.node, exp.Literal):
        if isinstance(typed.node, exp.Literal):
            digits, _, rest = typed.node.this.partition(".")
            number = exp.Literal.number(int(digits + rest.ljust(scale, "0")[:scale] or "0"))
            return cast(number, "HUGEINT")
        return cast(typed.node, "HUGEINT")
    factor = cast(exp.Literal.number(10**scale), f"DECIMAL({scale + 1}, 0)")
    return cast(exp.Mul(this=decimal(typed), expression=factor), "HUGEINT")


def average(total: Typed, count: exp.Expr) -> exp.Expr:
    """The exact quotient of a sum and the number of its terms; NULL for none."""
    scale = as_numeric(total.kind).scale
    number = filled("nullif($1, 0)", count)
    return _quotient(total, Typed(number, Kind("int8")), scale, 0)


def power(left: Typed, right: Typed) -> Typed:
    """`^` and power(): PostgreSQL refuses what has no real value."""
    exact = all(each.kind.name != "unknown" for each in (left, right)) and "numeric" in (
        left.kind.name,
        right.kind.name,
    )
    one, other = (_float(each, FLOAT8) for each in (left, right))
    is_float = "float8" in (left.kind.name, right.kind.name) or "float4" in (left.kind.name, right.kind.name)
    made = filled(_POWER, one, other)
    if exact and not is_float:
        return Typed(cast(made, ANY_NUMERIC.duckdb), ANY_NUMERIC)
    return Typed(made, FLOAT8)


_POWER = (
    "CASE WHEN $1 = 0 AND $2 < 0 THEN error('[2201F] zero raised to a negative power is undefined') "
    "WHEN $1 < 0 AND $2 <> floor($2) THEN error('[2201F] a negative number raised to a non-integer power yields a "
    "complex result') ELSE power($1, $2) END"
)


# --- times ---------------------------------------------------------------------------------------------------------

_DAYS_ALONE = (
    "to_months(CAST(date_part('year', $2) * 12 + date_part('month', $2) AS INTEGER)) "
    "+ to_days(CAST(date_part('day', $2) AS INTEGER))"
)
_TIME_ALONE = (
    "to_microseconds(CAST(date_part('hour', $2) * 3600000000 + date_part('minute', $2) * 60000000 "
    "+ date_part('microsecond', $2) AS BIGINT))"
)
Rule: TypeAlias = Callable[[Typed, Typed, Casts], Typed]


def _plain(template: str, kind: Kind, loose: bool = False) -> Rule:
    return lambda left, right, _: Typed(filled(template, firm(left), firm(right)), kind, loose)


def _instant(sign: str) -> Rule:
    """An instant and an interval: months and days are those of the session's wall clock, hours are hours."""

    def rule(left: Typed, right: Typed, casts: Casts) -> Typed:
        if not casts.zone:
            return Typed(filled(f"$1 {sign} $2", firm(left), firm(right)), Kind("timestamptz"))
        zone = exp.Literal.string(casts.zone)
        shifted = f"timezone($3, timezone($3, $1) {sign} ({_DAYS_ALONE})) {sign} {_TIME_ALONE}"
        return Typed(filled(shifted, firm(left), firm(right), zone), Kind("timestamptz"))

    return rule


def _swapped(rule: Rule) -> Rule:
    return lambda left, right, casts: rule(right, left, casts)


def _mixed(left: Typed, right: Typed, casts: Casts) -> Typed:
    """The difference of a date and a timestamp, or of times with and without zone."""
    kind = wider(left.kind, right.kind) or TIMESTAMP
    return Typed(filled("$1 - $2", *(casts.cast(each, kind).node for each in (left, right))), INTERVAL)


# What is left of a month becomes days, of which it has 30, and what is left of a day becomes time.
_MONTHS = "(date_part('year', $1) * 12 + date_part('month', $1)) {}"
_DAYS = "(date_part('day', $1) {} + (" + _MONTHS + " - trunc(" + _MONTHS + ")) * 30)"
_MICROS = "(date_part('hour', $1) * 3600000000 + date_part('minute', $1) * 60000000 + date_part('microsecond', $1)) {}"
_SCALED = (
    f"to_months(CAST(trunc({_MONTHS}) AS INTEGER)) + to_days(CAST(trunc({_DAYS}) AS INTEGER)) + to_microseconds("
    f"CAST(round({_MICROS} + ({_DAYS} - trunc({_DAYS})) * 86400000000) AS BIGINT))"
).replace("{}", "{0}")
_FRACTIONS = ("numeric", "float4", "float8")
_TEMPORAL: dict[tuple[str, str, str], Rule] = {
    **{("date", "+", each): _plain("$1 + CAST($2 AS INTEGER)", DATE) for each in INTEGERS},
    **{(each, "+", "date"): _plain("$2 + CAST($1 AS INTEGER)", DATE) for each in INTEGERS},
    **{("date", "-", each): _plain("$1 - CAST($2 AS INTEGER)", DATE) for each in INTEGERS},
    ("date", "-", "date"): _plain("$1 - $2", INT4, loose=True),
    **{(each, sign, "interval"): _plain(f"$1 {sign} $2", TIMESTAMP) for each in ("date", "timestamp") for sign in "+-"},
    **{("interval", "+", each): _plain("$2 + $1", TIMESTAMP) for each in ("date", "timestamp")},
    ("timestamptz", "+", "interval"): _instant("+"),
    ("timestamptz", "-", "interval"): _instant("-"),
    ("interval", "+", "timestamptz"): _swapped(_instant("+")),
    ("timestamp", "-", "timestamp"): _plain("$1 - $2", INTERVAL),
    ("timestamptz", "-", "timestamptz"): _plain("$1 - $2", INTERVAL),
    **{
        (one, "-", other): _mixed
        for one in ("date", "timestamp", "timestamptz")
        for other in ("date", "timestamp", "timestamptz")
        if one != other
    },
    ("date", "+", "time"): _plain("$1 + $2", TIMESTAMP),
    ("time", "+", "date"): _plain("$2 + $1", TIMESTAMP),
    ("time", "+", "interval"): _plain("$1 + $2", Kind("time")),
    ("time", "-", "interval"): _plain("$1 - $2", Kind("time")),
    ("interval", "+", "time"): _plain("$2 + $1", Kind("time")),
    ("time", "-", "time"): _plain("to_microseconds(date_diff('microsecond', $2, $1))", INTERVAL),
    ("interval", "+", "interval"): _plain("$1 + $2", INTERVAL),
    ("interval", "-", "interval"): _plain("$1 - $2", INTERVAL),
    **{("interval", "*", each): _plain("$1 * $2", INTERVAL) for each in INTEGERS},
    **{(each, "*", "interval"): _plain("$2 * $1", INTERVAL) for each in INTEGERS},
    **{("interval", "*", each): _plain(_SCALED.format("* CAST($2 AS DOUBLE)"), INTERVAL) for each in _FRACTIONS},
    **{
        (each, "*", "interval"): _swapped(_plain(_SCALED.format("* CAST($2 AS DOUBLE)"), INTERVAL))
        for each in _FRACTIONS
    },
    **{("interval", "/", each): _plain(_SCALED.format("/ CAST($2 AS DOUBLE)"), INTERVAL) for each in NUMBERS},
}


# --- comparisons ---------------------------------------------------------------------------------------------------


def compared(symbol: str, left: Typed, right: Typed, casts: Casts, node: exp.Expr) -> tuple[exp.Expr, exp.Expr]:
    """Both operands, so written that DuckDB compares them as PostgreSQL does. Raises FunctionNotFound,
    NotSupportedError."""
    if left.kind.name == "unknown" and right.kind.name == "unknown":
        return casts.settle(left, TEXT).node, casts.settle(right, TEXT).node
    if left.kind.name == "unknown":
        left = casts.settle(left, _open(right.kind))
    elif right.kind.name == "unknown":
        right = casts.settle(right, _open(left.kind))
    one, other = left.kind, right.kind
    if "json" in (one.name, other.name):
        raise no_operator(symbol, (one, other), node)
    if "jsonb" in (one.name, other.name):
        raise NotSupportedError("jsonb is not compared here", hint="compare a value: j ->> 'key'", position=place(node))
    if one.name in NUMBERS and other.name in NUMBERS:
        return _compared_numbers(left, right)
    if one.name in TEXTS and other.name in TEXTS:
        return casts.text(left), casts.text(right)
    kind = wider(one, other)
    if kind is None:
        raise no_operator(symbol, (one, other), node)
    if casts.zone and kind.name == "timestamptz" and one != other:
        return casts.cast(left, kind).node, casts.cast(right, kind).node
    return left.node, right.node


def _open(kind: Kind) -> Kind:
    return TEXT if kind.name == "bpchar" else kind


def _compared_numbers(left: Typed, right: Typed) -> tuple[exp.Expr, exp.Expr]:
    names = {left.kind.name, right.kind.name}
    if "float4" in names and len(names) > 1:
        return _float(left, FLOAT8), _float(right, FLOAT8)
    if "numeric" in names and not names & set(_FLOATS):
        huge = any(each.kind.name == "numeric" and not each.kind.precision for each in (left, right))
        if huge and any(each.kind.scale for each in (left, right)):
            return decimal(left), decimal(right)
    return left.node, right.node


COMPARISONS: dict[type[exp.Expr], str] = {
    **{exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="},
    **{exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM"},
}
