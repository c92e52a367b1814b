from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.base import TableName
from adapters.sqlite import SQLiteAdapter
from tests.adapters.conformance import NUMBERS, PEOPLE, AdapterConformance


def write(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.executescript(script)
    connection.close()


def create_people(path: Path, name: str, ddl: str = "") -> None:
    connection = sqlite3.connect(path)
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
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE numbers (n INTEGER)")
        connection.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in NUMBERS["n"].to_pylist()])
    connection.close()


class TestSqlite(AdapterConformance):
    columns = ""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "some 100% odd#name?.db"
        create_people(path, "people", self.columns)
        create_numbers(path)
        return path

    @pytest.fixture
    def adapter(self, path: Path) -> Iterator[SQLiteAdapter]:
        adapter = SQLiteAdapter("lite", {"path": str(path)})
        yield adapter
        adapter.close()

    @pytest.fixture
    def vanishing(self, path: Path) -> tuple[TableName, Callable[[], None]]:
        create_people(path, "doomed")
        return TableName("main", "doomed"), lambda: write(path, "DROP TABLE doomed")
