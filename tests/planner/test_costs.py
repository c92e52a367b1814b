"""An estimate that fails is unknown, and fails no query."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.errors import OperationalError
from adapters.sqlite import SQLiteAdapter
from federation.engine import Engine

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
