"""REPEATABLE READ: one snapshot per source, and however the session ends, nothing stays at the source."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import IsolationLevel

from tests.faults.world import catalog_of, fill_parquet, source
from tests.http.running import environment
from tests.pgwire.raw import Raw, errors, kinds, query, rows
from tests.pgwire.running import Postgres, start_face
from tests.servers import Server, run_sql
from tests.waiting import eventually

MAKE = "CREATE TABLE t (n int); INSERT INTO t VALUES (1);"
SUM = "SELECT sum(n) FROM {}.t"


@dataclass
class Sources:
    face: Postgres
    pg: str
    change: dict[str, Callable[[str], object]]

    def held(self) -> int:
        """Transactions that are open at PostgreSQL."""
        states = "FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in %'"
        return int(run_sql(self.pg, f"SELECT count(*) {states}"))


@pytest.fixture(scope="module")
def world(
    postgres_server: Server, mariadb_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sources]:
    folder = tmp_path_factory.mktemp("snapshots")
    pg, my = (each.create_database("wire") for each in (postgres_server, mariadb_server))
    change: dict[str, Callable[[str], object]] = {"pg": partial(run_sql, pg), "my": partial(run_sql, my)}

    def lite(script: str) -> None:
        with closing(sqlite3.connect(folder / "lite.db")) as connection:
            connection.executescript(script)

    lite("PRAGMA journal_mode = WAL")
    change["lite"] = lite
    for each in change.values():
        each(MAKE)
    run_sql(my, "SELECT sleep(1.1)")  # see adapters.mysql_snapshot
    fill_parquet(folder / "numbers.parquet")
    catalog_of(
        folder,
        source("pg", "postgres", uri=pg),
        source("my", "mysql", uri=my),
        source("lite", "sqlite", path="lite.db"),
        source("f", "files", path="*.parquet"),
    )
    with start_face(folder) as face:
        yield Sources(face, pg, change)


@pytest.fixture(autouse=True)
def everything_is_given_back(world: Sources) -> Iterator[None]:
    """After each test, in whatever way it has left."""
    yield
    eventually(lambda: not world.held())


def one(connection: psycopg.Connection[Any], sql: str) -> Any:
    found = connection.execute(sql).fetchone()
    assert found is not None
    return found[0]


@pytest.mark.parametrize("name", ["pg", "my", "lite"])
def test_two_statements_and_a_write_between(world: Sources, name: str) -> None:
    change, asked = world.change[name], SUM.format(name)
    with psycopg.connect(world.face.uri) as connection:
        for level, same in (
            (IsolationLevel.REPEATABLE_READ, True),
            (IsolationLevel.READ_COMMITTED, False),
            (IsolationLevel.SERIALIZABLE, True),
        ):
            connection.isolation_level = level
            before = one(connection, asked)
            change("UPDATE t SET n = n + 1")
            assert one(connection, asked) == before + (not same)
            assert one(connection, f"SELECT sum(a.n) FROM {name}.t a, {name}.t b") == before + (not same)
            connection.commit()
            assert one(connection, asked) == before + 1
            connection.rollback()


def test_it_is_given_back(world: Sources) -> None:
    with Raw(world.face.port) as client:
        client.log_in()
        begin = query(f"BEGIN ISOLATION LEVEL REPEATABLE READ; {SUM.format('pg')}")
        for end in ("COMMIT", "ROLLBACK", "SELECT nothing", "ROLLBACK AND CHAIN"):
            assert rows(client.ask(begin))
            assert world.held() == 1
            client.ask(query(end))
            assert world.held() == 0
            client.ask(query("ROLLBACK"))
        client.ask(begin)
        client.ask(query("SAVEPOINT s"))
        client.ask(query("SELECT nothing"))
        assert world.held() == 1  # to go back to
        client.ask(query("COMMIT"))
        assert world.held() == 0
        client.ask(begin)
    eventually(lambda: not world.held())  # the client has gone without a word


def test_it_is_given_back_when_the_client_is_killed(world: Sources) -> None:
    script = f"""
import psycopg, time
connection = psycopg.connect({world.face.uri!r})
connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
connection.execute({SUM.format("pg")!r}).fetchone()
print("read", flush=True)
time.sleep(1000)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "read\n"
        assert world.held() == 1
        process.send_signal(signal.SIGKILL)
    eventually(lambda: not world.held())


