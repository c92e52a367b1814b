"""What cannot be true sends no request; DuckDB gives the same rows and types before and after."""

from __future__ import annotations

import pytest

from adapters.sql.dialect import Reason
from federation.planner.contradictions import contradictions
from tests.planner.rewriting import Bench

NOTHING: set[str] = set()

IMPOSSIBLE = [
    "false",
    "NULL",
    "1 = 0",
    "'a' = 'b'",
    "DATE '2025-01-01' > DATE '2026-01-01'",
    "2 BETWEEN 5 AND 1",
    "NOT true",
    "x = 1 AND x = 2",
    "x = 1 AND 2 = x",
    "x < 3 AND x > 5",
    "x < 3 AND 3 < x",
    "x >= 3 AND x < 3",
    "x > 3 AND x < 4",
    "x = 1.5",
    "x > 3.2 AND x < 3.9",
    "x BETWEEN 5 AND 1",
    "x IN (1, 2) AND x IN (3, 4)",
    "x IN (1, 2) AND x > 2",
    "x IN (1, 2) AND x NOT IN (1, 2)",
    "x IN (NULL)",
    "x NOT IN (1, NULL)",
    "x = NULL",
    "x = NULL::INTEGER",
    "x = 5 AND x <> 5",
    "x <> x",
    "x IS NULL AND x = 5",
    "x IS NULL AND x IS NOT NULL",
    "x IS NULL AND x > k",
    "id IS NULL",
    "x = 1 + 1 AND x = 3",
    "x = k AND k = 1 AND x = 2",
    "x = id AND x = 1 AND id = 2",
    "s = 'a' AND s = 'A'",
    "s = 'a' AND s = 'a '",
    "s > 'b' AND s < 'a'",
    "d = '2025-12-31' AND d > DATE '2026-01-01'",
    "d > '2025-12-31' AND d < DATE '2026-01-01'",
    "d = TIMESTAMP '2025-12-31 10:00:00'",
    "d > TIMESTAMP '2025-12-31 10:00:00' AND d < DATE '2026-01-01'",
    "f = 0.5 AND f = 1",
    "f > 3 AND f < 3",
    "(x = 5 OR x = 7) AND x = 6",
    "(x = 5 OR (x = 7 AND k = 1)) AND (x = 6 OR x = 8)",
    "x = 1 AND (x = 2 OR 1 = 0)",
    "x = 1 AND x = 2 AND k = 1/0",
]

POSSIBLE = [
    "x IS NULL",
    "x = 5 AND x = 5.0",
    "x >= 5 AND x <= 5",
    "x > 3 AND x < 5",
    "f > 3 AND f < 4",
    "f > 1e308",
    "x BETWEEN SYMMETRIC 7 AND 1",
    "x IN (5, NULL)",
    "x <> 4 AND x NOT IN (6)",
    "s COLLATE NOCASE = 'a' AND s = 'A'",
    "lower(s) = 'a' AND s = 'A'",
    "d > '2025-12-30' AND d < DATE '2026-01-01'",
    "d > TIMESTAMP '2025-12-30 10:00:00' AND d < TIMESTAMP '2025-12-31 00:00:01'",
    "f = 0.0 AND f = -0.0",
    "(x = 5 OR x = 7) AND x = 5",
    "x = '5' AND x = 5",
    "f <> 'nan' OR f = 'nan'",
    "random() < 2",
    "x > 3 AND random() < 2",
    "(x = 5) IS NULL AND x IS NULL",
    "x <> ALL([]::INTEGER[]) AND x IS NULL",
    "NOT (x = 5 AND x = 6)",
    "x IS NOT DISTINCT FROM NULL AND x IS NULL",
    "coalesce(x, 9) = 9 AND x IS NULL",
]

