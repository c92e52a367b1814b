"""Ways to plan one query. The answer is the same in each of them.

The tables of the corpora are small, so a planner that weighs well would neither make runtime filters for them nor
compare plans. A setting may force it to, by moving its thresholds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from federation import execute
from federation.planner import eager_aggregation, keys, plan, reductions
from federation.planner.optimizations import Optimization

ALL = "all"  # in place of the names: pushdown off

_EVERY_FILTER: dict[tuple[ModuleType, str], float] = {
    (reductions, "LATENCY"): -1e9,
    (reductions, "SECONDS_PER_KEY"): 0.0,
    (keys, "USEFUL"): 1.0,
}
#: what is forced, and the thresholds that force it
FORCED: Mapping[str, Mapping[tuple[ModuleType, str], float]] = {
    "members": _EVERY_FILTER,
    "ranges": {**_EVERY_FILTER, (keys, "MEMBERS"): 1, (keys, "ARRAY_MEMBERS"): 1},
    "overflow": {**_EVERY_FILTER, (execute, "KEPT_BYTES"): 0},  # no stage with rows is kept
    "groups": {
        (eager_aggregation, "USEFUL"): 1.0,
        (eager_aggregation, "LEAST_ROWS"): 0.0,
        (plan, "WEIGHED_SECONDS"): 0.0,
        (plan, "WORTH_CHANGING"): 1e9,
        (plan, "WORTH_MOVING"): 1e9,
    },
    "alternatives": {
        (plan, "WEIGHED_SECONDS"): 0.0,
        (plan, "WORTH_MOVING"): 1e-9,
        (plan, "MUCH_MORE"): 1.0,
    },  # of two plans, the one that moves more
}


@dataclass(frozen=True)
class Setting:
    """`disable` names optimisations, or is ALL; `force` is a key of FORCED."""

    disable: tuple[str, ...] = ()
    force: str | None = None

    @property
    def options(self) -> dict[str, object]:
        """For `Engine.query`."""
        return {"pushdown": False} if ALL in self.disable else {"disable": list(self.disable)}

    @property
    def arguments(self) -> str:
        """For the replay on the command line."""
        forced = [f"--force {self.force}"] if self.force else []
        return " ".join([*(f"--disable {name}" for name in self.disable), *forced])

    @contextmanager
    def forced(self) -> Iterator[None]:
        """While it lasts, the planner of this process is forced."""
        moved = FORCED[self.force] if self.force else {}
        before = {(module, name): getattr(module, name) for module, name in moved}
        for (module, name), value in moved.items():
            setattr(module, name, value)
        try:
            yield
        finally:
            for (module, name), value in before.items():
                setattr(module, name, value)


ON, OFF = Setting(), Setting((ALL,))
FORCING = tuple(Setting(force=name) for name in FORCED)
WITHOUT = tuple(Setting((name,)) for name in Optimization)
#: every name off, once as it is and once under filters that are forced
SETTINGS = (*FORCING, ON, OFF, *WITHOUT, *(Setting((name,), force="members") for name in Optimization))


def settings_of(index: int, count: int) -> tuple[Setting, ...]:
    """`count` settings for query K, another choice for the next query of its layout, and the next layout's."""
    return tuple(SETTINGS[(index * count + step) % len(SETTINGS)] for step in range(count))
