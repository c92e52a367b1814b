"""TopN below LEFT JOINs; DuckDB gives the same rows before and after."""

from __future__ import annotations

import pytest

from federation.planner.topn_joins import topn_joins
from tests.planner.rewriting import Bench


def rewritten(bench: Bench, sql: str) -> str:
    query, _ = bench.rewritten(sql, topn_joins)
    return bench.shown(query).replace('"', "")


@pytest.mark.parametrize(
    ("sql", "below"),
    [
        (
            "SELECT a.id AS q, b.y AS y FROM a LEFT JOIN b ON a.id = b.id ORDER BY a.id LIMIT 3",
            "ORDER BY a_1.id LIMIT 3",
        ),
        (
            "SELECT a.id AS q FROM a LEFT JOIN b ON a.id = b.id WHERE a.x > 5 ORDER BY q DESC LIMIT 2 OFFSET 1",
            "WHERE a_1.x > 5 ORDER BY a_1.id DESC LIMIT 3",
        ),
        (
            "SELECT a.id AS q FROM a LEFT JOIN b ON a.id = b.id LEFT JOIN c ON c.id = b.id ORDER BY a.id LIMIT 1",
            "ORDER BY a_1.id LIMIT 1",
        ),
    ],
)
def test_the_preserved_side_is_cut(bench: Bench, sql: str, below: str) -> None:
    assert below in rewritten(bench, sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a.id AS q FROM a JOIN b ON a.id = b.id ORDER BY a.id LIMIT 3",
        "SELECT a.id AS q FROM a RIGHT JOIN b ON a.id = b.id ORDER BY b.id, a.id LIMIT 3",
        "SELECT a.id AS q FROM a LEFT JOIN b ON a.id = b.id WHERE b.y IS NULL ORDER BY a.id LIMIT 3",
        "SELECT a.id AS q FROM a LEFT JOIN b ON a.id = b.id ORDER BY b.y, a.id LIMIT 3",
        "SELECT a.id AS q, count(*) AS n FROM a LEFT JOIN b ON a.id = b.id GROUP BY a.id ORDER BY a.id LIMIT 3",
        "SELECT DISTINCT a.x AS q FROM a LEFT JOIN b ON a.id = b.id ORDER BY a.x LIMIT 3",
        "SELECT a.id AS q, row_number() OVER () AS n FROM a LEFT JOIN b ON a.id = b.id ORDER BY a.id LIMIT 3",
        "SELECT a.id AS q FROM a LEFT JOIN b ON a.id = b.id ORDER BY a.id",
        "SELECT a.id AS q FROM a ORDER BY a.id LIMIT 3",
    ],
)
def test_what_is_left_alone(bench: Bench, sql: str) -> None:
    assert "a_1" not in rewritten(bench, sql)
