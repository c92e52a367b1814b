"""Starting `federation serve` for a test, and talking to it."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import httpx

START_SECONDS = 120.0
ROWS = 200_000  # of f.numbers
GOOD_ROWS = 600_000  # of lite.late, before the one that cannot be read
CATALOG = """
[sources.f]
adapter = "files"
path = "*.parquet"

[sources.lite]
adapter = "sqlite"
path = "lite.db"

[tables."f.small"]
owner = "somebody"
comment = "a small one"

[views."shown.evens"]
sql = "SELECT id FROM f.numbers WHERE id % 2 = 0"
"""


def write_sample(folder: Path, more: str = "") -> None:
    """`f.numbers` and `f.small`, and `lite.late`, more than 64 MB of which can be read before it fails."""
    shutil.copytree(_sample(), folder, dirs_exist_ok=True, copy_function=os.link)  # nobody changes these files
    (folder / "federation.toml").write_text(CATALOG + more, encoding="utf-8")


@functools.cache
def _sample() -> Path:
    """The data of `write_sample`, made once for each pytest process."""
    folder = Path(tempfile.mkdtemp(prefix="federation-sample-"))
    atexit.register(shutil.rmtree, folder)
    numbers = f"""
        SELECT i::BIGINT AS id, i * 1.5::DOUBLE AS x, 'name ' || i AS name, DATE '2020-01-01' + (i % 1000)::INT AS day,
               (i * 0.01)::DECIMAL(12, 2) AS amount
        FROM range({ROWS}) t(i)
    """
    duckdb.sql(f"COPY ({numbers}) TO '{folder}/numbers.parquet'")
    duckdb.sql(f"COPY (SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, NULL) TO '{folder}/small.parquet'")
    with closing(sqlite3.connect(folder / "lite.db")) as lite:
        lite.execute("CREATE TABLE late (n INTEGER, padding TEXT)")
        rows = f"WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {GOOD_ROWS})"
        lite.execute(f"INSERT INTO late {rows} SELECT i, printf('%0120d', i) FROM r")
        lite.execute("INSERT INTO late VALUES ('not a number', '')")
        lite.commit()
    return folder


class Running:
    """A server process. `client` has its address, and shows nothing of who asks unless told to."""

    def __init__(self, process: subprocess.Popen[str], port: int, folder: Path, scheme: str = "http") -> None:
        self.process = process
        self.port = port
        self.folder = folder
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=60, trust_env=False, verify=False)

    def query(self, sql: str, accept: str = "application/json", **more: Any) -> httpx.Response:
        return self.client.post("/v1/query", json={"sql": sql, **more}, headers={"Accept": accept})

    def pids(self) -> list[int]:
        """Of the process and its children."""
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def start_server(folder: Path, *options: str, scheme: str = "http", state: Path | None = None) -> Iterator[Running]:
    """`federation serve` over the catalog of a folder, ready to answer; its log is server.log there."""
    port = free_port()
    command = [sys.executable, "-m", "federation", "serve", "-c", str(folder / "federation.toml")]
    command += ["--http-port", str(port), "--state", str(state or folder / "state"), "--no-pg", *options]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, text=True, env=environment())
    running = Running(process, port, folder, scheme)
    try:
        wait_until_ready(running)
        yield running
    finally:
        running.stop()


def wait_until_ready(running: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            running.client.get("/health/live").raise_for_status()
            return
        except httpx.TransportError:
            log = (running.folder / "server.log").read_text()
            assert running.process.poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(0.05)


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """`federation …`, to its end."""
    command: Sequence[str] = [sys.executable, "-m", "federation", *arguments]
    return subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=60, env=environment())


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
