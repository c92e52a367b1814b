"""Aggregates over UNION ALL in parts; DuckDB gives the same types and rows before and after."""

from __future__ import annotations

import pytest

from federation.planner.union_aggregation import union_aggregation
from tests.planner.rewriting import Bench

#: a is in one source, b in another
BOTH = "(SELECT k, x AS v, s, id FROM a UNION ALL SELECT k, id AS q, s, y FROM b) u"


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT count(*) FROM {BOTH}",
        f"SELECT k, count(*), count(v), sum(v), min(s), max(id), avg(v) FROM {BOTH} GROUP BY k",
        f"SELECT s, bool_and(v > 1), bool_or(v > 6), count(*) FILTER (WHERE v > 5) FROM {BOTH} GROUP BY s",
        f"SELECT k, avg(id) FILTER (WHERE v > 2), sum(k::DECIMAL(9,2)), avg(k::DECIMAL(9,2)) FROM {BOTH} GROUP BY k",
        f"SELECT avg(v), sum(NULL::INTEGER), count(NULL) FROM {BOTH} WHERE v > 1000",
        f"SELECT k + 1 AS q, count(v) + 1 AS n FROM {BOTH} WHERE v > 1 GROUP BY k + 1 HAVING count(*) > 0 ORDER BY n",
        f"SELECT max(n) FROM (SELECT k, count(*) AS n FROM {BOTH} GROUP BY k) w",
        f"SELECT k FROM {BOTH} GROUP BY k",
        f"SELECT DISTINCT count(*) FROM {BOTH} GROUP BY k",
        f"SELECT k, s, sum(v) FROM {BOTH} GROUP BY ALL ORDER BY ALL LIMIT 3",
        f"SELECT sum(v) FROM {BOTH} WHERE id IN (1, 2)",
        "SELECT sum(n) FROM (SELECT x::DECIMAL(12,2) AS n FROM a UNION ALL SELECT n FROM b) u",
        "SELECT sum(n) FROM (SELECT x AS n FROM a UNION ALL SELECT y FROM b) u",
        "SELECT count(*) FROM (SELECT id FROM a UNION ALL SELECT id FROM c UNION ALL SELECT id FROM b) u",
        "SELECT count(*) FROM (SELECT k FROM a GROUP BY k UNION ALL (SELECT id FROM b ORDER BY id LIMIT 2)) u",
    ],
)
def test_what_is_taken_apart(bench: Bench, sql: str) -> None:
    before = bench.shown(bench.normalized(sql))
    query, _ = bench.rewritten(sql, union_aggregation)
    assert bench.shown(query) != before


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT count(DISTINCT v) FROM {BOTH}",
        f"SELECT s, list(v ORDER BY v) FROM {BOTH} GROUP BY s",
        f"SELECT s, sum(v) OVER () FROM {BOTH}",
        f"SELECT s, count(*), row_number() OVER (ORDER BY s) FROM {BOTH} GROUP BY s",
        f"SELECT k, sum(v), (SELECT max(id) FROM c) AS z FROM {BOTH} GROUP BY k",
        f"SELECT k, sum(v) FROM {BOTH} GROUP BY ROLLUP (k)",
        f"SELECT sum(v::HUGEINT) FROM {BOTH}",
        f"SELECT sum(v::DECIMAL(38, 2)) FROM {BOTH}",
        f"SELECT avg(v::DOUBLE) FROM {BOTH}",
        f"SELECT count(*) FROM {BOTH} WHERE v > (SELECT min(id) FROM c)",
        f"SELECT count(*), sum(random()) > 0 FROM {BOTH}",
        f"SELECT median(v) FROM {BOTH}",
        "SELECT sum(f) FROM (SELECT f FROM a UNION ALL SELECT y::DOUBLE FROM b) u",
        "SELECT sum(v) FROM (SELECT x AS v FROM a UNION SELECT y FROM b) u",
        "SELECT sum(v) FROM (SELECT x AS v FROM a UNION ALL SELECT y FROM b LIMIT 100) u",
        "SELECT count(*) FROM (SELECT id FROM a UNION ALL SELECT id FROM c) u",  # one source takes it whole
        "SELECT count(*) FROM (SELECT id FROM a UNION ALL SELECT id FROM b) u, c",
    ],
)
def test_what_stays_as_it_is(bench: Bench, sql: str) -> None:
    before = bench.shown(bench.normalized(sql))
    query, _ = bench.rewritten(sql, union_aggregation)
    assert bench.shown(query) == before


def test_what_the_query_becomes(bench: Bench) -> None:
    query, _ = bench.rewritten(f"SELECT k, count(*) AS n, sum(v) AS t FROM {BOTH} GROUP BY k", union_aggregation)
    left = 'SELECT part_3."k" AS "g0", COUNT(*) AS "a0", SUM(CAST(part_3."v" AS BIGINT)) AS "a1"'
    right = 'SELECT part_4."k" AS "g0", COUNT(*) AS "a0", SUM(part_4."q") AS "a1"'
    assert bench.shown(query) == (
        'SELECT part_1."g0" AS "k", part_1."a0" AS "n", part_1."a1" AS "t" FROM'
        ' (SELECT part_2."g0" AS "g0", CAST(SUM(part_2."a0") AS BIGINT) AS "a0", SUM(part_2."a1") AS "a1" FROM'
        f' ({left} FROM (SELECT a."k" AS "k", a."x" AS "v" FROM a AS a) AS part_3 GROUP BY part_3."k" UNION ALL'
        f' {right} FROM (SELECT b."k" AS "k", b."id" AS "q" FROM b AS b) AS part_4 GROUP BY part_4."k") AS part_2'
        ' GROUP BY part_2."g0") AS part_1'
    )


def test_means_are_those_of_duckdb_to_the_last_bit(bench: Bench) -> None:
    """Sums beyond what a DOUBLE holds, and quotients that are rounded."""
    for type_, divisor in (("BIGINT", 4), ("DECIMAL(28, 10)", 400)):
        rows = f"SELECT hash(range) % 5000 AS g, (hash(range * 7) // {divisor})::{type_} AS x FROM range(30000)"
        different = bench.plain.sql(
            "SELECT count(*) FROM"
            f" (SELECT avg(x) AS a, CAST(sum(x) AS DOUBLE) / count(x) AS b FROM ({rows}) GROUP BY g) WHERE a <> b"
        ).fetchall()
        assert different == [(0,)]
