"""Native queries of SQLite: nothing is written, and no type is guessed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.base import TableName
from adapters.errors import (
    ConversionError,
    DuplicateColumn,
    Error,
    IndeterminateType,
    NotSupportedError,
    ProgrammingError,
    SQLSyntaxError,
)
from adapters.sqlite import SQLiteAdapter
from tests.adapters.oracle import read_all

SETUP = """
CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT, price DECIMAL(10,2), day DATE, any, raw BLOB, meta JSON, ok BOOLEAN);
INSERT INTO t VALUES (1, 'one', 2.5, '2024-02-29', 3, x'00ff', '{}', 1), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
"""
NO_QUERIES = [
    "INSERT INTO t (id) VALUES (3)",
    "INSERT INTO t (id) VALUES (3) RETURNING id",
    "UPDATE t SET note = 'x' RETURNING id",
    "DELETE FROM t",
    "/* SELECT */ DELETE FROM t RETURNING id",
    "DROP TABLE t",
    "CREATE TABLE u (id)",
    "CREATE TEMP TABLE u (id)",
    "PRAGMA user_version = 3",
    "PRAGMA journal_mode = WAL",
    "ATTACH 'other.db' AS o",
    "VACUUM INTO 'copy.db'",
    "BEGIN IMMEDIATE",
    "EXPLAIN SELECT 1",
]
BROKEN = [
    "SELECT id FROM t; DELETE FROM t",
    "SELECT id FROM t; VACUUM INTO 'copy.db'",
    "SELECT id FROM t; -- no more",
    "SELECT id FROM t /* /* */ ; VACUUM INTO 'copy.db' -- */",
    "SELECT id FROM t) AS q; DELETE FROM t; --",
    "SELECT id FROM t) AS q, (SELECT 1 AS one",
    "SELECT id FROM t WHERE note = 'open",
    "SELECT id FORM t x",
    "SELECT ? AS a",
    "WITH gone AS (SELECT 1) DELETE FROM t RETURNING id",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "crm.db"
    connection = sqlite3.connect(path)
    connection.executescript(SETUP)
    connection.close()
    return path


@pytest.fixture
def adapter(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SQLiteAdapter]:
    monkeypatch.chdir(path.parent)
    adapter = SQLiteAdapter("lite", {"path": path})
    yield adapter
    adapter.close()


def rows(adapter: SQLiteAdapter, sql: str) -> list[dict[str, object]]:
    return read_all(adapter, adapter.plan_native(sql, adapter.describe_native(sql))).to_pylist()


@pytest.mark.parametrize(
    ("sql", "error"), [*((sql, NotSupportedError) for sql in NO_QUERIES), *((sql, SQLSyntaxError) for sql in BROKEN)]
)
def test_a_write_is_refused_and_nothing_is_written(
    adapter: SQLiteAdapter, path: Path, sql: str, error: type[Error]
) -> None:
    before = path.read_bytes()
    with pytest.raises(error) as caught:
        rows(adapter, sql)
    assert caught.value.source == "lite"
    assert path.read_bytes() == before
    assert {each.name for each in path.parent.iterdir()} == {path.name}


def test_a_name_that_is_not_there(adapter: SQLiteAdapter) -> None:
    for sql, said in (("SELECT * FROM nope", "no such table: nope"), ("SELECT nope FROM t", "no such column: nope")):
        with pytest.raises(ProgrammingError, match=said):
            adapter.describe_native(sql)


@pytest.mark.parametrize("sql", ["SELECT id AS a, note AS a FROM t", "SELECT id AS a, note AS A FROM t"])
def test_columns_of_one_name(adapter: SQLiteAdapter, sql: str) -> None:
    with pytest.raises(DuplicateColumn, match=r'(?i)called "a"'):
        adapter.describe_native(sql)


@pytest.mark.parametrize("item", ["count(*)", "id + 1", "'x'", "NULL", "note || 'x'", "max(price)", "date('now')"])
def test_a_type_that_nothing_declares_is_not_guessed(adapter: SQLiteAdapter, item: str) -> None:
    with pytest.raises(IndeterminateType, match="knows no type"):
        adapter.describe_native(f"SELECT id, {item} AS x FROM t")


def test_types_are_declared_or_cast(adapter: SQLiteAdapter) -> None:
    table = adapter.get_table(TableName("main", "t"))
    names = ("id", "note", "price", "day", "raw", "meta", "ok")
    found = adapter.describe_native(f"SELECT {', '.join(names)} FROM t")
    assert [(each.name, each.type) for each in found] == [(name, table.column(name).type) for name in names]
    sql = "SELECT CAST(count(*) AS INTEGER) AS n, CAST(sum(price) AS REAL) AS s, CAST('x' AS TEXT) AS c FROM t"
    assert [each.type for each in adapter.describe_native(sql)] == [pa.int64(), pa.float64(), pa.string()]
    assert rows(adapter, sql) == [{"n": 2, "s": 2.5, "c": "x"}]


def test_a_value_of_another_type_is_an_error(adapter: SQLiteAdapter) -> None:
    with pytest.raises(ConversionError, match='column "any" holds the integer 3'):
        rows(adapter, "SELECT any FROM t")
    assert rows(adapter, "SELECT CAST(any AS TEXT) AS a FROM t WHERE id = 1") == [{"a": "3"}]


def test_rows(adapter: SQLiteAdapter) -> None:
    sql = "WITH r AS (SELECT id, note, CAST(id * 2 AS INTEGER) FROM t) SELECT * FROM r WHERE id = 1 -- ) AS q"
    identity, note, double = adapter.describe_native(sql)
    scan = adapter.plan_native(sql, (double, note))
    assert read_all(adapter, scan).to_pylist() == [{double.name: 2, "note": "one"}]
    assert read_all(adapter, adapter.plan_native(sql, ())).num_rows == 1
    assert identity.type == pa.int64()
    assert rows(adapter, "VALUES (CAST(1 AS INTEGER))") == [{"column1": 1}]
    assert rows(adapter, "SELECT note AS [a;b], raw AS \"c;d\" FROM t WHERE note <> ';'") == [
        {"a;b": "one", "c;d": b"\x00\xff"}
    ]


def test_no_view_is_left_behind(adapter: SQLiteAdapter) -> None:
    for _ in range(3):
        adapter.describe_native("SELECT id FROM t")
    assert [each.name for each in adapter.list_tables()] == ["t"]
