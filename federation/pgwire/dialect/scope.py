"""What a name means: the relations in scope with the kinds of their columns, those of outer queries behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sqlglot import exp

from adapters.errors import AmbiguousColumn, ColumnNotFound, TableNotFound
from federation.bind import nearest, position_of
from federation.pgwire.dialect.casts import Typed
from federation.pgwire.dialect.kinds import Kind
from federation.pgwire.dialect.names import identifier_name
from federation.pgwire.dialect.problems import DuplicateTable

#: The table that a column is read from, by its place in the translation's list, and the number of the column, from 1.
Origin: TypeAlias = tuple[int, int]
_ORIGIN = "origin"  # in the meta of a column


@dataclass(frozen=True, slots=True)
class Column:
    """`name` as its relation has it; `origin` if it is nothing but the column of a table or view."""

    name: str
    kind: Kind
    origin: Origin | None = None


@dataclass(slots=True)
class Relation:
    """`alias` as it is written in DuckDB's words; `exact` if it was quoted."""

    alias: exp.Identifier
    columns: Sequence[Column]


@dataclass(slots=True)
class Scope:
    """The FROM of one SELECT. `merged` are the columns that USING and NATURAL made one, in lower case."""

    outer: Scope | None = None
    relations: list[Relation] = field(default_factory=list)
    merged: dict[str, Column] = field(default_factory=dict)

    def add(self, relation: Relation) -> None:
        name = relation.alias.name.lower()
        if name and any(each.alias.name.lower() == name for each in self.relations):
            raise DuplicateTable(f'table name "{name}" specified more than once', position=position_of(relation.alias))
        self.relations.append(relation)

    def find(self, column: exp.Column) -> Typed | None:
        """The column, qualified by its relation so that no output can stand for it; None for a whole row.

        Raises ColumnNotFound, AmbiguousColumn, TableNotFound.
        """
        scope: Scope | None = self
        while scope is not None:
            found = scope._qualified(column) if column.table else scope._bare(column)
            if found is not None:
                return found
            scope = scope.outer
        raise self._missing(column)

    def row(self, name: str) -> Relation | None:
        scope: Scope | None = self
        while scope is not None:
            for relation in scope.relations:
                if relation.alias.name.lower() == name.lower():
                    return relation
            scope = scope.outer
        return None

    def _qualified(self, column: exp.Column) -> Typed | None:
        for relation in self.relations:
            if relation.alias.name.lower() == column.table.lower():
                found = _named(relation, column.name)
                if not found:
                    raise ColumnNotFound(
                        f"column {column.table}.{column.name} does not exist",
                        hint=nearest(column.name, [each.name for each in relation.columns]),
                        position=position_of(column.args["table"]) or position_of(column.this),
                    )
                return _typed(column, relation, found[0])
        return None

    def _bare(self, column: exp.Column) -> Typed | None:
        merged = self.merged.get(column.name.lower())
        if merged is not None:
            return Typed(read_from(merged, _renamed(column.this, merged.name)), merged.kind)
        found = [(relation, each) for relation in self.relations for each in _named(relation, column.name)]
        if len(found) > 1:
            raise AmbiguousColumn(f'column reference "{column.name}" is ambiguous', position=position_of(column.this))
        return _typed(column, *found[0]) if found else None

    def _missing(self, column: exp.Column) -> ColumnNotFound | TableNotFound:
        if column.table:
            return TableNotFound(
                f'missing FROM-clause entry for table "{column.table}"', position=position_of(column.args["table"])
            )
        known = [each.name for relation in self.relations for each in relation.columns]
        return ColumnNotFound(
            f'column "{column.name}" does not exist',
            hint=nearest(column.name, known),
            position=position_of(column.this),
        )


def _named(relation: Relation, name: str) -> list[Column]:
    exact = [each for each in relation.columns if each.name == name]
    return exact[:1] or [each for each in relation.columns if each.name.lower() == name.lower()]


def _typed(column: exp.Column, relation: Relation, found: Column) -> Typed:
    this = _renamed(column.this, found.name)
    table = exp.Identifier(this=relation.alias.name, quoted=True)
    if "table" in column.args and column.args["table"] is not None:
        table.meta.update(column.args["table"].meta)
    return Typed(read_from(found, this, table if relation.alias.name else None), found.kind)


def called(columns: Sequence[Column], names: Sequence[exp.Expr]) -> list[Column]:
    """The columns, of which the first ones get other names."""
    renamed = [replace(each, name=identifier_name(name)) for name, each in zip(names, columns, strict=False)]
    return renamed + list(columns[len(names) :])


def read_from(column: Column, name: exp.Identifier, table: exp.Identifier | None = None) -> exp.Column:
    """A reference to a column, which knows where that comes from."""
    node = exp.Column(this=name, table=table)
    if column.origin is not None:
        node.meta[_ORIGIN] = column.origin
    return node


def origin_of(node: exp.Expr) -> Origin | None:
    """That of an expression which is such a reference and nothing else."""
    node = node.unnest()
    return node.meta.get(_ORIGIN) if isinstance(node, exp.Column) else None


def _renamed(identifier: exp.Identifier, name: str) -> exp.Identifier:
    made = exp.Identifier(this=name, quoted=True)
    made.meta.update(identifier.meta)
    return made
