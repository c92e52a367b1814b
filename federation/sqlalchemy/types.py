"""DuckDB's types as SQLAlchemy's, by their names."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import types as sa

Type = sa.TypeEngine[Any]


class INTERVAL(sa.UserDefinedType[Any]):
    """Months, days and nanoseconds, as `pyarrow.MonthDayNano`: no `timedelta` could hold them."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "INTERVAL"


class WholeNumber(sa.Integer):
    """An integer type that SQLAlchemy has no name for, such as HUGEINT or UTINYINT."""

    __visit_name__ = "whole_number"

    def __init__(self, name: str) -> None:
        self.name = name


class Number(sa.Numeric[Any]):
    """Decimals as they come. What DuckDB computes as DOUBLE, such as a division of decimals, becomes what was asked
    for, by its shortest text."""

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], Any] | None:  # noqa: ARG002
        def process(value: Any) -> Any:
            if value is None:
                return None
            if not self.asdecimal:
                return float(value)
            return value if isinstance(value, Decimal) else Decimal(str(value))

        return process


class Nested(sa.UserDefinedType[Any]):
    """STRUCT, MAP and UNION, as the dicts and lists of a cursor."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


SIMPLE: dict[str, Callable[[], Type]] = {
    "BOOLEAN": sa.BOOLEAN,
    "SMALLINT": sa.SMALLINT,
    "INTEGER": sa.INTEGER,
    "BIGINT": sa.BIGINT,
    "FLOAT": sa.REAL,
    "DOUBLE": sa.DOUBLE,
    "VARCHAR": sa.VARCHAR,
    "BIT": sa.VARCHAR,
    "JSON": sa.JSON,
    "BLOB": sa.BLOB,
    "DATE": sa.DATE,
    "TIME": sa.TIME,
    "TIME_NS": sa.TIME,
    "TIME WITH TIME ZONE": lambda: sa.TIME(timezone=True),
    "TIMESTAMP": sa.TIMESTAMP,
    "TIMESTAMP_S": sa.TIMESTAMP,
    "TIMESTAMP_MS": sa.TIMESTAMP,
    "TIMESTAMP_NS": sa.TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": lambda: sa.TIMESTAMP(timezone=True),
    "UUID": sa.UUID,
    "INTERVAL": INTERVAL,
    **{
        name: lambda name=name: WholeNumber(name)  # type: ignore[misc]
        for name in ("TINYINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
    },
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
_ITEMS = re.compile(r"(.*)\[(\d*)\]", re.DOTALL)
_MEMBER = re.compile(r"'((?:[^']|'')*)'")


def type_of(name: str) -> Type:
    """The type of DuckDB's name for it. One that is not known here keeps its name."""
    if name in SIMPLE:
        return SIMPLE[name]()
    if decimal := _DECIMAL.fullmatch(name):
        return sa.DECIMAL(int(decimal[1]), int(decimal[2]))
    if items := _ITEMS.fullmatch(name):
        return _array(items[1])
    if name.startswith("ENUM("):
        return sa.Enum(*(member.replace("''", "'") for member in _MEMBER.findall(name)))
    return Nested(name)


def _array(item: str) -> Type:
    """SQLAlchemy counts the dimensions of an array instead of nesting it."""
    inner = type_of(item)
    if isinstance(inner, sa.ARRAY):
        return sa.ARRAY(inner.item_type, dimensions=(inner.dimensions or 1) + 1)
    return sa.ARRAY(inner, dimensions=1)
