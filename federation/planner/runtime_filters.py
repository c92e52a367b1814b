"""Which fragments wait for the keys of which others.

DuckDB's own join filters do not reach a source. So the relations of a query are put in order, the quickest first, and
each is restricted by the keys of those before it that it is linked to (`joins`):

- A fragment gets them as a runtime filter, where what it need not send is worth more than the keys.
- A fragment whose keys others take becomes a stage, semi-joined with what came before it: so keys travel over several
  joins.
- What DuckDB reads by itself is read for its keys alone: in the last query, DuckDB's join filters reach files.

How many keys there are shows when the plan runs; only then `execute` decides how they are sent, if at all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from sqlglot import exp

from adapters.base import ColumnStatistics
from adapters.sql.keys import comparable
from catalog.model import CatalogTable
from federation.planner import filters
from federation.planner.costs import BYTES_PER_SECOND, LATENCY, ROW_BYTES, SELECTIVITY, Costs
from federation.planner.fragments import Fragments, to_sql
from federation.planner.joins import Link, Relation, conditions, is_closed, links, relations
from federation.planner.nodes import Fragment, Keys, RemoteQuery, RuntimeFilter
from federation.planner.optimizations import Optimization
from federation.planner.stages import Stages

UNKNOWN_ROWS = 100_000.0
USEFUL = 0.7  # a filter that leaves more of the rows is none
SECONDS_PER_KEY = 1e-6  # to collect, send and test one
_NOTHING = (ColumnStatistics(), None)


@dataclass(eq=False)
class _Node:
    """A relation on its way through the order; `rows` and `seconds` shrink with every restriction that is found."""

    relation: Relation
    fragment: Fragment | None
    table: CatalogTable | None  # that DuckDB reads by itself
    rows: float = UNKNOWN_ROWS
    bytes: float = UNKNOWN_ROWS * ROW_BYTES
    seconds: float = LATENCY
    parts: set[Relation] = field(default_factory=set)  # what a derived table is made of
    restrictions: list[tuple[str, _Node, str]] = field(default_factory=list)  # by a column of another
    stage: str | None = None
    fixed: bool = False  # it can become no stage: part of one, or nothing without the query around it


class RuntimeFilterPlacer:
    def __init__(self, fragments: Fragments, stages: Stages, costs: Costs) -> None:
        self.fragments = fragments
        self.stages = stages
        self.costs = costs
        self._nodes: dict[Relation, _Node] = {}

    def place(self, root: exp.Query) -> None:
        """Add the runtime filters and the stages that they need, in place."""
        nodes = self._nodes = {each: self._node(each) for each in relations(root)}
        uses = Counter(node.fragment.name for node in nodes.values() if node.fragment is not None)
        found = [each for each in links(root) if self._possible(each, uses)]
        if not any(nodes[each.consumer].fragment for each in found):
            return
        self._estimate([node for node in nodes.values() if not node.parts])
        waiting, placed = set(nodes), set[Relation]()
        while waiting:
            # Never empty: a derived table comes after its parts, and nothing is a part of itself.
            free = [nodes[each] for each in nodes if each in waiting and not nodes[each].parts & waiting]
            node = min(free, key=lambda each: each.seconds)
            waiting.remove(node.relation)
            for link in found:
                if link.consumer == node.relation and link.producer in placed:
                    self._restrict(node, link.consumer_column, nodes[link.producer], link.producer_column)
            if node.parts:
                node.rows = max([nodes[each].rows for each in node.parts], default=UNKNOWN_ROWS)
                node.seconds = sum(nodes[each].seconds for each in node.parts)
            placed.add(node.relation)

    # --- what is known of the relations ---------------------------------------------------------------------------

    def _node(self, relation: Relation) -> _Node:
        name = relation.node.name if isinstance(relation.node, exp.Table) else ""
        fragment = next((each for each in self.fragments.made if each.name == name), None)
        parts = set() if isinstance(relation.node, exp.Table) else set(relations(relation.node))
        stage = name if any(each.name == name for each in self.stages.made) else None
        table = self.fragments.tables.get(name)
        return _Node(relation, fragment, table, parts=parts, stage=stage, fixed=not is_closed(relation.node))

    def _possible(self, link: Link, uses: Counter[str]) -> bool:
        consumer, producer = self._nodes[link.consumer], self._nodes[link.producer]
        if consumer.fragment is not None:
            allowed = self.fragments.optimizations.on(Optimization.RUNTIME_FILTERS, consumer.fragment.source.name)
            if not allowed or not isinstance(consumer.fragment, RemoteQuery) or uses[consumer.fragment.name] > 1:
                return False
            if producer.fragment is not None:
                kinds = [each.fragment.schema for each in (consumer, producer) if each.fragment is not None]
                mine, other = kinds[0].field(link.consumer_column).type, kinds[1].field(link.producer_column).type
                return comparable(mine, other)
        return consumer.fragment is not None or consumer.table is not None

    def _estimate(self, nodes: list[_Node]) -> None:
        self.costs.estimate([node.fragment for node in nodes if node.fragment is not None])
        for node in nodes:
            if node.fragment is not None:
                cost = node.fragment.cost
                node.rows = cost.rows if cost.rows is not None else UNKNOWN_ROWS
                node.bytes = cost.bytes if cost.bytes is not None else node.rows * ROW_BYTES
                node.seconds = cost.seconds if cost.seconds is not None else node.bytes / BYTES_PER_SECOND
            elif node.table is not None:
                known = self.costs.statistics(node.table).rows
                node.rows = known if known is not None else UNKNOWN_ROWS
            if node.fragment is not None or node.table is not None:
                left = SELECTIVITY ** len(conditions(node.relation))
                node.rows *= left
                if node.table is not None:
                    node.bytes = node.rows * ROW_BYTES
                    node.seconds = node.bytes / BYTES_PER_SECOND

    def _column(self, node: _Node, column: str) -> tuple[ColumnStatistics, float | None]:
        """What is known of the table's column behind a column of the relation, and how many rows the table has."""
        table, name = node.table, column
        if isinstance(node.fragment, RemoteQuery):
            output = next((e.unalias() for e in node.fragment.query.selects if e.alias_or_name == column), None)
            if not isinstance(output, exp.Column):
                return _NOTHING
            aliases = {each.alias_or_name: each.name for each in node.fragment.query.find_all(exp.Table)}
            table, name = self.fragments.tables.get(aliases.get(output.table, "")), output.name
        if table is None:
            return _NOTHING
        known = self.costs.statistics(table)
        exact = next((each.name for each in table.table.columns if each.name.lower() == name.lower()), name)
        found = known.columns.get(exact, ColumnStatistics())
        if found.distinct is None and table.table.primary_key == (exact,):
            found = replace(found, distinct=known.rows)
        return found, known.rows

    # --- restricting ----------------------------------------------------------------------------------------------

    def _restrict(self, node: _Node, column: str, producer: _Node, producer_column: str) -> None:
        known, _ = self._column(node, column)
        values, every = self._column(producer, producer_column)
        keys = min(producer.rows, values.distinct if values.distinct is not None else producer.rows)
        if known.distinct is not None:
            left = min(1.0, keys / max(known.distinct, 1.0))
        else:  # as much as is left of what the keys come from
            left = min(1.0, producer.rows / max(every, 1.0)) if every is not None else 1.0
        if left > USEFUL or producer.fixed:
            return
        saved = (1 - left) * node.bytes / BYTES_PER_SECOND
        if node.fragment is not None and saved > keys * SECONDS_PER_KEY + LATENCY:
            made = self._keys(producer, producer_column)
            node.fragment.runtime_filters.append(RuntimeFilter(column, made, statistics=known))
        node.restrictions.append((column, producer, producer_column))
        node.rows *= left
        node.bytes *= left
        node.seconds *= left

    def _keys(self, node: _Node, column: str) -> Keys:
        """The keys of a relation, which becomes a stage unless DuckDB reads it by itself."""
        relation, alias = node.relation, node.relation.alias
        if node.stage is None and node.table is None:
            restrictions = self._restrictions(node)
            node.stage = self.stages.keep(relation.select, relation.node, restrictions=restrictions, optional=True)
            self._fix(node)
        if node.stage is not None:
            return Keys(column, alias, f'"{node.stage}" AS "{alias}"', stage=node.stage)
        condition = filters.conjunction([each.copy() for each in conditions(relation)])
        return Keys(
            column,
            alias,
            to_sql(relation.node),
            condition=to_sql(condition) if condition is not None else "",
            restrictions=self._restrictions(node),
        )

    def _restrictions(self, node: _Node) -> tuple[tuple[str, Keys], ...]:
        found = []
        for column, producer, other in node.restrictions:
            if not producer.fixed:
                found.append((column, self._keys(producer, other)))
        return tuple(found)

    def _fix(self, node: _Node) -> None:
        for part in node.parts:
            self._nodes[part].fixed = self._nodes[part].stage is None
