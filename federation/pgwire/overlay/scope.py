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

_TEXTS = {"text", "varchar", "name", "character_data", "sql_identifier", "yes_or_no"}

#: Columns that every row of PostgreSQL has and `*` does not show.
SYSTEM_COLUMNS = {"xmin": "xid", "xmax": "xid", "cmin": "cid", "cmax": "cid", "ctid": "tid", "tableoid": "oid"}


class Scope:
    def __init__(self, outer: Scope | None = None, ctes: Mapping[str, Columns] | None = None) -> None:
        self.outer = outer
        self.ctes: dict[str, Columns] = {**(outer.ctes if outer else {}), **(ctes or {})}
        self.relations: dict[str, Columns] = {}
        self.systems: dict[str, SystemRelation] = {}  # the relations of PostgreSQL's own, by alias
        self.merged: set[str] = set()  # columns of USING and NATURAL: one for both sides

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
        return [(name, kind) for _, name, kind in self.expanded()]

    def expanded(self) -> list[tuple[str | None, str, str | None]]:
        """The columns of `*` in PostgreSQL's order, with their relations: what joins have merged comes first, once."""
        every = [(alias, name, kind) for alias, columns in self.relations.items() for name, kind in columns]
        merged = {name: kind for _, name, kind in reversed(every) if name in self.merged}
        first: list[tuple[str | None, str, str | None]] = [
            (None, name, merged[name]) for name in dict.fromkeys(name for _, name, _ in every) if name in merged
        ]
        return first + [each for each in every if each[1] not in self.merged]

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
    """The kind that all of them have, literals apart; of several texts it is the first that is more than a name."""
    kinds = dict.fromkeys(kind_of(node) for node in nodes if not isinstance(node, (exp.Literal, exp.Null)))
    if len(kinds) > 1 and _TEXTS.issuperset(kinds):
        return next((kind for kind in kinds if kind not in ("name", "sql_identifier")), "name")
    return next(iter(kinds)) if len(kinds) == 1 else None
