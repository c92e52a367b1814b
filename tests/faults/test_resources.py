"""Memory that does not grow with the result, nothing that is left after a query, one moment for all of a table."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.errors import QueryCancelled, SourceUnavailable
from federation.engine import Engine
from tests.adapters.rest_server import RestServer
from tests.faults.world import ROWS, catalog_of, engine_over, rows_of, running, sessions, source
from tests.servers import Server, run_sql
from tests.waiting import eventually

MILLIONS = 4_000_000
# Rows and the growth of the peak, in MiB, since a first small query had loaded everything.
MEASURE = """
import resource, sys, time
from federation.engine import Engine

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

with Engine.open(sys.argv[1]) as engine:
    engine.query("SELECT id, name, pad FROM pg.generated LIMIT 10").read_all()
    before, rows = peak(), 0
    with engine.query(sys.argv[2]) as result:
        for number, batch in enumerate(result.batches()):
            rows += batch.num_rows
            if number < int(sys.argv[3]):
                time.sleep(0.02)
    print(rows, peak() - before)
"""
GENERATED = """
CREATE OR REPLACE VIEW generated AS SELECT i AS id, 'n' || i AS name, repeat('x', 100) AS pad
FROM (SELECT generate_series(1, {0}) AS i) s
"""


@pytest.mark.parametrize(
    ("sql", "waits"),
    [
        ("SELECT id, name, pad FROM pg.generated", 0),
        ("SELECT id, name, pad FROM pg.generated UNION ALL SELECT id, name, pad FROM lite.numbers", 0),
        ("SELECT id, name, pad FROM pg.generated", 100),
    ],
    ids=["as it comes", "through DuckDB", "to a slow consumer"],
)
def test_memory_is_bounded(pg: str, embedded: Path, tmp_path: Path, sql: str, waits: int) -> None:
    """520 MB in Arrow, of which a queue, a few batches and DuckDB's buffers are there at a time."""
    run_sql(pg, GENERATED.format(MILLIONS))
    lite = source("lite", "sqlite", path=str(embedded / "lite.db"))
    catalog = catalog_of(tmp_path, source("pg", "postgres", uri=pg), lite)
    command = [sys.executable, "-c", MEASURE, str(catalog), sql, str(waits)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows, growth = map(int, done.stdout.split())
    assert rows in (MILLIONS, MILLIONS + ROWS)
    assert growth < 150, f"{growth} MiB"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_nothing_is_left_of_two_hundred_queries(engine: Engine, rest: RestServer, pg: str, my: str) -> None:
    """Whole, closed early, cancelled, failed."""

    def some() -> None:
        join = "SELECT count(*) FROM pg.numbers a JOIN my.numbers b USING (id) JOIN lite.numbers c USING (id)"
        assert rows_of(engine, f"{join} JOIN files.numbers d USING (id)") == [(ROWS,)]
        assert rows_of(engine, "SELECT count(*) FROM crm.numbers WHERE id < 5") == [(4,)]
        for name in ("pg", "my", "lite"):
            with engine.query(f"SELECT id, pad FROM {name}.numbers") as closed:
                next(closed.batches())
        for name in ("pg", "my"):
            with engine.query(f"SELECT id FROM {name}.endless") as cancelled, pytest.raises(QueryCancelled):
                for _ in cancelled.batches():
                    cancelled.cancel()
        rest.faults.append("503")
        with pytest.raises(SourceUnavailable):
            rows_of(engine, "SELECT count(*) FROM crm.numbers")
        with pytest.raises(Exception, match="nowhere"):
            rows_of(engine, "SELECT nowhere FROM pg.numbers")

    def settled() -> tuple[int, int, int]:
        eventually(lambda: not running(pg) + running(my))
        return open_files(), threading.active_count(), sessions(pg) + sessions(my)

    for _ in range(3):
        some()
    files, threads, connections = settled()
    for _ in range(22):
        some()
    eventually(lambda: open_files() <= files + 3 and threading.active_count() <= threads + 1)
    assert settled()[2] <= connections + 2


def test_closing_the_engine_frees_everything(catalog: Path, tmp_path: Path, pg: str, my: str) -> None:
    def held() -> tuple[int, int]:
        return sessions(pg) + sessions(my), threading.active_count()

    spill = tmp_path / "spill"
    spill.mkdir()
    catalog.write_text(f'{catalog.read_text()}\n[settings]\nspill_directory = "{spill}"\n')
    join = "SELECT a.id, a.pad FROM {0}.numbers a JOIN {1}.numbers b USING (id) JOIN crm.numbers c USING (id)"
    before, files = held(), open_files()
    for _ in range(3):
        with Engine.open(catalog) as engine:
            assert list(spill.iterdir())
            for names in (("pg", "my"), ("my", "lite"), ("lite", "files")):
                assert len(rows_of(engine, join.format(*names))) == ROWS
            unread, half = (engine.query("SELECT id, pad FROM pg.endless") for _ in range(2))
            next(half.batches())
        engine.close()
        assert not list(spill.iterdir())
        del unread, half
    eventually(lambda: held() <= before)
    eventually(lambda: open_files() <= files + 3)


def test_a_table_in_parts_is_read_at_one_moment(postgres_server: Server, tmp_path: Path) -> None:
    """Money moves between accounts, and rows to other pages, while the parts are read: the sum stays."""
    uri = postgres_server.create_database("moving")
    accounts = 40_000
    run_sql(
        uri,
        "CREATE TABLE account (id int, amount int, pad text) WITH (fillfactor = 10, autovacuum_enabled = off);"
        f"INSERT INTO account SELECT i, 100, repeat('x', 80) FROM generate_series(1, {accounts}) i;"
        "ANALYZE account",
    )
    stop = threading.Event()
    moves = 0

    def move() -> None:
        nonlocal moves
        while not stop.is_set():
            run_sql(
                uri,
                f"UPDATE account SET amount = amount + CASE WHEN id <= {accounts // 2} THEN 1 ELSE -1 END"
                f" WHERE id % 10 = {moves % 10}",
            )
            moves += 1

    with engine_over(tmp_path, source("pg", "postgres", uri=uri)) as engine, ThreadPoolExecutor(1) as pool:
        moving = pool.submit(move)
        try:
            reads = 0
            while reads < 8 or (moves < 2 and not moving.done()):
                reads += 1
                with engine.query("SELECT id, amount FROM pg.account") as result:
                    table = result.read_all()
                assert table.num_rows == accounts
                assert len(set(table["id"].to_pylist())) == accounts
                assert sum(table.to_pydict()["amount"]) == 100 * accounts
        finally:
            stop.set()
        moving.result()
        plan = engine.explain("SELECT id, amount FROM pg.account").to_json()
    assert len(plan["fragments"][0]["requests"]) > 1, "it was read as one"
