"""`system.sources`, `system.tables` and `system.columns`: who sees what, and that it is what there is."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import Error, InsufficientPrivilege, SourceUnavailable
from catalog.policies import Caller, user_caller
from federation.engine import Engine
from federation.http.models import QueryInfo
from federation.http.run import Run
from federation.listing import table, tables
from tests.policies.world import ask as ask_in_any_order
from tests.policies.world import column

NAMES = "SELECT full_name FROM system.tables"
SMALL = """
[settings]
metadata_ttl = "0s"

[sources.lite]
adapter = "sqlite"
path = "lite.db"

[sources.gone]
adapter = "postgres"
uri = "postgresql://nobody:sesame@127.0.0.1:1/nothing"

[sources.mem]
adapter = "memory"
[[sources.mem.tables.keys]]
id = 1

[views."ops.names"]
sql = "SELECT full_name FROM system.tables WHERE source <> 'gone'"
[views."ops.fields"]
sql = "SELECT full_name, column_name FROM system.columns WHERE source <> 'gone' AND schema <> 'ops'"

[views."asked.queries"]
sql = "SELECT sql FROM system.queries WHERE state = 'queued'"

[tables."lite.p"]
owner = "sales-ops"

[roles.auditor]
grants = ["system.*", "lite.p"]
[roles.clerk]
grants = ["ops.names", "mem.*", "asked.*"]
[roles.administrator]
grants = ["*", "system.*"]
[roles.reader]
grants = ["*"]
"""
AUDITOR, CLERK, ADMINISTRATOR, READER = (
    Caller("somebody", roles=(role,)) for role in ("auditor", "clerk", "administrator", "reader")
)


def ask(engine: Engine, sql: str, caller: Caller | None = None) -> list[tuple[Any, ...]]:
    return sorted(ask_in_any_order(engine, sql, caller), key=str)


@pytest.fixture
def small(tmp_path: Path, change: Callable[[str], None]) -> Iterator[Engine]:
    """`change` changes `lite`; `gone` cannot be reached."""
    change("CREATE TABLE other (x INTEGER, y TEXT NOT NULL, PRIMARY KEY (y, x)) STRICT")
    (tmp_path / "federation.toml").write_text(SMALL)
    runs = [Run(f"by {who}", who, lambda *_: pytest.fail("it is queued")) for who in ("token:a", "token:b", "nobody")]
    with Engine.open(
        tmp_path / "federation.toml", queries=lambda: [QueryInfo.model_validate(run.info()) for run in runs]
    ) as opened:
        yield opened


def test_bad_names(engine: Engine) -> None:
    for sql, sqlstate in (
        ("SELECT * FROM system.table", "42P01"),
        ("SELECT * FROM system.queries", "0A000"),  # a server has them
        ("SELECT count(*) FROM system.fragments", "0A000"),
        ("SELECT * FROM system.audit", "42P01"),
        ("SELECT password FROM system.sources", "42703"),
        ("SELECT * FROM system.other.tables", "3F000"),
        ("SELECT * FROM sources", "42P01"),
    ):
        with pytest.raises(Error) as refused:
            ask(engine, sql)
        assert refused.value.sqlstate == sqlstate, sql


@pytest.mark.parametrize("name", ["sources", "tables", "columns"])
def test_who_may_not_read_the_system(engine: Engine, small: Engine, name: str) -> None:
    for opened, callers in ((engine, [user_caller("all"), user_caller("none")]), (small, [READER, CLERK])):
        for caller in callers:
            for sql in (f"SELECT * FROM system.{name}", f"SELECT 1 WHERE EXISTS (FROM system.main.{name})"):
                with pytest.raises(InsufficientPrivilege):
                    ask(opened, sql, caller)


def test_nobody_sees_what_they_may_not_read(small: Engine) -> None:
    """In turn, so that no plan of one of them serves another."""
    without = "WHERE source <> 'gone'"
    everything = ["asked.queries", "lite.main.other", "lite.main.p", "mem.main.keys", "ops.fields", "ops.names"]
    for _ in range(2):
        for caller, expected in ((None, everything), (AUDITOR, ["lite.main.p"]), (ADMINISTRATOR, everything)):
            assert column(ask(small, f"{NAMES} {without}", caller)) == expected
            fields = f"SELECT DISTINCT full_name FROM system.columns {without} AND schema <> 'ops'"
            assert column(ask(small, fields, caller)) == [each for each in expected if not each.startswith("ops")]
            assert ask(small, f"SELECT count(*) FROM system.tables {without}", caller) == [(len(expected),)]
            hidden = "SELECT count(*) FROM system.columns WHERE source = 'lite' AND full_name LIKE '%.other'"
            assert ask(small, hidden, caller) == [(2 if len(expected) > 1 else 0,)]
    assert column(ask(small, "SELECT source FROM system.sources", AUDITOR)) == ["lite"]
    assert column(ask(small, "SELECT source FROM system.sources WHERE up", AUDITOR)) == ["lite"]
    assert column(ask(small, "SELECT source FROM system.sources", ADMINISTRATOR)) == ["gone", "lite", "mem"]
    assert column(ask(small, NAMES, AUDITOR)) == ["lite.main.p"]  # nothing of `gone` is granted: it is not asked


def test_a_view_shows_what_its_reader_may_read(small: Engine) -> None:
    for _ in range(2):
        assert column(ask(small, "SELECT * FROM ops.names", CLERK)) == ["asked.queries", "mem.main.keys", "ops.names"]
        assert len(ask(small, "SELECT * FROM ops.names", ADMINISTRATOR)) == 6
    with pytest.raises(InsufficientPrivilege):
        ask(small, "SELECT * FROM ops.fields", CLERK)


def test_queries_are_shown_to_who_asked_them(small: Engine) -> None:
    """Whose rights, and whose names, are the same."""
    all_of_them = ["by nobody", "by token:a", "by token:b"]
    for _ in range(2):
        for who in ("token:a", "token:b"):
            assert column(ask(small, "SELECT * FROM asked.queries", Caller(who, roles=("clerk",)))) == [f"by {who}"]
        for caller in (None, AUDITOR, ADMINISTRATOR):
            assert column(ask(small, "SELECT sql FROM system.queries", caller)) == all_of_them
    assert column(ask(small, "SELECT * FROM asked.queries", ADMINISTRATOR)) == all_of_them


def test_a_source_that_is_down_is_no_source_without_tables(small: Engine) -> None:
    for name in ("tables", "columns"):
        for sql in (
            f"SELECT count(*) FROM system.{name}",
            f"SELECT * FROM system.{name} WHERE source IN ('gone', 'lite')",
            f"SELECT * FROM system.{name} WHERE table_name = 'p'",
            f"SELECT 1 WHERE EXISTS (SELECT 1 FROM system.{name} WHERE full_name = 'gone.public.t')",
        ):
            with pytest.raises(SourceUnavailable) as failed:
                ask(small, sql)
            assert failed.value.source == "gone"
            assert "WHERE source <> 'gone' leaves it out" in (failed.value.hint or "")
            assert "sesame" not in f"{failed.value} {failed.value.hint}"
        assert ask(small, f"SELECT DISTINCT full_name FROM system.{name} WHERE source = 'mem'") == [("mem.main.keys",)]
        views = ask(small, f"SELECT DISTINCT full_name FROM system.{name} WHERE source = ''")
        assert column(views) == ["asked.queries", "ops.fields", "ops.names"]
        assert ask(small, f"SELECT source FROM system.{name} WHERE source IS NULL") == []


def test_a_table_that_cannot_be_described(small: Engine, change: Callable[[str], None]) -> None:
    change("CREATE VIEW broken AS SELECT * FROM missing")
    assert ("lite.main.broken",) in ask(small, f"{NAMES} WHERE source = 'lite'")
    with pytest.raises(Error) as failed:
        ask(small, "SELECT * FROM system.columns WHERE source = 'lite'")
    way = "WHERE full_name <> 'lite.main.broken' leaves it out"
    assert (failed.value.hint or "").endswith(way)
    without = "SELECT DISTINCT table_name FROM system.columns WHERE source = 'lite' AND full_name <> 'lite.main.broken'"
    assert column(ask(small, without)) == ["other", "p"]


def test_what_sources_say(small: Engine) -> None:
    rows = ask(small, "SELECT source, adapter, default_schema, up, tables, sqlstate FROM system.sources")
    assert rows == [
        ("gone", "postgres", "public", False, None, "08006"),
        ("lite", "sqlite", "main", True, 2, None),
        ("mem", "memory", "main", True, 1, None),
    ]
    with small.query("SELECT * FROM system.sources") as result:
        assert "sesame" not in str(result.read_all().to_pylist())
    read = "SELECT source FROM system.sources WHERE latency IS NOT NULL"
    assert ask(small, read) == []
    assert len(ask(small, "SELECT * FROM lite.p")) == 3
    assert ("lite",) in ask(small, read)


def test_the_present_is_shown(small: Engine, change: Callable[[str], None]) -> None:
    sql = f"{NAMES} WHERE source = 'lite' AND table_name LIKE 'n%'"
    for names in ([], ["new"], ["new", "newer"], ["newer"]):
        for name in ("new", "newer"):
            change(f"DROP TABLE IF EXISTS {name}")
            if name in names:
                change(f"CREATE TABLE {name} (id INTEGER)")
        assert column(ask(small, sql)) == [f"lite.main.{name}" for name in names]


def test_it_is_joined_with_the_rest(small: Engine, tmp_path: Path) -> None:
    sql = """SELECT t.owner, c.column_name, p.name FROM system.tables t
        JOIN system.columns c USING (source, schema, table_name) JOIN system.sources s USING (source)
        JOIN lite.p ON p.id = c.ordinal_position
        WHERE s.adapter = 'sqlite' AND source = 'lite' AND t.owner IS NOT NULL"""
    assert ask(small, sql) == [("sales-ops", "id", "a"), ("sales-ops", "name", "b")]
    with closing(sqlite3.connect(tmp_path / "lite.db")) as lite:
        found = lite.execute("SELECT name FROM pragma_table_info('other') ORDER BY pk").fetchall()
    keys = "SELECT column_name FROM system.columns WHERE source = 'lite' AND table_name = 'other' ORDER BY primary_key"
    with small.query(keys) as result:
        assert [(each,) for each in result.read_all().column(0).to_pylist()] == found


def test_every_column_is_as_the_catalog_describes_it(engine: Engine) -> None:
    """Of PostgreSQL, SQLite, files and views."""
    found: list[Any] = []
    for each in tables(engine.catalog, None, None)[0]:
        parts = [part for part in (each["source"], each["schema"], each["name"]) if part is not None]
        described = table(engine, parts)
        for position, field in enumerate(described["columns"], 1):
            keys = described["primary_key"]
            place = keys.index(field["name"]) + 1 if field["name"] in keys else None
            about = (field["source_type"], field["required_filter"], field["comment"])
            found.append((".".join(parts), field["name"], position, field["type"], field["nullable"], place, *about))
    sql = """SELECT full_name, column_name, ordinal_position, data_type, nullable, primary_key, source_type,
        required_filter, comment FROM system.columns"""
    assert len(found) > 20
    assert ask(engine, sql) == sorted(found, key=str)
    assert {row[0] for row in found} == set(column(ask(engine, NAMES)))
