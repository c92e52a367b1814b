"""Queries of one transaction read one state of each source, whatever happens at the source meanwhile."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import federation.fetch
from adapters.base import CancelToken
from adapters.errors import QueryCancelled, SnapshotLost
from federation.engine import Engine
from federation.snapshots import MOST_PER_SLOT, Snapshots, TooManySnapshots
from tests.faults.world import catalog_of, end_sessions, fill_parquet, running, source
from tests.servers import Server, run_sql
from tests.waiting import SECONDS, eventually

ROWS = 4000
TABLES = """
CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY, n int, pad varchar(100));
CREATE TABLE IF NOT EXISTS u (id int, n int);
DELETE FROM t;
DELETE FROM u;
INSERT INTO u VALUES (1, 1), (2, 2);
"""
FILL = f"""INSERT INTO t WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {ROWS})
SELECT i, 1, 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz' FROM r"""
COUNT = "SELECT count(*), sum(n) FROM s.t"


@dataclass
class World:
    """`s` is the source that the test is about; `change` runs statements there."""

    kind: str
    engine: Engine
    change: Callable[[str], object]
    uri: str

    def read(self, sql: str, snapshots: Snapshots | None = None) -> list[tuple[Any, ...]]:
        with self.engine.query(sql, timeout=SECONDS, snapshots=snapshots) as result:
            return [tuple(row.values()) for row in result.read_all().to_pylist()]

    def make(self, table: str) -> None:
        """One like t, of a while ago: MariaDB knows the second in which it was made."""
        self.change(f"CREATE TABLE {table} AS SELECT * FROM t; {'SELECT sleep(1.1)' if self.kind == 'my' else ''}")

    def held(self) -> int:
        """Transactions that are open at the server."""
        if self.kind == "pg":
            sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in %'"
        else:
            sql = (
                "DO sleep(0.2);"  # it shows what it has shown before to who asks again within 0.1 s
                "SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist "
                "ON id = trx_mysql_thread_id WHERE db = database()"
            )
        return int(run_sql(self.uri, sql))


def _lite(path: Path) -> Callable[[str], object]:
    def change(script: str) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)

    return change