#: the query, and the tables that are still read
QUERIES = [
    ("SELECT count(*), sum(x) FROM a WHERE false", NOTHING),
    ("SELECT k, count(*) FROM a WHERE false GROUP BY k", NOTHING),
    ("SELECT k, sum(x) FROM a WHERE false GROUP BY ROLLUP (k)", NOTHING),
    *(
        (f"SELECT count(*) FROM (SELECT sum(x) AS s FROM a WHERE false GROUP BY {keys})", NOTHING)
        for keys in ("ROLLUP (k)", "CUBE (k, x)", "GROUPING SETS ((k), ())", "GROUPING SETS ((k))", "()", "k, CUBE (x)")
    ),
    ("SELECT EXISTS (SELECT k FROM a WHERE false GROUP BY ROLLUP (k))", NOTHING),
    ("SELECT row_number() OVER (ORDER BY id) FROM a WHERE false", NOTHING),
    ("SELECT * FROM a LIMIT 0", NOTHING),
    ("SELECT count(*) FROM a LIMIT 0", NOTHING),
    ("SELECT count(*) FROM a HAVING false", NOTHING),
    ("SELECT count(*) FROM a HAVING true", {"a"}),
    ("SELECT 1 AS one FROM a HAVING true", {"a"}),
    ("SELECT * FROM a QUALIFY row_number() OVER () = 1 AND false", NOTHING),
    ("SELECT (SELECT max(y) FROM b) FROM a WHERE false", NOTHING),
    ("SELECT (SELECT max(y) FROM b), count(*) FROM a WHERE false", {"b"}),
    # joins
    ("SELECT a.id FROM a JOIN b ON a.k = b.k WHERE a.k = 1 AND b.k = 2", NOTHING),
    ("SELECT a.id FROM a JOIN c ON a.k = c.k WHERE a.k = 1 AND c.k = 2", NOTHING),  # INTEGER and BIGINT
    ("SELECT a.id FROM a, b WHERE a.k = b.k AND a.k <> b.k", NOTHING),
    ("SELECT a.id FROM a JOIN b ON a.k = b.k AND 1 = 0", NOTHING),
    ("SELECT a.id FROM a, (SELECT k FROM b WHERE y = 1 AND y = 2) q WHERE a.k = q.k", NOTHING),
    ("SELECT * FROM a SEMI JOIN b ON a.k = b.k WHERE a.k = 1 AND a.k = 3", NOTHING),
    ("SELECT * FROM a ANTI JOIN b ON a.k = b.k WHERE a.k = 1 AND a.k = 3", NOTHING),
    # outer joins
    ("SELECT a.id, b.y FROM a LEFT JOIN b ON a.k = b.k AND b.k = 1 AND b.k = 2", {"a"}),
    ("SELECT a.id, b.y FROM a LEFT JOIN b ON a.k = b.k AND b.k = 1 WHERE a.k = 2", {"a"}),
    ("SELECT a.id, b.y FROM a LEFT JOIN b ON b.id IS NULL", {"a"}),
    ("SELECT extract(year FROM make_date(2000 + b.y, 1, 1)) AS z FROM a LEFT JOIN b ON false", {"a", "b"}),
    ("SELECT date_part('year', make_date(2000 + b.y, 1, 1)) AS z FROM a LEFT JOIN b ON false", {"a", "b"}),
    ("SELECT a.id, b.y FROM a LEFT JOIN b ON a.k = b.k WHERE b.id IS NULL", {"a", "b"}),
    ("SELECT a.id, b.y FROM a LEFT JOIN b ON b.k = 5 WHERE b.k IS NULL", {"a", "b"}),
    ("SELECT a.id, b.y FROM a LEFT JOIN b ON b.k = 5 WHERE b.k = 6", {"a", "b"}),
    ("SELECT a.id, b.y, c.b FROM a LEFT JOIN b ON false LEFT JOIN c ON c.k = b.id", {"a"}),
    ("SELECT a.id, b.y FROM a LEFT JOIN b ON false WHERE b.y IS NULL ORDER BY b.y, a.id", {"a"}),
    ("SELECT a.id, count(b.id), sum(b.y) FROM a LEFT JOIN b ON false GROUP BY a.id, b.s ORDER BY b.s", {"a"}),
    ("SELECT a.id, q.k, q.z FROM a LEFT JOIN (SELECT k, k || s AS z FROM b WHERE false) q ON a.k = q.k", {"a"}),
    ("SELECT * FROM (SELECT * FROM a WHERE false) q LEFT JOIN b ON q.k = b.k", NOTHING),
    ("SELECT * FROM (SELECT * FROM a WHERE false) q RIGHT JOIN b ON q.k = b.k", {"b"}),
    ("SELECT * FROM (SELECT * FROM a WHERE false) q FULL JOIN b ON q.k = b.k", {"b"}),
    ("SELECT * FROM a FULL JOIN b ON a.k = b.k WHERE a.x = 1 AND a.x = 2", NOTHING),
    ("SELECT * FROM a RIGHT JOIN b ON a.k = b.k AND a.x = 1 AND a.x = 2", {"a", "b"}),
    ("SELECT a.id FROM a RIGHT JOIN b ON a.k = b.k WHERE a.id IS NULL", {"a", "b"}),
    # set operations
    ("SELECT id FROM a UNION ALL SELECT id FROM b WHERE false", {"a"}),
    ("SELECT id FROM a WHERE false UNION ALL SELECT y FROM b", {"b"}),
    ("SELECT id FROM a WHERE false UNION ALL SELECT k FROM b", {"b"}),
    ("SELECT 1 AS q FROM a WHERE false UNION ALL SELECT 'x' FROM b", {"b"}),
    ("SELECT id FROM a WHERE false UNION ALL SELECT y FROM b ORDER BY 1 LIMIT 2", {"b"}),
    ("SELECT id FROM a WHERE false UNION ALL (SELECT y FROM b ORDER BY y LIMIT 2)", {"b"}),
    ("SELECT id FROM a WHERE false UNION ALL (SELECT id FROM b EXCEPT SELECT id FROM c)", {"b", "c"}),
    ("SELECT id FROM c EXCEPT (SELECT id FROM a WHERE false UNION ALL (SELECT y FROM b EXCEPT SELECT 1))", {"b", "c"}),
    ("SELECT id FROM a WHERE false UNION ALL SELECT id FROM b UNION ALL SELECT y FROM b WHERE 1 > 2", {"b"}),
    ("SELECT id FROM a WHERE false UNION ALL SELECT id FROM b WHERE false", NOTHING),
    ("SELECT id, k FROM a WHERE false UNION ALL BY NAME SELECT k, id FROM b", {"b"}),
    ("SELECT k FROM a UNION SELECT k FROM b WHERE false", {"a"}),
    ("SELECT id FROM a WHERE false INTERSECT SELECT id FROM b", NOTHING),
    ("SELECT id FROM a WHERE false EXCEPT SELECT id FROM b", NOTHING),
    ("SELECT id FROM a EXCEPT SELECT id FROM b WHERE false", {"a"}),
    # subqueries and CTEs
    ("SELECT * FROM a WHERE k IN (SELECT k FROM b WHERE false)", NOTHING),
    ("SELECT * FROM a WHERE k NOT IN (SELECT k FROM b WHERE false)", {"a"}),
    ("SELECT * FROM a WHERE EXISTS (SELECT k FROM b WHERE b.k = a.k AND false)", NOTHING),
    ("SELECT * FROM a WHERE NOT EXISTS (SELECT k FROM b WHERE b.k = a.k AND false)", {"a"}),
    ("SELECT id, k IN (SELECT k FROM b WHERE false) AS q FROM a", {"a"}),
    ("SELECT * FROM a WHERE k = (SELECT max(k) FROM b WHERE false)", {"a"}),
    ("SELECT * FROM a WHERE k > ALL (SELECT k FROM b WHERE false)", {"a"}),
    ("SELECT id, (SELECT count(*) FROM b WHERE b.k = a.k AND false) AS n FROM a", {"a"}),
    ("WITH q AS (SELECT * FROM a WHERE false) SELECT (SELECT count(*) FROM q), (SELECT max(id) FROM q)", NOTHING),
    ("SELECT q.* FROM a, LATERAL (SELECT b.y FROM b WHERE b.k = a.k AND false) q", NOTHING),
]


