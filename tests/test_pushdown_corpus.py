"""Every expression of the pushdown corpus through the engine, over each database, against plain DuckDB.

Whatever the translator chooses to push: the same types and values, or an error on both sides. `edge` holds the
extremes, on which much arithmetic fails; `calm` holds values on which it does not.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from adapters.errors import Error
from tests.corpora.compare import Answer, difference
from tests.corpora.layouts import Federated, Layout, federated
from tests.corpora.tables import CorpusTable, System
from tests.corpora.templates import corpus
from tests.servers import Server

TYPES: dict[str, pa.DataType] = {
    "id": pa.int32(),
    "i": pa.int32(),
    "j": pa.int32(),
    "b": pa.int64(),
    "n": pa.decimal128(10, 2),
    "m": pa.decimal128(12, 4),
    "d": pa.float64(),
    "r": pa.float32(),
    "s": pa.string(),
    "u": pa.string(),
    "bo": pa.bool_(),
    "dt": pa.date32(),
    "ts": pa.timestamp("us"),
}
MAKERS: dict[str, Callable[[str], Any]] = {
    "n": Decimal,
    "m": Decimal,
    "dt": datetime.date.fromisoformat,
    "ts": datetime.datetime.fromisoformat,
}
INF, NAN = float("inf"), float("nan")
CALM: list[tuple[Any, ...]] = [
    (1, 7, 2, 12, "1.05", "0.3333", 2.5, 0.25, "abc", "a", True, "2024-01-31", "2024-01-31 00:00:00"),
    (2, -7, 2, -3, "2.50", "1.2500", -2.5, 0.5, "A b", "b", False, "2024-02-29", "2024-02-29 12:30:15.5"),
    (3, 0, 1, 7, "-0.25", "10.0000", 0.0, 1.5, "", "x", None, "2023-12-31", "2023-12-31 23:59:59.999999"),
    (4, None, 3, None, None, None, None, None, None, None, True, None, None),
    (5, 1, 2, 100, "99.99", "0.0001", 3.5, -0.75, "10", "1", False, "2024-03-01", "2024-03-01 06:00:00"),
    (6, 2, None, 5, "3.00", "7.5000", 0.125, 8.0, "á", "á", True, "1999-12-31", "1999-12-31 06:07:08"),
    (7, 15, 5, 0, "-12.34", "2.0000", -0.5, 2.0, "a d", "d", False, "2024-12-30", "2024-12-30 00:00:00"),
]
EDGE: list[tuple[Any, ...]] = [
    *CALM,
    # Not the last of the calendar: Python reads nothing beyond it, and the corpus adds months.
    (8, 2**31 - 1, 0, 2**63 - 1, "99999999.99", "99999999.9999", INF, 0.1, "a%b", "%", True, "9990-12-31",
     "9990-12-31 23:59:59.999999"),
    (9, -(2**31), -1, -(2**63), "-99999999.99", "-0.0001", NAN, -0.1, "ß", "SS", False, "1970-01-01",
     "1970-01-01 00:00:00"),
    (10, 7, 40, 2**53 + 1, "0.00", "0.0000", 1e300, 1e10, "a ", "A", None, "0002-01-01", "1582-10-15 00:00:00"),
    (11, 1, 7, 2**53, "0.01", "1.0000", -1e-300, 0.0, "😀 a\\b", "\\", True, "2024-01-31", "2024-01-31 23:59:59"),
]  # fmt: skip
# Any of several answers is right.
UNSTABLE = frozenset({"any_value(s)"})
SYSTEMS: tuple[System, ...] = ("postgres", "mariadb", "sqlite")


def _table(name: str, rows: list[tuple[Any, ...]]) -> CorpusTable:
    arrays = {}
    for (column, type_), values in zip(TYPES.items(), zip(*rows, strict=True), strict=True):
        make = MAKERS.get(column)
        arrays[column] = pa.array([make(value) if make and value else value for value in values], type_)
    return CorpusTable(name, pa.table(arrays), ("id",))


@pytest.fixture(scope="module", params=SYSTEMS)
def opened(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: Server,
    mariadb_server: Server,
) -> Iterator[Federated]:
    tables = [_table("calm", CALM), _table("edge", EDGE)]
    layout = Layout.everything_in(request.param, ("calm", "edge"))
    with federated(layout, tables, tmp_path_factory.mktemp("pushdown"), postgres_server, mariadb_server) as value:
        yield value


@pytest.mark.parametrize("table", ["calm", "edge"])
@pytest.mark.parametrize("kind, text", [pair for pair in corpus() if pair[1] not in UNSTABLE])
def test_same_answer_or_both_fail(opened: Federated, table: str, kind: str, text: str) -> None:
    shown = (
        f"SELECT id, {text} AS v FROM {table} ORDER BY id" if kind == "scalar" else f"SELECT {text} AS v FROM {table}"
    )
    _check(opened, shown)
    if kind == "scalar" and _is_boolean(opened, f"SELECT {text} FROM {table}"):
        _check(opened, f"SELECT id FROM {table} WHERE {text} ORDER BY id")
        _check(opened, f"SELECT id FROM {table} WHERE NOT ({text}) ORDER BY id")


def _is_boolean(opened: Federated, sql: str) -> bool:
    try:
        return str(opened.plain.sql(sql).types[0]) == "BOOLEAN"
    except duckdb.Error:
        return False


def _check(opened: Federated, sql: str) -> None:
    room = False
    try:
        expected: Answer | None = opened.expected(sql)
    except duckdb.Error as exc:
        expected = None
        # A source may have room for what overflows in DuckDB: its numbers are right, DuckDB has none.
        room = isinstance(exc, duckdb.OutOfRangeException)
    try:
        actual: Answer | None = opened.actual(sql)
    except Error as exc:
        assert expected is None, f"{sql}\nDuckDB answers, the federation fails: {exc}"
        return
    assert actual is not None
    if room:
        return
    assert expected is not None, f"{sql}\nDuckDB fails, the federation answers {actual.rows}"
    differs = difference(expected, actual, ordered=True)
    assert differs is None, f"{sql}\n{differs}\n{opened.engine.explain(sql).text()}"
