"""What names mean inside one SELECT: its relations with their columns, and the queries around it.

DuckDB does not know that a number is an oid, nor that a text is a name. A column keeps its kind (see
`catalog_types.py`) from the relation that it comes from; None where it is nothing special.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from sqlglot import exp

from federation.pgwire.overlay.structure import SystemRelation

Columns: TypeAlias = list[tuple[str, str | None]]

#: Columns that every row of PostgreSQL has and `*` does not show.
SYSTEM_COLUMNS = {"xmin": "xid", "xmax": "xid", "cmin": "cid", "cmax": "cid", "ctid": "tid", "tableoid": "oid"}


class Scope:
    def __init__(self, outer: Scope | None = None, ctes: Mapping[str, Columns] | None = None) -> None:
        self.outer = outer
        self.ctes: dict[str, Columns] = {**(outer.ctes if outer else {}), **(ctes or {})}
        self.relations: dict[str, Columns] = {}
        self.systems: dict[str, SystemRelation] = {}  # the relations of PostgreSQL's own, by alias
        self.merged: set[str] = set()  # columns of USING: one for both sides

    def add(self, alias: str, columns: Columns, system: SystemRelation | None = None) -> None:
        self.relations[alias] = columns
        if system is not None:
            self.systems[alias] = system

    def without_relations(self) -> Scope:
        """What a derived table sees: the CTEs of this query, and the columns of the queries around it."""
        return Scope(self.outer, self.ctes)

    def find(self, name: str, alias: str | None) -> tuple[str | None, str | None] | None:
        """The alias and the kind of a column, from the innermost query that has it; no alias where several do."""
        for scope in self._outwards():
            found = [
                (each, kind)
                for each, columns in scope.relations.items()
                if alias in (None, each)
                for column, kind in columns
                if column == name
            ]
            if found:
                return found[0] if len(found) == 1 else (None, found[0][1])
        return None

    def system(self, name: str, alias: str | None) -> SystemRelation | None:
        """The relation whose hidden column of that name is meant."""
        if name not in SYSTEM_COLUMNS:
            return None
        for scope in self._outwards():
            for each, relation in scope.systems.items():
                if alias in (None, each):
                    return relation
        return None

    def star(self, alias: str | None = None) -> Columns:
        """What `*` or `alias.*` stands for."""
        if alias is not None:
            return next((scope.relations[alias] for scope in self._outwards() if alias in scope.relations), [])
        first = set(self.merged)
        found: Columns = []
        for columns in self.relations.values():
            for name, kind in columns:
                if name in self.merged:
                    if name not in first:
                        continue
                    first.remove(name)
                found.append((name, kind))
        return found

    def _outwards(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer


def kind_of(node: exp.Expr | None) -> str | None:
    """The kind that was found for a node."""
    return node.meta.get("kind") if node is not None else None


def with_kind(node: exp.Expr, kind: str | None) -> exp.Expr:
    node.meta["kind"] = kind
    return node


def common(nodes: Sequence[exp.Expr]) -> str | None:
    """The kind that all of them have, literals apart."""
    kinds = {kind_of(node) for node in nodes if not isinstance(node, (exp.Literal, exp.Null))}
    return kinds.pop() if len(kinds) == 1 else None
