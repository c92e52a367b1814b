"""SQLite's types: which Arrow type a declared type arrives as, and how a value gets there or raises.

Any column of a table that is not STRICT may hold a value of any storage class. So every output column is wrapped at the
source: what the Arrow type accepts goes through in one storage class, anything else raises there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
import sqlglot
from sqlglot import exp

_WITH_PRECISION = re.compile(r"(?:DECIMAL|DEC|NUMERIC|NUMBER|MONEY)\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_MAX_PRECISION = 38
_EXACT_NAMES: dict[str, pa.DataType] = {
    "BOOL": pa.bool_(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "DATETIME": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP WITHOUT TIME ZONE": pa.timestamp("us"),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
    "JSON": pa.json_(),
    "NUM": pa.float64(),  # what SQLite itself calls a CAST to NUMERIC in a view
    "NUMERIC": pa.float64(),
    "NUMBER": pa.float64(),
    "DECIMAL": pa.float64(),
    "DEC": pa.float64(),
    "MONEY": pa.float64(),
}
_PARTS: tuple[tuple[tuple[str, ...], pa.DataType], ...] = (
    (("INT",), pa.int64()),
    (("CHAR", "CLOB", "TEXT"), pa.string()),
    (("BLOB", "BINARY"), pa.binary()),
    (("REAL", "FLOA", "DOUB"), pa.float64()),
)


def arrow_type(declared: str) -> pa.DataType:
    """SQLite's own affinity rules, after the names that people mean something by. Everything else is text."""
    upper = " ".join(declared.upper().split())
    if (match := _WITH_PRECISION.fullmatch(upper)) and 1 <= int(match[1]) <= _MAX_PRECISION:
        precision, scale = int(match[1]), int(match[2] or 0)
        if scale <= precision:
            return pa.decimal128(precision, scale)
    name = " ".join(re.sub(r"\(.*?\)", "", upper).split())
    if name in _EXACT_NAMES:
        return _EXACT_NAMES[name]
    for parts, arrow in _PARTS:
        if any(part in name for part in parts):
            return arrow
    return pa.float64() if _WITH_PRECISION.fullmatch(upper) else pa.string()


Array: TypeAlias = "pa.Array[Any]"
Arrive: TypeAlias = "Callable[[Array, pa.DataType], Array]"


@dataclass(frozen=True, slots=True)
class Transport:
    """How a column `x` travels.

    `classes` says, for each storage class that is accepted, what is sent and under which condition; `sent` is the type
    of all that. `arrive` makes it the Arrow type.
    """

    sent: pa.DataType
    classes: Mapping[str, tuple[str, str]]
    arrive: Arrive
    cast: str = "CAST(x AS TEXT)"  # for a view at the source: it makes any stored value readable

    def checked(self, column: exp.Expr) -> exp.Expr:
        """abs of the least integer overflows: the cheapest way to raise inside a query."""
        fail = "abs(-9223372036854775807 - 1)"
        branches = [
            f"WHEN '{stored}' THEN " + (f"CASE WHEN {test} THEN {value} ELSE {fail} END" if test else value)
            for stored, (value, test) in self.classes.items()
        ]
        return _over(f"CASE typeof(x) {' '.join(branches)} WHEN 'null' THEN NULL ELSE {fail} END", column)

    def refuses(self, column: exp.Expr) -> exp.Expr:
        tests = [
            f"(typeof(x) = '{stored}'" + (f" AND {test})" if test else ")")
            for stored, (_, test) in self.classes.items()
        ]
        return _over(f"NOT (typeof(x) = 'null' OR {' OR '.join(tests)})", column)


@cache
def _parsed(sql: str) -> exp.Expr:
    return sqlglot.parse_one(sql, dialect="sqlite")


def _over(sql: str, column: exp.Expr) -> exp.Expr:
    return _parsed(sql).transform(lambda node: column.copy() if isinstance(node, exp.Column) else node)


def _cast(array: Array, kind: pa.DataType) -> Array:
    return array if array.type == kind else array.cast(kind)


def _validated(array: Array, kind: pa.DataType) -> Array:
    """SQLite does not check that text is UTF-8, and ADBC does not check the first batch's size."""
    array.validate(full=True)
    return pa.ExtensionArray.from_storage(kind, array) if isinstance(kind, pa.JsonType) else array


