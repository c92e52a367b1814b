"""Statements of one shape have one plan, and each the answer for its own keys."""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from adapters.errors import Error
from federation import engine as engine_module
from federation.engine import Engine
from federation.planner.plan import make_plan
from tests.servers import Server, run_sql

INTEGERS = ["0", "1", "2", "5", "7", "-1", "007", "127", "128", "999999999", "2147483648", "99999999999999999999"]
INTEGERS += ["1.0", "1e0", "NULL", "'1'", "'x'", "TRUE", "(1)", "1 + 1"]
WORDS = ["'x'", "'a'", "'A'", "'b-1'", "'a '", "''", "'it''s'", "'á'", "'%'", r"'\'", "'5'", "NULL", "5", "'a' || ''"]
TEMPLATES = [
    "SELECT id, name, small FROM {t} WHERE id = {i}",
    "SELECT * FROM {t} WHERE name = {w}",
    "SELECT id FROM {t} AS other WHERE other.small = {i} AND name = {w}",
    "SELECT id, {i} AS five, name FROM {t} WHERE small = {i}",
    "SELECT id + 5 AS more, 'x' AS word FROM {t} WHERE small = {i} AND name = {w}",
    "SELECT id FROM {t} WHERE small = {i} AND small < 6",
    "SELECT id FROM {t} WHERE small = {i} AND id = {i}",
    "SELECT id FROM {t} WHERE small = {i} AND id > small",
    "SELECT id FROM {t} WHERE small = {i} OR name = {w}",
    "SELECT small, count(*) AS n FROM {t} WHERE name = {w} GROUP BY small HAVING count(*) < 5 ORDER BY small",
    "SELECT id FROM {t} WHERE small = {i} ORDER BY id LIMIT 5",
    "SELECT code FROM {t} WHERE code = {w} AND small = {i}",
    "SELECT id FROM {t} WHERE id = {i} UNION ALL SELECT small FROM {t} WHERE name = {w}",
    "SELECT name AS small, small AS name FROM {t} WHERE small = {i} AND name = {w}",
    "SELECT id FROM (SELECT * FROM {t} WHERE small = {i}) AS s WHERE name = {w}",
]
ROWS = [
    (number, name, number % 8, code)
    for number, (name, code) in enumerate(itertools.product(["a", "A", "x", "b-1", "it's", "", "5", None], ["a", "5"]))
]


def _insert(table: str) -> str:
    values = ", ".join(
        f"({number}, {'NULL' if name is None else chr(39) + name.replace(chr(39), chr(39) * 2) + chr(39)}, {small}, "
        f"'{code}')"
        for number, name, small, code in ROWS
    )
    return f"INSERT INTO {table} VALUES {values};"


@pytest.fixture(scope="module")
def world(
    postgres_server: Server, mariadb_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("shapes")
    pg, my = postgres_server.create_database("shapes"), mariadb_server.create_database("shapes")
    run_sql(pg, f"CREATE TABLE t (id bigint PRIMARY KEY, name text, small smallint, code char(4)); {_insert('t')}")
    run_sql(my, f"CREATE TABLE t (id bigint PRIMARY KEY, name text, small smallint, code char(4)); {_insert('t')}")
    with closing(sqlite3.connect(folder / "lite.db")) as lite:
        lite.executescript(
            f"CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, small INTEGER, code TEXT) STRICT; {_insert('t')}"
        )
    (folder / "federation.toml").write_text(
        f'[sources.pg]\nadapter = "postgres"\nuri = "{pg}"\n[sources.my]\nadapter = "mysql"\nuri = "{my}"\n'
        '[sources.lite]\nadapter = "sqlite"\npath = "lite.db"\n'
    )
    with Engine.open(folder) as engine:
        yield engine


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A word for every plan that is made."""
    made: list[str] = []

    def spy(*arguments: Any) -> Any:
        made.append("made")
        return make_plan(*arguments)

    monkeypatch.setattr(engine_module, "make_plan", spy)
    return made


def answer(engine: Engine, sql: str, params: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
    return sorted((tuple(row.values()) for row in engine.query(sql, params).read_all().to_pylist()), key=repr)


@pytest.mark.parametrize("source", ["pg", "my", "lite"])
def test_every_key_has_its_own_answer(world: Engine, source: str) -> None:
    with duckdb.connect() as plain:
        plain.execute("CREATE TABLE t (id BIGINT, name VARCHAR, small BIGINT, code VARCHAR)")
        plain.execute(_insert("t"))
        rng = random.Random(source)
        for template in TEMPLATES:
            for _ in range(8):
                keys = {"i": rng.choice(INTEGERS), "w": rng.choice(WORDS)}
                sql = template.format(t="t", **keys)
                try:
                    expected = sorted(plain.execute(sql).fetchall(), key=repr)
                except duckdb.Error:
                    with pytest.raises(Error):
                        answer(world, template.format(t=f"{source}.t", **keys))
                    continue
                assert answer(world, template.format(t=f"{source}.t", **keys)) == expected, sql


def test_a_plan_serves_other_keys(world: Engine, planned: list[str]) -> None:
    for key in (1, 2, 7, 99):
        expected = [(key, ROWS[key][1])] if key < len(ROWS) else []
        assert answer(world, "SELECT id, name AS n FROM pg.t WHERE id = ?", [key]) == expected
    assert len(answer(world, "SELECT name AS n FROM pg.t WHERE name = 'a' AND small = 0")) == 1
    assert len(answer(world, "SELECT name AS n FROM pg.t WHERE name = 'A' AND small = 2")) == 1
    assert len(planned) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("small = 1", "small = -1"),
        ("name = 'a'", "name = 'a '"),
        ("small = 1", "small = 3000000000"),
        ("small = 1 AND id > 1", "small = 1 AND id > 2"),
        ("small > 1", "small > 2"),
        ("id = 9 AND small = 9", "id = 9 AND small = 1"),
    ],
)
def test_what_may_be_planned_otherwise_is_planned(world: Engine, planned: list[str], first: str, second: str) -> None:
    for where in (first, second):
        answer(world, f'SELECT id, name AS "{first}, {second}" FROM pg.t WHERE {where}')
    assert len(planned) == 2


def test_a_declared_constraint_is_looked_at_for_every_key(tmp_path: Path, planned: list[str]) -> None:
    with closing(sqlite3.connect(tmp_path / "lite.db")) as lite:
        lite.executescript("CREATE TABLE p (id INTEGER PRIMARY KEY, year INTEGER) STRICT; INSERT INTO p VALUES (1, 7)")
    (tmp_path / "federation.toml").write_text(
        '[sources.lite]\nadapter = "sqlite"\npath = "lite.db"\n[tables."lite.p"]\nconstraint = "year < 10"\n'
    )
    with Engine.open(tmp_path) as engine:
        assert answer(engine, "SELECT id FROM lite.p WHERE year = 7") == [(1,)]
        assert answer(engine, "SELECT id FROM lite.p WHERE year = 70") == []
    assert len(planned) == 2


def test_explain_is_about_the_statement(world: Engine) -> None:
    for key in (1, 2):
        answer(world, f"SELECT code FROM pg.t WHERE id = {key}")
        text = world.explain(f"SELECT code FROM pg.t WHERE id = {key}").text()
        assert f'"id" = {key}' in text
        assert f'"id" = {3 - key}' not in text
