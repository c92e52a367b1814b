"""The face's memory: while very many rows stream, to a slow reader too, and with clients that do nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks.pgwire.place import COLUMNS, Place, Target
from benchmarks.pgwire.wire import Wire

IDLE = 500
SLOW_SECONDS = 10.0
LOOK_EVERY = 0.1
SETTLE = 1.0


@dataclass
class Memory:
    """`before` and `peak` in bytes, of memory that is the process's own."""

    what: str
    rows: int
    before: int
    peak: int


def measure(here: Place) -> list[Memory]:
    """`here.many_rows` are streamed from a file and from PostgreSQL."""
    rows = here.many_rows
    with _watched(here.file, "the table once", here.rows) as once:
        _read(here.file, here.file.all_rows(), here.rows)
    found = [once]
    for target in (here.file, here.live):
        with _watched(target, f"many rows, {target.name}", rows) as many:
            _read(target, f"SELECT {COLUMNS} FROM {target.many}", rows)
        found.append(many)
    with _watched(here.live, "the same, slow reader", rows) as slow:
        _read(here.live, f"SELECT {COLUMNS} FROM {here.live.many}", rows, SLOW_SECONDS)
    return [*found, slow, idle(here.file)]


def _read(target: Target, sql: str, rows: int, slow: float = 0.0) -> None:
    wire = Wire(target.uri)
    wire.ask(sql)
    wire.discard(f"SELECT {rows}", slow)
    wire.close()


def idle(target: Target) -> Memory:
    """Clients that have logged in and asked something once."""
    with _watched(target, f"{IDLE} idle connections", 0) as found, ExitStack() as stack:
        for _ in range(IDLE):
            wire = Wire(target.uri)
            stack.callback(wire.close)
            wire.ask("SELECT 1")
            wire.discard("SELECT 1")
        time.sleep(SETTLE)
    return found


@contextmanager
def _watched(target: Target, what: str, rows: int) -> Iterator[Memory]:
    """The peak of what is done inside."""
    found = Memory(what, rows, target.memory(), 0)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_EVERY):
            found.peak = max(found.peak, target.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        found.peak = max(found.peak, target.memory())
        ended.set()
        watcher.join()