def _time(array: Array, kind: pa.DataType) -> Array:
    """Arrow reads times of day only as part of a timestamp."""
    join: Any = pc.binary_join_element_wise  # its stub wants either scalars or arrays
    return cast("Array", join("1970-01-01", array, " ").cast(pa.timestamp("us")).cast(kind))


_FIFTEEN_DIGITS = "printf('%!.15g', x)"
_IS_FIFTEEN_DIGITS = f"CAST({_FIFTEEN_DIGITS} AS REAL) = x"
_REAL_AS_TEXT = f"CASE WHEN {_IS_FIFTEEN_DIGITS} THEN {_FIFTEEN_DIGITS} ELSE printf('%!.17g', x) END"
_INTEGER_AS_TEXT = "CAST(x AS TEXT)"
_INTEGER = Transport(pa.int64(), {"integer": ("x", "")}, _cast)
_DOUBLE = Transport(pa.float64(), {"real": ("x", ""), "integer": ("CAST(x AS REAL)", "CAST(x AS REAL) = x")}, _cast)
_BOOLEAN = Transport(pa.int64(), {"integer": ("x", "x IN (0, 1)")}, _cast)
_STRING = Transport(
    pa.string(),
    {"text": ("x", ""), "integer": (_INTEGER_AS_TEXT, ""), "real": (_REAL_AS_TEXT, "")},
    _validated,
    "CAST(x AS BLOB)",
)
_JSON = Transport(
    pa.string(),
    {
        "text": ("x", "json_valid(x)"),
        "integer": (_INTEGER_AS_TEXT, ""),
        "real": (_REAL_AS_TEXT, "abs(x) <= 1.7976931348623157e308"),
    },
    _validated,
)
_BINARY = Transport(pa.binary(), {"blob": ("x", "")}, _validated, "CAST(x AS BLOB)")
_DATE = Transport(pa.string(), {"text": ("x", "")}, _cast, "date(x) or date(x, 'unixepoch')")
_TIMESTAMP = Transport(pa.string(), {"text": ("x", "")}, _cast, "datetime(x) or datetime(x, 'unixepoch')")
_TIME = Transport(pa.string(), {"text": ("x", "")}, _time, "time(x)")
_BY_TEST: tuple[tuple[Callable[[pa.DataType], bool], Transport], ...] = (
    (pt.is_integer, _INTEGER),
    (pt.is_floating, _DOUBLE),
    (pt.is_boolean, _BOOLEAN),
    (pt.is_string, _STRING),
    (lambda kind: isinstance(kind, pa.JsonType), _JSON),
    (pt.is_binary, _BINARY),
    (pt.is_date32, _DATE),
    (pt.is_timestamp, _TIMESTAMP),
    (pt.is_time64, _TIME),
)


# A stored double stands for the decimal of at most 15 digits that reads back as it; without one it stands for none.
_DOUBLE_DIGITS = 15
_DECIMAL_TEXT = Transport(
    pa.string(),
    {"real": (_FIFTEEN_DIGITS, _IS_FIFTEEN_DIGITS), "integer": (_INTEGER_AS_TEXT, ""), "text": ("x", "")},
    _cast,
)


def _scaled(kind: Any) -> Transport:
    """As an integer number of the last place. Up to 15 digits the quotient is exactly the double that stands for it."""
    factor, bound = f"1{'0' * kind.scale}.0", f"1{'0' * (kind.precision - kind.scale)}"
    places = f"CAST(round(x * {factor}) AS INTEGER)"
    fits = f"x > -{bound} AND x < {bound} AND {places} / {factor} = x"
    return Transport(pa.int64(), {"real": (places, fits), "integer": (places, fits)}, _unscaled)


def _unscaled(array: Array, kind: Any) -> Array:
    if pt.is_decimal64(kind):
        return pa.Array.from_buffers(kind, len(array), array.buffers(), offset=array.offset)
    wide = array.cast(pa.decimal128(19, 0))
    same = pa.decimal128(kind.precision, kind.scale)
    return _cast(pa.Array.from_buffers(same, len(wide), wide.buffers(), offset=wide.offset), kind)


def transport(kind: Any) -> Transport | None:
    """How a value travels to that Arrow type; None where SQLite has nothing that would become one."""
    if pt.is_decimal(kind):
        return _scaled(kind) if kind.precision <= _DOUBLE_DIGITS else _DECIMAL_TEXT
    return next((found for test, found in _BY_TEST if test(kind)), None)
