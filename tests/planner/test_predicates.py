"""Conditions as the predicates of a scan: only literals that DuckDB would compare in the column's own type."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest
import sqlglot

from adapters.base import Column, Predicate, Table, TableName
from federation.planner.predicates import to_predicates

INSTANT = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
TABLE = Table(
    TableName("main", "t"),
    (
        Column("i", pa.int64()),
        Column("d", pa.decimal128(10, 2)),
        Column("f", pa.float64()),
        Column("s", pa.string()),
        Column("b", pa.bool_()),
        Column("day", pa.date32()),
        Column("at", pa.timestamp("us")),
        Column("zoned", pa.timestamp("us", "UTC")),
    ),
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("t.i = 1", [Predicate("i", "=", (1,))]),
        ("1 < t.i", [Predicate("i", ">", (1,))]),
        ("t.i <> -1", [Predicate("i", "<>", (-1,))]),
        ("t.i BETWEEN 1 AND 2", [Predicate("i", ">=", (1,)), Predicate("i", "<=", (2,))]),
        ("t.i IN (1, 2)", [Predicate("i", "in", (1, 2))]),
        ("t.i IN (1, NULL)", []),
        ("t.i IS NULL", [Predicate("i", "is null")]),
        ("t.i IS NOT NULL", [Predicate("i", "is not null")]),
        ("t.i = 1.5", []),
        ("t.i = '1'", []),
        ("t.i = NULL", []),
        ("t.i = u.i", []),
        ("u.i = 1", []),
        ("t.i + 1 = 2", []),
        ("t.i = 1 OR t.i = 2", []),
        ("t.i BETWEEN 1 AND u.i", []),
        ("t.d = 1.25", [Predicate("d", "=", (Decimal("1.25"),))]),
        ("t.s = 'x'", [Predicate("s", "=", ("x",))]),
        ("t.s = 1", []),
        ("t.b = true", [Predicate("b", "=", (True,))]),
        ("t.day = DATE '2024-02-29'", [Predicate("day", "=", (datetime.date(2024, 2, 29),))]),
        ("t.day = '2024-02-30'", []),
        ("t.at < TIMESTAMP '2024-01-01 00:00:00'", [Predicate("at", "<", (datetime.datetime(2024, 1, 1),))]),
        ("t.zoned < TIMESTAMPTZ '2024-01-01 00:00:00+00'", [Predicate("zoned", "<", (INSTANT,))]),
        ("t.zoned >= '2024-01-01T05:30:00+05:30'", [Predicate("zoned", ">=", (INSTANT,))]),
        ("t.zoned < TIMESTAMPTZ '2024-01-01 00:00:00'", []),
        ("t.zoned < TIMESTAMP '2024-01-01 00:00:00'", []),
        ("t.zoned < '0001-01-01 00:00:00+05'", []),
        ("t.zoned < '2024-01-01 00:00:00.1234567Z'", []),
    ],
)
def test_to_predicates(condition: str, expected: list[Predicate]) -> None:
    assert to_predicates(sqlglot.parse_one(condition, read="duckdb"), "t", TABLE) == expected
