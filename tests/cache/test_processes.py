"""Several threads and processes over one folder: one request at the source, whatever happens to whom."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.errors import Error, QueryCancelled, SourceUnavailable
from federation.engine import Engine
from tests.adapters.rest_server import RestServer
from tests.cache.world import Clock, ask, catalog_text, engine_of, people
from tests.faults.world import catalog_of, source
from tests.servers import Server, run_sql
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
ALL = "SELECT id, name FROM crm.people ORDER BY id"
NAMES = [f"n{number}" for number in range(1, 41)]
HOUR = 'cache = { ttl = "1h" }'
PLAIN = pytest.param("", id="plain")
KEY = f'cache_encryption_key = "{os.urandom(32).hex()}"'
SETTINGS = pytest.mark.parametrize("settings", [PLAIN, pytest.param(KEY, id="encrypted")])
BRIEFLY = pytest.mark.parametrize("settings", [PLAIN, pytest.param(KEY, id="encrypted", marks=pytest.mark.slow)])


class Asker:
    """One process of `tests.cache.asker`, ready to ask."""

    def __init__(self, catalog: Path, *statements: str, threads: int = 1) -> None:
        command = [sys.executable, "-m", "tests.cache.asker", str(catalog), str(threads), *statements]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready\n"

    def go(self, most: str = "") -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{most}\n")
        self.process.stdin.flush()

    def answers(self) -> list[object]:
        answers: list[object] = json.loads(self._line())
        assert self.process.wait(60) == 0
        return answers

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)

    def _line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer({"/people": people(*NAMES)}) as made:
        yield made


def left(folder: Path) -> list[str]:
    """What lies in the folder that no complete fragment needs."""
    return [path.name for path in folder.rglob("*.*") if path.suffix in (".part", ".lock")]


def test_a_source_is_asked_once_by_many_processes(server: RestServer, tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, catalog_text(server.url, tmp_path / "cache", policy=HOUR))
    statements = [f"SELECT name FROM crm.people WHERE id = {number}" for number in range(1, 9)]
    askers = []
    for number in range(2):
        random.Random(number).shuffle(statements)
        askers.append(Asker(catalog, *statements, threads=4))
    for asker in askers:
        asker.go()
    for asker in askers:
        assert sorted(set(map(str, asker.answers()))) == sorted(f"[['n{number}']]" for number in range(1, 9))
    assert sorted(server.journal) == [f"/people?id={number}" for number in range(1, 9)]
    assert left(tmp_path / "cache") == []


@BRIEFLY
def test_processes_that_are_killed_leave_nothing_that_lasts(server: RestServer, tmp_path: Path, settings: str) -> None:
    text = catalog_text(server.url, tmp_path / "cache", policy=HOUR, settings=settings)
    catalog = catalog_of(tmp_path, text)
    statements = [f"SELECT name FROM crm.people WHERE id = {number}" for number in range(1, 31)]
    killed = [Asker(catalog, *statements, threads=2) for _ in range(2)]
    survivor = Asker(catalog, *reversed(statements), threads=2)
    for asker in (*killed, survivor):
        asker.go()
    for number, asker in enumerate(killed):
        eventually(lambda most=5 * (number + 1): len(server.journal) >= most)  # type: ignore[misc]
        asker.kill()
    expected = sorted(f"[['n{number}']]" for number in range(1, 31))
    assert sorted(set(map(str, survivor.answers()))) == expected
    assert len(server.journal) <= 30 + 2 * len(killed)
    with Engine.open(catalog) as engine:
        assert left(tmp_path / "cache") == []
        asked = len(server.journal)
        assert sorted(str([list(row) for row in ask(engine, sql)]) for sql in statements) == expected
        assert len(server.journal) == asked


@SETTINGS
def test_kill_in_the_middle_of_a_write(postgres_server: Server, tmp_path: Path, settings: str) -> None:
    uri = postgres_server.create_database("cache_kill")
    view = "SELECT generate_series(1, 1000000000) AS id, repeat('x', 200) AS pad"
    run_sql(uri, f"CREATE VIEW endless AS {view}; CREATE TABLE t AS SELECT 1 AS id")
    folder = tmp_path / "cache"
    settings = f'[settings]\ncache_directory = "{folder}"\n{settings}\n'
    catalog = catalog_of(tmp_path, settings, source("pg", "postgres", uri=uri, cache={"ttl": "1h"}))
    asker = Asker(catalog, "SELECT count(*), min(pad || id) FROM (SELECT id, pad FROM pg.endless) AS e, range(2)")
    asker.go()
    eventually(lambda: any(path.stat().st_size > 1_000_000 for path in folder.rglob("*.part")))
    asker.kill()
    assert len(left(folder)) == 2
    run_sql(uri, "CREATE OR REPLACE VIEW endless AS SELECT 7 AS id, 'x' AS pad")
    with Engine.open(catalog) as engine:
        assert left(folder) == []
        assert list(folder.rglob("*.arrow")) == []
        assert ask(engine, "SELECT id, pad FROM pg.endless") == [(7, "x")]
    assert left(folder) == []


@pytest.mark.parametrize("most", ["100000", "1000"])
def test_a_disk_without_room_keeps_nothing_and_fails_nothing(tmp_path: Path, most: str) -> None:
    """The limit is that of a process for its files. The smaller one leaves no room in the index either."""
    names = [f"name {number} {'x' * 100}" for number in range(1, 20_001)]
    with RestServer({"/people": people(*names)}) as server:
        catalog = catalog_of(tmp_path, catalog_text(server.url, tmp_path / "cache", policy=HOUR))
        statement = "SELECT count(*), sum(length(name)) FROM crm.people"
        asker = Asker(catalog, statement, statement)
        asker.go(most)
        assert asker.answers() == [[[20_000, sum(map(len, names))]]] * 2
        assert len(server.journal) == 2
    assert left(tmp_path / "cache") == []
    assert list((tmp_path / "cache").rglob("*.arrow")) == []


# --- threads ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def engine(server: RestServer, tmp_path: Path) -> Iterator[Engine]:
    text = catalog_text(server.url, tmp_path / "cache", policy=HOUR)
    with engine_of(tmp_path, Clock(), text) as opened:
        yield opened


def waiting(engine: Engine) -> int:
    assert engine.cache is not None
    return sum(map(len, engine.cache.store.waiters._waiting.values()))


def test_those_who_wait_get_the_failure(engine: Engine, server: RestServer) -> None:
    server.faults.append("hang")
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(ask, engine, ALL)
        assert server.hanging.wait(60)
        others = [pool.submit(ask, engine, ALL) for _ in range(3)]
        eventually(lambda: waiting(engine) == 3)
        server.release()
        for each in (first, *others):
            assert isinstance(each.exception(60), SourceUnavailable)
    assert server.journal == ["/people"]
    assert waiting(engine) == 0
    assert len(ask(engine, ALL)) == 40


def test_one_who_waits_goes_on_for_one_who_was_cancelled(engine: Engine, server: RestServer) -> None:
    server.faults.append("hang")
    with ThreadPoolExecutor(3) as pool:
        result = engine.query(ALL)
        first = pool.submit(result.read_all)
        assert server.hanging.wait(60)
        others = [pool.submit(ask, engine, ALL) for _ in range(2)]
        eventually(lambda: waiting(engine) == 2)
        result.cancel()
        assert isinstance(first.exception(60), QueryCancelled)
        assert [len(each.result(60)) for each in others] == [40, 40]
    assert len(server.journal) == 2


def test_who_waits_can_be_cancelled(engine: Engine, server: RestServer) -> None:
    server.faults.append("hang")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, engine, ALL)
        assert server.hanging.wait(60)
        with pytest.raises(QueryCancelled):
            ask(engine, ALL, timeout=0.2)
        closed = engine.query(ALL)
        second = pool.submit(closed.read_all)
        eventually(lambda: waiting(engine) == 1)
        closed.close()
        with pytest.raises(Error):
            second.result(60)
        server.release()
        assert isinstance(first.exception(60), Error)
    assert waiting(engine) == 0


def test_a_reader_that_is_slow_holds_nobody_up(postgres_server: Server, tmp_path: Path) -> None:
    """Its rows go to disk, as does the fragment, which others then have while it still reads."""
    uri = postgres_server.create_database("cache_slow")
    rows = 400_000
    run_sql(uri, f"CREATE TABLE t AS SELECT i AS id, repeat('x', 200) AS pad FROM generate_series(1, {rows}) AS i")
    settings = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n'
    catalog = catalog_of(tmp_path, settings, source("pg", "postgres", uri=uri, cache={"ttl": "1h"}))
    sql = "SELECT id, pad FROM pg.t"
    with Engine.open(catalog) as engine, engine.query(sql) as slow:
        batches = slow.batches()
        read = next(batches).num_rows
        done = threading.Event()

        def other() -> int:
            with engine.query(sql) as result:
                count = sum(batch.num_rows for batch in result.batches())
                assert [str(each.state) for each in result.freshness()] == ["fresh"]
                done.set()
                return count

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(other).result(60) == rows
        assert done.is_set()
        assert read + sum(batch.num_rows for batch in batches) == rows


def test_what_was_not_read_to_its_end_is_not_kept(postgres_server: Server, tmp_path: Path) -> None:
    uri = postgres_server.create_database("cache_early")
    run_sql(uri, "CREATE VIEW endless AS SELECT generate_series(1, 1000000000) AS id")
    settings = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n'
    catalog = catalog_of(tmp_path, settings, source("pg", "postgres", uri=uri, cache={"ttl": "1h"}))
    with Engine.open(catalog) as engine:
        with engine.query("SELECT id FROM pg.endless") as result:
            next(result.batches())
        assert len(ask(engine, "SELECT id FROM pg.endless LIMIT 3", options={"pushdown": False})) == 3
        assert engine.cache is not None and list(engine.cache.store.entries()) == []
    assert left(tmp_path / "cache") == []
