"""The figures of a run: a table in Markdown, and whether the aims were met."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.pgwire.latency import Latency
from benchmarks.pgwire.memory import Memory
from benchmarks.pgwire.replay import NAME as READY
from benchmarks.pgwire.rows import Transfer

DIRECT = "PostgreSQL"
AIMS = {1: 1.2, 4: 0.9}  # of PostgreSQL's speed, by the number of clients
MIB = 1 << 20


@dataclass
class Figures:
    rows: int
    transfers: Sequence[Transfer] = ()
    latencies: Sequence[Latency] = ()
    memories: Sequence[Memory] = ()
    processors: int = field(default_factory=lambda: os.cpu_count() or 1)

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def markdown(self) -> str:
        lines = [f"{self.rows:,} rows of 5 columns, {self.processors} processors", ""]
        lines += [
            "| what | clients | from | figure | beside PostgreSQL | processor of the server | beside PostgreSQL |"
        ]
        lines += ["|---|---|---|---|---|---|---|"]
        lines += [_line(*each) for each in (*self._transfers(), *self._latencies(), *self._memories())]
        return "\n".join(lines)

    def _transfers(self) -> Iterable[Sequence[str]]:
        direct = {(each.way, each.clients): each for each in self.transfers if each.target == DIRECT}
        for each in self.transfers:
            beside = direct[each.way, each.clients]
            aim = f" (aim {AIMS[each.clients]})" if each.target not in (DIRECT, READY) else ""
            yield (
                each.way,
                str(each.clients),
                each.target,
                f"{each.rate / 1e6:.2f} M rows/s",
                f"{each.rate / beside.rate:.2f}{aim}",
                f"{each.processor:.2f} s / M rows",
                f"{each.processor / beside.processor:.2f}" if beside.processor else "",  # less than one tick
            )

    def _latencies(self) -> Iterable[Sequence[str]]:
        direct = {each.what: each for each in self.latencies if each.target == DIRECT}
        for each in self.latencies:
            beside = direct[each.what]
            figure = f"p50 {each.p50:.2f} ms, p95 {each.p95:.2f} ms"
            extra = f"{each.p50 - beside.p50:+.2f} ms"
            yield (each.what, "1", each.target, figure, extra, f"{each.processor:.2f} ms", "")

    def _memories(self) -> Iterable[Sequence[str]]:
        for each in self.memories:
            figure = f"{each.peak / MIB:.0f} MiB, {(each.peak - each.before) / MIB:+.0f}"
            yield (each.what, "", f"{each.rows:,} rows" if each.rows else "", figure, "", "", "")


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
