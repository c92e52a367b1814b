"""All rows of a table, by several kinds of clients, alone and four at once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.pgwire.client import WAYS
from benchmarks.pgwire.place import Place, Target
from benchmarks.pgwire.replay import replaying

CLIENTS = (1, 4)


@dataclass
class Transfer:
    """The quickest turn. `rate` is in rows per second, of all clients together; `processor` are seconds of the server
    for a million rows, the least of all turns."""

    way: str
    clients: int
    target: str
    rate: float
    processor: float


class Client:
    """A process that waits for what it is to fetch."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.pgwire.client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def expect(self, answer: str) -> None:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        if said != answer:
            raise AssertionError(f"a client said {said!r}")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def measure(here: Place, repeat: int, ways: Sequence[str]) -> list[Transfer]:
    """The targets take turns, and a server that has the rows ready; the first turn is not counted."""
    best: dict[tuple[str, int, str], Transfer] = {}
    with ExitStack() as stack:
        clients = [Client() for _ in range(max(CLIENTS))]
        for each in clients:
            stack.callback(each.close)
        targets = (*here.targets, stack.enter_context(replaying(here.file)))
        for way in ways:
            for count in CLIENTS:
                for number in range(repeat + 1):
                    for target in targets:
                        made = _turn(clients[:count], way, target, here.rows)
                        if number:
                            _keep(best, made)
    return list(best.values())


def _turn(clients: Sequence[Client], way: str, target: Target, rows: int) -> Transfer:
    wanted = json.dumps({"way": way, "uri": target.uri, "sql": target.all_rows(), "rows": rows})
    for each in clients:
        each.say(wanted)
    for each in clients:
        each.expect("ready")
    before, started = target.processor_seconds(), time.perf_counter()
    for each in clients:
        each.say("go")
    for each in clients:
        each.expect("done")
    seconds = time.perf_counter() - started
    total = rows * len(clients)
    processor = (target.processor_seconds() - before) / total * 1e6
    return Transfer(way, len(clients), target.name, total / seconds, processor)


def _keep(best: dict[tuple[str, int, str], Transfer], made: Transfer) -> None:
    key = (made.way, made.clients, made.target)
    kept = best.setdefault(key, made)
    kept.rate = max(kept.rate, made.rate)
    kept.processor = min(kept.processor, made.processor)


def chosen(start: str) -> list[str]:
    """The ways whose names begin so."""
    return [way for way in WAYS if way.startswith(start)]
