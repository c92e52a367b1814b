"""What is kept warm: fetched again in time, whole or by what is new, by one server of all, and never a wrong answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pyarrow as pa
import pytest

from adapters.base import CancelToken, Partition
from adapters.errors import SourceUnavailable
from cache.eviction import victims
from cache.keys import FragmentKey
from cache.store import Store
from federation.engine import Engine
from federation.warming import Warmer
from tests.adapters.rest_server import RestServer
from tests.cache.test_store import SCHEMA
from tests.cache.test_store import batch as some_rows
from tests.cache.test_system_table import rows as shown
from tests.cache.world import Clock, ask, catalog_text, engine_of, people, states
from tests.faults.world import catalog_of, source
from tests.pgwire.running import start_face
from tests.servers import Server
from tests.waiting import eventually

POLICY = {"ttl": "1h", "stale_if_error": "1h"}
ALL = "SELECT id, name, at FROM src.things"
ROWS = 500


class Things(Protocol):
    """A table `things (id, name, at, note)` with `ROWS` rows, in which `at` is the number of the row."""

    section: str

    def run(self, sql: str) -> None: ...

    def rows(self) -> set[tuple[Any, ...]]: ...

    def close(self) -> None: ...


class SqliteThings:
    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self.run("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, at INTEGER) STRICT")
        self.run("BEGIN")
        self._connection.executemany("INSERT INTO things VALUES (?, ?, ?)", [(n, f"n{n}", n) for n in range(ROWS)])
        self.run("COMMIT")
        self.section = source("src", "sqlite", path=str(path), cache=POLICY)

    def run(self, sql: str) -> None:
        self._connection.execute(sql)

    def rows(self) -> set[tuple[Any, ...]]:
        return set(self._connection.execute("SELECT id, name, at FROM things"))

    def close(self) -> None:
        self._connection.close()


class PostgresThings:
    """Its cursor is a time."""

    def __init__(self, server: Server) -> None:
        self._uri = server.create_database("warm")
        self._connection = psycopg.connect(self._uri, autocommit=True)
        self.run("CREATE TABLE things (id bigint PRIMARY KEY, name text, at timestamptz)")
        self.run(f"INSERT INTO things SELECT n, 'n' || n, to_timestamp(n) FROM generate_series(0, {ROWS - 1}) AS n")
        self.section = source("src", "postgres", uri=self._uri, cache=POLICY)

    def run(self, sql: str) -> None:
        for number in range(480, 520):
            sql = sql.replace(f"at = {number}", f"at = to_timestamp({number})").replace(
                f"', {number})", f"', to_timestamp({number}))"
            )
        self._connection.execute(sql)

    def rows(self) -> set[tuple[Any, ...]]:
        return set(self._connection.execute("SELECT id, name, at FROM things"))

    def close(self) -> None:
        self._connection.close()


class World:
    """An engine over the things, what it asked of them since `forget`, and whether they can be reached."""

    def __init__(self, things: Things, engine: Engine, clock: Clock) -> None:
        self.things = things
        self.engine = engine
        self.clock = clock
        self.warmer = Warmer(engine)
        self.requests: list[str] = []
        self.moved = 0
        self.down = False
        adapter = engine.catalog.sources["src"].adapter
        read = adapter.read

        def counting(partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
            if self.down:
                raise SourceUnavailable("it is down", source="src")
            self.requests.append(partition.request)
            reader = read(partition, cancel)
            return pa.RecordBatchReader.from_batches(reader.schema, self._counted(reader))

        adapter.read = counting  # type: ignore[method-assign]

    def _counted(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        with closing(reader):
            for batch in reader:
                self.moved += batch.num_rows
                yield batch

    def refresh(self, seconds: float = 901.0) -> bool:
        """After so many seconds; whether anything was due. What it asked is counted from here on."""
        self.clock.now += seconds
        self.requests, self.moved = [], 0
        tried = [self.warmer.refresh(each) for each in self.engine.pins]
        return any(tried)

    def answers_truly(self, sql: str = ALL) -> bool:
        """From what is kept, without asking the source."""
        asked = len(self.requests)
        with self.engine.query(sql) as result:
            table = result.read_all()
        found = set(zip(*(column.to_pylist() for column in table.columns), strict=True))
        return found == self.things.rows() and table.num_rows == len(found) and len(self.requests) == asked


@pytest.fixture(params=["sqlite", "postgres"])
def things(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Things]:
    kinds: dict[str, Callable[[], SqliteThings | PostgresThings]] = {
        "sqlite": lambda: SqliteThings(tmp_path / "things.db"),
        "postgres": lambda: PostgresThings(request.getfixturevalue("postgres_server")),
    }
    made = kinds[request.param]()
    yield made
    made.close()


@pytest.fixture
def sqlite_things(tmp_path: Path) -> Iterator[SqliteThings]:
    made = SqliteThings(tmp_path / "things.db")
    yield made
    made.close()


def text_of(things: Things, folder: Path, keys: str, more: str = "") -> str:
    said = ", ".join(filter(None, ['refresh = "every 15m"', keys]))
    note = f'[tables."src.things"]\ncache = {{ {said} }}\n'
    settings = f'[settings]\ncache_directory = "{folder / "cache"}"\nmetadata_ttl = "0s"\n{more}\n'
    return f"{settings}{things.section}\n{note}"


def world_of(things: Things, folder: Path, clock: Clock, keys: str = 'cursor = "at", key = ["id"]') -> Any:
    return engine_of(folder, clock, text_of(things, folder, keys))


def test_what_is_new_or_changed_is_fetched_and_nothing_else(things: Things, tmp_path: Path, clock: Clock) -> None:
    with world_of(things, tmp_path, clock) as engine:
        world = World(things, engine, clock)
        assert world.refresh(0)
        assert (world.moved, world.answers_truly()) == (ROWS + 1, True)  # and the largest value before
        assert not world.refresh(100)
        assert world.requests == []
        things.run("INSERT INTO things VALUES (500, 'new', 499)")  # at the boundary
        things.run("UPDATE things SET name = 'changed', at = 500 WHERE id = 3")
        assert world.refresh()
        assert (world.moved, len(world.requests)) == (3, 1)  # and the one that was at the boundary
        assert world.answers_truly()
        things.run("INSERT INTO things VALUES (501, 'late', 499)")  # below what was seen
        things.run("INSERT INTO things VALUES (502, 'null', NULL)")
        things.run("UPDATE things SET name = 'again', at = 501 WHERE id = 3")
        assert world.refresh()
        assert (world.moved, len(world.requests)) == (5, 1)
        assert world.answers_truly()
        things.run("INSERT INTO things VALUES (503, 'late', 500)")
        things.run("UPDATE things SET name = 'not null', at = 502 WHERE id = 502")
        assert world.refresh()
        assert world.answers_truly()
        assert world.moved < 10
        assert world.refresh()
        assert world.refresh()
        assert world.moved <= 2
        assert world.answers_truly()


def test_deletions_show_with_a_full_refresh(things: Things, tmp_path: Path, clock: Clock) -> None:
    with world_of(things, tmp_path, clock, 'cursor = "at", key = ["id"], full = "every 45m"') as engine:
        world = World(things, engine, clock)
        world.refresh(0)
        things.run("DELETE FROM things WHERE id = 3")
        world.refresh()
        assert not world.answers_truly()
        world.refresh()
        assert not world.answers_truly()
        world.refresh()
        assert (world.moved, world.answers_truly()) == (ROWS - 1, True)
        things.run("DELETE FROM things WHERE id = 4")
        world.refresh()
        assert not world.answers_truly()
        engine.invalidate("src.things")  # so it does when somebody says so
        world.refresh(1)
        assert (world.moved, world.answers_truly()) == (ROWS - 2 + 1, True)


def test_rows_that_are_only_added(things: Things, tmp_path: Path, clock: Clock) -> None:
    with world_of(things, tmp_path, clock, 'cursor = "at"') as engine:
        world = World(things, engine, clock)
        for number in range(500, 504):
            world.refresh()
            assert world.answers_truly()
            things.run(f"INSERT INTO things VALUES ({number}, 'new', {number})")
            things.run(f"INSERT INTO things VALUES ({number + 10}, 'same', {number})")
        world.refresh()
        assert world.moved == 6  # what came in the last two intervals, and what was at the boundary
        assert world.answers_truly()


def test_any_query_of_the_table_is_answered(things: Things, tmp_path: Path, clock: Clock) -> None:
    with world_of(things, tmp_path, clock) as engine:
        world = World(things, engine, clock)
        world.refresh()
        world.refresh()
        asked = len(world.requests)
        assert ask(engine, "SELECT name FROM src.things WHERE id = 77") == [("n77",)]
        assert ask(engine, "SELECT count(*), max(id) FROM src.things WHERE id > 5") == [(ROWS - 6, ROWS - 1)]
        assert ask(engine, "SELECT id FROM src.things ORDER BY at DESC LIMIT 1") == [(ROWS - 1,)]
        assert len(world.requests) == asked


def test_a_table_of_another_schema_is_fetched_whole(things: Things, tmp_path: Path, clock: Clock) -> None:
    with world_of(things, tmp_path, clock) as engine:
        world = World(things, engine, clock)
        world.refresh(0)
        world.refresh()
        things.run("ALTER TABLE things ADD COLUMN extra text")
        things.run("UPDATE things SET extra = 'x' WHERE id = 1")
        world.refresh()
        assert world.moved >= ROWS
        asked = len(world.requests)
        assert ask(engine, "SELECT extra FROM src.things WHERE id = 1") == [("x",)]
        assert len(world.requests) == asked
        world.refresh()
        assert world.moved < 10


def test_other_columns_begin_anew(sqlite_things: SqliteThings, tmp_path: Path, clock: Clock) -> None:
    for keys, moved in (('cursor = "at"', ROWS + 1), ('cursor = "at", key = ["id"]', ROWS), ('cursor = "id"', ROWS)):
        with world_of(sqlite_things, tmp_path, clock, keys) as engine:
            world = World(sqlite_things, engine, clock)
            world.refresh()
            assert (world.moved, world.answers_truly()) == (moved, True)


@pytest.mark.parametrize("keys", ["", 'cursor = "at", key = ["id"], full = "every 3h"'])
def test_what_has_not_moved_is_not_fetched(things: Things, tmp_path: Path, clock: Clock, keys: str) -> None:
    moved = "SELECT CAST(max(at) AS INTEGER) FROM things"  # SQLite knows the type of nothing else
    moved = "SELECT max(at) FROM things" if isinstance(things, PostgresThings) else moved
    said = ", ".join(filter(None, [f'version_sql = "{moved}"', keys]))
    with world_of(things, tmp_path, clock, said) as engine:
        world = World(things, engine, clock)
        world.refresh(0)
        assert world.moved >= ROWS
        for _ in range(6):  # longer than its ttl
            assert world.refresh(1000)
            assert (world.moved, len(world.requests)) == (1, 1)  # its version
            (row,) = shown(engine)
            assert (row["state"], row["pinned"], row["age"], row["refresh_error"]) == ("fresh", True, 0, None)
        assert world.answers_truly()
        things.run("INSERT INTO things VALUES (500, 'new', 500)")
        assert world.refresh()
        assert (world.moved < 10) == bool(keys)
        assert world.answers_truly()
        assert world.refresh()
        assert len(world.requests) == 1
        world.down = True
        assert world.refresh()
        assert "it is down" in shown(engine)[0]["refresh_error"]
        world.down = False
        engine.invalidate("src.things")
        assert world.refresh()
        assert world.moved > ROWS
        assert world.refresh(3 * 3600)
        assert (world.moved > ROWS) == bool(keys)  # whatever its version says


def test_a_reader_has_the_old_rows_or_the_new(sqlite_things: SqliteThings, tmp_path: Path, clock: Clock) -> None:
    with world_of(sqlite_things, tmp_path, clock, "") as engine:
        world = World(sqlite_things, engine, clock)
        world.refresh(0)
        before = sqlite_things.rows()
        with engine.query(ALL) as result:
            batches = result.batches()
            first = next(batches)
            sqlite_things.run("UPDATE things SET name = 'new'")
            world.refresh()
            table = pa.Table.from_batches([first, *batches])
        assert set(zip(*(column.to_pylist() for column in table.columns), strict=True)) == before
        assert world.answers_truly()


def test_a_failure_is_shown_and_tried_again_after_a_while(things: Things, tmp_path: Path, clock: Clock) -> None:
    with world_of(things, tmp_path, clock) as engine:
        world = World(things, engine, clock)
        world.refresh(0)
        world.down = True
        assert world.refresh()
        (row,) = shown(engine)
        assert "it is down" in row["refresh_error"]
        assert (row["state"], row["pinned"], row["refreshed"].timestamp()) == ("fresh", True, clock.now - 901)
        assert world.answers_truly()
        for wait in (10, 20, 40, 80):
            assert not world.refresh(wait - 1)
            assert world.refresh(1)
        world.down = False
        things.run("INSERT INTO things VALUES (500, 'new', 500)")
        assert not world.refresh(159)
        assert world.refresh(1)
        assert (world.moved, world.answers_truly()) == (2, True)
        (row,) = shown(engine)
        assert (row["refresh_error"], row["refreshed"].timestamp()) == (None, clock.now)


def test_what_could_never_be_fetched_is_shown(things: Things, tmp_path: Path, clock: Clock) -> None:
    with world_of(things, tmp_path, clock) as engine:
        world = World(things, engine, clock)
        (row,) = shown(engine)
        assert (row["state"], row["source"], row["pinned"], row["refresh_error"]) == ("missing", "src", True, None)
        world.down = True
        world.refresh()
        (row,) = shown(engine)
        assert (row["state"], row["rows"], "it is down" in row["refresh_error"]) == ("missing", None, True)


def test_the_old_rows_are_given_as_long_as_the_policy_lets_them(
    sqlite_things: SqliteThings, tmp_path: Path, clock: Clock
) -> None:
    with world_of(sqlite_things, tmp_path, clock) as engine:
        world = World(sqlite_things, engine, clock)
        world.refresh(0)
        world.down = True
        world.refresh(3601)
        assert states(engine, ALL) == ["stale_on_error"]
        world.down = False
        world.refresh(300)
        assert states(engine, ALL) == ["fresh"]


def test_what_is_too_large_is_a_failure(sqlite_things: SqliteThings, tmp_path: Path, clock: Clock) -> None:
    with engine_of(tmp_path, clock, text_of(sqlite_things, tmp_path, "", 'cache_size = "2KB"')) as engine:
        world = World(sqlite_things, engine, clock)
        world.refresh()
        (row,) = shown(engine)
        assert "could not be kept" in row["refresh_error"]
        assert not world.refresh(9)


def test_one_server_of_several_refreshes(sqlite_things: SqliteThings, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "other").mkdir()
    text = text_of(sqlite_things, tmp_path, "")
    with engine_of(tmp_path, clock, text) as engine, engine_of(tmp_path / "other", clock, text) as other:
        one, two = World(sqlite_things, engine, clock), World(sqlite_things, other, clock)
        assert (one.refresh(0), two.refresh(0)) == (True, False)
        assert (two.refresh(901), one.refresh(0)) == (True, False)
        assert one.answers_truly()
        assert engine.cache is not None
        turn = engine.cache.store.pins.turn(engine.pins[0].key)
        assert turn is not None
        assert two.refresh() is False  # while it is being refreshed
        turn.release()
        assert two.refresh(0)


def test_pins_make_room_after_all_others(tmp_path: Path) -> None:
    with closing(Store(tmp_path)) as store:
        for number in range(4):
            recording = store.record(
                FragmentKey("crm", "me", str(number), SCHEMA), SCHEMA, (), pinned_until=2e9 if number < 2 else 0.0
            )
            assert recording is not None
            recording.append(some_rows())
            recording.commit(0.001 if number < 2 else 100.0)
        used = [(entry, 0.0 if entry.pinned_until else 100.0) for entry in store.entries()]
        order = [entry.pinned_until > 0 for entry in victims(used, 200.0, 1.9e9, 1e9)]
        assert order == [False, False, True, True]
        assert next(iter(victims(used, 200.0, 2.1e9, 1.0))).pinned_until  # it is over


def test_a_view_is_kept(sqlite_things: SqliteThings, tmp_path: Path, clock: Clock) -> None:
    view = '[views."v.few"]\nsql = "SELECT id, name FROM src.things WHERE id < 100"\ncache = { refresh = "every 5m" }\n'
    settings = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n'
    with engine_of(tmp_path, clock, settings + sqlite_things.section + view) as engine:
        world = World(sqlite_things, engine, clock)
        assert world.refresh(0)
        assert states(engine, "SELECT * FROM v.few") == ["fresh"]
        sqlite_things.run("DELETE FROM things WHERE id = 5")
        world.refresh(301)
        assert len(ask(engine, "SELECT * FROM v.few")) == 99
        assert len(world.requests) == 1


def test_a_view_that_is_another_each_time(sqlite_things: SqliteThings, tmp_path: Path, clock: Clock) -> None:
    view = '[views."v.now"]\nsql = "SELECT id, now() AS t FROM src.things"\ncache = { refresh = "every 5m" }\n'
    settings = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n'
    with engine_of(tmp_path, clock, settings + sqlite_things.section + view) as engine:
        World(sqlite_things, engine, clock).refresh()
        (row,) = shown(engine)
        assert "depend on the time or on chance" in row["refresh_error"]


def test_a_server_refreshes_by_itself(tmp_path: Path) -> None:
    with RestServer({"/people": people("Ada", "Bo")}) as server:
        note = '[tables."crm.people"]\ncache = { refresh = "every 1s" }\n'
        text = catalog_text(server.url, tmp_path / "cache", policy='cache = { ttl = "1h" }') + note
        with start_face(catalog_of(tmp_path, text).parent) as face:

            def times() -> list[Any]:
                found: list[Any] = face.http.query("SELECT rows, refreshed FROM system.cache").json()["rows"]
                return found

            eventually(lambda: [row[0] for row in times()] == [2])
            first = times()
            eventually(lambda: times() != first)
            before = first[0][1]
            assert face.http.client.post("/v1/catalog/reload").status_code == 200
            server.resources["/people"].rows[0]["name"] = "Eve"
            eventually(lambda: face.http.query("SELECT name FROM crm.people WHERE id = 1").json()["rows"] == [["Eve"]])
            assert times()[0][1] > before
