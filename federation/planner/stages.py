"""Queries that DuckDB runs before the last one, their results kept."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from adapters.sql.expressions import quoted_column
from federation.planner import filters
from federation.planner.groups import columns_of
from federation.planner.joins import KEY, Relation, conditions
from federation.planner.nodes import RELATION, Keys, Stage


class Stages:
    """Collects the stages of one plan, in the order in which they run."""

    def __init__(self) -> None:
        self.made: list[Stage] = []
        self._count = 0

    def add(
        self,
        query: exp.Query,
        *,
        restrictions: Sequence[tuple[str, Keys]] = (),
        optional: bool = False,
        before: Stage | None = None,
    ) -> Stage:
        """A stage that runs `before` another one, or last."""
        stage = Stage(f"s{self._count}", query, tuple(restrictions), optional)
        self._count += 1
        self.made.insert(self.made.index(before) if before is not None else len(self.made), stage)
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
        query = exp.Select(expressions=[quoted_column(name, RELATION) for name in columns_of(select, alias)])
        query = query.from_(_named(relation.copy()), copy=False)
        filters.set_where(query, own_conditions(Relation(alias, select, relation)))
        stage = self.add(query, restrictions=restrictions, optional=optional)
        relation.replace(exp.Table(this=exp.to_identifier(stage.name, quoted=True), alias=alias_of(alias)))
        return stage.name

    def keep_members(self, subquery: exp.Expr, *, optional: bool = False) -> str:
        """Run the subquery of an IN as a stage of the one column `KEY`."""
        part = subquery.parent
        assert isinstance(part, exp.In)
        named = exp.TableAlias(this=exp.to_identifier(RELATION), columns=[exp.to_identifier(KEY)])
        stage = self.add(exp.select(KEY).from_(exp.Subquery(this=subquery.unnest(), alias=named)), optional=optional)
        part.set(
            "query",
            exp.Subquery(this=exp.select("*").from_(exp.Table(this=exp.to_identifier(stage.name, quoted=True)))),
        )
        return stage.name


def own_conditions(relation: Relation) -> list[exp.Expr]:
    """The conditions that are about the relation alone, under the alias `RELATION`."""
    found = [each.copy() for each in conditions(relation)]
    for part in found:
        for column in part.find_all(exp.Column):
            column.set("table", exp.to_identifier(RELATION))
    return found


def _named(relation: exp.Expr) -> exp.Expr:
    relation.args["alias"].set("this", exp.to_identifier(RELATION))
    return relation


def alias_of(name: str) -> exp.TableAlias:
    return exp.TableAlias(this=exp.to_identifier(name, quoted=True))
