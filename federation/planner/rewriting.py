"""What the rewriting rules share: the types of relations, the notes for EXPLAIN, and relations without rows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from adapters.base import TableStatistics
from adapters.errors import Error
from catalog.model import CatalogTable
from federation.planner import filters
from federation.planner.fragments import Describer, to_sql
from federation.planner.groups import columns_of
from federation.planner.nodes import Note


@dataclass
class Context:
    """One rewriting of one query. `tables` maps the identifiers of the tree to catalog tables; `collated` says that
    the query names a collation, so that equal types do not mean equal comparisons of text."""

    tables: Mapping[str, CatalogTable]
    describer: Describer
    collated: bool = False
    statistics: Callable[[CatalogTable], TableStatistics] = lambda _: TableStatistics()
    notes: list[Note] = field(default_factory=list)

    def base(self, relation: exp.Expr | None) -> CatalogTable | None:
        """The catalog table that a relation of FROM is."""
        return self.tables.get(relation.name) if isinstance(relation, exp.Table) else None

    def describe(self, query: exp.Expr) -> list[tuple[str, str]] | None:
        """Names and DuckDB types of a query's result; None for one that only its surroundings give a meaning."""
        try:
            return list(self.describer.describe(to_sql(query)))
        except Error:
            return None

    def columns(self, relation: exp.Expr) -> dict[str, str]:
        """The columns of a relation of FROM and their types, with names in lower case; none where DuckDB cannot say."""
        found = None
        if isinstance(relation, exp.Table):
            found = self.describe(exp.select("*").from_(exp.Table(this=relation.this.copy(), alias=None)))
        elif isinstance(relation, exp.Subquery):
            found = self.describe(relation.this)
        return {name.lower(): type_ for name, type_ in found or ()}

    def constant(self, node: exp.Expr) -> tuple[str, str | None] | None:
        """Type and text of a constant expression; None where it has none or computing it raises."""
        if node.find(exp.Column, exp.Query, exp.Star) or not filters.plain(node) or filters.volatile(node):
            return None
        try:
            return self.describer.evaluate([node.sql("duckdb")])[0]
        except Error:
            return None

    def truth(self, condition: exp.Expr) -> bool | None:
        """The value of a constant condition, NULL being false; None for any other."""
        if isinstance(condition, exp.Boolean):
            return bool(condition.this)
        if condition.find(exp.Column, exp.Query):
            return None
        found = self.constant(exp.cast(exp.paren(condition.copy()), "BOOLEAN"))
        return found[1] == "true" if found is not None else None


class Scope:
    """The columns that the relations of one SELECT have."""

    def __init__(self, select: exp.Select, context: Context) -> None:
        self.context = context
        self.relations = {each.alias_or_name: each for each in filters.relations(select)}
        self._columns: dict[str, dict[str, str]] = {}

    def type(self, column: exp.Column) -> str:
        """The DuckDB type of a column; empty where it is not known, or is not all that decides comparisons."""
        relation = self.relations.get(column.table)
        if relation is None:
            return ""
        if column.table not in self._columns:
            self._columns[column.table] = self.context.columns(relation)
        found = self._columns[column.table].get(column.name.lower(), "")
        return "" if self.context.collated and found == "VARCHAR" else found

    def required(self, column: exp.Column) -> bool:
        """Whether the column of a base table is declared NOT NULL; an outer join may still fill it with NULLs."""
        table = self.context.base(self.relations.get(column.table))
        columns = table.table.columns if table is not None else ()
        return any(each.name.lower() == column.name.lower() and not each.nullable for each in columns)


def null_of(type_: str) -> exp.Expr:
    return exp.cast(exp.Null(), type_, dialect="duckdb")


def empty_relation(relation: exp.Expr, select: exp.Select, context: Context) -> exp.Subquery | None:
    """A relation with the columns that `select` takes of this one, and no row; None where a type cannot be written."""
    alias = relation.alias_or_name
    types = context.columns(relation)
    wanted = {name.lower() for name in columns_of(select, alias)}
    items = {name: type_ for name, type_ in types.items() if name in wanted} or dict(list(types.items())[:1])
    if not items or not wanted <= set(types):
        return None
    made = exp.Select(expressions=[exp.alias_(null_of(type_), name, quoted=True) for name, type_ in items.items()])
    made.set("where", exp.Where(this=exp.false()))
    if context.describe(made) != list(items.items()):
        return None
    return exp.Subquery(this=made, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))


def columns_of_branch(
    union: Sequence[tuple[str, str]], branch: Sequence[tuple[str, str]], alias: str
) -> dict[str, exp.Expr]:
    """What the columns of a set operation, in lower case, are in one of its branches, which calls itself `alias`: both
    are given by names and types, and the branch is cast to the types of the whole."""
    found: dict[str, exp.Expr] = {}
    for (name, type_), (own_name, own_type) in zip(union, branch, strict=True):
        column = exp.column(exp.to_identifier(own_name, quoted=True), alias)
        found[name.lower()] = column if type_ == own_type else exp.cast(column, type_, dialect="duckdb")
    return found


def fresh_aliases(name: str, root: exp.Expr, count: int = 1) -> list[str]:
    """Aliases that no relation of the query has."""
    kinds = (exp.Table, exp.Subquery, exp.Values, exp.Unnest, exp.Lateral, exp.CTE)
    taken = {each.alias_or_name.lower() for each in root.find_all(*kinds)}
    free = (f"{name}_{number}" for number in itertools.count(1) if f"{name}_{number}" not in taken)
    return list(itertools.islice(free, count))
