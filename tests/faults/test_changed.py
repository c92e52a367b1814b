"""What a table was when a query was planned is not what it is when the query reads: said as such, and the next try
goes by what is there now."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import ColumnNotFound, Error, SourceChanged, TableNotFound
from federation.engine import Engine
from tests.faults.world import engine_over, rows_of, source
from tests.servers import Server, run_sql

TABLE = "DROP TABLE IF EXISTS t; CREATE TABLE t (id int, v varchar(20)); INSERT INTO t VALUES (1, '10'), (2, '20')"
ALL = "SELECT id, v FROM far.t ORDER BY id"
LOCALLY = "SELECT id, list_value(t.v)[1] AS v FROM far.t AS t ORDER BY id"


@dataclass
class Changeable:
    kind: str
    engine: Engine
    change: Callable[[str], object]


def _sqlite(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.executescript(script)
    connection.close()


@pytest.fixture(params=["postgres", "mysql", "sqlite"])
def far(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Changeable]:
    """A table t of its own that may be altered."""
    path = tmp_path / "changing.db"
    if request.param == "sqlite":
        options: dict[str, Any] = {"path": str(path)}
        change: Callable[[str], object] = lambda script: _sqlite(path, script)  # noqa: E731
    else:
        fixture = {"postgres": "postgres_server", "mysql": "mariadb_server"}[request.param]
        server: Server = request.getfixturevalue(fixture)
        uri = server.create_database("changing")
        options = {"uri": uri}
        change = lambda script: run_sql(uri, script + ";")  # noqa: E731
    change(TABLE)
    with engine_over(tmp_path, source("far", request.param, **options)) as engine:
        yield Changeable(request.param, engine, change)


def changed(far: Changeable, sql: str, script: str) -> SourceChanged:
    """The error of a query whose table is changed after it was planned."""
    assert rows_of(far.engine, sql)
    with far.engine.query(sql) as result:
        far.change(script)
        with pytest.raises(SourceChanged) as caught:
            result.read_all()
    error = caught.value
    assert (error.sqlstate, error.retryable, error.source) == ("HV00N", True, "far")
    return error


@pytest.mark.parametrize("sql", [ALL, LOCALLY])
def test_a_table_is_dropped(far: Changeable, sql: str) -> None:
    assert "t" in str(changed(far, sql, "DROP TABLE t"))
    with pytest.raises(TableNotFound):
        rows_of(far.engine, sql)
    far.change(TABLE)
    assert rows_of(far.engine, sql) == [(1, "10"), (2, "20")]


@pytest.mark.parametrize("sql", [ALL, LOCALLY])
def test_a_column_is_dropped(far: Changeable, sql: str) -> None:
    changed(far, sql, "ALTER TABLE t DROP COLUMN v")
    with pytest.raises(ColumnNotFound) as caught:
        rows_of(far.engine, sql)
    assert '"v"' in str(caught.value)
    assert rows_of(far.engine, "SELECT * FROM far.t ORDER BY id") == [(1,), (2,)]


NUMBERS = {
    "postgres": "ALTER TABLE t ALTER COLUMN v TYPE int USING v::int",
    "mysql": "ALTER TABLE t MODIFY v int",
    "sqlite": "CREATE TABLE u (id int, v int); INSERT INTO u SELECT id, CAST(v AS int) FROM t; DROP TABLE t;"
    "ALTER TABLE u RENAME TO t",
}


@pytest.mark.parametrize("sql", [ALL, LOCALLY])
def test_a_column_has_another_type(far: Changeable, sql: str) -> None:
    """Never the old type's reading of the new values: that is an error, or the values are right."""
    assert rows_of(far.engine, sql) == [(1, "10"), (2, "20")]
    with far.engine.query(sql) as result:
        far.change(NUMBERS[far.kind])
        try:
            found = result.read_all().to_pylist()
        except Error as exc:
            assert exc.source == "far"
            assert far.kind == "sqlite" or (exc.sqlstate, exc.retryable) == ("HV00N", True)
        else:
            assert found == [{"id": 1, "v": "10"}, {"id": 2, "v": "20"}]
            assert far.kind != "postgres"
    eventual = rows_of(far.engine, sql)
    assert eventual in ([(1, 10), (2, 20)], [(1, "10"), (2, "20")])
    assert far.kind != "postgres" or eventual == [(1, 10), (2, 20)]


def test_a_column_comes_to_the_front(far: Changeable) -> None:
    """Values never change their columns."""
    sql = "SELECT * FROM far.t ORDER BY id"
    assert rows_of(far.engine, sql) == [(1, "10"), (2, "20")]
    with far.engine.query(sql) as result:
        far.change(
            "CREATE TABLE u (v varchar(20), id int); INSERT INTO u SELECT v, id FROM t;"
            "DROP TABLE t; ALTER TABLE u RENAME TO t"
        )
        try:
            assert result.read_all().to_pylist() == [{"id": 1, "v": "10"}, {"id": 2, "v": "20"}]
        except SourceChanged as exc:
            assert exc.source == "far"
    assert rows_of(far.engine, "SELECT id, v FROM far.t ORDER BY id") == [(1, "10"), (2, "20")]


def test_rows_that_come_and_go_are_no_change(far: Changeable) -> None:
    with far.engine.query(ALL) as result:
        far.change("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (3, '30')")
        assert [row["id"] for row in result.read_all().to_pylist()] == [2, 3]
