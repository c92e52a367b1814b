"""A whole server that is killed, is away, hangs, and comes back, under an engine that stays open."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import federation.fetch
from adapters.errors import QueryCancelled, SourceUnavailable
from federation.engine import Engine
from federation.result import Result
from tests.faults.world import ROWS, engine_over, fetching, rows_of, source
from tests.servers import Server, start_mariadb, start_postgres
from tests.waiting import eventually

SETUP = {
    "postgres": f"""
        CREATE TABLE numbers AS SELECT i AS id FROM generate_series(1, {ROWS}) i;
        CREATE VIEW endless AS SELECT generate_series(1, 1000000000) AS id, repeat('x', 200) AS pad;
        CHECKPOINT;""",
    "mysql": f"""
        CREATE TABLE numbers AS SELECT seq AS id FROM seq_1_to_{ROWS};
        CREATE VIEW endless AS SELECT seq AS id, repeat('x', 200) AS pad FROM seq_1_to_1000000000;""",
}
NEAR = "SELECT count(*) FROM lite.numbers"


class Mortal:
    """A server of a test's own, which it may kill, freeze and start again in place."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.server: Server = start_postgres() if kind == "postgres" else start_mariadb()
        self._pid = int((self.server.folder / "pid").read_text())
        self._again: subprocess.Popen[bytes] | None = None
        self._command = Path(f"/proc/{self._pid}/cmdline").read_bytes().split(b"\0")[:-1]
        self._owner = Path(f"/proc/{self._pid}").stat()

    def _signal(self, signum: signal.Signals) -> None:
        """To every process of the server; its workers come and go by themselves."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signum)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._again is not None:
            self._again.wait()
        eventually(lambda: not self._processes())

    def kill_backend(self) -> None:
        sql = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
        os.kill(int(self.server.run(sql)), signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def start(self) -> None:
        for left in ("data/postmaster.pid", "server.pid", "s"):
            (self.server.folder / left).unlink(missing_ok=True)
        self._again = subprocess.Popen(
            self._command,
            user=self._owner.st_uid,
            group=self._owner.st_gid,
            extra_groups=[],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        self._pid = self._again.pid

    def stop(self) -> None:
        self.thaw()
        if self._again is not None:
            self.kill()
        self.server.stop()

    def _processes(self) -> list[int]:
        """The server and its children, those that still run."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                except OSError:
                    continue
                if state != "Z" and self._pid in (int(entry.name), int(parent)):
                    found.append(int(entry.name))
        return found


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing waits less long than a user's does for a server that does not end a read."""
    monkeypatch.setattr(federation.fetch, "JOIN_SECONDS", 1.0)


@pytest.fixture(params=["postgres", "mysql"])
def mortal(request: pytest.FixtureRequest) -> Iterator[Mortal]:
    made = Mortal(request.param)
    yield made
    made.stop()


@pytest.fixture
def engine(mortal: Mortal, embedded: Path, tmp_path: Path) -> Iterator[Engine]:
    mortal.server.run(SETUP[mortal.kind])
    far = source("far", mortal.kind, uri=mortal.server.uri)
    with engine_over(tmp_path, far, source("lite", "sqlite", path=str(embedded / "lite.db"))) as engine:
        yield engine


def works(engine: Engine) -> bool:
    try:
        return rows_of(engine, "SELECT count(*) FROM far.numbers") == [(ROWS,)]
    except SourceUnavailable as exc:
        assert (exc.source, exc.sqlstate) == ("far", "08006")
        return False


def read_to_the_end(engine: Engine, then: Callable[[Result], object]) -> None:
    with engine.query("SELECT id, pad FROM far.endless") as result:
        batches = result.batches()
        assert next(batches).num_rows
        then(result)
        for _ in batches:
            pass


def test_killed_frozen_and_back(engine: Engine, mortal: Mortal) -> None:
    """One after the other, for a server takes seconds to start."""
    assert works(engine)
    if mortal.kind == "postgres":  # which then ends every session, and recovers
        with pytest.raises(SourceUnavailable):
            read_to_the_end(engine, lambda _: mortal.kill_backend())
        eventually(lambda: works(engine))

    with pytest.raises(SourceUnavailable) as caught:
        read_to_the_end(engine, lambda _: mortal.kill())
    assert caught.value.source == "far"
    eventually(lambda: not fetching())  # closing did not wait for long
    assert not works(engine)
    assert rows_of(engine, NEAR) == [(ROWS,)]
    mortal.start()
    eventually(lambda: works(engine))

    def freeze_and_cancel(result: Result) -> None:
        mortal.freeze()
        result.cancel()

    with pytest.raises(QueryCancelled):
        read_to_the_end(engine, freeze_and_cancel)
    assert rows_of(engine, NEAR) == [(ROWS,)]
    mortal.thaw()
    eventually(lambda: works(engine))
    eventually(lambda: not fetching())


def test_the_engine_closes_while_its_server_is_frozen(engine: Engine, mortal: Mortal) -> None:
    def freeze_and_close(_: Result) -> None:
        mortal.freeze()
        engine.close()

    with pytest.raises(QueryCancelled):
        read_to_the_end(engine, freeze_and_close)
