"""SQLite files for tests, and short ways to ask for what is in them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from adapters.base import Scan, ScanRequest, TableName
from adapters.sqlite import SQLiteAdapter
from tests.adapters.conformance import NUMBERS, PEOPLE
from tests.adapters.oracle import read_all


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def write(path: Path, script: str) -> None:
    connection = _connect(path)
    with connection:
        connection.executescript(script)
    connection.close()


def create_people(path: Path, name: str, ddl: str = "") -> None:
    connection = _connect(path)
    with connection:
        columns = ddl or "id INTEGER PRIMARY KEY, name TEXT, score REAL, born DATE, note TEXT"
        connection.execute(f'CREATE TABLE "{name}" ({columns})')
        rows = [
            (row["id"], row["name"], row["score"], row["born"] and row["born"].isoformat(), row["note"])
            for row in PEOPLE.to_pylist()
        ]
        connection.executemany(f'INSERT INTO "{name}" VALUES (?, ?, ?, ?, ?)', rows)
    connection.close()


def create_numbers(path: Path) -> None:
    connection = _connect(path)
    with connection:
        connection.execute("CREATE TABLE numbers (n INTEGER)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in NUMBERS["n"].to_pylist()])
    connection.close()


def main(name: str) -> TableName:
    return TableName("main", name)


def read(adapter: SQLiteAdapter, table: str, *columns: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_all(adapter, adapter.plan_scan(ScanRequest(main(table), columns))).to_pylist()
    return rows


def island(sql: str) -> exp.Query:
    tree = sqlglot.parse_one(sql, dialect="sqlite")
    assert isinstance(tree, exp.Query)
    return tree


def plan(adapter: SQLiteAdapter, sql: str, **types: pa.DataType) -> Scan:
    scan = adapter.plan_query(island(sql), pa.schema(list(types.items())))
    assert scan is not None
    return scan
