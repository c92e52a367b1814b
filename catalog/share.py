"""What one of several processes may take that serve a catalog together: its limits are those of all of them."""

from __future__ import annotations

import re
from dataclasses import replace

from catalog.model import Limits, Settings

CONCURRENCY = 8  # what a source bears that says nothing
MEMORY_PERCENT = 80.0  # DuckDB's own limit


def share_of_limits(limits: Limits, processes: int) -> Limits:
    """At least one connection each, so that more processes than connections take more than the limit."""
    if processes == 1:
        return limits
    return replace(limits, concurrency=max(1, (limits.concurrency or CONCURRENCY) // processes))


def share_of_settings(settings: Settings, processes: int) -> Settings:
    """Of the memory, that is. The cache has one folder, and its size is that of what lies there; `threads` are those of
    one query."""
    if processes == 1:
        return settings
    number, unit = re.fullmatch(r"\s*([\d.]+)\s*(\D+?)\s*", settings.memory_limit or f"{MEMORY_PERCENT}%").groups()  # type: ignore[union-attr]
    return replace(settings, memory_limit=f"{float(number) / processes:.3f}{unit}")
