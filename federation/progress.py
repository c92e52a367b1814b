"""How far a query is, and how old what it gives."""

from __future__ import annotations

import datetime
import enum
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FragmentProgress:
    """What one fragment has brought so far; `bytes` are Arrow's."""

    source: str
    rows: int
    bytes: int
    done: bool


class State(enum.StrEnum):
    """Where rows are from, the least reliable last."""

    LIVE = "live"  # their source
    FRESH = "fresh"  # the cache, within their ttl
    STALE = "stale"  # the cache, while the source is asked again
    STALE_ON_ERROR = "stale_on_error"  # the cache, for the source cannot be reached


@dataclass(frozen=True, slots=True)
class Freshness:
    """`as_of` is when the source was asked for the rows, in seconds of the epoch; `query` is what picks them out of a
    cached fragment that holds more."""

    source: str
    state: State
    as_of: float
    query: str = ""

    def document(self) -> dict[str, str]:
        """For JSON, `as_of` in ISO 8601."""
        return {"source": self.source, "state": str(self.state), "as_of": written(self.as_of)}


def written(moment: float) -> str:
    """Seconds of the epoch in ISO 8601, to the millisecond."""
    return datetime.datetime.fromtimestamp(moment, datetime.UTC).isoformat(timespec="milliseconds")


def by_source(found: Iterable[Freshness]) -> list[Freshness]:
    """One for each source, in the order of their names: its least reliable state, its oldest rows."""
    merged: dict[str, Freshness] = {}
    states = list(State)
    for each in found:
        other = merged.get(each.source, each)
        state = max(each.state, other.state, key=states.index)
        merged[each.source] = Freshness(each.source, state, min(each.as_of, other.as_of))
    return [merged[name] for name in sorted(merged)]
