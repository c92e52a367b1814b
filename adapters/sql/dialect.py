"""What a source's SQL can do exactly as DuckDB would: the whitelist of one dialect."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceDialect:
    """`name` is sqlglot's name of the dialect."""

    name: str
