"""What each alternative of an OR says of one table; DuckDB gives the same rows before and after."""

from __future__ import annotations

import pytest

from federation.planner.implied_filters import implied_filters
from tests.planner.rewriting import Bench


def tail(bench: Bench, sql: str) -> str:
    query, _ = bench.rewritten(f"SELECT a.id AS q FROM {sql}", implied_filters)
    return bench.shown(query).split(" FROM ", 1)[1].replace('"', "")


@pytest.mark.parametrize(
    ("sql", "added"),
    [
        (
            "a, b WHERE (a.x = 5 AND b.y = 10) OR (a.x = 7 AND b.y = 30)",
            "(a.x = 5 OR a.x = 7) AND (b.y = 10 OR b.y = 30)",
        ),
        (
            "a JOIN b ON (a.x = 5 AND b.y = 10) OR (a.x = 7 AND b.y = 30)",
            "(a.x = 5 OR a.x = 7) AND (b.y = 10 OR b.y = 30)",
        ),
        # of one table only, if an alternative leaves the other alone
        ("a, b WHERE (a.x = 5 AND b.y = 10) OR a.x = 7", "(a.x = 5 OR a.x = 7)"),
        ("a, b WHERE (a.x = 5 AND a.k = 1 AND b.y = 10) OR a.x = 7", "((a.x = 5 AND a.k = 1) OR a.x = 7)"),
        ("a, b WHERE (a.x = 5 AND b.y = 10) OR (a.x = 5 AND b.y = 30)", "a.x = 5 AND (b.y = 10 OR b.y = 30)"),
        # what all alternatives say holds by itself, also where it is about both tables
        (
            "a, b WHERE (a.k = b.k AND a.x = 5 AND a.s = 'a' AND b.y = 10) OR (a.s = 'a' AND a.k = b.k AND b.y = 30)",
            "a.k = b.k AND a.s = 'a' AND (b.y = 10 OR b.y = 30)",
        ),
        ("a, b WHERE (a.k = b.k AND a.x = 5) OR (a.k = b.k)", "AND a.k = b.k"),
        (
            "a, b WHERE (a.x IS NULL AND b.y = 10) OR (a.s = 'a' AND b.s IS NULL)",
            "(a.x IS NULL OR a.s = 'a') AND (b.y = 10 OR b.s IS NULL)",
        ),
        # what a LEFT or FULL JOIN extends by NULLs fulfils the whole or not, like any row
        (
            "a LEFT JOIN b ON a.k = b.k WHERE (a.x = 5 AND b.y IS NULL) OR (a.x = 7 AND b.y = 30)",
            "(a.x = 5 OR a.x = 7) AND (b.y IS NULL OR b.y = 30)",
        ),
        (
            "a FULL JOIN b ON a.k = b.k WHERE (a.x = 5 AND b.y IS NULL) OR (a.x IS NULL AND b.y = 30)",
            "(a.x = 5 OR a.x IS NULL) AND (b.y IS NULL OR b.y = 30)",
        ),
        (
            "a JOIN b ON (a.x = 5 AND b.y = 10) OR (a.x = 7 AND b.y = 30) LEFT JOIN c ON a.k = c.k",
            "(a.x = 5 OR a.x = 7) AND (b.y = 10 OR b.y = 30)",
        ),
    ],
)
def test_what_is_added(bench: Bench, sql: str, added: str) -> None:
    assert tail(bench, sql).endswith(added)
    assert tail(bench, sql).count(added) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "a, b WHERE (a.x = 5 AND b.y = 10) OR a.k = b.k",
        "a, b WHERE a.x = 5 OR b.y = 10",
        "a WHERE (a.x = 5 AND a.k = 1) OR (a.x = 7 AND a.k = 2)",
        "a, b WHERE NOT ((a.x = 5 AND b.y = 10) OR (a.x = 7 AND b.y = 30))",
        "a, b WHERE ((a.x = 5 AND b.y = 10) OR (a.x = 7 AND b.y = 30)) IS NULL",
        "a, b WHERE (random() < a.x AND b.y = b.k) OR (random() < a.x + 1 AND b.y = a.k)",
        # ON of an outer join says nothing of the rows that it keeps
        "a LEFT JOIN b ON (a.x = 5 AND b.y = 10) OR (a.x = 7 AND b.y = 30)",
        "a FULL JOIN b ON a.k = b.k AND ((a.x = 5 AND b.y = 10) OR (a.x = 7 AND b.y = 30))",
        # nor does ON of an inner one of those that a later join keeps
        "a JOIN b ON (a.x = 5 AND b.y = 10) OR (a.x = 7 AND b.y = 30) RIGHT JOIN c ON a.k = c.k",
        "a JOIN b ON (a.x = 5 AND b.y = 10) OR (a.x = 7 AND b.y = 30) FULL JOIN c ON a.k = c.k",
        "a, b WHERE EXISTS (SELECT 1 FROM c WHERE c.k = a.k) OR (a.x = 5 AND b.y = 10)",
    ],
)
def test_nothing_is_added(bench: Bench, sql: str) -> None:
    assert tail(bench, sql) == bench.shown(bench.normalized(f"SELECT a.id AS q FROM {sql}")).split(" FROM ", 1)[
        1
    ].replace('"', "")


def test_twice_adds_nothing(bench: Bench) -> None:
    sql = "a, b WHERE (a.x = 5 AND b.y = 10) OR (a.x = 7 AND b.y = 30)"
    once = tail(bench, sql)
    twice, _ = bench.rewritten(f"SELECT a.id AS q FROM {sql}", implied_filters, implied_filters)
    assert bench.shown(twice).split(" FROM ", 1)[1].replace('"', "") == once
