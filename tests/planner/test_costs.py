"""Which of two plans is taken. An estimate that fails is unknown, and fails no query."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.errors import OperationalError
from adapters.sqlite import SQLiteAdapter
from catalog.model import Source
from federation.engine import Engine
from federation.planner.nodes import Cost, Fragment, Plan
from federation.planner.plan import quicker

CATALOG = """
[sources.one]
adapter = "sqlite"
path = "one.db"
[sources.two]
adapter = "sqlite"
path = "two.db"
"""
SQL = "SELECT a.v, b.v AS w FROM one.t AS a JOIN two.t AS b ON a.id = b.id WHERE a.v < 3 ORDER BY a.v"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    for name in ("one", "two"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as database:
            database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER) STRICT")
            database.executemany("INSERT INTO t VALUES (?, ?)", ((i, i) for i in range(100)))
            database.commit()
    (tmp_path / "federation.toml").write_text(CATALOG, encoding="utf-8")
    with Engine.open(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("failure", [OperationalError("locked"), ZeroDivisionError(), RuntimeError("no")])
def test_statistics_that_fail(
    engine: Engine, failure: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(SQLiteAdapter, "statistics", fail)
    with caplog.at_level(logging.INFO), engine.query(SQL) as result:
        assert result.read_all().to_pydict() == {"v": [0, 1, 2], "w": [0, 1, 2]}
    logged = {each.levelname for each in caplog.records if each.name == "federation.planner.costs"}
    # a source at fault says so when it is read; a fault of ours must be found
    assert logged == {"INFO" if isinstance(failure, OperationalError) else "ERROR"}


@pytest.mark.parametrize(
    ("other", "best", "taken"),
    [
        ((1.0, 10e6), (1.4, 10e6), False),  # estimates are not as exact as that
        ((1.0, 10e6), (1.6, 10e6), True),
        ((1.0, 19e6), (1.6, 10e6), True),  # about as much to move, as far as one can tell
        ((1.0, 21e6), (1.6, 10e6), False),
        ((1.0, 21e6), (2.2, 10e6), False),
        ((1.0, 21e6), (2.4, 10e6), True),
        ((1.0, 2e9), (5.0, 0.0), False),  # DuckDB has to compute with it
    ],
)
def test_the_plan_that_is_taken(
    engine: Engine, other: tuple[float, float], best: tuple[float, float], taken: bool
) -> None:
    source = engine.catalog.sources["one"]
    assert quicker(_plan(source, *other), _plan(source, *best)) is taken


def test_distinct_values_are_counted_where_it_is_quicker(engine: Engine) -> None:
    """Much more may be moved for it."""
    source = engine.catalog.sources["one"]
    best = _plan(source, 1.4, 1e6)
    assert quicker(_plan(source, 1.0, 9e6), best, counting=True)
    assert not quicker(_plan(source, 1.1, 9e6), best, counting=True)


def _plan(source: Source, seconds: float, size: float) -> Plan:
    empty = pa.schema([])
    fragment = Fragment("f", source, empty, [], (), empty, expected=Cost(1.0, size, seconds))
    return Plan([], [fragment], [], [], None, [])
