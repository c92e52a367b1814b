"""Queries that DuckDB runs before the last one, their results kept."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from federation.planner import filters
from federation.planner.fragments import Fragments, to_sql
from federation.planner.groups import columns_of
from federation.planner.joins import KEY, Relation, conditions
from federation.planner.nodes import Keys, Stage


class Stages:
    """Collects the stages of one plan, in the order in which they run."""

    def __init__(self, fragments: Fragments) -> None:
        self.made: list[Stage] = []
        self._fragments = fragments

    def add(
        self,
        query: exp.Expr,
        *,
        restrictions: Sequence[tuple[str, Keys]] = (),
        optional: bool = False,
    ) -> Stage:
        made = {fragment.name for fragment in self._fragments.made}
        inputs = tuple(dict.fromkeys(table.name for table in query.find_all(exp.Table) if table.name in made))
        stage = Stage(f"s{len(self.made)}", to_sql(query), inputs, tuple(restrictions), optional)
        self.made.append(stage)
        return stage

    def keep(
        self,
        select: exp.Select,
        relation: exp.Expr,
        *,
        restrictions: Sequence[tuple[str, Keys]] = (),
        optional: bool = False,
    ) -> str:
        """Run a relation of FROM, with the conditions that are about it alone, as a stage, whose name is returned."""
        if isinstance(relation, exp.Table) and any(relation.name == stage.name for stage in self.made):
            return relation.name
        alias = relation.alias_or_name
        names = columns_of(select, alias)
        query = exp.Select(expressions=[exp.column(exp.to_identifier(name, quoted=True), alias) for name in names])
        query = query.from_(relation.copy(), copy=False)
        filters.set_where(query, [each.copy() for each in conditions(Relation(alias, select, relation))])
        stage = self.add(query, restrictions=restrictions, optional=optional)
        relation.replace(exp.Table(this=exp.to_identifier(stage.name, quoted=True), alias=alias_of(alias)))
        return stage.name

    def keep_members(self, subquery: exp.Expr, *, optional: bool = False) -> str:
        """Run the subquery of an IN as a stage of the one column `KEY`."""
        part = subquery.parent
        assert isinstance(part, exp.In)
        named = exp.TableAlias(this=exp.to_identifier("r"), columns=[exp.to_identifier(KEY)])
        stage = self.add(exp.select(KEY).from_(exp.Subquery(this=subquery.unnest(), alias=named)), optional=optional)
        part.set("query", exp.Subquery(this=exp.select("*").from_(exp.to_identifier(stage.name, quoted=True))))
        return stage.name


def alias_of(name: str) -> exp.TableAlias:
    return exp.TableAlias(this=exp.to_identifier(name, quoted=True))
