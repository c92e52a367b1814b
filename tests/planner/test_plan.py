"""When a plan is compared with others, and what is asked of sources before that."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from adapters.base import TableName
from adapters.errors import RequiredFilterMissing
from adapters.sqlite import SQLiteAdapter
from federation.engine import Engine
from federation.planner.plan import hash_joined

CATALOG = """
[sources.one]
adapter = "sqlite"
path = "one.db"
[sources.two]
adapter = "sqlite"
path = "two.db"
[sources.api]
adapter = "rest"
base_url = "https://api.example.org"
[sources.api.tables.contacts]
path = "/contacts"
columns = { person = "int64", email = "string" }
filters = { person = { param = "person", ops = ["in"], required = true } }
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    for name in ("one", "two"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as database:
            database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER) STRICT")
            database.executemany("INSERT INTO t VALUES (?, ?)", ((i, i % 3) for i in range(10)))
            database.commit()
    (tmp_path / "federation.toml").write_text(CATALOG, encoding="utf-8")
    with Engine.open(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize(
    ("sql", "joined"),
    [
        ("SELECT 1 FROM a", True),
        ("SELECT 1 FROM a, b WHERE a.x = b.x", True),
        ("SELECT 1 FROM a LEFT JOIN b ON a.x = b.x AND a.y > 1", True),
        ("SELECT 1 FROM a, b, c WHERE a.x = b.x AND c.y = a.y + b.y", True),
        ("SELECT 1 FROM a, b, c WHERE a.x = b.x", False),
        ("SELECT 1 FROM a, b WHERE a.x < b.x", False),
        ("SELECT 1 FROM a, b WHERE a.x = 1 AND b.x = 1", False),
        ("SELECT 1 FROM a, b WHERE a.x = a.y + b.x", False),
        ("SELECT 1 FROM a, b WHERE a.x = b.x OR a.y = b.y", False),
        ("SELECT 1 FROM a WHERE EXISTS (SELECT 1 FROM b, c WHERE b.x = a.x)", False),
        ("SELECT 1 FROM (SELECT b.x FROM b CROSS JOIN c) AS d", False),
    ],
)
def test_joins_that_equalities_carry(sql: str, joined: bool) -> None:
    query = sqlglot.parse_one(sql, read="duckdb")
    assert isinstance(query, exp.Query)
    assert hash_joined(query) is joined


def test_no_conditions_are_sent(engine: Engine) -> None:
    for sql in (
        "SELECT id FROM one.t WHERE v = 2",
        "SELECT v, count(*) FROM one.t WHERE id > 4 GROUP BY v",
        "SELECT v FROM one.t GROUP BY v HAVING count(*) > 1",
        "SELECT count(*) FILTER (WHERE v = 1) FROM one.t",
        "SELECT a.id FROM one.t AS a LEFT JOIN one.t AS b ON a.id = b.v",
    ):
        plan = engine.explain(sql, options={"disable": ["filter_pushdown"]}).to_json()
        requests = [request for fragment in plan["fragments"] for request in fragment["requests"]]
        assert requests
        assert not any(word in request for request in requests for word in (" WHERE ", " HAVING ", " ON ")), requests
    plan = engine.explain("SELECT v, max(id) FROM one.t GROUP BY v", options={"disable": ["filter_pushdown"]}).to_json()
    assert plan["local_query"] is None  # there is nothing to test


def test_sources_are_asked_for_what_is_used(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TableName] = []
    statistics = SQLiteAdapter.statistics

    def noting(self: SQLiteAdapter, table: TableName) -> Any:
        asked.append(table)
        return statistics(self, table)

    monkeypatch.setattr(SQLiteAdapter, "statistics", noting)
    sql = "SELECT a.v FROM one.t AS a JOIN two.t AS b ON a.id = b.id"
    engine.explain(sql, options={"pushdown": False})
    engine.explain(sql, options={"disable": ["runtime_filters", "common_fragments", "costs"]})
    assert not asked
    engine.explain(sql)
    assert len(asked) == 2


def test_keys_come_from_what_can_be_read_alone(engine: Engine) -> None:
    """A common table expression cannot: it belongs to the query around it."""
    common = "WITH c AS (SELECT id FROM one.t WHERE v = 1)"
    for sql in (
        f"{common} SELECT email FROM api.contacts AS k, c WHERE k.person = c.id AND EXISTS (SELECT 1 FROM c)",
        f"{common} SELECT email FROM api.contacts WHERE person IN (SELECT id FROM c) AND EXISTS (SELECT 1 FROM c)",
    ):
        with pytest.raises(RequiredFilterMissing):
            engine.explain(sql)
