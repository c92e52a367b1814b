"""What was measured: one record for each run, kept as JSON, so that a benchmark can be continued."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Status = Literal["ok", "wrong", "timeout", "error"]


@dataclass(frozen=True)
class Run:
    """One query on one system, once. `sent` and `received` are bytes to and from the remote sources, `rows` what all
    sources sent (None where a system does not say). A run that was ended took `seconds` at least."""

    layout: str
    link: str
    system: str
    query: str
    number: int
    status: Status
    seconds: float
    sent: int
    received: int
    rows: int | None = None
    peak_mib: float | None = None
    message: str = ""


@dataclass(frozen=True)
class Summary:
    """The runs of one query on one system: medians, and the worst status."""

    status: Status
    seconds: float
    bytes: float
    rows: float | None
    peak_mib: float | None


class Results:
    """A file of runs; each is on disk as soon as it is added. `facts` describe the machine and the data."""

    def __init__(self, path: Path, facts: dict[str, Any]) -> None:
        self._path = path
        self.facts = facts
        self.runs: list[Run] = []
        if path.exists():
            data = json.loads(path.read_text())
            self.facts = {**data["facts"], **facts}
            self.runs = [Run(**run) for run in data["runs"]]

    def has(self, layout: str, link: str, system: str, query: str, number: int) -> bool:
        """Whether this run is there, or need not be: what failed once is not tried again."""
        runs = self._select(layout, link, system, query)
        return any(run.number == number or run.status != "ok" for run in runs)

    def add(self, run: Run) -> None:
        self.runs.append(run)
        self._save()

    def forget(self, wanted: Callable[[Run], bool]) -> None:
        """Remove runs that are to be measured anew."""
        self.runs = [run for run in self.runs if not wanted(run)]
        self._save()

    def note(self, key: str, value: Any) -> None:
        self.facts[key] = value
        self._save()

    def systems(self, layout: str, link: str) -> list[str]:
        """In the order in which they were first measured."""
        return list(dict.fromkeys(run.system for run in self.runs if (run.layout, run.link) == (layout, link)))

    def places(self) -> list[tuple[str, str]]:
        """The layouts and links that were measured."""
        return list(dict.fromkeys((run.layout, run.link) for run in self.runs))

    def summaries(self, layout: str, link: str, system: str) -> dict[str, Summary]:
        """By query, in their order."""
        queries = sorted({run.query for run in self._select(layout, link, system)})
        return {query: summarize(self._select(layout, link, system, query)) for query in queries}

    def _select(self, layout: str, link: str, system: str, query: str | None = None) -> list[Run]:
        here = (layout, link, system)
        runs = (run for run in self.runs if (run.layout, run.link, run.system) == here)
        return [run for run in runs if query in (None, run.query)]

    def _save(self) -> None:
        data = {"facts": self.facts, "runs": [dataclasses.asdict(run) for run in self.runs]}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(data, indent=1) + "\n")
        new.replace(self._path)


def summarize(runs: Iterable[Run]) -> Summary:
    """Raises StatisticsError without runs."""
    runs = list(runs)
    failed = next((run.status for run in runs if run.status != "ok"), None)
    rows = [run.rows for run in runs if run.rows is not None]
    peaks = [run.peak_mib for run in runs if run.peak_mib is not None]
    return Summary(
        failed or "ok",
        statistics.median(run.seconds for run in runs),
        statistics.median(run.sent + run.received for run in runs),
        statistics.median(rows) if rows else None,
        statistics.median(peaks) if peaks else None,
    )
