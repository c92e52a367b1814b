"""An adapter may decline any island: its tables are scanned instead, and no condition is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlglot import exp

from adapters.sql.sqlite import SQLITE
from adapters.sqlite import SQLiteAdapter
from catalog.catalog import Catalog
from catalog.model import Source
from federation.engine import Engine


class Declining:
    """A source that knows its dialect, and takes table scans only."""

    dialect = SQLITE

    def __init__(self, inner: SQLiteAdapter) -> None:
        self._inner = inner

    def plan_query(self, query: exp.Query, schema: pa.Schema) -> None:  # noqa: ARG002 - the interface's shape
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, city TEXT NOT NULL) STRICT;"
            "INSERT INTO orders VALUES (1, 'Oslo'), (2, 'Rome'), (3, 'Oslo');"
            "CREATE TABLE lines (order_id INTEGER NOT NULL, quantity INTEGER NOT NULL) STRICT;"
            "INSERT INTO lines VALUES (1, 5), (1, 7), (2, 1);"
        )
    adapter: Any = Declining(SQLiteAdapter("shop", {"path": str(path)}))
    with Engine(Catalog([Source("shop", "sqlite", adapter)])) as opened:
        yield opened


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT id FROM orders WHERE city = 'Oslo' AND id > 1", [(3,)]),
        ("SELECT count(*) FROM orders WHERE city <> 'Oslo'", [(1,)]),
        ("SELECT o.id, l.quantity FROM orders o JOIN lines l ON l.order_id = o.id WHERE l.quantity > 5", [(1, 7)]),
        (
            "SELECT o.id, l.quantity FROM orders o LEFT JOIN lines l ON l.order_id = o.id AND l.quantity < 2",
            [(1, None), (2, 1), (3, None)],
        ),
        ("SELECT city, sum(id) FROM orders WHERE id < 3 GROUP BY city HAVING sum(id) > 1", [("Rome", 2)]),
        ("SELECT id FROM orders WHERE id IN (SELECT order_id FROM lines WHERE quantity = 1)", [(2,)]),
        ("SELECT id FROM orders WHERE city = 'Oslo' ORDER BY id DESC LIMIT 1", [(3,)]),
    ],
)
def test_nothing_is_lost(engine: Engine, sql: str, rows: list[tuple[Any, ...]]) -> None:
    table = engine.query(sql).read_all()
    found = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    assert sorted(found, key=str) == rows
