"""The overlay itself: what it takes, what it refuses, what happens when sources change or are down."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import Error, FunctionNotFound, SchemaNotFound, SQLSyntaxError, TableNotFound
from federation.engine import Engine
from federation.pgwire.overlay import Overlay, SessionInfo
from federation.pgwire.overlay.structure import structure
from tests.pgwire.overlay_world import World, tree


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT * FROM pg_catalog.pg_nothing", TableNotFound),
        ("SELECT * FROM information_schema.nothing", TableNotFound),
        ("SELECT 'nothing'::regclass", TableNotFound),
        ("SELECT 'no.thing'::regclass", TableNotFound),
        ("SELECT 'nothing'::regproc", FunctionNotFound),
        ("SELECT 'nothing'::regnamespace", SchemaNotFound),
        ("SELECT pg_get_nothing(oid) FROM pg_class", FunctionNotFound),
        ("SELECT format_type(1)", FunctionNotFound),
        ("SELECT current_setting()", FunctionNotFound),
        ("SELECT nothing FROM pg_class", Error),
        ("SELECT 'a'::oid", Error),
        ("SELECT current_setting('no.thing')", Error),
        ("SELECT oid FROM pg_class c, pg_type t", Error),
    ],
)
def test_bad_queries_are_typed_errors(world: World, sql: str, error: type[Error]) -> None:
    with pytest.raises(error):
        world.ours(sql)


def test_text_that_is_no_name(world: World) -> None:
    with pytest.raises((SQLSyntaxError, Error)):
        world.ours("SELECT ''::regclass")


@pytest.mark.parametrize(
    ("sql", "concerned"),
    [
        ("SELECT * FROM pg_class", True),
        ("SELECT * FROM PG_CATALOG.pg_class", True),
        ("SELECT * FROM information_schema.tables", True),
        ("WITH c AS (SELECT * FROM pg_class) SELECT * FROM c", True),
        ("WITH pg_class AS (SELECT 1) SELECT * FROM pg_class", False),
        ("SELECT * FROM tables", False),
        ("SELECT * FROM shop.orders", False),
        ("SELECT * FROM shop.orders, pg_class", False),
        ("SELECT current_user", True),
        ("SELECT version()", True),
        ("SELECT 'pg_class'::regclass", True),
        ("SELECT 1", False),
    ],
)
def test_concerns(world: World, sql: str, concerned: bool) -> None:
    assert world.overlay.concerns(tree(sql)) is concerned


def test_every_relation_can_be_read(world: World) -> None:
    """All of PostgreSQL's relations are there, with its columns in its types."""
    relations = [each for each in structure().relations.values() if each.schema in ("pg_catalog", "information_schema")]
    assert len(relations) == 208
    for relation in relations:
        sql = f'SELECT * FROM {relation.schema}."{relation.name}"'
        with world.overlay.query(tree(sql), world.who) as answer:
            answer.read_all()
        theirs = world.database.execute(f"{sql} LIMIT 0").description or ()
        assert answer.schema.names == [each.name for each in theirs]
        assert [each.oid for each in answer.types] == [each.type_code for each in theirs], relation.name


def test_what_changes_is_seen_and_numbers_stay(tmp_path: Path) -> None:
    file, data = tmp_path / "catalog.toml", tmp_path / "data.db"
    with closing(sqlite3.connect(data)) as database, database:
        database.execute("CREATE TABLE a (x INTEGER)")
    file.write_text(f'[settings]\nmetadata_ttl = "0s"\n[sources.lite]\nadapter = "sqlite"\npath = "{data}"\n')
    sql = "SELECT relname, oid, xmin FROM pg_class WHERE relnamespace = 'lite'::regnamespace ORDER BY 1"
    with Engine.open(file) as engine:
        overlay = Overlay(engine)
        before = _rows(overlay, sql)
        with closing(sqlite3.connect(data)) as database, database:
            database.execute("CREATE TABLE b (x INTEGER)")
        after = _rows(overlay, sql)
        overlay.close()
    with Engine.open(file) as engine:
        overlay = Overlay(engine)
        later = _rows(overlay, sql)
        overlay.close()
    assert [name for name, *_ in after] == ["a", "b"]
    assert before[0][1] == after[0][1] == later[0][1]
    assert before[0][2] != after[0][2]  # what tools watch for changes


def _rows(overlay: Overlay, sql: str) -> list[tuple[Any, ...]]:
    with overlay.query(tree(sql), SessionInfo()) as answer:
        return list(zip(*(column.to_pylist() for column in answer.read_all().columns), strict=True))


def test_a_source_that_is_down_has_a_schema_and_no_tables(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text(
        '[sources.gone]\nadapter = "postgres"\nuri = "postgresql://nobody@127.0.0.1:1/nothing"\n'
        '[sources.lite]\nadapter = "sqlite"\npath = "nothing.db"\n'
        '[views."v.lost"]\nsql = "SELECT * FROM gone.t"\n'
    )
    with Engine.open(file) as engine:
        overlay = Overlay(engine)
        who = SessionInfo()
        with overlay.query(tree("SELECT nspname FROM pg_namespace WHERE oid >= 16384 ORDER BY 1"), who) as answer:
            assert answer.read_all().column(0).to_pylist() == ["gone", "lite", "system", "v"]
        relations = "SELECT relname FROM pg_class WHERE oid >= 16384 AND relnamespace <> 'system'::regnamespace"
        with overlay.query(tree(relations), who) as answer:
            assert answer.read_all().column(0).to_pylist() == ["lost"]
        overlay.close()
