"""Conditions that move into the branches of set operations; DuckDB gives the same rows before and after."""

from __future__ import annotations

import pytest

from federation.planner.set_operations import push_into_branches
from tests.planner.rewriting import Bench

BOTH = "(SELECT k AS q, s FROM a UNION ALL SELECT k, s FROM b)"


def moved(bench: Bench, sql: str) -> str:
    query, _ = bench.rewritten(sql, push_into_branches)
    return bench.shown(query).replace('"', "")


@pytest.mark.parametrize("operation", ["UNION ALL", "UNION", "INTERSECT", "EXCEPT", "INTERSECT ALL", "EXCEPT ALL"])
def test_into_every_set_operation(bench: Bench, operation: str) -> None:
    shown = moved(bench, f"SELECT * FROM (SELECT k AS q FROM a {operation} SELECT k FROM b) u WHERE q > 1")
    left, right = "SELECT a.k AS q FROM a AS a WHERE a.k > 1", "SELECT b.k AS k FROM b AS b WHERE b.k > 1"
    assert shown == f"SELECT u.q AS q FROM ({left} {operation} {right}) AS u"


@pytest.mark.parametrize(
    ("sql", "after"),
    [
        # the set operation casts its branches: so does the condition
        (
            "SELECT * FROM (SELECT k AS q FROM a UNION ALL SELECT y FROM b) u WHERE q > 1",
            "SELECT u.q AS q FROM (SELECT a.k AS q FROM a AS a WHERE CAST(a.k AS BIGINT) > 1 UNION ALL"
            " SELECT b.y AS y FROM b AS b WHERE b.y > 1) AS u",
        ),
        (
            "SELECT * FROM (SELECT 'eu' AS r, id FROM a UNION ALL SELECT 'us', id FROM b) u WHERE r = 'us'",
            "SELECT u.r AS r, u.id AS id FROM (SELECT 'eu' AS r, a.id AS id FROM a AS a WHERE 'eu' = 'us' UNION ALL"
            " SELECT 'us' AS us, b.id AS id FROM b AS b WHERE 'us' = 'us') AS u",
        ),
        # what not every branch takes is tested above as well
        (
            "SELECT * FROM (SELECT k AS q FROM a UNION ALL (SELECT k FROM b ORDER BY k LIMIT 2)) u WHERE q > 1",
            "SELECT u.q AS q FROM (SELECT a.k AS q FROM a AS a WHERE a.k > 1 UNION ALL"
            " (SELECT b.k AS k FROM b AS b ORDER BY k LIMIT 2)) AS u WHERE u.q > 1",
        ),
        (
            f"SELECT * FROM (SELECT *, q * 2 AS w FROM {BOTH} x) u WHERE w > 4 AND s = 'a'",
            "SELECT u.q AS q, u.s AS s, u.w AS w FROM (SELECT x.q AS q, x.s AS s, x.q * 2 AS w FROM"
            " (SELECT a.k AS q, a.s AS s FROM a AS a WHERE (a.k * 2) > 4 AND a.s = 'a' UNION ALL"
            " SELECT b.k AS k, b.s AS s FROM b AS b WHERE (b.k * 2) > 4 AND b.s = 'a') AS x) AS u",
        ),
        # what only the condition needed is not asked for
        (
            f"SELECT c.id FROM c JOIN {BOTH} u ON u.q = c.id AND u.s = 'a'",
            "SELECT c.id AS id FROM c AS c CROSS JOIN (SELECT a.k AS q FROM a AS a WHERE a.s = 'a' UNION ALL"
            " SELECT b.k AS k FROM b AS b WHERE b.s = 'a') AS u WHERE u.q = c.id",
        ),
        (
            f"SELECT c.id FROM c LEFT JOIN {BOTH} u ON u.q = c.id AND u.s = 'a' WHERE u.q IS NULL",
            "SELECT c.id AS id FROM c AS c LEFT JOIN (SELECT a.k AS q FROM a AS a WHERE a.s = 'a' UNION ALL"
            " SELECT b.k AS k FROM b AS b WHERE b.s = 'a') AS u ON u.q = c.id WHERE u.q IS NULL",
        ),
    ],
)
def test_where_a_condition_goes(bench: Bench, sql: str, after: str) -> None:
    assert moved(bench, sql) == after


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT u.q AS q FROM {BOTH} AS u WHERE random() < 2 AND u.q > random() - 9",
        "SELECT u.q AS q FROM (SELECT k AS q FROM a UNION ALL SELECT k FROM b LIMIT 99) AS u WHERE u.q > 1",
        "SELECT u.q AS q FROM (SELECT sum(k) AS q FROM a UNION ALL SELECT max(k) FROM b) AS u WHERE u.q > 1",
        f"SELECT u.q AS q FROM {BOTH} AS u WHERE u.q IN (SELECT id FROM c)",
        "SELECT u.k AS k FROM (SELECT k, id FROM a UNION ALL BY NAME SELECT id, k FROM b) AS u WHERE u.k > 1",
        f"SELECT c.id FROM c FULL JOIN {BOTH} AS u ON u.q = c.id WHERE u.q > 1",
    ],
)
def test_what_stays_above(bench: Bench, sql: str) -> None:
    before = bench.shown(bench.normalized(sql)).replace('"', "")
    assert moved(bench, sql) == before
