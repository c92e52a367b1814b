"""What information_schema says of tables, columns and keys, as the adapter interface describes them.

Names are compared here, because information_schema ignores case. MariaDB opens one table for `IN` of one name, and of
a schema only those that are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from adapters.base import Column, ForeignKey, Table, TableName
from adapters.mysql_types import arrow_type, collation_of

Rows = Callable[..., Sequence[tuple[Any, ...]]]  # (sql, *parameters)

_LIST = """SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
 WHERE TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
 AND TABLE_SCHEMA NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys') ORDER BY 1, 2"""
_TABLES = """SELECT TABLE_NAME, TABLE_COMMENT, TABLE_TYPE FROM information_schema.TABLES
 WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN %s AND TABLE_TYPE <> 'SEQUENCE'"""
_COLUMNS = """SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, NUMERIC_PRECISION, NUMERIC_SCALE,
 COLLATION_NAME, COLUMN_COMMENT FROM information_schema.COLUMNS
 WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN %s ORDER BY ORDINAL_POSITION"""
_KEYS = """SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME,
 REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE
 WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN %s ORDER BY CONSTRAINT_NAME, ORDINAL_POSITION"""
# MariaDB's JSON is a longtext with this check, written by the server itself.
_JSON = """SELECT TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS
 WHERE CONSTRAINT_SCHEMA = %s AND TABLE_NAME IN %s AND LEVEL = 'Column'"""


_STORED = """SELECT t.TABLE_TYPE, e.TRANSACTIONS, t.CREATE_TIME FROM information_schema.TABLES t
 LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE WHERE t.TABLE_SCHEMA = %s AND t.TABLE_NAME = %s"""
_VIEW = "SELECT VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"


def table_names(rows: Rows) -> list[TableName]:
    return [TableName(schema, name) for schema, name in rows(_LIST)]


def read_tables(
    rows: Rows, schema: str, names: Sequence[str], *, mariadb: bool, zero_dates_as_null: bool
) -> Iterator[Table]:
    """Those tables of a schema that there are, in the order of their names there."""
    about = _by_table(rows, _TABLES, schema, names)
    if not any(about.values()):
        return
    columns, keys = _by_table(rows, _COLUMNS, schema, names), _by_table(rows, _KEYS, schema, names)
    checks = _by_table(rows, _JSON, schema, names) if mariadb else {}
    for name in names:
        for comment, kind in about[name]:
            json = _json_columns(checks.get(name, ()))
            described = tuple(_column(row, row[0] in json, zero_dates_as_null) for row in columns[name])
            said = None if kind == "VIEW" else comment or None
            yield Table(TableName(schema, name), described, *_keys(keys[name]), said)


def _by_table(rows: Rows, sql: str, schema: str, names: Sequence[str]) -> Mapping[str, list[Sequence[Any]]]:
    found: dict[str, list[Sequence[Any]]] = {name: [] for name in names}
    for name, *row in rows(sql, schema, names):
        if name in found:
            found[name].append(row)
    return found


def _json_columns(checks: Sequence[Sequence[Any]]) -> frozenset[str]:
    return frozenset(column for column, clause in checks if clause == f"json_valid(`{column.replace('`', '``')}`)")


def _column(row: Sequence[Any], is_json: bool, zero_dates_as_null: bool) -> Column:
    name, data_type, column_type, nullable, precision, scale, collation, comment = row
    kind = pa.json_() if is_json else arrow_type(data_type, column_type, precision, scale)
    becomes_null = zero_dates_as_null and data_type in ("date", "datetime", "timestamp")
    return Column(
        name,
        kind,
        nullable=nullable == "YES" or becomes_null,
        source_type="json" if is_json else column_type,
        collation=collation_of(data_type, collation),
        comment=comment or None,
    )


def _keys(rows: Sequence[Sequence[Any]]) -> tuple[tuple[str, ...], tuple[ForeignKey, ...]]:
    primary = tuple(column for constraint, column, *_ in rows if constraint == "PRIMARY")
    foreign: dict[str, list[Sequence[Any]]] = {}
    for row in rows:
        if row[3] is not None:
            foreign.setdefault(row[0], []).append(row)
    return primary, tuple(
        ForeignKey(tuple(row[1] for row in key), TableName(key[0][2], key[0][3]), tuple(row[4] for row in key))
        for key in foreign.values()
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """`keeps_states`: a transaction reads it as it was. Tables of MyISAM, for one, it reads as they are. `made` is when
    it was created or altered last, in UTC and whole seconds."""

    keeps_states: bool
    made: datetime | None


def stored(rows: Rows, name: TableName) -> Iterator[Stored]:
    """A table, or what a view reads: which one may have to be allowed to see."""
    found = rows(_STORED, name.schema, name.name)
    for _, transactions, made in found:
        if made is not None or transactions is not None:
            yield Stored(transactions == "YES", made)
    if not found or found[0][0] != "VIEW":
        return
    try:
        query = sqlglot.parse_one(rows(_VIEW, name.schema, name.name)[0][0], read="mysql")
    except (SqlglotError, IndexError):
        yield Stored(False, None)
        return
    for table in query.find_all(exp.Table):
        if table.db:
            yield from stored(rows, TableName(table.db, table.name))
