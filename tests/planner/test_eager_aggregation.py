"""Aggregates in parts before a join; DuckDB gives the same types and rows before and after."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlglot import exp

from adapters.base import ColumnStatistics, TableStatistics
from federation.planner.eager_aggregation import aggregate_eagerly
from federation.planner.rewriting import Context
from tests.corpora.settings import Setting
from tests.planner.rewriting import Bench

#: a and c are in one source, b in another
JOIN = "a JOIN b ON a.k = b.k"
APART = [
    f"SELECT b.s, sum(a.x), count(*), count(a.x), min(a.s), max(a.d), avg(a.x) FROM {JOIN} GROUP BY b.s",
    f"SELECT sum(a.x), count(*), count(a.d) FROM {JOIN}",
    f"SELECT sum(a.x), count(*), count(a.x), avg(a.x), max(a.f) FROM {JOIN} WHERE b.y > 1000000000000000",
    f"SELECT count(*) FROM {JOIN}",
    f"SELECT b.id, sum(a.x) + 1 AS n FROM {JOIN} WHERE a.id > 1 AND a.s <> 'b' GROUP BY b.id HAVING n > 0 ORDER BY n",
    f"SELECT a.k, b.k, max(a.x) FROM {JOIN} AND a.id < b.id GROUP BY ALL",
    f"SELECT a.k + 1 AS q, sum(a.id) FROM {JOIN} GROUP BY a.k + 1",
    "SELECT b.s, sum(a.x), min(c.b) FROM a JOIN c ON a.id = c.id JOIN b ON c.k = b.k GROUP BY b.s",
    "SELECT b.s, sum(a.x) FROM a, b, c WHERE a.k = b.k AND b.id = c.id GROUP BY b.s",
    f"SELECT b.s, sum(a.x) FROM {JOIN} WHERE EXISTS (SELECT 1 FROM c WHERE c.id = a.id) GROUP BY b.s",
    "SELECT u.n, sum(a.x) FROM a JOIN (SELECT k, count(*) AS n FROM b GROUP BY k) AS u ON a.k = u.k GROUP BY u.n",
    "SELECT DISTINCT bool_or(c.b) FROM c JOIN b ON c.k = b.k GROUP BY b.id LIMIT 9",
    "SELECT b.id, sum(b.n), avg(b.n) FROM b JOIN a ON a.k = b.k GROUP BY b.id",
    "SELECT a.id, sum(b.n), avg(b.n) FROM b JOIN a ON a.k = b.k GROUP BY a.id",
    "SELECT * FROM (SELECT b.s, sum(a.x) AS t FROM a JOIN b ON a.k = b.k GROUP BY b.s) AS u WHERE t > 3",
]


def rule(query: exp.Query, context: Context) -> exp.Query:
    assert aggregate_eagerly(query, context)
    return query


@pytest.mark.parametrize("sql", APART)
def test_what_is_taken_apart(bench: Bench, sql: str) -> None:
    before = bench.shown(bench.normalized(sql))
    with Setting(force="groups").forced():
        query, _ = bench.rewritten(sql, rule)
    assert bench.shown(query) != before


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT b.s, sum(a.x + 1) FROM {JOIN} GROUP BY b.s",  # raises for a row that the join would drop
        f"SELECT b.s, sum(a.f) FROM {JOIN} GROUP BY b.s",
        f"SELECT b.s, count(DISTINCT a.x) FROM {JOIN} GROUP BY b.s",
        f"SELECT b.s, sum(a.x) FILTER (WHERE a.id > 1) FROM {JOIN} GROUP BY b.s",
        f"SELECT b.s, sum(a.x), sum(b.y) FROM {JOIN} GROUP BY b.s",
        f"SELECT b.s, list(a.x ORDER BY a.x) FROM {JOIN} GROUP BY b.s",
        f"SELECT b.s, median(a.x) FROM {JOIN} GROUP BY b.s",
        f"SELECT b.s, sum(a.x) FROM {JOIN} GROUP BY ROLLUP (b.s)",
        f"SELECT a.f, sum(a.x) FROM {JOIN} GROUP BY a.f",  # -0.0 and 0.0 are one group
        f"SELECT b.s, sum(a.x) FROM {JOIN} WHERE a.id + random() < 100 GROUP BY b.s",
        f"SELECT b.s, sum(a.x) FROM {JOIN} GROUP BY b.s, (SELECT max(c.id) FROM c WHERE c.id = a.id)",
        f"SELECT b.s COLLATE NOCASE AS t, sum(a.x) FROM {JOIN} GROUP BY b.s COLLATE NOCASE",
        "SELECT b.s, sum(a.x) FROM a LEFT JOIN b ON a.k = b.k GROUP BY b.s",
        "SELECT b.s, sum(a.x) FROM a SEMI JOIN b ON a.k = b.k JOIN b ON true GROUP BY b.s",
        "SELECT b.s, sum(a.x) FROM a CROSS JOIN b GROUP BY b.s",  # of no rows there would be one group
        "SELECT c.b, sum(a.x) FROM a JOIN c ON a.k = c.k GROUP BY c.b",  # one source takes it whole
        "SELECT (SELECT sum(a.x) FROM a JOIN b ON a.k = b.k WHERE a.id > c.id) AS t FROM c",
        f"SELECT a.x, row_number() OVER () FROM {JOIN}",
    ],
)
def test_what_stays_as_it_is(bench: Bench, sql: str) -> None:
    before = bench.shown(bench.normalized(sql))
    with Setting(force="groups").forced():
        query = bench.normalized(sql)
        assert not aggregate_eagerly(query, bench.context(query))
    assert bench.shown(query) == before


def test_what_the_query_becomes(bench: Bench) -> None:
    with Setting(force="groups").forced():
        query, _ = bench.rewritten(
            f"SELECT b.s, count(*) AS n, sum(a.x) AS t FROM {JOIN} WHERE a.id > 1 GROUP BY b.s", rule
        )
    assert bench.shown(query) == (
        'SELECT part_1."g0" AS "s", part_1."a0" AS "n", part_1."a1" AS "t" FROM (SELECT b."s" AS "g0",'
        ' COALESCE(CAST(SUM("part_2"."a0") AS BIGINT), 0) AS "a0", SUM("part_2"."a1") AS "a1" FROM'
        ' (SELECT a."k" AS "k0", COUNT(*) AS "a0", SUM(a."x") AS "a1" FROM a AS a WHERE a."id" > 1 GROUP BY a."k")'
        ' AS part_2 CROSS JOIN b AS b WHERE "part_2"."k0" = b."k" GROUP BY b."s") AS part_1'
    )


@pytest.mark.parametrize(
    ("rows", "distinct", "apart"),
    [(20_000, 4_000, True), (20_000, 4_001, False), (20_000, None, False), (None, 10, False), (9_999, 10, False)],
)
def test_statistics_decide(bench: Bench, rows: float | None, distinct: float | None, apart: bool) -> None:
    query = bench.normalized(f"SELECT b.s, sum(a.x) FROM {JOIN} GROUP BY b.s")
    before = bench.shown(query)
    known = TableStatistics(rows, columns={"k": ColumnStatistics(distinct)})
    context = replace(bench.context(query), statistics=lambda _: known)
    assert aggregate_eagerly(query, context) is apart
    assert (bench.shown(query) != before) is apart
