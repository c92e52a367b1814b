"""What SQLite's PRAGMAs say about tables, as the interface's `Table`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow.types as pt
from sqlglot import exp

from adapters.base import Collation, Column, ForeignKey, Table, TableName
from adapters.sqlite_types import arrow_type

SCHEMA = "main"
Rows = Callable[[str], list[tuple[Any, ...]]]
_STATIC_TYPES = frozenset({"INT", "INTEGER", "REAL", "TEXT", "BLOB"})


def table_names(rows: Rows) -> list[TableName]:
    found = rows(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual')"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
    )
    return [TableName(SCHEMA, name) for (name,) in found]


def read_table(rows: Rows, name: TableName, refused: type[Exception]) -> Table | None:
    """None when there is no table of exactly that name. `rows` raises `refused` for what SQLite cannot prepare."""
    text = exp.Literal.string(name.name).sql("sqlite")
    about = rows(f"SELECT type, strict, wr FROM pragma_table_list WHERE schema = 'main' AND name = {text}")
    if not about or name.schema != SCHEMA:
        return None
    kind, strict, without_rowid = about[0]
    # hidden = 1 is a column of a virtual table that SELECT * leaves out; 2 and 3 are generated columns.
    found = rows(
        f"SELECT name, type, \"notnull\", pk FROM pragma_table_xinfo({text}, 'main') WHERE hidden <> 1 ORDER BY cid"
    )
    key = tuple(column for column, _, _, place in sorted(found, key=lambda row: row[3]) if place)
    rowid = None if without_rowid else _rowid_column(rows, text, found)
    collations = _collations(rows, name.name, [column for column, declared, *_ in found if _is_text(declared)], refused)
    columns = tuple(
        Column(
            column,
            arrow_type(declared),
            nullable=not not_null and column != rowid,
            source_type=declared,
            collation=collations.get(column, Collation.BINARY),
            dynamic=column != rowid and not (strict and kind == "table" and declared.upper() in _STATIC_TYPES),
        )
        for column, declared, not_null, _ in found
    )
    return Table(name, columns, key, _foreign_keys(rows, text))


def is_stored(rows: Rows, name: TableName) -> bool:
    """Whether it is neither a view nor a virtual table."""
    text = exp.Literal.string(name.name).sql("sqlite")
    return bool(rows(f"SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name = {text}"))


def _is_text(declared: str) -> bool:
    return pt.is_string(arrow_type(declared))


def _rowid_column(rows: Rows, table: str, columns: Sequence[tuple[Any, ...]]) -> str | None:
    """The INTEGER PRIMARY KEY that is the rowid: never NULL and always an integer. With DESC it is neither, and has an
    index of its own."""
    keys = [(name, declared) for name, declared, _, place in columns if place]
    if len(keys) != 1 or keys[0][1].upper() != "INTEGER":
        return None
    own_index = rows(f"SELECT 1 FROM pragma_index_list({table}, 'main') WHERE origin = 'pk'")
    return None if own_index else keys[0][0]


def _collations(rows: Rows, table: str, columns: Sequence[str], refused: type[Exception]) -> dict[str, Collation]:
    """Each column's collation, found by comparing with it: no PRAGMA tells it of an unindexed column or of a view."""
    if not columns:
        return {}
    if rows("SELECT encoding FROM pragma_encoding") != [("UTF-8",)]:
        return dict.fromkeys(columns, Collation.UNKNOWN)  # BINARY is then the order of UTF-16 code units
    try:
        (found,) = rows(_comparisons(table, columns))
    except refused:  # a collation that the program which owns the file brings along
        if len(columns) == 1:
            return {columns[0]: Collation.UNKNOWN}
        return {column: kind for each in columns for column, kind in _collations(rows, table, [each], refused).items()}
    return {
        column: Collation.INSENSITIVE if superset else Collation.BINARY
        for column, superset in zip(columns, found, strict=True)
    }


def _comparisons(table: str, columns: Sequence[str]) -> str:
    """For each column, whether 'a' under its collation equals 'A' or 'a ', in one row."""
    names = [exp.column(exp.to_identifier(column, quoted=True)) for column in columns]
    typed = exp.select(*names).from_(exp.table_(table, db=SCHEMA, quoted=True)).where(exp.false())
    sample = exp.union(typed, exp.select(*[exp.Literal.string("a")] * len(names)), distinct=False)
    tests = [
        exp.alias_(exp.or_(_equals(each, "A"), _equals(each, "a ")), f"c{place}") for place, each in enumerate(names)
    ]
    return exp.select(*tests).from_(sample.subquery("q")).sql("sqlite")


def _equals(column: exp.Column, text: str) -> exp.Expr:
    return exp.EQ(this=column.copy(), expression=exp.Literal.string(text))


def _foreign_keys(rows: Rows, table: str) -> tuple[ForeignKey, ...]:
    found = rows(
        'SELECT id, "table", "from", coalesce("to", (SELECT name FROM pragma_table_xinfo(f."table", \'main\')'
        f" WHERE pk = f.seq + 1)) FROM pragma_foreign_key_list({table}, 'main') AS f ORDER BY id, seq"
    )
    keys = []
    for number in dict.fromkeys(row[0] for row in found):
        parts = [row for row in found if row[0] == number]
        columns, referenced = tuple(row[2] for row in parts), tuple(row[3] for row in parts)
        if all(referenced):
            keys.append(ForeignKey(columns, TableName(SCHEMA, parts[0][1]), referenced))
    return tuple(keys)
