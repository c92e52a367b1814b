"""A fragment of a whole table, brought up to date by the rows that are new or were changed since.

1. The boundary is the largest value of the cursor in the fragment *before* the one that is brought up to date. So every
   row is asked for twice: one that shows late, for its transaction took long or its page was read before, is not lost
   as long as it shows within an interval.
2. `Increment.rest` is the query for what comes at the boundary or after it.
3. `Increment.merged` puts both together, in DuckDB. Of the fragment it keeps what lies before the boundary, so that
   rows with the same value are neither lost nor doubled; with a key, only what was not fetched again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from adapters.base import SupportsQuery
from adapters.duck_types import quoted
from catalog.model import CatalogTable
from federation.pins import Pinned
from federation.planner.answers import CACHED, REST

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_ENDLESS = ("infinity", "-infinity")


@dataclass(frozen=True, slots=True)
class Increment:
    """Of a `table` with these `columns`, by its exact names. Rows without a value of the `cursor` are always asked for,
    if there may be some (`nullable`)."""

    table: exp.Table
    columns: Sequence[str]
    cursor: str
    key: tuple[str, ...]
    nullable: bool

    @classmethod
    def of(cls, pinned: Pinned, found: CatalogTable) -> Increment | None:
        """None for what is always fetched whole. What a web API is asked for is one condition: with another one beside
        it, it would send everything."""
        refresh = pinned.refresh
        if refresh.cursor is None:
            return None
        columns = {each.name.lower(): each for each in found.table.columns}
        cursor = columns[refresh.cursor.lower()]
        nullable = cursor.nullable and isinstance(found.source.adapter, SupportsQuery)
        key = tuple(columns[each.lower()].name for each in refresh.key)
        names = [each.name for each in found.table.columns]
        return cls(pinned.table, names, cursor.name, key, nullable)

    @property
    def name(self) -> str:
        """A fragment that was brought up to date by other columns is none to begin with."""
        return "\0".join([self.cursor, *self.key])

    def largest(self, relation: str = CACHED) -> str:
        """The query for what `literal` reads."""
        inner = f"SELECT max({quoted(self.cursor)}) AS m FROM {relation}"
        return f"SELECT CAST(m AS VARCHAR) AS value, typeof(m) AS kind FROM ({inner}) AS t"

    def largest_at_source(self) -> str:
        return self.largest(self.table.sql("duckdb"))

    def rest(self, boundary: str) -> str:
        return f"SELECT {_list(self.columns)} FROM {self.table.sql('duckdb')} WHERE {self._from(boundary)}"

    def merged(self, columns: Sequence[str], boundary: str) -> str:
        """Over `CACHED`, which has these columns in this order, and `REST`, which is read once."""
        kept = f"{quoted(self.cursor)} < {boundary}"
        if not self.nullable:
            kept = f"({kept} OR {quoted(self.cursor)} IS NULL)"
        if not self.key:
            old = f"SELECT {_list(columns)} FROM {CACHED} WHERE {kept}"
            return f"{old} UNION ALL SELECT {_list(columns)} FROM {REST}"
        same = " AND ".join(f"n.{quoted(each)} IS NOT DISTINCT FROM o.{quoted(each)}" for each in self.key)
        return (
            f"WITH n AS MATERIALIZED (SELECT {_list(columns)} FROM {REST}) "
            f"SELECT {_list(columns)} FROM {CACHED} AS o WHERE {kept} AND NOT EXISTS (SELECT 1 FROM n WHERE {same}) "
            f"UNION ALL SELECT {_list(columns)} FROM n"
        )

    def _from(self, boundary: str) -> str:
        after = f"{quoted(self.cursor)} >= {boundary}"
        return f"({after} OR {quoted(self.cursor)} IS NULL)" if self.nullable else after


def literal(value: str | None, kind: str) -> str:
    """The SQL of a value by DuckDB's text and type; empty where nothing can be asked from there on."""
    if value is None or value in _ENDLESS:
        return ""
    if kind in _NUMBERS or kind.startswith("DECIMAL"):
        return value
    return exp.cast(exp.Literal.string(value), kind, dialect="duckdb").sql("duckdb")


def _list(columns: Sequence[str]) -> str:
    return ", ".join(map(quoted, columns))
