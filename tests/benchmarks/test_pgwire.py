"""What the benchmark of PostgreSQL's protocol measures with."""

from __future__ import annotations

import os
import subprocess

import psycopg
import pytest

from benchmarks.pgwire import place
from benchmarks.pgwire.latency import Latency
from benchmarks.pgwire.memory import Memory
from benchmarks.pgwire.place import Target
from benchmarks.pgwire.replay import replaying
from benchmarks.pgwire.report import Figures
from benchmarks.pgwire.rows import Transfer
from tests.waiting import eventually

BUSY = "while :; do :; done"


def test_what_a_child_used_is_not_lost_when_it_ends_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("", "", "", "", os.getpid())
    read = place._stat
    with subprocess.Popen(["sh", "-c", BUSY]) as child:
        before = target.processor_seconds()
        eventually(lambda: sum(map(int, read(child.pid)[11:13])) > 10)

        def ending(pid: int) -> list[str]:
            if pid == child.pid:
                child.kill()
                child.wait()
            return read(pid)

        monkeypatch.setattr(place, "_stat", ending)
        assert target.processor_seconds() - before > 10 / place.TICKS / 2


def test_a_server_that_has_it_ready_answers_what_was_answered_first(postgres_uri: str) -> None:
    found = []
    with replaying(Target("", postgres_uri, "", "", 0)) as ready:
        for _ in range(2):
            with psycopg.connect(ready.uri, autocommit=True) as connection:
                found.append(connection.execute("SELECT n, clock_timestamp() FROM generate_series(1, 3) n").fetchall())
    assert found[0] == found[1]
    assert [number for number, _ in found[0]] == [1, 2, 3]


def test_a_table_of_what_took_less_than_a_tick() -> None:
    figures = Figures(1000)
    figures.transfers = [Transfer("psql", 1, "PostgreSQL", 1e6, 0.0), Transfer("psql", 1, "Parquet file", 2e6, 0.01)]
    figures.latencies = [Latency("first row", "PostgreSQL", 1.0, 2.0, 0.0)]
    figures.memories = [Memory("500 idle connections", 0, 1 << 20, 3 << 20)]
    lines = figures.markdown().splitlines()
    assert "| psql | 1 | Parquet file | 2.00 M rows/s | 2.00 (aim 1.2) | 0.01 s / M rows |  |" in lines
    assert "| 500 idle connections |  |  | 3 MiB, +2 |  |  |  |" in lines
