"""Expressions in the catalog file: read as DuckDB's SQL, without comments, their faults with a place in the text."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from adapters.errors import CatalogError

MAX_LENGTH = 4_000


def read_expression(text: str, hint: str) -> exp.Expr:
    """One expression. Raises CatalogError with the position (from 1)."""
    if len(text) > MAX_LENGTH:
        raise CatalogError(f"an expression has at most {MAX_LENGTH} characters", hint=hint)
    try:
        parsed = sqlglot.parse_one(text, into=exp.Condition, read="duckdb")
    except (SqlglotError, RecursionError) as exc:
        raise fault("this is not one expression", _place(text, exc), hint) from exc
    if isinstance(parsed, exp.Block):  # several, with semicolons between them
        raise fault("this is not one expression", None, hint)
    for node in parsed.walk():
        node.comments = None  # they would be written into plans
    return parsed


def position(node: exp.Expr) -> int | None:
    """Where the first name or literal of the node stands in the text, from 1."""
    starts = [each.meta["start"] for each in node.walk() if "start" in each.meta]
    return int(min(starts)) + 1 if starts else None


def fault(message: str, at: int | None, hint: str | None) -> CatalogError:
    made = CatalogError(message, hint=hint)
    made.position = at
    return made


def _place(text: str, exc: Exception) -> int | None:
    """From the line and column that the parser complains about."""
    errors = getattr(exc, "errors", None)
    if not errors or not errors[0].get("line"):
        return None
    before = sum(map(len, text.splitlines(keepends=True)[: errors[0]["line"] - 1]))
    start = errors[0]["col"] - len(errors[0].get("highlight") or "") + 1
    return int(min(before + max(1, start), len(text)))