@pytest.mark.parametrize("condition", IMPOSSIBLE)
def test_what_is_never_true_reads_nothing(bench: Bench, condition: str) -> None:
    query, context = bench.rewritten(f"SELECT * FROM a WHERE {condition}", contradictions)
    assert bench.asked(query) == set()
    assert [note.reason for note in context.notes] == [Reason.CONTRADICTION]


@pytest.mark.parametrize("condition", POSSIBLE)
def test_what_may_be_true_is_left_alone(bench: Bench, condition: str) -> None:
    query, context = bench.rewritten(f"SELECT id FROM a WHERE {condition} ORDER BY id", contradictions)
    assert bench.asked(query) == {"a"}
    assert context.notes == []


@pytest.mark.parametrize(("sql", "asked"), QUERIES)
def test_what_is_made_of_no_rows(bench: Bench, sql: str, asked: set[str]) -> None:
    query, _ = bench.rewritten(sql, contradictions)
    assert bench.asked(query) == asked


@pytest.mark.parametrize(
    ("sql", "after"),
    [
        (
            "SELECT a.k, b.y FROM a LEFT JOIN b ON a.k = b.k AND false",
            'SELECT a."k" AS "k", CAST(NULL AS BIGINT) AS "y" FROM a AS a',
        ),
        ("SELECT id FROM a WHERE false UNION ALL SELECT y FROM b", 'SELECT b."y" AS "id" FROM b AS b'),
        (
            "SELECT id FROM a WHERE false UNION ALL SELECT y FROM b ORDER BY id LIMIT 1",
            'SELECT kept_1."id" AS "id" FROM (SELECT b."y" AS "id" FROM b AS b) AS kept_1 ORDER BY "id" LIMIT 1',
        ),
        ("SELECT k FROM a WHERE true AND 1 < 2", 'SELECT a."k" AS "k" FROM a AS a'),
        (
            "SELECT count(*) AS n FROM a WHERE k = 1 AND k = 2",
            'SELECT COUNT(*) AS "n" FROM (SELECT CAST(NULL AS BIGINT) AS "id" WHERE FALSE) AS "a" WHERE FALSE',
        ),
    ],
)
def test_what_the_query_becomes(bench: Bench, sql: str, after: str) -> None:
    query, _ = bench.rewritten(sql, contradictions)
    shown = bench.shown(query)
    assert shown == after
