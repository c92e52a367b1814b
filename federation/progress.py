"""How far a query is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FragmentProgress:
    """What one fragment has brought so far; `bytes` are Arrow's."""

    source: str
    rows: int
    bytes: int
    done: bool
