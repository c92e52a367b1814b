"""Prepared statements."""

from __future__ import annotations

from dataclasses import dataclass

from federation.pgwire.dialect.statements import Parsed


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement, and the OIDs of its parameters. `duckdb`: its query is in DuckDB's words; `text` is what the client
    wrote."""

    parsed: Parsed
    types: tuple[int, ...] = ()
    duckdb: bool = False
    text: str = ""
