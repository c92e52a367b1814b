"""A statement that comes again is not parsed again, and means what it means now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from adapters.errors import ProgrammingError, TableNotFound, UndefinedParameter
from catalog.load import load_catalog
from federation import engine as engines
from federation.engine import Engine
from federation.parse import parse

POINT = "SELECT id, name FROM lite.p WHERE id = $id"
CATALOG = """
[settings]
metadata_ttl = "0s"
[sources.lite]
adapter = "sqlite"
path = "lite.db"
[sources.f]
adapter = "files"
path = "*.parquet"
[views."shown.p"]
sql = "SELECT * FROM lite.p WHERE id > 1"
"""
Change = Callable[[str], None]


@pytest.fixture
def engine(tmp_path: Path, change: Change) -> Iterator[Engine]:  # noqa: ARG001 -- its file
    duckdb.sql(f"COPY (SELECT 1 AS id) TO '{tmp_path}/one.parquet'")
    (tmp_path / "federation.toml").write_text(CATALOG)
    with Engine(load_catalog(tmp_path / "federation.toml")) as made:
        yield made


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are parsed from here on."""
    texts: list[str] = []

    def noting(sql: str) -> Any:
        texts.append(sql)
        return parse(sql)

    monkeypatch.setattr(engines, "parse", noting)
    return texts


def rows(engine: Engine, sql: str, params: Any = None) -> list[tuple[Any, ...]]:
    with engine.query(sql, params) as result:
        return [tuple(each.values()) for each in result.read_all().to_pylist()]


def test_a_text_is_parsed_once_whatever_its_keys_are(engine: Engine, parsed: list[str]) -> None:
    found = [rows(engine, POINT, {"id": key}) for key in (1, 2, 3, 2, 4)]
    assert found == [[(1, "a")], [(2, "b")], [(3, "c")], [(2, "b")], []]
    assert parsed == [POINT]


def test_parameters_by_place_and_two_of_them(engine: Engine, parsed: list[str]) -> None:
    sql = "SELECT id FROM lite.p WHERE name = ? AND id = ?"
    found = [rows(engine, sql, values) for values in (["a", 1], ["b", 1], ["b", 2], ["2", 2])]
    assert found == [[(1,)], [], [(2,)], []]
    assert parsed == [sql]


@pytest.mark.parametrize(
    ("sql", "first", "second", "answers"),
    [
        ("SELECT id FROM lite.p WHERE id > $1", [1], [2], ([(2,), (3,)], [(3,)])),
        ("SELECT id FROM lite.p WHERE id = $1 OR id = 3", [1], [2], ([(1,), (3,)], [(2,), (3,)])),
        ("SELECT id, $1 AS x FROM lite.p WHERE id = 1", [1], [2], ([(1, 1)], [(1, 2)])),
        ("SELECT id FROM lite.p WHERE id = 1 AND $1 = 1", [1], [2], ([(1,)], [])),
        ("SELECT id FROM lite.p WHERE id = $1 LIMIT $2", [1, 1], [1, 0], ([(1,)], [])),
        ("SELECT id FROM lite.p WHERE id = 1 LIMIT $1", [1], [0], ([(1,)], [])),
        ("SELECT $1 AS x", [1], ["a"], ([(1,)], [("a",)])),
        ("SELECT id FROM lite.p WHERE id = $1", [1], [2.0], ([(1,)], [(2,)])),
        ("SELECT id FROM lite.p WHERE id = $1", [1], [-1], ([(1,)], [])),
        ("SELECT id FROM lite.p WHERE id = $1", [1], [None], ([(1,)], [])),
        ("SELECT id FROM lite.p WHERE id = $1", [1], [10**30], ([(1,)], [])),
        ("SELECT id FROM lite.p WHERE name = $1", ["a"], ["b'"], ([(1,)], [])),
        ("SELECT id FROM lite.p WHERE name = $1", ["a"], ["ä"], ([(1,)], [])),
        ("SELECT id FROM shown.p WHERE id = $1", [1], [2], ([], [(2,)])),
        ("SELECT i FROM query('lite', 'SELECT id AS i FROM p') WHERE i = $1", [1], [2], ([(1,)], [(2,)])),
        (
            "SELECT count(*) FROM query('lite', $1)",
            ["SELECT id FROM p"],
            ["SELECT id FROM p WHERE 0"],
            ([(3,)], [(0,)]),
        ),
    ],
)
def test_other_values_have_their_own_answers(
    engine: Engine, sql: str, first: list[Any], second: list[Any], answers: tuple[Any, Any]
) -> None:
    for values, answer in ((first, 0), (second, 1), (first, 0), (second, 1)):
        assert sorted(rows(engine, sql, values)) == answers[answer], values


def test_true_is_no_key(engine: Engine) -> None:
    sql = "SELECT typeof($1) AS kind FROM lite.p WHERE id = 1"
    kinds = [("INTEGER",)], [("BOOLEAN",)], [("VARCHAR",)], [("INTEGER",)]
    assert [rows(engine, sql, [value]) for value in (1, True, "a", 1)] == [[kind] for (kind,) in kinds]


def test_what_is_wrong_is_said_each_time(engine: Engine) -> None:
    assert rows(engine, POINT, {"id": 1}) == [(1, "a")]
    for _ in range(2):
        with pytest.raises(UndefinedParameter):
            rows(engine, POINT)
        with pytest.raises(UndefinedParameter):
            rows(engine, POINT, {"other": 1})
        with pytest.raises(ProgrammingError):
            rows(engine, "SELECT id FROM lite.p WHERE id = $1", [1, 2])
        assert rows(engine, POINT, {"id": 1, "other": 2}) == [(1, "a")]


def test_a_table_that_changed_is_bound_anew(engine: Engine, change: Change, parsed: list[str]) -> None:
    star = "SELECT * FROM lite.p WHERE id = $id"
    assert rows(engine, star, {"id": 1}) == [(1, "a")]
    change("ALTER TABLE p ADD COLUMN more TEXT")
    assert rows(engine, star, {"id": 1}) == [(1, "a", None)]
    assert parsed == [star, star]
    change("DROP TABLE p")
    with pytest.raises(TableNotFound) as failed:
        rows(engine, star, {"id": 1})
    assert failed.value.position is not None


def test_a_bare_name_may_come_to_mean_another_table(engine: Engine, change: Change, tmp_path: Path) -> None:
    assert rows(engine, "SELECT * FROM one") == [(1,)]
    duckdb.sql(f"COPY (SELECT 7 AS other) TO '{tmp_path}/one.parquet'")
    assert rows(engine, "SELECT * FROM one") == [(7,)]
    change("CREATE TABLE one (a INTEGER) STRICT")
    with pytest.raises(ProgrammingError, match="one"):
        rows(engine, "SELECT * FROM one")


def test_a_view_is_looked_into(engine: Engine, change: Change) -> None:
    sql = "SELECT * FROM shown.p WHERE id = 2"
    assert rows(engine, sql) == [(2, "b")]
    change("ALTER TABLE p ADD COLUMN more TEXT")
    assert rows(engine, sql) == [(2, "b", None)]
