"""How soon an answer comes: a constant, the first row of many, and the login."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg

from benchmarks.pgwire.place import Place, Target
from benchmarks.pgwire.wire import Wire

TURNS = 10
ROUNDS = 1000
FEW_ROUNDS = 30
FEWER_ROUNDS = 10
ONE = "SELECT 1"


@dataclass
class Latency:
    """Milliseconds; `processor` is what one costs the server, with all that the answer has."""

    what: str
    target: str
    p50: float
    p95: float
    processor: float


def measure(here: Place) -> list[Latency]:
    found: list[Latency] = []
    both = (here.postgres, here.file)
    for what, binary in (("SELECT 1, simple", None), ("SELECT 1, extended", False)):
        with closing(Wire(here.postgres.uri)) as direct, closing(Wire(here.file.uri)) as face:
            wires = {here.postgres.name: direct, here.file.name: face}
            found += _timed(what, both, lambda target, on=wires, how=binary: _ask(on[target.name], how), ROUNDS)  # type: ignore[misc]
    found += _timed("connect with SCRAM", both, _connect, FEW_ROUNDS)
    found += _timed("first row", here.targets, lambda target: _first_row(target, here.rows), FEWER_ROUNDS)
    return found


def _timed(what: str, targets: Sequence[Target], task: Callable[[Target], float], rounds: int) -> list[Latency]:
    """The targets take turns; `task` gives its seconds."""
    times: dict[str, list[float]] = {each.name: [] for each in targets}
    processor = dict.fromkeys(times, 0.0)
    for number in range(TURNS + 1):
        for target in targets:
            before = target.processor_seconds()
            found = [task(target) * 1000 for _ in range(rounds // TURNS)]
            if number:
                times[target.name] += found
                processor[target.name] += (target.processor_seconds() - before) * 1000
    return [
        Latency(what, name, statistics.median(each), _p95(each), processor[name] / len(each))
        for name, each in times.items()
    ]


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[len(times) * 95 // 100]


def _ask(wire: Wire, binary: bool | None) -> float:
    started = time.perf_counter()
    wire.ask(ONE, binary=binary)
    wire.discard(ONE)  # which is also what CommandComplete says
    return time.perf_counter() - started


def _connect(target: Target) -> float:
    """With what the driver asks before it gives the connection away."""
    started = time.perf_counter()
    with psycopg.connect(target.uri):
        return time.perf_counter() - started


def _first_row(target: Target, rows: int) -> float:
    """The others are read too: the cache has what was read to its end, and what was not is being ended while the next
    one is measured."""
    with closing(Wire(target.uri)) as wire:
        return wire.first_row(target.all_rows(), f"SELECT {rows}")
