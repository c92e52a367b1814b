"""A source that is down, or hangs, or was replaced: said at once and by name, and the other sources go on."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import adapters.mysql_session
import adapters.postgres_session
from adapters.errors import QueryCancelled, SourceUnavailable
from federation.engine import Engine
from tests.adapters.rest_server import TOKEN
from tests.faults.proxy import Proxy
from tests.faults.world import REST, ROWS, engine_over, fetching, rows_of, source
from tests.waiting import SECONDS, eventually

COUNT = "SELECT count(*) FROM far.numbers"
NEAR = "SELECT count(*) FROM lite.numbers"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is given up sooner than the ten seconds that a user waits."""
    monkeypatch.setattr(adapters.postgres_session, "CONNECT_SECONDS", 2)  # libpq's least
    monkeypatch.setattr(adapters.mysql_session, "CONNECT_SECONDS", 2)


def assert_unavailable(error: SourceUnavailable, name: str = "far") -> None:
    assert (error.sqlstate, error.retryable, error.source) == ("08006", True, name)
    assert error.hint


def test_down_at_planning_and_back_later(beside: Engine, proxy: Proxy) -> None:
    proxy.stop()
    for _ in range(2):
        with pytest.raises(SourceUnavailable) as caught:
            beside.query(COUNT)
        assert_unavailable(caught.value)
        assert rows_of(beside, NEAR) == [(ROWS,)]
    with pytest.raises(SourceUnavailable) as caught:
        beside.explain("SELECT * FROM far.numbers JOIN lite.numbers USING (id)")
    assert_unavailable(caught.value)
    proxy.restore()
    assert rows_of(beside, COUNT) == [(ROWS,)]


def test_down_between_planning_and_reading(beside: Engine, proxy: Proxy) -> None:
    assert rows_of(beside, COUNT) == [(ROWS,)]
    with beside.query("SELECT id, pad FROM far.numbers") as result:
        proxy.stop()
        with pytest.raises(SourceUnavailable) as caught:
            result.read_all()
    assert_unavailable(caught.value)
    assert rows_of(beside, NEAR) == [(ROWS,)]
    proxy.restore()
    assert rows_of(beside, COUNT) == [(ROWS,)]


@pytest.mark.usefixtures("hurried")
def test_a_server_that_accepts_and_never_answers(beside: Engine, proxy: Proxy) -> None:
    proxy.silence()
    with pytest.raises(SourceUnavailable) as caught:
        beside.query(COUNT)
    assert_unavailable(caught.value)
    assert rows_of(beside, NEAR) == [(ROWS,)]
    proxy.restore()
    assert rows_of(beside, COUNT) == [(ROWS,)]


def test_other_sources_work_and_the_engine_closes_while_one_hangs(beside: Engine, proxy: Proxy) -> None:
    """Although the connecting to it goes on."""
    proxy.silence()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(beside.query, COUNT)
        time.sleep(0.3)
        assert rows_of(beside, NEAR) == [(ROWS,)]
        beside.close()
        assert not hanging.done()
        proxy.stop()
        with pytest.raises(SourceUnavailable):
            hanging.result(SECONDS)


def test_a_query_whose_source_hangs_at_reading_is_cancelled_at_once(beside: Engine, proxy: Proxy) -> None:
    assert rows_of(beside, COUNT) == [(ROWS,)]
    with ThreadPoolExecutor(1) as pool, beside.query("SELECT id, pad FROM far.numbers") as result:
        proxy.silence()
        reading = pool.submit(result.read_all)
        eventually(fetching)
        time.sleep(0.3)
        assert not reading.done()
        result.cancel()
        with pytest.raises(QueryCancelled):
            reading.result(SECONDS)
        assert not fetching(), "a thread still waits for the source"
    proxy.restore()
    assert rows_of(beside, COUNT) == [(ROWS,)]


def test_the_timeout_of_a_query_ends_the_wait_for_a_source_that_hangs(beside: Engine, proxy: Proxy) -> None:
    assert rows_of(beside, COUNT) == [(ROWS,)]
    with (
        pytest.raises(QueryCancelled, match="longer than"),
        beside.query("SELECT id, pad FROM far.numbers", timeout=0.5) as result,
    ):
        proxy.silence()
        result.read_all()


def test_a_web_api_that_is_down(embedded: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    crm = REST.format(url=f"http://127.0.0.1:{port}", token=TOKEN)
    with engine_over(tmp_path, crm, source("lite", "sqlite", path=str(embedded / "lite.db"))) as engine:
        with pytest.raises(SourceUnavailable) as caught:
            rows_of(engine, "SELECT count(*) FROM crm.numbers JOIN lite.numbers USING (id)")
        assert_unavailable(caught.value, "crm")
        assert rows_of(engine, NEAR) == [(ROWS,)]


def test_a_file_that_is_gone(embedded: Path, tmp_path: Path) -> None:
    path = tmp_path / "gone.db"
    path.write_bytes((embedded / "lite.db").read_bytes())
    sections = [source("far", "sqlite", path=str(path)), source("lite", "sqlite", path=str(embedded / "lite.db"))]
    with engine_over(tmp_path, *sections) as engine:
        assert rows_of(engine, COUNT) == [(ROWS,)]
        path.unlink()
        with pytest.raises(SourceUnavailable) as caught:
            rows_of(engine, COUNT)
        assert_unavailable(caught.value)
        assert rows_of(engine, NEAR) == [(ROWS,)]
