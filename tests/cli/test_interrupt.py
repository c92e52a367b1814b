"""Ctrl-C on the command reaches the statement at a real server; a long result needs no more memory than a short one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import Server
from tests.waiting import eventually

RUNNING = """SELECT count(*) FROM pg_stat_activity
    WHERE state = 'active' AND query LIKE '%interrupted%' AND pid <> pg_backend_pid()"""


@pytest.fixture
def postgres_catalog(postgres_server: Server, tmp_path: Path) -> Path:
    postgres_server.run(
        "DROP TABLE IF EXISTS interrupted; CREATE TABLE interrupted AS SELECT n FROM generate_series(1, 20000) AS g(n);"
    )
    path = tmp_path / "federation.toml"
    path.write_text(f'[sources.pg]\nadapter = "postgres"\nuri = "{postgres_server.uri}"\n')
    return path


def running(server: Server) -> int:
    return int(server.run(RUNNING).strip())


def test_ctrl_c_ends_the_statement_at_the_server(postgres_server: Server, postgres_catalog: Path) -> None:
    sql = "SELECT count(*) FROM pg.interrupted a, pg.interrupted b, pg.interrupted c WHERE a.n < b.n AND b.n < c.n"
    with subprocess.Popen(
        [sys.executable, "-m", "federation", "query", "-c", str(postgres_catalog), sql], stderr=subprocess.PIPE
    ) as process:
        try:
            eventually(lambda: process.poll() is None and running(postgres_server) > 0)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        assert process.wait(60) == 130
    assert errors.startswith("ERROR 57014")
    eventually(lambda: running(postgres_server) == 0)


def peak_kilobytes(catalog: Path, form: str, rows: int) -> int:
    sql = f"SELECT x, repeat('x', 120) || x AS t FROM range({rows}) AS r(x)"
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "federation", "query", "-c", str(catalog), "-f", form, "-o", "/dev/null", sql],
        os.environ,
    )
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return usage.ru_maxrss


@pytest.mark.parametrize("form", ["table", "json", "parquet"])
def test_memory_does_not_grow_with_the_result(catalog: Path, form: str) -> None:
    # At the smaller size the buffers of bounded size are full.
    small, large = peak_kilobytes(catalog, form, 300_000), peak_kilobytes(catalog, form, 750_000)
    assert large < small + 50_000
