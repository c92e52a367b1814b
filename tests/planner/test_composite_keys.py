"""Joins on several columns whose values say little one by one: the source is given them together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from federation.engine import Engine
from tests.servers import Server, run_sql

TENANTS, ORDERS = 40, 500
JOIN = "SELECT count(*) AS n, min(o.note) AS s FROM a.orders AS o JOIN b.flags AS f ON "
BOTH = JOIN + "o.tenant = f.tenant AND o.id = f.id WHERE f.flag = 'late'"


@pytest.fixture(scope="module")
def engine(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    a, b = postgres_server.create_database("composite_a"), postgres_server.create_database("composite_b")
    numbers = f"FROM generate_series(1, {TENANTS}) AS t, generate_series(1, {ORDERS}) AS i"
    run_sql(
        a,
        f"CREATE TABLE orders AS SELECT t AS tenant, i AS id, repeat('x', 200) || t * i AS note {numbers};"
        "ALTER TABLE orders ADD PRIMARY KEY (tenant, id); ANALYZE orders",
    )
    run_sql(
        b,
        "CREATE TABLE flags AS SELECT t AS tenant, i AS id, CASE WHEN (7 * t + i) % 97 = 0 THEN 'late' ELSE 'no' END "
        f"AS flag {numbers}; INSERT INTO flags VALUES (NULL, 1, 'late'), (1, NULL, 'late'); ANALYZE flags",
    )
    folder = tmp_path_factory.mktemp("composite")
    (folder / "federation.toml").write_text(
        f'[sources.a]\nadapter = "postgres"\nuri = "{a}"\n[sources.b]\nadapter = "postgres"\nuri = "{b}"\n'
    )
    with Engine.open(folder) as opened:
        yield opened


def run(engine: Engine, sql: str) -> dict[str, Any]:
    """The fragment over orders, after a run."""
    found: dict[str, Any] = engine.explain(sql, analyze=True).to_json()
    return next(each for each in found["fragments"] if "orders" in each["requests"][0])


def composites(fragment: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in fragment["runtime_filters"] if "," in each["column"]]


def test_the_source_sends_the_rows_of_the_join_alone(engine: Engine) -> None:
    late = sum((7 * t + i) % 97 == 0 for t in range(1, TENANTS + 1) for i in range(1, ORDERS + 1))
    fragment = run(engine, BOTH)
    assert [each["made"] for each in composites(fragment)] == [f"{late} keys"]
    assert fragment["actual"]["rows"] == late
    answers = [
        engine.query(BOTH, options=options).read_all().to_pylist() for options in ({}, {"disable": ["runtime_filters"]})
    ]
    assert answers[0] == answers[1]
    assert answers[0][0]["n"] == late


@pytest.mark.parametrize(
    "sql",
    [
        # one of the columns says as much as both
        JOIN + "o.tenant = f.tenant AND o.id = f.id WHERE f.id < 10",
        # no row is left out
        JOIN + "o.tenant = f.tenant AND o.id = f.id WHERE f.flag <> 'x'",
        # two rows of the other side may have the two values
        "SELECT count(*) AS n FROM a.orders AS o WHERE EXISTS (SELECT 1 FROM b.flags AS f WHERE f.tenant = o.tenant "
        "AND f.flag = 'late') AND EXISTS (SELECT 1 FROM b.flags AS f WHERE f.id = o.id AND f.flag = 'late')",
    ],
)
def test_where_they_say_no_more_they_are_not_sent(engine: Engine, sql: str) -> None:
    assert [each["made"] for each in composites(run(engine, sql)) if not each["made"].startswith("not made")] == []
    answers = [
        engine.query(sql, options=options).read_all().to_pylist() for options in ({}, {"disable": ["runtime_filters"]})
    ]
    assert answers[0] == answers[1]


def test_what_is_preserved_is_not_restricted(engine: Engine) -> None:
    sql = "SELECT count(*) AS n FROM a.orders AS o LEFT JOIN b.flags AS f ON o.tenant = f.tenant AND o.id = f.id "
    fragment = run(engine, sql + "AND f.flag = 'late'")
    assert composites(fragment) == []
    assert fragment["actual"]["rows"] == TENANTS * ORDERS
