"""Conditions in the simple form that a table scan takes: one column, an operator, values of the column's type."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.types as pt
from sqlglot import exp

from adapters.base import Column, Predicate, PredicateOp, Table
from federation.planner.constants import ZONED

_OPERATORS: dict[type[exp.Expr], tuple[PredicateOp, PredicateOp]] = {
    exp.EQ: ("=", "="),
    exp.NEQ: ("<>", "<>"),
    exp.LT: ("<", ">"),
    exp.LTE: ("<=", ">="),
    exp.GT: (">", "<"),
    exp.GTE: (">=", "<="),
}


def to_predicates(part: exp.Expr, alias: str, table: Table) -> list[Predicate]:
    """The predicates that say the same as the condition; none where it has another form."""
    if isinstance(part, exp.Between):
        low = exp.GTE(this=part.this.copy(), expression=part.args["low"].copy())
        high = exp.LTE(this=part.this.copy(), expression=part.args["high"].copy())
        found = to_predicates(low, alias, table) + to_predicates(high, alias, table)
        return found if len(found) == 2 else []
    predicate = _predicate(part, alias, table)
    return [predicate] if predicate is not None else []


def _predicate(part: exp.Expr, alias: str, table: Table) -> Predicate | None:
    if isinstance(part, exp.Not) and isinstance(part.this, exp.Is):
        inner = _predicate(part.this, alias, table)
        return Predicate(inner.column, "is not null") if inner is not None else None
    if isinstance(part, exp.Is) and isinstance(part.expression, exp.Null):
        column = _column(part.this, alias, table)
        return Predicate(column.name, "is null") if column is not None else None
    if isinstance(part, exp.In) and part.expressions:
        column = _column(part.this, alias, table)
        values = [_value(each, column) for each in part.expressions] if column is not None else [None]
        if column is None or any(each is None for each in values):
            return None
        return Predicate(column.name, "in", tuple(values))
    if type(part) in _OPERATORS:
        forward, backward = _OPERATORS[type(part)]
        for subject, other, op in ((part.this, part.expression, forward), (part.expression, part.this, backward)):
            column = _column(subject, alias, table)
            value = _value(other, column) if column is not None else None
            if column is not None and value is not None:
                return Predicate(column.name, op, (value,))
    return None


def _column(node: exp.Expr, alias: str, table: Table) -> Column | None:
    if not isinstance(node, exp.Column) or node.table != alias:
        return None
    return next((each for each in table.columns if each.name.lower() == node.name.lower()), None)


def _value(node: exp.Expr, column: Column) -> Any:
    """The Python value of a literal that DuckDB would compare in the column's own type, or None."""
    negative = isinstance(node, exp.Neg)
    node = node.this if negative else node
    if isinstance(node, exp.Boolean):
        return bool(node.this) if pt.is_boolean(column.type) and not negative else None
    cast = node.to.sql("duckdb") if isinstance(node, exp.Cast) else None
    literal = node.this if isinstance(node, exp.Cast) else node
    if not isinstance(literal, exp.Literal):
        return None
    text = f"-{literal.this}" if negative else literal.this
    for test, reader in _READERS:
        if test(column.type):
            try:
                return reader(text, bool(literal.is_string), cast)
            except (ValueError, OverflowError, InvalidOperation):
                return None
    return None


def _integer(text: str, string: bool, cast: str | None) -> int | None:
    return int(text) if not string and cast is None else None


def _decimal(text: str, string: bool, cast: str | None) -> Decimal | None:
    return Decimal(text) if not string and cast is None else None


def _double(text: str, string: bool, cast: str | None) -> float | None:
    return float(text) if (not string and cast is None) or cast == "DOUBLE" else None


def _text(text: str, string: bool, cast: str | None) -> str | None:
    return text if string and cast in (None, "TEXT", "VARCHAR") else None


def _date(text: str, string: bool, cast: str | None) -> datetime.date | None:
    return datetime.date.fromisoformat(text) if string and cast in (None, "DATE") else None


def _timestamp(text: str, string: bool, cast: str | None) -> datetime.datetime | None:
    value = datetime.datetime.fromisoformat(text) if string and cast in (None, "TIMESTAMP") else None
    return value if value is not None and value.tzinfo is None else None


def _instant(text: str, string: bool, cast: str | None) -> datetime.datetime | None:
    """Without an offset it would be one of the session's time zone."""
    known = string and cast in (None, "TIMESTAMPTZ") and ZONED.fullmatch(text.replace("T", " "))
    return datetime.datetime.fromisoformat(text).astimezone(datetime.UTC) if known else None


def _plain_timestamp(type_: pa.DataType) -> bool:
    return isinstance(type_, pa.TimestampType) and type_.tz is None


def _zoned_timestamp(type_: pa.DataType) -> bool:
    return isinstance(type_, pa.TimestampType) and type_.tz is not None


_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[str, bool, str | None], Any]], ...] = (
    (pt.is_integer, _integer),
    (pt.is_decimal, _decimal),
    (pt.is_float64, _double),
    (pt.is_string, _text),
    (pt.is_date32, _date),
    (_plain_timestamp, _timestamp),
    (_zoned_timestamp, _instant),
)
