"""Which conditions raise for no row, whatever its values."""

from __future__ import annotations

import duckdb
import pytest

from federation.planner.leakproof import Leakproof, conditions, readable
from tests.planner.rewriting import Bench

HARMLESS = [
    "a.x = 5 AND NOT (a.k <> 2 OR a.s IS NULL)",
    "a.x BETWEEN 1 AND 99999999999",
    "a.x > 2.5",
    "a.x = '5'",  # the text takes the column's type
    "a.x = a.id",
    "a.s IN ('a', 'b', NULL)",
    "a.d >= DATE '2025-01-01' AND a.d < '2026-01-01'",
    "a.f < 1e10 OR a.f = 'nan'::DOUBLE",
    "(a.x = 5) IS TRUE",
    "a.x IS NOT DISTINCT FROM a.k",
    "a.s LIKE '%x_' AND a.s NOT ILIKE 'y%' AND a.s LIKE 'z\\%%' ESCAPE '\\'",
    "starts_with(a.s, 'x')",
    "lower(trim(a.s)) = 'x' AND length(a.s) > 3 AND substring(a.s, 1, 2) = 'ab' AND left(a.s, 1) <> ''",
    "year(a.d) = 2025 AND extract(month FROM a.d) < 7",
    "a.x % 2 = 1",
    "TRY_CAST(a.s AS INTEGER) = 1",
    "CAST(a.x AS VARCHAR) = '5' AND CAST(a.x AS DOUBLE) < 2.5",
    "CASE WHEN a.x = 5 THEN a.s ELSE 'y' END = 'a'",
    "coalesce(a.s, 'x') = 'x'",
    "a.k IN (SELECT c.k FROM c WHERE c.b)",
    "a.k IN (SELECT c.k FROM c UNION ALL SELECT c.id FROM c)",
    "EXISTS (SELECT 1 FROM c WHERE c.id = a.id)",
    "a.x < (SELECT max(c.k) FROM c)",
    "a.x < (SELECT count(*) FROM c WHERE c.k = a.k)",
    "g.total > 5",
    "g.k = 5",
]
MAY_RAISE = [
    "CAST(a.s AS INTEGER) = 1",
    "a.s = 1",
    "a.s IN (1, 2)",
    "a.s = a.x",
    "a.s = CAST(NULL AS INTEGER)",
    "a.s = a.d",
    "a.d = TIMESTAMP '2025-01-01 00:00:00'",  # there are days that no timestamp has
    "a.x + 1 > 0",
    "a.x * a.k = 4",
    "-a.x = 4",
    "abs(a.x) = 4",
    "a.x // a.k = 1",
    "1 / a.x > 0",
    "a.x % a.k = 1",
    "a.x % 0 = 1",
    "sqrt(a.f) > 1",
    "a.s LIKE a.s || '%'",
    "a.s LIKE 'x!' ESCAPE '!'",
    "a.s LIKE a.s",
    "a.s ~ '('",
    "error(a.s) IS NULL",
    "CASE WHEN a.x = 5 THEN CAST(a.s AS INTEGER) ELSE 1 END = 1",
    "coalesce(a.s, a.x) = 'x'",
    "a.x = CAST('y' AS INTEGER)",
    "a.s = ANY (SELECT c.k FROM c)",
    "a.k IN (SELECT a.s FROM a)",
    "a.k = (SELECT c.k FROM c WHERE c.id = a.id)",  # there may be two
    "EXISTS (SELECT CAST(a.s AS INTEGER) FROM c)",
    "g.whole = 5",
    "u.v = '5'",
]
FROM = """
FROM a, (SELECT k, sum(CAST(s AS INTEGER)) AS total, CAST(s AS INTEGER) AS whole FROM a GROUP BY k, whole) g,
  (SELECT s AS v FROM a UNION ALL SELECT y FROM b) u
"""


def judged(bench: Bench, sql: str) -> list[bool]:
    query = bench.normalized(sql)
    judge = Leakproof(query, bench.context(query))
    return [judge.condition(part) for _, part in conditions(query)]


@pytest.mark.parametrize("condition", HARMLESS)
def test_what_raises_for_no_row(bench: Bench, condition: str) -> None:
    assert all(judged(bench, f"SELECT a.id {FROM} WHERE {condition}"))


@pytest.mark.parametrize("condition", MAY_RAISE)
def test_what_may_raise(bench: Bench, condition: str) -> None:
    assert not all(judged(bench, f"SELECT a.id {FROM} WHERE {condition}"))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.id FROM a JOIN b ON a.s = b.k",
        "SELECT a.id FROM a LEFT JOIN b ON a.id = b.id AND a.x + 1 > 0",
        "SELECT k FROM a GROUP BY k HAVING k + 1 > 0",
        "SELECT k FROM a QUALIFY k + 1 > 0 AND row_number() OVER (ORDER BY k) = 1",
        "SELECT count(*) FILTER (WHERE k + 1 > 0) FROM a",
        "SELECT (SELECT max(k) FROM c WHERE c.id + 1 = a.id) FROM a",
        "WITH w AS (SELECT k + 1 AS n FROM a) SELECT x.n FROM w x, w y WHERE x.n = y.n",
    ],
)
def test_conditions_are_found_wherever_they_stand(bench: Bench, sql: str) -> None:
    assert not all(judged(bench, sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT k + 1, sum(x * k) FROM a GROUP BY ALL HAVING sum(x * k) + 1 > 5 ORDER BY k + 1",
        "SELECT n FROM (SELECT k + 1 AS n FROM a)",
        "SELECT n FROM (SELECT sum(x + 1) OVER (PARTITION BY k) AS n FROM a) WHERE n > 5",
        "SELECT a.id FROM a LEFT JOIN b ON a.id = b.id QUALIFY row_number() OVER (ORDER BY a.k + 1) = 1",
    ],
)
def test_what_is_selected_is_no_condition(bench: Bench, sql: str) -> None:
    assert all(judged(bench, sql))


def test_what_cannot_be_read(bench: Bench) -> None:
    for sql in (
        "SELECT a.id FROM a, unnest([a.k]) AS u(v)",
        "SELECT unnest([k]) FROM a",
        "SELECT a.id FROM a ASOF JOIN b ON a.id >= b.id",
    ):
        assert not readable(bench.normalized(sql))
    assert readable(bench.normalized("SELECT a.id FROM a JOIN b ON a.id = b.id"))


EXTREMES = {
    "k": ["-2147483648", "2147483647", "0", "NULL"],
    "s": ["''", "'x'", "'%'", "repeat('é', 300)", "NULL", "'\\'"],
    "d": ["DATE 'infinity'", "DATE '-infinity'", "DATE '5881580-07-10'", "NULL"],
    "f": ["'nan'::DOUBLE", "'inf'::DOUBLE", "-1e308", "NULL"],
}


def test_nothing_that_is_called_harmless_raises_for_extreme_values() -> None:
    with duckdb.connect() as here:
        columns = {"k": "INTEGER", "s": "VARCHAR", "d": "DATE", "f": "DOUBLE"}
        for name, given in EXTREMES.items():
            here.execute(f"CREATE TABLE {name}s ({name} {columns[name]})")
            here.execute(f"INSERT INTO {name}s VALUES " + ", ".join(f"({each})" for each in given))
        here.execute("CREATE TABLE a AS SELECT k AS id, k, k AS x, s, d, f FROM ks, ss, ds, fs")
        here.execute("CREATE TABLE c AS SELECT k, k AS id, true AS b FROM ks")
        for condition in HARMLESS:
            if "g." not in condition:
                here.execute(f"SELECT count(*) FROM a WHERE {condition}").fetchall()