def test_an_idle_transaction_ends(world: Sources) -> None:
    with Raw(world.face.port) as client:
        client.log_in()
        client.ask(query("SET idle_in_transaction_session_timeout = 100"))
        client.send(query(f"BEGIN ISOLATION LEVEL REPEATABLE READ; {SUM.format('pg')}"))
        assert errors(client.rest()) == ["25P03"]
    eventually(lambda: not world.held())


def test_what_has_no_snapshot_is_named(world: Sources) -> None:
    with Raw(world.face.port) as client:
        client.log_in()
        assert kinds(client.ask(query("BEGIN ISOLATION LEVEL SERIALIZABLE"))) == "CZ"
        assert kinds(client.ask(query(SUM.format("pg")))) == "TDCZ"
        found = client.ask(query(f"{SUM.format('pg')} WHERE n IN (SELECT id FROM f.numbers)"))
        notices = [each.fields() for each in found if each.kind == "N"]
        assert [(each["S"], each["C"]) for each in notices] == [("WARNING", "01000")]
        assert notices[0]["M"].startswith("f has no snapshot")
        assert kinds(client.ask(query("SELECT count(*) FROM f.numbers"))) == "TDCZ"  # once is enough
        client.ask(query("COMMIT"))


def test_levels(world: Sources) -> None:
    with Raw(world.face.port) as client:
        client.log_in()
        asked = query(SUM.format("pg"))
        client.ask(query("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        assert rows(client.ask(query("SHOW transaction_isolation"))) == [["repeatable read"]]
        client.ask(asked)
        assert world.held() == 0  # a transaction of one statement
        client.ask(query("BEGIN"))
        client.ask(asked)
        assert world.held() == 1
        assert errors(client.ask(query("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))) == ["25001"]
        client.ask(query("ROLLBACK AND CHAIN"))
        assert errors(client.ask(query("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))) == []
        client.ask(asked)
        assert world.held() == 0
        assert errors(client.ask(query("SET transaction_isolation = 'serializable'"))) == ["25001"]
        client.ask(query("ROLLBACK AND CHAIN"))
        assert rows(client.ask(query("SHOW transaction_isolation"))) == [["read committed"]]
        client.ask(query("ROLLBACK"))
        assert rows(client.ask(query("SHOW transaction_isolation"))) == [["repeatable read"]]


def test_cursors(world: Sources) -> None:
    """One that is declared WITH HOLD keeps the snapshot until it is closed."""
    with Raw(world.face.port) as client:
        client.log_in()
        client.ask(query("BEGIN ISOLATION LEVEL REPEATABLE READ"))
        before = rows(client.ask(query("SELECT n FROM my.t")))
        client.ask(query("DECLARE c CURSOR WITH HOLD FOR SELECT n FROM my.t"))
        world.change["my"]("UPDATE t SET n = n + 1")
        client.ask(query("COMMIT"))
        assert rows(client.ask(query("FETCH ALL FROM c"))) == before
        client.ask(query("CLOSE c"))
        assert rows(client.ask(query("SELECT n FROM my.t"))) != before


def test_another_catalog_is_another_snapshot(world: Sources) -> None:
    with Raw(world.face.port) as client:
        client.log_in()
        client.ask(query(f"BEGIN ISOLATION LEVEL REPEATABLE READ; SAVEPOINT s; {SUM.format('pg')}"))
        world.face.http.client.post("/v1/catalog/reload").raise_for_status()
        assert errors(client.ask(query(SUM.format("pg")))) == ["40001"]
        client.ask(query("ROLLBACK"))
        assert rows(client.ask(query(SUM.format("pg"))))
    eventually(lambda: not world.held())


def test_a_cancel_leaves_the_snapshot_to_a_savepoint(world: Sources) -> None:
    with Raw(world.face.port) as client:
        client.log_in()
        client.ask(query("BEGIN ISOLATION LEVEL REPEATABLE READ"))
        before = {name: rows(client.ask(query(SUM.format(name)))) for name in world.change}
        for name, change in world.change.items():
            change("UPDATE t SET n = n + 1")
            client.ask(query("SAVEPOINT s; SET LOCAL statement_timeout = 1"))
            client.ask(query(f"SELECT count(*) FROM f.numbers a, f.numbers b, {name}.t WHERE a.id + b.id > n"))
            client.ask(query("ROLLBACK TO s"))
        assert {name: rows(client.ask(query(SUM.format(name)))) for name in world.change} == before
