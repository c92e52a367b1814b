"""Conditions that cannot be true together: no source is asked for what they would let through."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from adapters.sql.dialect import Reason
from federation.planner.emptiness import remove_empty
from federation.planner.facts import impossible
from federation.planner.nodes import Note
from federation.planner.rewriting import Context, Scope


def contradictions(query: exp.Query, context: Context) -> exp.Query:
    """The query, which is used up, without what its own conditions leave empty."""
    return remove_empty(query, context, _judge)


def _judge(parts: Sequence[exp.Expr], scope: Scope, extended: set[str]) -> Note | None:
    if not impossible(parts, scope, extended):
        return None
    return Note(" AND ".join(each.sql("duckdb") for each in parts), "pruned", Reason.CONTRADICTION)
