"""A statement that comes again is not planned again, and its answer is never that of before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import SourceChanged
from catalog.catalog import Catalog
from catalog.load import load_catalog
from federation.engine import Engine
from tests.adapters.recording import RecordingAdapter, record
from tests.servers import Server, run_sql

LARGE = 120_000  # 4,000 pages that are nine tenths empty
POINT = "SELECT id, name FROM lite.p WHERE id = $id"
Change = Callable[[str], None]


@pytest.fixture
def lite(tmp_path: Path, change: Change) -> Iterator[tuple[Engine, RecordingAdapter]]:  # noqa: ARG001 -- its file
    """An engine that keeps no metadata, and what its source was asked."""
    text = '[settings]\nmetadata_ttl = "0s"\n[sources.lite]\nadapter = "sqlite"\npath = "lite.db"\n'
    (tmp_path / "federation.toml").write_text(text, encoding="utf-8")
    loaded = load_catalog(tmp_path / "federation.toml")
    source = loaded.sources["lite"]
    adapter = record(source.adapter)
    with Engine(Catalog([replace(source, adapter_or_fault=adapter)], settings=loaded.settings)) as engine:
        yield engine, adapter


def rows(engine: Engine, sql: str, params: Any = None, **more: Any) -> list[dict[str, Any]]:
    return engine.query(sql, params, **more).read_all().to_pylist()


def test_the_source_is_asked_again_but_nothing_is_planned(
    lite: tuple[Engine, RecordingAdapter], change: Change
) -> None:
    engine, adapter = lite
    assert rows(engine, POINT, {"id": 1}) == [{"id": 1, "name": "a"}]
    change("UPDATE p SET name = 'new'")
    assert rows(engine, POINT, {"id": 1}) == [{"id": 1, "name": "new"}]
    assert len(adapter.queries) == 1
    assert len(adapter.requests) == 2
    assert rows(engine, POINT, {"id": 2}) == [{"id": 2, "name": "new"}]
    assert len(adapter.queries) == 2


def test_a_large_table_is_read_in_parts_again(tmp_path: Path, postgres_server: Server) -> None:
    uri = postgres_server.create_database("known_plans")
    run_sql(uri, f"CREATE TABLE t (i int) WITH (fillfactor = 10); INSERT INTO t SELECT generate_series(1, {LARGE})")
    (tmp_path / "federation.toml").write_text(f'[sources.pg]\nadapter = "postgres"\nuri = "{uri}"\n')
    loaded = load_catalog(tmp_path / "federation.toml")
    adapter = record(loaded.sources["pg"].adapter)
    source = replace(loaded.sources["pg"], adapter_or_fault=adapter)
    with Engine(Catalog([source], settings=loaded.settings)) as engine:
        results = [engine.query("SELECT i FROM pg.t") for _ in range(2)]
        first = [result.batches() for result in results]
        assert all(next(batches).num_rows for batches in first)
        results[0].close()
        run_sql(uri, "INSERT INTO t VALUES (0)")
        assert sum(batch.num_rows for batch in first[1]) < LARGE
        assert engine.query("SELECT i FROM pg.t").read_all().num_rows == LARGE + 1
        assert len(adapter.queries) == 1
        assert len(set(adapter.requests)) == 4


def test_other_options_are_another_plan(lite: tuple[Engine, RecordingAdapter]) -> None:
    engine, adapter = lite
    assert rows(engine, POINT, {"id": 1}) == rows(engine, POINT, {"id": 1}, options={"pushdown": False})
    assert "WHERE" in adapter.requests[0]
    assert "WHERE" not in adapter.requests[1]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("ALTER TABLE p ADD COLUMN more TEXT DEFAULT 'x'", [{"id": 1, "name": "a", "more": "x"}]),
        ("DROP TABLE p; CREATE TABLE p (id TEXT, name BLOB) STRICT; INSERT INTO p VALUES ('1', x'00')", None),
        ("ALTER TABLE p RENAME COLUMN name TO n", [{"id": 1, "n": "a"}]),
    ],
)
def test_a_table_that_changed_is_planned_anew(
    lite: tuple[Engine, RecordingAdapter], change: Change, script: str, expected: list[dict[str, Any]] | None
) -> None:
    engine, _ = lite
    assert rows(engine, "SELECT * FROM lite.p WHERE id = '1'") == [{"id": 1, "name": "a"}]
    change(script)
    assert rows(engine, "SELECT * FROM lite.p WHERE id = '1'") == (expected or [{"id": "1", "name": b"\0"}])


def test_a_change_that_shows_only_when_it_is_read(tmp_path: Path, change: Change) -> None:
    text = '[sources.lite]\nadapter = "sqlite"\npath = "lite.db"\n'
    (tmp_path / "federation.toml").write_text(text, encoding="utf-8")
    with Engine.open(tmp_path / "federation.toml") as engine:
        assert rows(engine, POINT, {"id": 1}) == [{"id": 1, "name": "a"}]
        change("ALTER TABLE p RENAME TO other")
        with pytest.raises(SourceChanged):
            rows(engine, POINT, {"id": 1})
        change("ALTER TABLE other RENAME TO p")
        assert rows(engine, POINT, {"id": 1}) == [{"id": 1, "name": "a"}]


def test_time_goes_on(lite: tuple[Engine, RecordingAdapter]) -> None:
    engine, _ = lite
    sql = "SELECT now() AS at, id FROM lite.p WHERE id = 1 AND now() > TIMESTAMP '2020-01-01'"
    assert rows(engine, sql)[0]["at"] < rows(engine, sql)[0]["at"]


def test_notes_are_those_of_one_run(lite: tuple[Engine, RecordingAdapter]) -> None:
    engine, _ = lite
    first = engine.explain(POINT, {"id": 1}).text()
    assert engine.explain(POINT, {"id": 1}).text() == first == engine.explain(POINT, {"id": 1}).text()


def test_keys_are_looked_up_in_every_run(lite: tuple[Engine, RecordingAdapter], change: Change) -> None:
    """A join with a stage changes its fragments: it is planned each time."""
    engine, _ = lite
    sql = "SELECT p.name FROM lite.p JOIN (VALUES (1)) AS v (id) ON p.id = v.id"
    assert rows(engine, sql) == [{"name": "a"}]
    change("UPDATE p SET name = 'new'")
    assert rows(engine, sql) == [{"name": "new"}]
