"""How old a caller lets the rows of a query be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.errors import ProgrammingError


@dataclass(frozen=True, slots=True)
class Demand:
    """Of the cache: nothing older than `max_staleness`, in seconds, beyond which its source is asked; with `no_cache`
    nothing at all, and what comes is not kept. Without either the catalog's policies hold alone. Raises
    ProgrammingError for what is no number of seconds."""

    max_staleness: float | None = None
    no_cache: bool = False

    def __post_init__(self) -> None:
        seconds = self.max_staleness
        if seconds is None:
            return
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise ProgrammingError(
                f"max_staleness cannot be {seconds!r}",
                hint="a number of seconds, 0 or more; None is as the catalog says",
            )

    def options(self) -> dict[str, Any]:
        """As options of `Engine.query`."""
        return {"max_staleness": self.max_staleness, "no_cache": self.no_cache}


ANY = Demand()


def read_demand(options: Mapping[str, Any]) -> Demand:
    """From `{"max_staleness": 30}` or `{"no_cache": True}`. Raises ProgrammingError."""
    return Demand(options.get("max_staleness"), bool(options.get("no_cache", False)))
