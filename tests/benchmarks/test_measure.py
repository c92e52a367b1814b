"""The benchmark of TPC-H from its data to a run: what is loaded is kept, answers are judged, limits end a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.tpch import measure as measuring
from benchmarks.tpch.data import prepare
from benchmarks.tpch.layouts import LAYOUTS
from benchmarks.tpch.link import SPEEDS, Link
from benchmarks.tpch.measure import Place, explain, measure
from benchmarks.tpch.servers import Servers

pytestmark = pytest.mark.slow
SCALE = 0.01  # below it, the generator repeats keys


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    prepare(folder, SCALE)
    return folder


@pytest.fixture(scope="module")
def place(data: Path) -> Iterator[Place]:
    """Layout four, in servers that did not load it."""
    servers = Servers(data)
    try:
        with Link(servers.uris("four", LAYOUTS["four"]), SPEEDS["lan"]) as link:
            yield Place("four", "lan", link, data, 60, servers.get("b").create_database("mediator"))
    finally:
        servers.stop()


@pytest.mark.parametrize("query", ["q05", "q09", "q16"])
def test_a_run_over_all_sources(place: Place, query: str) -> None:
    run = measure(place, "federation", query, 0)
    assert (run.status, run.message) == ("ok", "")
    assert run.seconds > 0
    assert run.sent > 0
    assert run.received > 0
    assert run.rows is not None
    assert run.peak_mib is not None


@pytest.mark.parametrize("system", ["postgres", "postgres_fdw"])
def test_a_query_on_one_server_alone(place: Place, system: str) -> None:
    """Its text is char(n), which comes padded."""
    run = measure(place, system, "q04", 0)
    assert (run.status, run.message) == ("ok", "")
    assert run.received > 0


def test_what_is_loaded_is_not_loaded_again(data: Path) -> None:
    before = (data / "lite.db").stat().st_mtime_ns
    prepare(data, SCALE)
    assert (data / "lite.db").stat().st_mtime_ns == before


def test_another_answer_is_wrong(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = measuring._expected(place.data, "q06")
    monkeypatch.setattr(measuring, "_expected", lambda *_: expected.slice(1))
    run = measure(place, "federation", "q06", 0)
    assert run.status == "wrong"
    assert run.message.startswith("rows: expected 0, got 1")


def test_a_limit_ends_a_run(place: Place) -> None:
    assert measure(replace(place, limit=0.001), "federation", "q09", 0).status == "timeout"


def test_an_error_is_told(place: Place) -> None:
    run = measure(replace(place, mediator="postgresql://nobody@127.0.0.1:1/none"), "postgres_fdw", "q04", 0)
    assert run.status == "error"
    assert run.message


def test_a_plan_can_be_seen(place: Place) -> None:
    assert "RemoteQuery" in explain(place, "q06")
