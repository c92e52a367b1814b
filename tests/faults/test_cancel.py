"""However a query ends early: its statements end at the servers, its threads end here, its connections come free."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import federation
from adapters.errors import Error, QueryCancelled, QueryTimeout
from federation.engine import Engine
from federation.result import Result
from tests.adapters.rest_server import RestServer
from tests.faults.world import ROWS, fetching, rows_of, running, sessions
from tests.waiting import SECONDS, eventually

# What each server is busy with when the query ends: sending rows, or keeping its reader waiting.
SENDING = {
    "as it comes": "SELECT id, pad FROM {0}.endless",
    "through DuckDB": "SELECT id, pad FROM {0}.endless UNION ALL SELECT id, pad FROM lite.numbers",
    "to be sorted": "SELECT list_value(id) FROM {0}.endless ORDER BY 1",
}
WAITING = {
    "as it comes": "SELECT id, pad FROM {0}.sleeping",
    "through DuckDB": "SELECT a.id FROM {0}.sleeping a JOIN lite.numbers b ON a.id = b.id",
    "both": "SELECT a.id FROM pg.sleeping a JOIN my.sleeping b ON a.id = b.id",
}


@pytest.fixture(params=["pg", "my"])
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def at(name: str, pg: str, my: str) -> str:
    return {"pg": pg, "my": my}[name]


@pytest.fixture(autouse=True)
def everything_ends(engine: Engine, pg: str, my: str) -> Iterator[None]:
    """After each test, and the engine still answers. What other tests have cancelled may take a moment to end."""
    eventually(lambda: not running(pg) + running(my))
    yield
    eventually(lambda: not fetching())
    eventually(lambda: not running(pg) + running(my))
    for source in ("pg", "my", "lite", "crm"):
        assert rows_of(engine, f"SELECT count(*) FROM {source}.numbers") == [(ROWS,)]


def started(pool: ThreadPoolExecutor, result: Result, busy: Callable[[], object]) -> Future[int]:
    reading = pool.submit(lambda: sum(batch.num_rows for batch in result.batches()))
    eventually(lambda: busy() or reading.done())
    assert not reading.done(), reading.result()
    return reading


@pytest.mark.parametrize("text", [*SENDING.values(), *WAITING.values()])
def test_cancel_from_another_thread(engine: Engine, name: str, at: str, text: str) -> None:
    with ThreadPoolExecutor(1) as pool, engine.query(text.format(name)) as result:
        reading = started(pool, result, lambda: running(at))
        result.cancel()
        result.cancel()
        with pytest.raises(QueryCancelled):
            reading.result(SECONDS)
        assert not fetching()


@pytest.mark.parametrize("text", [*SENDING.values(), *WAITING.values()])
def test_close_from_another_thread(engine: Engine, name: str, at: str, text: str) -> None:
    """The reader is not told that this was all."""
    with ThreadPoolExecutor(1) as pool, engine.query(text.format(name)) as result:
        reading = started(pool, result, lambda: running(at))
        result.close()
        with pytest.raises(QueryCancelled):
            reading.result(SECONDS)


@pytest.mark.parametrize("text", [*SENDING.values(), *WAITING.values()])
def test_timeout(engine: Engine, name: str, text: str) -> None:
    with pytest.raises(QueryTimeout) as caught, engine.query(text.format(name), timeout=0.5) as result:
        result.read_all()
    assert (caught.value.sqlstate, bool(caught.value.hint)) == ("57014", True)
    assert not fetching()


@pytest.mark.parametrize("kind", ["as it comes", "through DuckDB"])
def test_closing_early(engine: Engine, name: str, at: str, kind: str) -> None:
    with engine.query(SENDING[kind].format(name)) as result:
        batches = result.batches()
        assert next(batches).num_rows
        assert running(at)
    assert not fetching()
    with pytest.raises(QueryCancelled):
        next(batches)


@pytest.mark.parametrize("kind", ["as it comes", "through DuckDB"])
def test_a_result_that_nobody_wants_any_more(engine: Engine, name: str, at: str, kind: str) -> None:
    result = engine.query(SENDING[kind].format(name))
    batches = result.batches()
    assert next(batches).num_rows
    assert running(at)
    del result, batches
    gc.collect()
    eventually(lambda: not fetching())


def test_a_result_that_is_never_read_holds_nothing(engine: Engine, name: str, at: str) -> None:
    before = sessions(at)
    results = [engine.query(SENDING["as it comes"].format(name)) for _ in range(20)]
    assert sessions(at) <= before + 2  # those that describe tables
    with results[0] as closed:
        pass
    with pytest.raises(QueryCancelled):
        next(closed.batches())


def test_a_limit_stops_the_reading(engine: Engine, name: str) -> None:
    """Also where no source could take it."""
    for text in (
        "SELECT id FROM {0}.endless LIMIT 5",
        "SELECT list_value(id) FROM {0}.endless LIMIT 5",
        "SELECT list_value(id) FROM {0}.endless UNION ALL SELECT list_value(id) FROM lite.numbers LIMIT 5",
    ):
        assert len(rows_of(engine, text.format(name))) == 5
        assert not fetching()


def test_a_busy_duckdb(engine: Engine) -> None:
    text = "SELECT count(*) FROM lite.numbers a, files.numbers b, files.numbers c WHERE a.id * b.id + c.id = 7"
    with ThreadPoolExecutor(1) as pool, engine.query(text) as result:
        reading = pool.submit(result.read_all)
        eventually(lambda: all(each.done for each in result.progress()) and result.progress())
        time.sleep(0.2)
        assert not reading.done()
        result.cancel()
        with pytest.raises(QueryCancelled):
            reading.result(SECONDS)


def test_a_sqlite_that_is_busy(engine: Engine) -> None:
    """It computes without end, and has no row to give."""
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    text = f"SELECT * FROM query('lite', '{endless} SELECT CAST(i AS INTEGER) AS i FROM n WHERE i < 0')"
    with ThreadPoolExecutor(1) as pool, engine.query(text) as result:
        reading = started(pool, result, fetching)
        result.cancel()
        with pytest.raises(QueryCancelled):
            reading.result(SECONDS)


def test_a_web_api_that_does_not_answer(engine: Engine, rest: RestServer) -> None:
    rest.hanging.clear()
    rest.faults.extend(["", "hang"])
    with ThreadPoolExecutor(1) as pool, engine.query("SELECT count(*) FROM crm.numbers") as result:
        reading = started(pool, result, rest.hanging.is_set)
        result.cancel()
        with pytest.raises(QueryCancelled):
            reading.result(SECONDS)


@pytest.mark.parametrize("end", ["close", "cancel"])
@pytest.mark.parametrize("text", [SENDING["to be sorted"], WAITING["through DuckDB"]])
def test_a_cursor_ends_its_statement(catalog: Path, name: str, at: str, end: str, text: str) -> None:
    with federation.connect(catalog) as connection, ThreadPoolExecutor(1) as pool:
        cursor = connection.execute(text.format(name))
        reading = pool.submit(cursor.fetchall)
        eventually(lambda: running(at))
        getattr(cursor, end)()
        with pytest.raises(Error):
            reading.result(SECONDS)
        eventually(lambda: not running(at))


def test_closing_the_connection_ends_its_statements(catalog: Path, name: str, at: str) -> None:
    connection = federation.connect(catalog)
    cursors = [connection.execute(SENDING[kind].format(name)) for kind in ("as it comes", "through DuckDB")]
    assert all(cursor.fetchone() for cursor in cursors)
    assert running(at)
    connection.close()
    assert not fetching()


def test_closing_the_engine_ends_its_queries(catalog: Path, name: str) -> None:
    with Engine.open(catalog) as engine:
        results = [engine.query(SENDING[kind].format(name)) for kind in ("as it comes", "through DuckDB")]
        open_batches = [result.batches() for result in results]
        assert all(next(batches).num_rows for batches in open_batches)
    for batches in open_batches:
        with pytest.raises(QueryCancelled):
            list(batches)


@pytest.mark.parametrize("text", [SENDING["as it comes"], WAITING["both"]])
def test_control_c_at_the_command_line(catalog: Path, name: str, at: str, text: str) -> None:
    interrupted_at_the_command_line(catalog, text.format(name), at)


def test_control_c_while_a_source_estimates(catalog: Path, my: str) -> None:
    interrupted_at_the_command_line(catalog, "SELECT a.id FROM pg.sleeping a JOIN my.constant b ON a.id = b.id", my)


def interrupted_at_the_command_line(catalog: Path, text: str, at: str) -> None:
    command = [sys.executable, "-m", "federation", "query", "-c", str(catalog), "--format", "csv", text]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        eventually(lambda: running(at))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, said
    assert "Traceback" not in said
