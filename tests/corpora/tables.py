"""Logical tables: Arrow data, and what each system declares for a column."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

import pyarrow as pa

System = Literal["postgres", "mariadb", "sqlite", "parquet"]


@dataclass(frozen=True)
class CorpusTable:
    """`declared` overrides the usual type of a column in a system, keyed by (system, column). Columns of the primary
    key are NOT NULL everywhere."""

    name: str
    data: pa.Table
    primary_key: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    declared: Mapping[tuple[System, str], str] = field(default_factory=dict)

    def declaration(self, system: System, column: str) -> str:
        special = self.declared.get((system, column))
        type_ = self.data.schema.field(column).type
        if system == "sqlite" and self.strict and special is None:
            return _strict_type(type_)
        return special or declared_type(system, type_)

    @property
    def strict(self) -> bool:
        """Whether SQLite has types of its own for all columns, so that its STRICT tables can hold them."""
        own = {pa.int16(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string()}
        words = {text.split()[0] for (system, _), text in self.declared.items() if system == "sqlite"}
        return words <= {"TEXT"} and own.issuperset(self.data.schema.types)

    def rows(self, system: System) -> list[tuple[Any, ...]]:
        """The rows as `system` can store them: what has no place there is NULL."""
        columns = [[storable(system, value) for value in column.to_pylist()] for column in self.data.columns]
        return list(zip(*columns, strict=True))

    def stored(self, system: System) -> pa.Table:
        """The table that a correct reader of `system` returns."""
        columns: list[Any] = []
        for column in self.data.columns:
            type_ = stored_type(system, column.type)
            if pa.types.is_floating(column.type):
                columns.append(pa.array([storable(system, value) for value in column.to_pylist()], type_))
            else:
                columns.append(column.cast(type_))
        return pa.Table.from_arrays(columns, names=self.data.column_names)


def storable(system: System, value: Any) -> Any:
    """MariaDB's doubles are finite, and SQLite takes NaN for NULL."""
    if isinstance(value, float):
        if system == "mariadb" and not math.isfinite(value):
            return None
        if system == "sqlite" and math.isnan(value):
            return None
    return value


def stored_type(system: System, type_: pa.DataType) -> pa.DataType:
    """SQLite has one width of integers and one of floats, whatever is declared."""
    if system == "sqlite" and pa.types.is_integer(type_):
        return pa.int64()
    if system == "sqlite" and pa.types.is_floating(type_):
        return pa.float64()
    return type_


def declared_type(system: System, type_: pa.DataType) -> str:
    if pa.types.is_decimal(type_):
        return f"{'numeric' if system == 'postgres' else 'decimal'}({type_.precision},{type_.scale})"
    spelled: dict[pa.DataType, tuple[str, str, str]] = {
        pa.int16(): ("smallint", "smallint", "SMALLINT"),
        pa.int32(): ("integer", "int", "INTEGER"),
        pa.int64(): ("bigint", "bigint", "BIGINT"),
        pa.float32(): ("real", "float", "FLOAT"),
        pa.float64(): ("double precision", "double", "DOUBLE"),
        pa.bool_(): ("boolean", "bit(1)", "BOOLEAN"),  # MariaDB's own BOOLEAN is a TINYINT
        pa.date32(): ("date", "date", "DATE"),
        pa.timestamp("us"): ("timestamp", "datetime(6)", "TIMESTAMP"),
        pa.string(): ("text", "varchar(250)", "TEXT"),
    }
    return spelled[type_][("postgres", "mariadb", "sqlite").index(system)]


def _strict_type(type_: pa.DataType) -> str:
    return "INTEGER" if pa.types.is_integer(type_) else "REAL" if pa.types.is_floating(type_) else "TEXT"


def as_text(system: System, value: Any) -> str:
    """How a value is spelled in a text file that PostgreSQL or MariaDB loads: alike, but for MariaDB's bits."""
    if value is None:
        return "\\N"
    if isinstance(value, bool) and system == "mariadb":
        return "\x01" if value else "\\0"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    text = str(value)
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n")):
        text = text.replace(plain, escaped)
    return text


def for_sqlite(value: Any) -> Any:
    """SQLite has no type of its own for decimals, dates and booleans: text, which the column's affinity converts."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ")
    if isinstance(value, Decimal | datetime.date):
        return str(value)
    return value
