"""Whether sources answer: each is asked for its tables, all at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from adapters.errors import Error, InternalError, SourceUnavailable
from catalog.model import Source
from catalog.shared import at_once

SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Probe:
    """After so many seconds the source listed so many tables, or failed."""

    seconds: float
    tables: int | None = None
    error: Error | None = None

    @property
    def sqlstate(self) -> str | None:
        """What it failed with; None when it answered."""
        return self.error.sqlstate if self.error is not None else None


def probe(sources: Iterable[Source]) -> Mapping[str, Probe]:
    """By the names of the sources, after `SECONDS` at the latest."""
    asked = {source.name: source for source in sources}
    answers = at_once({name: _task(source) for name, source in asked.items()}, SECONDS)
    return {name: _probed(name, answer) for name, answer in answers.items()}


def _task(source: Source) -> Callable[[], Probe]:
    def ask() -> Probe:
        started = time.monotonic()
        try:
            count = len(list(source.adapter.list_tables()))
        except Error as exc:
            return Probe(time.monotonic() - started, error=exc)
        return Probe(time.monotonic() - started, count)

    return ask


def _probed(source: str, answer: Probe | Exception) -> Probe:
    if isinstance(answer, Probe):
        return answer
    if isinstance(answer, TimeoutError):
        return Probe(SECONDS, error=SourceUnavailable(f"the source did not list its tables: {answer}", source=source))
    # Its text may hold anything.
    return Probe(SECONDS, error=InternalError(f"an unexpected {type(answer).__name__}: this is a bug", source=source))
