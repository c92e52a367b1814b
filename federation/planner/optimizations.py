"""The optimisations by name. Each can be switched off by itself: for one query, which is also how to work around a
bug, or for one source.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from adapters.errors import ProgrammingError


class Optimization(enum.StrEnum):
    """What the planner may do beyond fetching whole columns; docs/explain.md says what each is."""

    FILTER_PUSHDOWN = "filter_pushdown"
    JOIN_PUSHDOWN = "join_pushdown"
    AGGREGATE_PUSHDOWN = "aggregate_pushdown"
    TOPN_PUSHDOWN = "topn_pushdown"
    TOPN_JOINS = "topn_joins"
    LIMIT_PUSHDOWN = "limit_pushdown"
    QUERY_PUSHDOWN = "query_pushdown"
    CONTRADICTIONS = "contradictions"
    PREDICATE_TRANSFER = "predicate_transfer"
    IMPLIED_FILTERS = "implied_filters"
    SHARD_PRUNING = "shard_pruning"
    UNION_AGGREGATION = "union_aggregation"
    COMPUTED_COLUMNS = "computed_columns"
    EAGER_AGGREGATION = "eager_aggregation"
    RUNTIME_FILTERS = "runtime_filters"
    COMMON_FRAGMENTS = "common_fragments"
    COSTS = "costs"
    CONTAINMENT = "containment"


ALL = frozenset(Optimization)


@dataclass(frozen=True)
class Optimizations:
    """Which of them are off: for the query, and for single sources by their name."""

    disabled: frozenset[Optimization] = frozenset()
    quarantined: Mapping[str, frozenset[Optimization]] = field(default_factory=dict)

    @property
    def pushdown(self) -> bool:
        """Whether anything is asked of a source beyond its columns."""
        return self.disabled != ALL

    def without(self, more: frozenset[Optimization]) -> Optimizations:
        return replace(self, disabled=self.disabled | more)

    def on(self, optimization: Optimization, *sources: str) -> bool:
        """Whether the optimisation may be used for all of these sources."""
        if optimization in self.disabled:
            return False
        return not any(optimization in self.quarantined.get(source, ()) for source in sources)


def read_options(options: Mapping[str, Any]) -> Optimizations:
    """From `{"pushdown": False}` or `{"disable": ["runtime_filters"]}`. Raises ProgrammingError for an unknown name."""
    if not options.get("pushdown", True):
        return Optimizations(ALL)
    return Optimizations(frozenset(_named(str(name)) for name in options.get("disable", ())))


def _named(name: str) -> Optimization:
    from catalog.names import did_you_mean, nearest  # the command line takes the names from here, and starts quickly

    try:
        return Optimization(name)
    except ValueError:
        known = [str(each) for each in Optimization]
        hint = did_you_mean(nearest(name, known)) or f"the names are {', '.join(known)}"
        raise ProgrammingError(f"there is no optimization {name!r}", hint=hint) from None
