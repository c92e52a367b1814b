"""Ctrl-C before there is anything to cancel, where KeyboardInterrupt becomes another exception."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest

from adapters.duck import Duck
from adapters.errors import QueryCancelled
from federation.cli.destination import destination
from federation.cli.formats import Look
from federation.cli.main import main
from federation.cli.run import Interrupted, Statement, explained, run
from federation.engine import Engine

STATEMENT = Statement("SELECT 1")


def print_rows(engine: Engine) -> None:
    with destination(None) as out:
        run(engine, STATEMENT, out, "csv", Look())


def explain(engine: Engine) -> None:
    explained(engine, STATEMENT, analyze=False)


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """A shell has the commands in its background ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "federation.toml"
    path.write_text('[sources.m]\nadapter = "memory"\n[sources.m.tables]\nt = [{ i = 1 }]\n')
    return path


def planning_in_a_lock(*_: Any, **__: Any) -> NoReturn:
    """As `Condition.wait` is interrupted when it has not got its lock back."""
    lock = threading.Lock()
    with lock:
        lock.release()
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            """The handler comes between two steps."""


def planning_in_duckdb(*_: Any, **__: Any) -> NoReturn:
    threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
    with closing(Duck(threads=1)) as duck:
        duck.query("SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range > b.range").read_all()
    raise AssertionError("it was not interrupted")


def planning(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("a bug")


@pytest.mark.parametrize("plan", [planning_in_a_lock, planning_in_duckdb])
@pytest.mark.parametrize("command", [print_rows, explain])
def test_what_becomes_of_an_interrupt_is_no_bug(
    catalog: Path, command: Callable[[Engine], None], plan: Callable[..., NoReturn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "plan", plan)
    monkeypatch.setattr(Engine, "explain", plan)
    with Engine.open(catalog) as engine, pytest.raises(Interrupted) as stopped:
        command(engine)
    assert stopped.value.signum == signal.SIGINT
    assert isinstance(stopped.value.error, QueryCancelled)


@pytest.mark.parametrize("command", [print_rows, explain])
def test_a_bug_is_told(catalog: Path, command: Callable[[Engine], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "plan", planning)
    monkeypatch.setattr(Engine, "explain", planning)
    with Engine.open(catalog) as engine, pytest.raises(RuntimeError, match="a bug"):
        command(engine)


def test_an_interrupt_while_the_catalog_is_opened(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "open", planning_in_duckdb)
    assert main(["query", "-c", str(catalog), "SELECT 1"]) == 130
