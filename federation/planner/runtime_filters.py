"""Which fragments wait for the keys of which others.

DuckDB's own join filters do not reach a source. So the relations of a query are put in an order (`reductions`), and
each is restricted by the keys of those before it that it is linked to (`joins`):

- A fragment gets them as a runtime filter, where what it need not send is worth more than the keys.
- A fragment whose keys others take becomes a stage, semi-joined with what came before it: so keys travel over several
  joins. So does a derived table, and the subquery of an IN.
- What DuckDB reads by itself is read for its keys alone: in the last query, DuckDB's join filters reach files.

How many keys there are shows when the plan runs; only then `keys` decides how they are sent, if at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from adapters.base import ColumnStatistics
from adapters.sql.keys import comparable
from federation.planner import filters
from federation.planner.costs import Costs
from federation.planner.fragments import Fragments, to_sql
from federation.planner.joins import Link, Relation, links
from federation.planner.nodes import Keys, RemoteQuery, RuntimeFilter
from federation.planner.optimizations import Optimization
from federation.planner.reductions import Node, Reducer, Reduction
from federation.planner.stages import Stages, own_conditions


class RuntimeFilterPlacer:
    def __init__(self, fragments: Fragments, stages: Stages, costs: Costs) -> None:
        self.fragments = fragments
        self.stages = stages
        self.costs = costs
        self._nodes: dict[Relation, Node] = {}
        self._best = Reduction()
        self._staged: dict[Relation, str] = {}
        self._fixed: set[Relation] = set()  # parts of a stage, that can become none themselves

    def place(self, root: exp.Query) -> None:
        """Add the runtime filters and the stages that they need, in place."""
        reducer = Reducer(root, self.fragments, self.costs)
        self._nodes = reducer.nodes
        uses = Counter(node.fragment.name for node in self._nodes.values() if node.fragment is not None)
        found = [each for each in links(root, reducer.exact) if self._possible(each, uses)]
        if not any(self._nodes[each.consumer].fragment for each in found):
            return
        self._staged = {each: each.node.name for each in self._nodes if self._is_stage(each)}
        self._best = reducer.best(found)
        for relation, restrictions in self._best.restrictions.items():
            fragment = self._nodes[relation].fragment
            for each in restrictions:
                if each.sent and fragment is not None and each.link.producer not in self._fixed:
                    keys = self._keys(each.link.producer, each.link.producer_column)
                    made = RuntimeFilter(each.link.consumer_column, keys, statistics=each.statistics)
                    fragment.runtime_filters.append(made)
                    fragment.expected = self._best.costs[relation]
        for columns, statistics in reducer.composites(found, self._best):
            self._place_composite(columns, statistics)

    def _place_composite(self, columns: Sequence[Link], statistics: ColumnStatistics) -> None:
        """After the filters by single columns, which an index may serve better."""
        producer, consumer = columns[0].producer, columns[0].consumer
        fragment = self._nodes[consumer].fragment
        if fragment is None or producer in self._fixed:
            return
        keys = self._keys(producer, columns[0].producer_column)
        keys = replace(keys, others=tuple(each.producer_column for each in columns[1:]))
        others = tuple(each.consumer_column for each in columns[1:])
        made = RuntimeFilter(columns[0].consumer_column, keys, statistics=statistics, others=others)
        fragment.runtime_filters.append(made)

    def _is_stage(self, relation: Relation) -> bool:
        return isinstance(relation.node, exp.Table) and any(
            relation.node.name == each.name for each in self.stages.made
        )

    def _possible(self, link: Link, uses: Counter[str]) -> bool:
        consumer, producer = self._nodes[link.consumer], self._nodes[link.producer]
        if consumer.fragment is None:
            return consumer.table is not None
        allowed = self.fragments.optimizations.on(Optimization.RUNTIME_FILTERS, consumer.fragment.source.name)
        if not allowed or not isinstance(consumer.fragment, RemoteQuery) or uses[consumer.fragment.name] > 1:
            return False
        if producer.fragment is None:
            return True  # its type shows when it is read
        mine = consumer.fragment.schema.field(link.consumer_column).type
        return comparable(mine, producer.fragment.schema.field(link.producer_column).type)

    def _keys(self, relation: Relation, column: str) -> Keys:
        """The keys of a relation, which becomes a stage unless DuckDB reads it by itself."""
        node = self._nodes[relation]
        if relation not in self._staged and node.table is None:
            self._staged[relation] = self._stage(relation)
            self._fixed |= {part for part in node.parts if part not in self._staged}
        stage = self._staged.get(relation)
        if stage is not None:
            return Keys(column, stage, kept=True)
        condition = filters.conjunction(own_conditions(relation))
        return Keys(
            column,
            relation.node.name,
            condition=to_sql(condition) if condition is not None else "",
            restrictions=self._restrictions(relation),
        )

    def _stage(self, relation: Relation) -> str:
        if isinstance(relation.node.parent, exp.In):
            return self.stages.keep_members(relation.node, optional=True)
        restrictions = self._restrictions(relation)
        return self.stages.keep(relation.select, relation.node, restrictions=restrictions, optional=True)

    def _restrictions(self, relation: Relation) -> tuple[tuple[str, Keys], ...]:
        found = [each.link for each in self._best.restrictions[relation] if each.link.producer not in self._fixed]
        return tuple((each.consumer_column, self._keys(each.producer, each.producer_column)) for each in found)