@pytest.fixture(scope="module", params=["pg", "my", "lite"])
def server(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The kind of a source, and the URI of a database of its own, if it is a server."""
    if request.param == "lite":
        return "lite", ""
    found: Server = request.getfixturevalue({"pg": "postgres_server", "my": "mariadb_server"}[request.param])
    uri = found.create_database("snapshots")
    if request.param == "my":
        run_sql(uri, TABLES + "SELECT sleep(1.1)")  # it knows no more than the second in which a table was made
    return request.param, uri


@pytest.fixture
def world(server: tuple[str, str], tmp_path: Path) -> Iterator[World]:
    kind, uri = server
    fill_parquet(tmp_path / "numbers.parquet")
    if kind == "lite":
        change = _lite(tmp_path / "s.db")
        change("PRAGMA journal_mode = WAL")
        section = source("s", "sqlite", path=str(tmp_path / "s.db"), limits={"concurrency": 2})
    else:
        change = partial(run_sql, uri)
        section = source("s", {"pg": "postgres", "my": "mysql"}[kind], uri=uri, limits={"concurrency": 2})
    change(TABLES + ("SET max_recursive_iterations = 100000;" if kind == "my" else "") + FILL)
    files = source("f", "files", path=str(tmp_path / "*.parquet"))
    catalog = catalog_of(tmp_path, section, 'cache = { ttl = "1h" }', files, cache_settings(tmp_path))
    with Engine.open(catalog) as engine:
        yield World(kind, engine, change, uri)


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than the table has, so that readers do wait for their consumer."""
    monkeypatch.setattr(federation.fetch, "QUEUE_BYTES", 50_000)


def cache_settings(folder: Path) -> str:
    return f'[settings]\ncache_directory = "{folder / "cache"}"'


def test_statements_of_a_transaction_see_one_state(world: World) -> None:
    first = world.engine.begin()
    assert world.read("SELECT sum(n) FROM s.u", first) == [(3,)]
    world.change("UPDATE u SET n = n + 10; DELETE FROM t WHERE id > 10; UPDATE t SET n = 2;")
    for _ in range(2):
        assert world.read("SELECT sum(n) FROM s.u", first) == [(3,)]
        assert world.read(COUNT, first) == [(ROWS, ROWS)]  # the state is that of the first read of the source
    second = world.engine.begin()
    assert world.read(COUNT, second) == [(10, 20)]
    assert world.read(COUNT) == [(10, 20)]
    first.end()
    second.end()
    assert first.outside() == second.outside() == []


def test_nothing_is_from_the_cache_and_nothing_goes_there(world: World) -> None:
    assert world.read(COUNT) == [(ROWS, ROWS)]  # kept from here on
    world.change("UPDATE t SET n = 2")
    transaction = world.engine.begin()
    assert world.read(COUNT, transaction) == [(ROWS, 2 * ROWS)]
    assert world.read("SELECT sum(n) FROM s.u", transaction) == [(3,)]
    transaction.end()
    assert world.read(COUNT) == [(ROWS, ROWS)]
    world.change("UPDATE u SET n = 0")
    assert world.read("SELECT sum(n) FROM s.u") == [(0,)]


def test_fragments_of_one_query_share_it(world: World) -> None:
    """Also where all of them have one connection, which each then reads to its end for the sake of the others."""
    transaction = world.engine.begin()
    world.read("SELECT 1 FROM s.u", transaction)
    world.change("UPDATE t SET n = 2 WHERE id > 100; DELETE FROM u;")
    join = """SELECT count(*), sum(a.n), sum(b.n) FROM s.t a JOIN s.t b ON list_value(a.id) = list_value(b.id)
              JOIN f.numbers c ON c.id = a.id, s.u"""
    assert world.read(join, transaction) == [(2 * ROWS, 2 * ROWS, 2 * ROWS)]
    assert transaction.outside() == ["f"]
    transaction.end()


def test_a_result_that_is_not_read_to_its_end_leaves_it_as_it_is(world: World) -> None:
    transaction = world.engine.begin()
    whole = "SELECT id, n, pad FROM s.t"
    half = world.engine.query(whole, snapshots=transaction)
    batches = half.batches()
    assert next(batches).num_rows
    world.change("UPDATE t SET n = 2")
    assert world.read("SELECT id FROM s.t LIMIT 1", transaction)
    assert world.read(COUNT, transaction) == [(ROWS, ROWS)]
    with world.engine.query(whole, snapshots=transaction) as given_up:
        next(given_up.batches())
    assert sum(batch.num_rows for batch in batches) < ROWS
    half.close()
    assert world.read(COUNT, transaction) == [(ROWS, ROWS)]
    transaction.end()


def test_a_cancel_ends_the_statement_and_not_the_snapshot(world: World) -> None:
    transaction = world.engine.begin()
    assert world.read(COUNT, transaction) == [(ROWS, ROWS)]
    world.change("UPDATE t SET n = 2")
    cancel = CancelToken()
    endless = "SELECT sum(a.n + b.n + c.n) FROM s.t a, s.t b, s.t c WHERE a.id + b.id < c.id"
    with world.engine.query(endless, cancel=cancel, snapshots=transaction) as result, ThreadPoolExecutor(1) as pool:
        reading = pool.submit(result.read_all)
        eventually(lambda: running(world.uri) if world.uri else any(each.rows for each in result.progress()))
        cancel.cancel()
        with pytest.raises(QueryCancelled):
            reading.result(SECONDS)
    assert world.read(COUNT, transaction) == [(ROWS, ROWS)]
    transaction.end()


@pytest.mark.parametrize(
    "ddl",
    [
        "DELETE FROM {0}; ALTER TABLE {0} ADD COLUMN m int DEFAULT 7",
        "ALTER TABLE {0} DROP COLUMN n; ALTER TABLE {0} ADD COLUMN n int DEFAULT 5",
        "DROP TABLE {0}; CREATE TABLE {0} (id int, n int, pad text)",
        "TRUNCATE TABLE {0}",
    ],
)
def test_a_table_that_is_altered_since_is_as_it_was_or_an_error(world: World, ddl: str) -> None:
    table = f"altered_{uuid4().hex}"
    world.make(table)
    transaction = world.engine.begin()
    assert world.read("SELECT sum(n) FROM s.u", transaction) == [(3,)]
    ddl = ddl.format(table)
    world.change(ddl if world.kind != "lite" else ddl.replace("TRUNCATE TABLE", "DELETE FROM"))
    for _ in range(2):
        try:
            assert world.read(f"SELECT count(*), sum(n) FROM s.{table}", transaction) == [(ROWS, ROWS)]
        except SnapshotLost as exc:
            assert exc.source == "s"
    assert world.read("SELECT sum(n) FROM s.u", transaction) == [(3,)]
    transaction.end()
    assert world.read(f"SELECT count(*) FROM s.{table}") == [(ROWS if "DROP COLUMN" in ddl else 0,)]


def test_what_is_read_keeps_nobody_from_altering_it(world: World) -> None:
    """A statement of the source would wait for a transaction that has read the table, and all readers for that."""
    world.make("altered")
    transaction = world.engine.begin()
    assert world.read("SELECT count(*) FROM s.altered", transaction) == [(ROWS,)]
    world.change("DROP TABLE altered")
    transaction.end()


def test_it_is_given_back(world: World) -> None:
    """Once the last query has ended that reads from it."""
    if not world.uri:
        return
    transaction = world.engine.begin()
    with world.engine.query("SELECT * FROM s.t", snapshots=transaction) as result:
        batches = result.batches()
        next(batches)
        transaction.end()
        assert world.held()
    eventually(lambda: not world.held())


def test_it_is_given_back_when_it_lies_unused(world: World) -> None:
    transaction = Snapshots(world.engine._slots, world.engine._places, 0.01)
    assert world.read(COUNT, transaction) == [(ROWS, ROWS)]

    def lost() -> bool:
        try:
            world.read(COUNT, transaction)
        except SnapshotLost as exc:
            return "idle" in exc.message
        return False

    eventually(lost)
    assert not world.uri or not world.held()
    transaction.end()


def test_they_are_not_more_than_the_source_bears(world: World) -> None:
    slots = world.engine._slots["s"].size
    many = [world.engine.begin() for _ in range(MOST_PER_SLOT * slots)]
    for each in many:
        world.read("SELECT sum(n) FROM s.u", each)
    more = world.engine.begin()
    with pytest.raises(TooManySnapshots) as caught:
        world.read(COUNT, more)
    assert (caught.value.sqlstate, caught.value.source) == ("53300", "s")
    many.pop().end()
    assert world.read(COUNT, more) == [(ROWS, ROWS)]
    for each in (*many, more):
        each.end()
    assert world.read(COUNT) == [(ROWS, ROWS)]


# --- what has no snapshot ---------------------------------------------------------------------------------------------


def test_sqlite_without_a_write_ahead_log_has_none(tmp_path: Path) -> None:
    """Its readers would keep everybody from writing."""
    path = tmp_path / "s.db"
    change = _lite(path)
    change("CREATE TABLE u (n int); INSERT INTO u VALUES (1);")
    with Engine.open(catalog_of(tmp_path, source("s", "sqlite", path=str(path)))) as engine:
        transaction = engine.begin()
        for n in (1, 2):
            with engine.query("SELECT n FROM s.u", snapshots=transaction) as result:
                assert result.read_all().column(0).to_pylist() == [n]
            change("UPDATE u SET n = n + 1")
        assert transaction.outside() == ["s"]
        transaction.end()


def test_tables_without_states_are_named(postgres_server: Server, mariadb_server: Server, tmp_path: Path) -> None:
    pg, my = (each.create_database("stateless") for each in (postgres_server, mariadb_server))
    host = re.search(r"@(?P<host>[^:]+):(?P<port>\d+)/", pg)
    assert host is not None
    password = re.search(r"federation:([^@]+)@", pg)
    assert password is not None
    run_sql(
        pg,
        f"""
        CREATE EXTENSION postgres_fdw;
        CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw
          OPTIONS (host '{host["host"]}', port '{host["port"]}', dbname 'stateless');
        CREATE USER MAPPING FOR CURRENT_USER SERVER itself OPTIONS (user 'federation', password '{password[1]}');
        CREATE TABLE kept (n int);
        CREATE FOREIGN TABLE afar (n int) SERVER itself OPTIONS (table_name 'kept');
        CREATE VIEW seen AS SELECT n FROM afar;
        """,
    )
    run_sql(
        my,
        "CREATE TABLE kept (n int); CREATE TABLE plain (n int) ENGINE = MyISAM;"
        "CREATE VIEW seen AS SELECT n FROM plain; CREATE VIEW same AS SELECT n FROM kept; SELECT sleep(1.1);",
    )
    sources = source("pg", "postgres", uri=pg), source("my", "mysql", uri=my)
    with Engine.open(catalog_of(tmp_path, *sources)) as engine:
        transaction = engine.begin()
        for table in ("pg.kept", "pg.seen", "my.kept", "my.same", "my.plain", "my.seen"):
            with engine.query(f"SELECT n FROM {table}", snapshots=transaction) as result:
                assert not result.read_all().num_rows
        named = ["my.stateless.plain", "my.stateless.seen", "pg.public.afar"]
        assert transaction.outside() == named
        transaction.end()


# --- PostgreSQL's partitions ------------------------------------------------------------------------------------------


def test_partitions_read_side_by_side(postgres_server: Server, tmp_path: Path) -> None:
    uri = postgres_server.create_database("partitions")
    run_sql(
        uri,
        "CREATE TABLE big (id int, n int, pad text) WITH (fillfactor = 10, autovacuum_enabled = off);"
        "INSERT INTO big SELECT i, 1, repeat('x', 400) FROM generate_series(1, 9000) i;",
    )
    with Engine.open(catalog_of(tmp_path, source("pg", "postgres", uri=uri))) as engine:
        transaction = engine.begin()
        bare = {"pushdown": False}
        for _ in range(2):
            with engine.query("SELECT count(*), sum(n) FROM pg.big", options=bare, snapshots=transaction) as result:
                assert result.read_all().to_pylist() == [{"count_star()": 9000, "sum(n)": 9000}]
                assert sum(each.requests for each in result._execution.stats().values()) > 1
            run_sql(uri, "DELETE FROM big WHERE id > 100; INSERT INTO big SELECT 1, 5, '' FROM generate_series(1, 50);")
        run_sql(uri, "VACUUM FULL big")
        with (
            engine.query("SELECT count(*) FROM pg.big", options=bare, snapshots=transaction) as result,
            pytest.raises(SnapshotLost),
        ):
            result.read_all()
        transaction.end()


def test_the_end_of_the_server_is_the_end_of_the_snapshot(postgres_server: Server, tmp_path: Path) -> None:
    uri = postgres_server.create_database("ended")
    run_sql(uri, "CREATE TABLE t (n int)")
    with Engine.open(catalog_of(tmp_path, source("pg", "postgres", uri=uri))) as engine:
        transaction = engine.begin()
        for sqlstate in (None, "40001", "40001"):
            with engine.query("SELECT n FROM pg.t", snapshots=transaction) as result:
                try:
                    assert result.read_all().num_rows == 0
                    assert sqlstate is None
                except SnapshotLost as exc:
                    assert exc.sqlstate == sqlstate
            end_sessions(uri)
        transaction.end()
        with engine.query("SELECT n FROM pg.t") as result:
            assert result.read_all().num_rows == 0
