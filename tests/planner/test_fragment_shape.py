"""Fragments without their constants."""

from __future__ import annotations

import pytest
from sqlglot import exp, parse_one

from federation.planner.fragment_shape import without_constants


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "SELECT a FROM t WHERE b = 1 AND c > DATE '2020-01-01'",
            "SELECT a FROM t WHERE b = ? AND c > CAST(? AS DATE)",
        ),
        ("SELECT a FROM t WHERE b IN (1, 2, 3)", "SELECT a FROM t WHERE b IN (?)"),
        ("SELECT a FROM t WHERE b IN ('secret')", "SELECT a FROM t WHERE b IN (?)"),
        ("SELECT a FROM t WHERE b IN (1, c)", "SELECT a FROM t WHERE b IN (?, c)"),
        ("SELECT a FROM t WHERE b IN (SELECT 1)", "SELECT a FROM t WHERE b IN (SELECT ?)"),
    ],
)
def test_constants_are_left_out(sql: str, expected: str) -> None:
    query = parse_one(sql)
    assert isinstance(query, exp.Query)
    assert without_constants(query) == expected
    assert query == parse_one(sql)
