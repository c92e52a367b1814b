"""The values of constants, where DuckDB compares them with a column without losing anything on either side."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlglot import exp

from federation.planner.rewriting import Context

_INTEGERS = frozenset(
    "TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT".split()  # noqa: SIM905
)
_WIDE = frozenset({"HUGEINT", "UHUGEINT"})  # beside a decimal these may overflow
_DIGITS = 15  # a decimal of so many digits becomes the nearest DOUBLE, and fits beside any column
_MICROSECONDS_A_DAY = 86_400_000_000
_EPOCH = datetime.datetime(1970, 1, 1)
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")
ZONED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d(:\d\d)?)")


def integer(type_: str) -> bool:
    """Whether the type is one of whole numbers that fit in a DECIMAL with room to spare."""
    return type_ in _INTEGERS - _WIDE


def discrete(type_: str) -> bool:
    """Whether there is nothing between two neighbouring whole numbers; dates are counted in days."""
    return type_ in _INTEGERS or type_ == "DATE"


def value_of(node: exp.Expr, type_: str, context: Context) -> Any:
    """The value of a constant that is compared with a column of this DuckDB type; None where that is not sure.

    Values of one type are comparable in Python as DuckDB compares them: numbers exactly, text by code points, dates
    and timestamps by their distance from the epoch.
    """
    literal = _literal(node)
    value = _read(*literal, type_) if literal is not None else None
    if value is not None or isinstance(node, (exp.Literal, exp.Column)):
        return value
    found = context.constant(node)
    return _read(found[1], found[0], type_) if found is not None and found[1] is not None else None


def is_null(node: exp.Expr) -> bool:
    """Whether the node is a NULL, or one that was given a type."""
    return isinstance(node, exp.Null) or (isinstance(node, exp.Cast) and isinstance(node.this, exp.Null))


def _literal(node: exp.Expr) -> tuple[str, str] | None:
    """Text and type of a literal; a number and a quoted text take the type of the column."""
    if isinstance(node, exp.Boolean):
        return ("true" if node.this else "false"), "BOOLEAN"
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return f"-{node.this.this}", "number"
    if isinstance(node, exp.Literal):
        return node.this, "text" if node.is_string else "number"
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.this.is_string:
        to = node.to.sql("duckdb")
        return (node.this.this, "TIMESTAMP WITH TIME ZONE" if to == "TIMESTAMPTZ" else to)
    return None


def _read(text: str, given: str, type_: str) -> Any:
    try:
        return _value(text, given, type_)
    except ValueError:  # the 31st of February
        return None


def _value(text: str, given: str, type_: str) -> Any:
    if given in _INTEGERS or given.startswith("DECIMAL"):
        given = "number"
    if type_ == "BOOLEAN":
        return text == "true" if given == "BOOLEAN" else None
    if type_ == "VARCHAR":
        return text if given in ("text", "VARCHAR", "TEXT") else None
    if type_ in _INTEGERS or type_.startswith("DECIMAL") or type_ == "DOUBLE":
        return _number(text, type_) if given == "number" else None
    return _time(text, given, type_)


def _number(text: str, type_: str) -> Any:
    if not _NUMBER.fullmatch(text) or sum(each.isdigit() for each in text) > _DIGITS:
        return None
    if type_ == "DOUBLE":
        return float(text)
    if type_ in _WIDE and "." in text:
        return None
    return Decimal(text)


def _time(text: str, given: str, type_: str) -> Any:
    text = text.replace("T", " ") if given != "DATE" else text
    if type_ == "DATE":
        if given in ("text", "DATE") and _DATE.fullmatch(text):
            return _distance(text, _MICROSECONDS_A_DAY)
        if given == "TIMESTAMP" and _TIMESTAMP.fullmatch(text):
            return _distance(text, _MICROSECONDS_A_DAY)
    if type_ == "TIMESTAMP" and given in ("text", "DATE", "TIMESTAMP"):
        pattern = _DATE if given == "DATE" or len(text) == len("2025-01-01") else _TIMESTAMP
        return _distance(text, 1) if pattern.fullmatch(text) else None
    if type_ == "TIMESTAMP WITH TIME ZONE" and given in ("text", type_) and ZONED.fullmatch(text):
        moment = datetime.datetime.fromisoformat(text).astimezone(datetime.UTC).replace(tzinfo=None)
        return (moment - _EPOCH) // datetime.timedelta(microseconds=1)
    return None


def _distance(text: str, unit: int) -> Fraction:
    """From the epoch, in units of so many microseconds."""
    return Fraction((datetime.datetime.fromisoformat(text) - _EPOCH) // datetime.timedelta(microseconds=1), unit)
