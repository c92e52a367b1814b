"""Tables whose declared constraints exclude what is asked for are not read: shards of a table, above all.

A constraint is believed. As a CHECK does, it holds for NULL too, so it says something of a column only where the query
or the table rules NULL out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlglot import exp

from adapters.sql.dialect import Reason
from catalog.model import CatalogTable
from catalog.names import show_name
from federation.planner import filters
from federation.planner.emptiness import remove_empty
from federation.planner.facts import impossible
from federation.planner.nodes import Note
from federation.planner.rewriting import Context, Scope


def shard_pruning(query: exp.Query, context: Context) -> exp.Query:
    """The query, which is used up, without the tables whose constraints exclude its conditions."""
    if not any(table.constraint for table in context.tables.values()):
        return query
    return remove_empty(query, context, _judge)


def _judge(parts: Sequence[exp.Expr], scope: Scope, extended: set[str]) -> Note | None:
    """One constraint that excludes the conditions, or else all of them together."""
    tables = {alias: scope.context.base(relation) for alias, relation in scope.relations.items()}
    constrained = {alias: table for alias, table in tables.items() if table is not None and table.constraint}
    choices = [{alias: table} for alias, table in constrained.items()]
    for chosen in [*choices, constrained] if len(choices) > 1 else choices:
        declared = [_qualified(part, alias) for alias, table in chosen.items() for part in table.constraint]
        never_null = [each for each in declared if isinstance(each, exp.Not) and not filters.tables_of(each) & extended]
        if impossible([*parts, *never_null], scope, extended, declared):
            return _note(chosen.values())
    return None


def _note(tables: Collection[CatalogTable]) -> Note:
    names = " and ".join(_name(table) for table in tables)
    parts = [part.sql("duckdb") for table in tables for part in table.constraint]
    return Note(names, "pruned", Reason.PRUNED, " AND ".join(parts))


def _qualified(part: exp.Expr, alias: str) -> exp.Expr:
    part = part.copy()
    for column in part.find_all(exp.Column):
        column.set("table", exp.to_identifier(alias, quoted=True))
    return part


def _name(table: CatalogTable) -> str:
    return show_name((table.source.name, table.table.name.schema, table.table.name.name))
