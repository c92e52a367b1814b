"""Rewriting rules from end to end: which sources are asked, with a rule on and off, and that the answer is the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.errors import CatalogError
from federation.engine import Engine
from tests.servers import Server, run_sql

CATALOG = """
[sources.pg]
adapter = "postgres"
uri = "{uri}"
[sources.old]
adapter = "sqlite"
path = "{folder}/old.db"
[tables."pg.orders"]
constraint = "d >= DATE '2026-01-01'"
[tables."old.orders"]
constraint = "d < DATE '2026-01-01'"
[views."sales.orders"]
sql = "SELECT id, k, d, v FROM old.orders UNION ALL SELECT id, k, d, v FROM pg.orders"
"""

COLUMNS = "id integer NOT NULL, k integer, d date, v integer"
OLD = [(1, 1, "2025-03-01", 10), (2, 2, "2025-12-31", None), (3, None, None, 30)]
NEW = [(4, 1, "2026-01-01", 10), (5, 2, "2026-07-01", 25), (6, 1, None, None)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, postgres_server: Server) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("shards")
    uri = postgres_server.create_database("rewriting")
    rows = ", ".join(f"({id_}, {_sql(k)}, {_sql(d)}, {_sql(v)})" for id_, k, d, v in NEW)
    run_sql(uri, f"CREATE TABLE orders ({COLUMNS}); INSERT INTO orders VALUES {rows}")
    with sqlite3.connect(folder / "old.db") as connection:
        connection.execute(f"CREATE TABLE orders ({COLUMNS})")
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", OLD)
    connection.close()
    path = folder / "federation.toml"
    path.write_text(CATALOG.format(uri=uri, folder=folder))
    with Engine.open(path) as opened:
        yield opened


def _sql(value: object) -> str:
    return "NULL" if value is None else f"'{value}'"


def asked(engine: Engine, sql: str, *disabled: str) -> list[str]:
    """The sources that the plan asks; running it gives what plain fetching gives."""
    options = {"disable": list(disabled)}
    plan = engine.explain(sql, options=options).to_json()
    answer = engine.query(sql, options=options).read_all()
    plain = engine.query(sql, options={"pushdown": False}).read_all()
    assert answer.schema == plain.schema
    assert sorted(map(str, answer.to_pylist())) == sorted(map(str, plain.to_pylist()))
    return [fragment["source"] for fragment in plan["fragments"]]


def requests(engine: Engine, sql: str) -> str:
    return "\n".join(request for each in engine.explain(sql).to_json()["fragments"] for request in each["requests"])


@pytest.mark.parametrize(
    ("name", "sql", "sources", "without"),
    [
        ("contradictions", "SELECT * FROM pg.orders WHERE k = 1 AND k = 2", [], ["pg"]),
        ("contradictions", "SELECT count(*), sum(v) FROM pg.orders WHERE 1 = 0", [], ["pg"]),
        ("contradictions", "SELECT * FROM pg.orders LIMIT 0", [], ["pg"]),
        ("contradictions", "SELECT * FROM pg.orders WHERE id IS NULL", [], ["pg"]),
        (
            "contradictions",
            "SELECT p.id, o.v FROM pg.orders p LEFT JOIN old.orders o ON o.id IS NULL",
            ["pg"],
            ["pg", "old"],
        ),
        (
            "contradictions",
            "SELECT o.id FROM pg.orders p JOIN old.orders o USING (k) WHERE p.k = 1 AND o.k = 2",
            [],
            ["pg", "old"],
        ),
        ("shard_pruning", "SELECT * FROM sales.orders WHERE d = DATE '2025-03-01'", ["old"], ["old", "pg"]),
        ("shard_pruning", "SELECT sum(v) FROM sales.orders WHERE d >= DATE '2026-02-01'", ["pg"], ["old", "pg"]),
        ("shard_pruning", "SELECT * FROM sales.orders WHERE d IS NULL", ["old", "pg"], ["old", "pg"]),
    ],
)
def test_which_sources_are_asked(engine: Engine, name: str, sql: str, sources: list[str], without: list[str]) -> None:
    assert asked(engine, sql) == sources
    # the tables of this catalog have constraints: pruning by them would see what contradicts itself, too
    assert asked(engine, sql, name, "shard_pruning") == without


def test_explain_says_what_was_left_out(engine: Engine) -> None:
    text = engine.explain("SELECT * FROM sales.orders WHERE d = DATE '2025-03-01'").text()
    assert "pruned: pg.public.orders [PRUNED] (d >= CAST('2026-01-01' AS DATE))" in text
    text = engine.explain("SELECT * FROM pg.orders WHERE 1 = 0").text()
    assert "pruned: 1 = 0 [CONTRADICTION]" in text


def test_both_sides_of_a_join_are_told(engine: Engine) -> None:
    sql = "SELECT o.id FROM pg.orders p JOIN old.orders o ON p.v = o.v WHERE p.v = 10"
    assert asked(engine, sql) == asked(engine, sql, "predicate_transfer")
    assert requests(engine, sql).count("10") == 2


def test_a_filter_reaches_the_branches_of_a_union(engine: Engine) -> None:
    assert requests(engine, "SELECT id FROM sales.orders WHERE v > 12345").count("12345") == 2


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) FROM sales.orders",
        "SELECT k, count(*) AS n, sum(v) AS t, avg(v) AS m FROM sales.orders GROUP BY k",
    ],
)
def test_branches_are_aggregated_where_they_are(engine: Engine, sql: str) -> None:
    asked(engine, sql, "union_aggregation")
    asked(engine, sql)
    assert "COUNT(" in requests(engine, sql).upper()


def test_a_constraint_that_names_no_column(tmp_path: Path) -> None:
    path = tmp_path / "federation.toml"
    path.write_text(
        '[sources.m]\nadapter = "memory"\ntables = { t = [{ x = 1 }] }\n[tables."m.t"]\nconstraint = "y = 1"\n'
    )
    with Engine.open(path) as engine, pytest.raises(CatalogError, match="names the column y") as caught:
        engine.query("SELECT * FROM m.t")
    assert caught.value.hint == "did you mean x?" or caught.value.hint is None
