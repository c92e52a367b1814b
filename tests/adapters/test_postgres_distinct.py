"""`count(DISTINCT x)` over distinct rows counts what PostgreSQL counts by itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import psycopg
import pytest
import sqlglot
from sqlglot import exp

from adapters.postgres_distinct import distinct_first
from tests.servers import Server, run_sql

SETUP = """
CREATE TABLE t (i int, n numeric, f double precision, c char(3), s text, b boolean);
INSERT INTO t SELECT i % 5, (ARRAY[1, 1.0, 1.00, 2.5, 'NaN', NULL])[i % 6 + 1],
  (ARRAY[0, '-0', 'NaN', 1.5, NULL])[i % 5 + 1], (ARRAY['a', 'a ', 'b', '', NULL])[i % 5 + 1],
  (ARRAY['a', 'a ', 'A', 'á', NULL])[i % 7 % 5 + 1], NULLIF(i % 3, 2) = 1
FROM generate_series(1, 500) i;
CREATE TABLE nothing (i int, n numeric, f double precision, c char(3), s text, b boolean);
"""
COLUMNS = ("i", "n", "f", "c", "s", "b")
SHOWN = {"n": "round({}, 2)", "f": "{} + 0"}  # which of equal values stands for its group is left open


@pytest.fixture(scope="module")
def connection(postgres_server: Server) -> Iterator[psycopg.Connection]:
    uri = postgres_server.create_database("counted")
    run_sql(uri, SETUP)
    with psycopg.connect(uri, autocommit=True) as connected:
        yield connected


def rewritten(sql: str) -> str | None:
    query = sqlglot.parse_one(sql, read="postgres")
    assert isinstance(query, exp.Query)
    made = distinct_first(query.copy())
    return None if made == query else made.sql("postgres")


@pytest.mark.parametrize("table", ["t", "nothing"])
@pytest.mark.parametrize("counted", [*COLUMNS, "i + 1", "coalesce({}.s, 'none')"])
def test_the_same_is_counted(connection: psycopg.Connection, table: str, counted: str) -> None:
    x = counted.format(table) if "{" in counted else f"{table}.{counted}"
    for keys in (each for size in range(3) for each in combinations(COLUMNS, size)):
        names = [f"{table}.{key}" for key in keys]
        for more in ("", f" HAVING count(DISTINCT {x}) > 1"):
            shown = [SHOWN.get(key, "{}").format(f"{table}.{key}") for key in keys]
            selected = ", ".join([*shown, f"count(DISTINCT {x}) AS d", f"count(DISTINCT {x}) * 2 AS e"])
            sql = f"SELECT {selected} FROM {table} WHERE {table}.i IS DISTINCT FROM 3"
            sql += (f" GROUP BY {', '.join(names)}" if names else "") + more
            asked = rewritten(sql)
            assert asked is not None
            assert _rows(connection, asked) == _rows(connection, sql), sql


def test_the_order_and_the_limit_stay(connection: psycopg.Connection) -> None:
    sql = """SELECT CAST(t.c AS TEXT) AS c, count(DISTINCT t.i) AS d FROM t JOIN t AS o ON o.i = t.i GROUP BY t.c
        ORDER BY count(DISTINCT t.i) DESC, CAST(t.c AS TEXT) COLLATE "C" NULLS FIRST LIMIT 3 OFFSET 1"""
    asked = rewritten(sql)
    assert asked is not None
    found = connection.execute(asked.encode()).fetchall()
    assert len(found) == 3
    assert found == connection.execute(sql).fetchall()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT t.i FROM t",
        "SELECT count(t.i) FROM t",
        "SELECT count(DISTINCT t.i), sum(t.i) FROM t",
        "SELECT count(DISTINCT t.i), count(DISTINCT t.n) FROM t",
        "SELECT count(DISTINCT t.i) FILTER (WHERE t.b) FROM t",
        "SELECT count(DISTINCT (t.i, t.n)) OVER () FROM t",
        "SELECT count(DISTINCT t.i) FROM t GROUP BY ROLLUP (t.n)",
        "SELECT count(DISTINCT t.i) FROM t GROUP BY GROUPING SETS ((t.n), ())",
        "SELECT t.n AS n, count(DISTINCT t.i) FROM t GROUP BY 1",
        "SELECT DISTINCT count(DISTINCT t.i) FROM t GROUP BY t.n",
        "SELECT count(DISTINCT t.i) FROM t GROUP BY t.n HAVING sum(t.i) > 1",
        "SELECT count(DISTINCT t.i) FROM t GROUP BY t.n HAVING count(DISTINCT t.i) > (SELECT 1)",
        "SELECT count(DISTINCT t.i) + t.i FROM t GROUP BY t.n, t.i + 0",  # PostgreSQL refuses it, and says why
        "SELECT sum(q.d) FROM (SELECT count(DISTINCT t.i) AS d FROM t GROUP BY t.n) AS q",
        "SELECT count(DISTINCT t.i) FROM t UNION ALL SELECT 1",
    ],
)
def test_what_is_left_as_it_is(sql: str) -> None:
    assert rewritten(sql) is None


def _rows(connection: psycopg.Connection, sql: str) -> list[str]:
    return sorted(map(repr, connection.execute(sql.encode()).fetchall()))
