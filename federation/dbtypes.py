"""PEP 249's type objects and constructors. A type code is the DuckDB name of a type, such as DECIMAL(18,2)."""

from __future__ import annotations

import datetime


class TypeObject:
    """Equal to the type code of every type that it stands for."""

    def __init__(self, name: str, *types: str) -> None:
        self.name = name
        self._types = frozenset(types)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            return base_type(other) in self._types
        return self is other

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return self.name


def base_type(type_code: str) -> str:
    """DECIMAL for DECIMAL(18,2); LIST for anything that ends in brackets."""
    return "LIST" if type_code.endswith("]") else type_code.partition("(")[0].strip('"')


def decimal_size(type_code: str) -> tuple[int | None, int | None]:
    """The precision and scale of a DECIMAL(p,s), None for any other type."""
    if base_type(type_code) != "DECIMAL":
        return None, None
    precision, _, scale = type_code.partition("(")[2].rstrip(")").partition(",")
    return int(precision), int(scale)


STRING = TypeObject("STRING", "VARCHAR", "JSON", "ENUM", "BIT")
BINARY = TypeObject("BINARY", "BLOB")
NUMBER = TypeObject(
    "NUMBER",
    *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER"),
    *("UBIGINT", "UHUGEINT", "DECIMAL", "FLOAT", "DOUBLE"),
)
DATETIME = TypeObject(
    "DATETIME",
    *("DATE", "TIME", "TIME_NS", "TIME WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
    *("TIMESTAMP WITH TIME ZONE", "INTERVAL"),
)
ROWID = TypeObject("ROWID")  # no source shows its row identifiers

Date = datetime.date
Time = datetime.time
Timestamp = datetime.datetime
Binary = bytes


def DateFromTicks(ticks: float) -> datetime.date:  # noqa: N802 -- PEP 249 fixes the names
    return datetime.date.fromtimestamp(ticks)


def TimeFromTicks(ticks: float) -> datetime.time:  # noqa: N802
    return datetime.datetime.fromtimestamp(ticks).time()


def TimestampFromTicks(ticks: float) -> datetime.datetime:  # noqa: N802
    return datetime.datetime.fromtimestamp(ticks)
