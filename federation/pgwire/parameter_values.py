"""Parameters of the extended protocol as literals of DuckDB."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from sqlglot import exp

from federation.parameters import Typed, value_literal
from federation.pgwire import types as pg
from federation.pgwire.decoding.arrays import Nested, array_of_binary, array_of_text
from federation.pgwire.decoding.binaries import decoded, read_binary
from federation.pgwire.decoding.errors import out_of_range
from federation.pgwire.decoding.scalars import MOST_DIGITS, read_text

_INTEGERS = ("SMALLINT", "INTEGER", "BIGINT")
_UNTYPED = (0, pg.UNKNOWN)  # the statement says what they are, as with a text in quotes
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_TYPES = {
    **{pg.BOOL: "BOOLEAN", pg.INT2: "SMALLINT", pg.INT4: "INTEGER", pg.INT8: "BIGINT", pg.NUMERIC: "DECIMAL(18,3)"},
    **{pg.FLOAT4: "FLOAT", pg.FLOAT8: "DOUBLE", pg.BYTEA: "BLOB", pg.UUID: "UUID", pg.JSON: "JSON", pg.JSONB: "JSON"},
    **{pg.DATE: "DATE", pg.TIME: "TIME", pg.TIMETZ: "TIMETZ", pg.TIMESTAMP: "TIMESTAMP"},
    **{pg.TIMESTAMPTZ: "TIMESTAMPTZ", pg.INTERVAL: "INTERVAL", pg.BIT: "BIT", pg.VARBIT: "BIT"},
    **dict.fromkeys((pg.OID, pg.XID, pg.CID), "BIGINT"),
}


def decode_parameter(oid: int, format_: int, data: bytes | None, zone: str = "UTC") -> exp.Expr:
    """A value of a type in the text (0) or the binary (1) format; None is NULL. `zone` is the session's time zone, for
    texts that name none.

    Raises DataError: ConversionError (22P02), NumericOutOfRange, InvalidBinary (22P03), InvalidDatetime (22007),
    DatetimeOverflow (22008), InvalidEncoding (22021); UnknownTimeZone; NotSupportedError for what DuckDB's types cannot
    hold.
    """
    element = pg.ELEMENTS.get(oid)
    if data is None:
        return _null(oid) if element is None else value_literal(Typed(f"{_type(element)}[]", None))
    if element is not None:
        return _array(element, format_, data, zone)
    value = read_binary(oid, data) if format_ else read_text(oid, decoded(data), zone)
    return exp.Literal.string(value.text or "") if value.type == "VARCHAR" else value_literal(value)


def _type(oid: int) -> str:
    return _TYPES.get(oid, "VARCHAR")


def _null(oid: int) -> exp.Expr:
    return exp.Null() if oid in _UNTYPED else value_literal(Typed(_type(oid), None))


def _array(oid: int, format_: int, data: bytes, zone: str) -> exp.Expr:
    """One cast around the elements, which are plain literals."""
    kind = _type(oid)
    items: Nested[Typed]
    if format_:
        items = _each(array_of_binary(data, oid), lambda element: read_binary(oid, element))
    else:
        items = _each(array_of_text(decoded(data)), lambda element: read_text(oid, element, zone))
    if oid == pg.NUMERIC:
        kind = _widest(items) or kind
    return exp.cast(_literals(items), kind + "[]" * _dimensions(items), dialect="duckdb")


def _each(items: Nested[Any], read: Callable[[Any], Typed]) -> Nested[Typed]:
    return [None if item is None else _each(item, read) if isinstance(item, list) else read(item) for item in items]


def _dimensions(items: Nested[Typed]) -> int:
    return 1 + (_dimensions(items[0]) if items and isinstance(items[0], list) else 0)


def _literals(items: Nested[Typed]) -> exp.Array:
    return exp.Array(expressions=[_literals(item) if isinstance(item, list) else _literal(item) for item in items])


def _literal(value: Typed | None) -> exp.Expr:
    if value is None or value.text is None:
        return exp.Null()
    return value_literal(int(value.text)) if value.type in _INTEGERS else exp.Literal.string(value.text)


def _leaves(items: Nested[Typed]) -> Iterator[Typed]:
    for item in items:
        if isinstance(item, list):
            yield from _leaves(item)
        elif item is not None:
            yield item


def _widest(items: Nested[Typed]) -> str | None:
    """A DECIMAL that holds every element. Raises NumericOutOfRange."""
    sizes = [tuple(map(int, found.groups())) for each in _leaves(items) if (found := _DECIMAL.fullmatch(each.type))]
    if not sizes:
        return None
    scale = max(size[1] for size in sizes)
    precision = max(size[0] - size[1] for size in sizes) + scale
    if precision > MOST_DIGITS:
        raise out_of_range("numeric[]", f"{precision} digits")
    return f"DECIMAL({precision},{scale})"
