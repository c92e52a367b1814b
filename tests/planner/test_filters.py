"""Where conditions may move: tables of SQL, before and after."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from federation.planner import filters


def select(sql: str) -> exp.Select:
    parsed = sqlglot.parse_one(sql, read="duckdb")
    assert isinstance(parsed, exp.Select)
    return parsed


@pytest.mark.parametrize(
    ("condition", "parts"),
    [
        ("a AND b AND c", ["a", "b", "c"]),
        ("(a AND (b AND c))", ["a", "b", "c"]),
        ("a OR b", ["a OR b"]),
        ("a AND (b OR c)", ["a", "b OR c"]),
        ("NOT (a AND b)", ["NOT (a AND b)"]),
    ],
)
def test_conjuncts(condition: str, parts: list[str]) -> None:
    parsed = sqlglot.parse_one(condition, read="duckdb")
    assert [each.sql("duckdb") for each in filters.conjuncts(parsed)] == parts


@pytest.mark.parametrize(
    ("joins", "extended"),
    [
        ("a JOIN b ON true", set()),
        ("a LEFT JOIN b ON true", {"b"}),
        ("a RIGHT JOIN b ON true", {"a"}),
        ("a FULL JOIN b ON true", {"a", "b"}),
        ("a LEFT JOIN b ON true JOIN c ON true", {"b"}),
        ("a JOIN b ON true RIGHT JOIN c ON true", {"a", "b"}),
        ("a LEFT JOIN b ON true FULL JOIN c ON true", {"a", "b", "c"}),
    ],
)
def test_null_extended(joins: str, extended: set[str]) -> None:
    assert filters.null_extended(select(f"SELECT 1 FROM {joins}")) == extended


@pytest.mark.parametrize(
    ("inner", "condition", "pushed"),
    [
        ("SELECT t.a AS x FROM t", "d.x > 1", "SELECT t.a AS x FROM t WHERE t.a > 1"),
        ("SELECT t.a + 1 AS x FROM t", "d.x > 1", "SELECT t.a + 1 AS x FROM t WHERE (t.a + 1) > 1"),
        ("SELECT t.a AS x FROM t WHERE t.b", "d.x > 1", "SELECT t.a AS x FROM t WHERE t.b AND t.a > 1"),
        (
            "SELECT t.a AS x, count(*) AS n FROM t GROUP BY t.a",
            "d.x > 1",
            "SELECT t.a AS x, COUNT(*) AS n FROM t WHERE t.a > 1 GROUP BY t.a",
        ),
        ("SELECT t.a AS x, count(*) AS n FROM t GROUP BY t.a", "d.n > 1", None),
        ("SELECT count(*) AS n FROM t", "d.n > 1", None),
        ("SELECT t.a AS x FROM t GROUP BY ROLLUP (t.a)", "d.x > 1", None),
        ("SELECT t.a AS x FROM t LIMIT 5", "d.x > 1", None),
        ("SELECT t.a AS x FROM t OFFSET 5", "d.x > 1", None),
        ("SELECT DISTINCT t.a AS x FROM t", "d.x > 1", None),
        ("SELECT t.a AS x, row_number() OVER () AS n FROM t", "d.x > 1", None),
        ("SELECT random() AS x FROM t", "d.x > 1", None),
        ("SELECT t.a AS x FROM t", "d.x > random()", None),
        ("SELECT (SELECT 1) AS x FROM t", "d.x > 1", None),
        ("SELECT t.a AS x FROM t UNION ALL SELECT u.b FROM u", "d.x > 1", None),
        ("SELECT unnest(t.a) AS x FROM t", "d.x > 1", None),
        ("SELECT 1 AS x", "d.x > 1", None),
    ],
)
def test_a_condition_moves_into_a_derived_table(inner: str, condition: str, pushed: str | None) -> None:
    query = sqlglot.parse_one(inner, read="duckdb")
    before = query.sql("duckdb")
    moved = filters.push_condition(query, sqlglot.parse_one(condition, read="duckdb"))
    assert moved == (pushed is not None)
    assert query.sql("duckdb") == (pushed or before)


def test_nothing_moves_into_a_null_extended_derived_table() -> None:
    query = select("SELECT 1 FROM a LEFT JOIN (SELECT t.x AS x FROM t) AS d ON true WHERE d.x = 1")
    before = query.sql("duckdb")
    filters.push_into_derived(query)
    assert query.sql("duckdb") == before
