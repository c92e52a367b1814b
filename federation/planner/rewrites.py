"""The rules that rewrite a normalized query before anything is placed, in their order.

A rule is a function from a query, which it uses up, to one with the same answer in DuckDB. Each has the name of an
optimization, and is left out when that is off for the query or for a source in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from catalog.model import CatalogTable
from federation.planner.contradictions import contradictions
from federation.planner.fragments import Describer
from federation.planner.implied_filters import implied_filters
from federation.planner.nodes import Note
from federation.planner.optimizations import Optimization, Optimizations
from federation.planner.predicate_transfer import predicate_transfer
from federation.planner.rewriting import Context
from federation.planner.set_operations import push_into_branches
from federation.planner.shard_pruning import shard_pruning
from federation.planner.topn_joins import topn_joins
from federation.planner.union_aggregation import union_aggregation

Rule = Callable[[exp.Query, Context], exp.Query]

RULES: tuple[tuple[Optimization, Rule], ...] = (
    (Optimization.IMPLIED_FILTERS, implied_filters),
    (Optimization.FILTER_PUSHDOWN, push_into_branches),
    (Optimization.PREDICATE_TRANSFER, predicate_transfer),
    (Optimization.FILTER_PUSHDOWN, push_into_branches),  # what follows from an equality as well
    (Optimization.CONTRADICTIONS, contradictions),
    (Optimization.SHARD_PRUNING, shard_pruning),
    (Optimization.UNION_AGGREGATION, union_aggregation),
    (Optimization.TOPN_JOINS, topn_joins),
)


def rewrite(
    query: exp.Query, tables: Mapping[str, CatalogTable], describer: Describer, optimizations: Optimizations
) -> tuple[exp.Query, list[Note]]:
    """The query, which is used up, after all rules that are on, and what EXPLAIN says of them."""
    context = Context(tables, describer, collated=query.find(exp.Collate) is not None)
    sources = {each.source.name for each in tables.values()}
    for optimization, rule in RULES:
        if optimizations.on(optimization, *sources):
            query = rule(query, context)
    return query, context.notes
