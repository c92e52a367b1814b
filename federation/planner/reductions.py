"""In which order the relations of a query are best read, so that the keys of those before reduce those after.

An order is built greedily, the quickest relation first, or the one with the fewest rows first. The order whose sources
are expected to be done soonest wins. Sizes come from the sources' estimates (`costs`); a link (`joins`) leaves of the
consumer the share that the producer's keys have of its column's distinct values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.types as pt
from sqlglot import exp

from adapters.base import ColumnStatistics
from adapters.sql.keys import comparable
from catalog.model import CatalogTable
from federation.planner import filters, keys
from federation.planner.costs import BYTES_PER_SECOND, LATENCY, ROW_BYTES, SELECTIVITY, Costs
from federation.planner.fragments import Fragments
from federation.planner.joins import Link, Relation, composites, conditions, relations
from federation.planner.nodes import Cost, Fragment, RemoteQuery

UNKNOWN_ROWS = 100_000.0
BY_INDEX = 0.01  # so few keys that a source looks them up
SECONDS_PER_LOOKUP = 5e-6
SECONDS_PER_KEY = 1e-6  # to collect, send and test one
LITTLE = 0.3  # of the time that reading a relation takes, to wait for what may restrict it


@dataclass(eq=False)
class Node:
    """A relation. `table` is one that DuckDB reads by itself; `parts` are what a derived table is made of."""

    relation: Relation
    fragment: Fragment | None
    table: CatalogTable | None
    cost: Cost
    bytes_per_second: float = BYTES_PER_SECOND
    parts: set[Relation] = field(default_factory=set)


@dataclass(frozen=True)
class Restriction:
    """The keys of an earlier relation, for a column of this one. `sent` says that the source should be given them."""

    link: Link
    statistics: ColumnStatistics
    left: float
    sent: bool


@dataclass
class Reduction:
    """One order: what restricts each relation, in the order of the relations, and what is left of each."""

    restrictions: dict[Relation, list[Restriction]] = field(default_factory=dict)
    costs: dict[Relation, Cost] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return sum(each.seconds or 0.0 for each in self.costs.values())


class Reducer:
    def __init__(self, root: exp.Query, fragments: Fragments, costs: Costs) -> None:
        self.nodes = {each: self._node(each, fragments, costs) for each in relations(root)}
        self._fragments = fragments
        self._costs = costs
        self._by_alias = {each.alias: node for each, node in self.nodes.items()}

    def best(self, links: Sequence[Link]) -> Reduction:
        orders: tuple[Callable[[Cost], float], ...] = (lambda cost: cost.seconds or 0.0, lambda cost: cost.rows or 0.0)
        return min((self._reduced(links, order) for order in orders), key=lambda each: each.seconds)

    def _reduced(self, links: Sequence[Link], order: Callable[[Cost], float]) -> Reduction:
        made = Reduction()
        waiting = dict.fromkeys(self.nodes)
        while waiting:
            # Never empty: a derived table comes after its parts, and nothing is a part of itself.
            free = [each for each in waiting if not self.nodes[each].parts & waiting.keys()]
            relation = min(free, key=lambda each: min(self._rank(each, order, made), self._goal(each, order, waiting)))
            del waiting[relation]
            cost = self._start(relation, made)
            incoming = [each for each in links if each.consumer == relation and each.producer in made.costs]
            possible = [self._restriction(each, cost, made) for each in incoming]
            found = _best_of_each_column([each for each in possible if each is not None])
            for restriction in found:
                cost = _less(cost, restriction, self.nodes[relation])
            made.costs[relation], made.restrictions[relation] = cost, found
        return made

    def _rank(self, relation: Relation, order: Callable[[Cost], float], made: Reduction) -> float:
        return order(self._start(relation, made))

    def _goal(self, relation: Relation, order: Callable[[Cost], float], waiting: dict[Relation, None]) -> float:
        """What the relation is read for may rank before it: a derived table that is small once it is computed."""
        whole = [each for each in waiting if relation in self.nodes[each].parts]
        known = Reduction(costs={part: self.nodes[part].cost for each in whole for part in self.nodes[each].parts})
        return min((order(self._start(each, known)) for each in whole), default=float("inf"))

    def _restriction(self, link: Link, cost: Cost, made: Reduction) -> Restriction | None:
        producer, fetched = made.costs[link.producer], self.nodes[link.consumer].fragment is not None
        mine, _ = self.statistics(link.consumer, link.consumer_column)
        values, every = self.statistics(link.producer, link.producer_column)
        rows = producer.rows or 0.0
        number = distinct_among(rows, values.distinct, every)
        if mine.distinct is not None:
            left = min(1.0, number / max(mine.distinct, 1.0))
        else:  # as much as is left of what the keys come from
            left = min(1.0, rows / max(every, 1.0)) if every is not None else 1.0
        if left > keys.USEFUL:
            # Estimates of filters are guesses: for what is quick to read it costs little to look.
            quick = (producer.seconds or 0.0) < (cost.seconds or 0.0) * LITTLE
            look = fetched and quick and self._is_filtered(link.producer, made)
            return Restriction(link, mine, 1.0, sent=True) if look else None
        saved = (1 - left) * (cost.bytes or 0.0) / self.nodes[link.consumer].bytes_per_second
        return Restriction(link, mine, left, sent=fetched and saved > number * SECONDS_PER_KEY + LATENCY)

    def _is_filtered(self, relation: Relation, made: Reduction) -> bool:
        """Whether it may hold fewer rows than its tables."""
        node = self.nodes[relation]
        if conditions(relation) or made.restrictions[relation]:
            return True
        if isinstance(node.fragment, RemoteQuery):
            return node.fragment.translated.query.find(exp.Where, exp.Having, exp.Limit) is not None
        return any(self._is_filtered(part, made) for part in node.parts if part in made.restrictions)

    def composites(self, found: Sequence[Link], made: Reduction) -> Iterator[tuple[tuple[Link, ...], ColumnStatistics]]:
        """The composite keys, of integers, that a source should be given beside those of single columns, and how many
        there are in the whole table that they come from: the share of them that is left is what they leave of the
        consumer."""
        order = list(made.costs)
        for each in composites(found):
            producer, consumer = each[0].producer, each[0].consumer
            fragment = self.nodes[consumer].fragment
            _, every = self.statistics(producer, each[0].producer_column)
            if not isinstance(fragment, RemoteQuery) or not every or order.index(producer) > order.index(consumer):
                continue
            if not all(map(self._is_integer, each)):
                continue
            rows, cost = made.costs[producer].rows or 0.0, made.costs[consumer]
            single = math.prod(restriction.left for restriction in made.restrictions[consumer])
            left = min(1.0, rows / every / single)
            saved = (1 - left) * (cost.bytes or 0.0) / self.nodes[consumer].bytes_per_second
            if left < keys.USEFUL and saved > rows * SECONDS_PER_KEY * len(each) + LATENCY:
                yield each, ColumnStatistics(distinct=every)

    def exact(self, columns: Sequence[tuple[str, str]]) -> bool:
        """Whether DuckDB compares all of these columns (alias and name) as what they are."""
        types = [found for alias, name in columns if (found := self._type(alias, name)) is not None]
        return len(types) == len(columns) and all(comparable(types[0], each) for each in types)

    # --- what is known of the relations ---------------------------------------------------------------------------

    def _node(self, relation: Relation, fragments: Fragments, costs: Costs) -> Node:
        name = relation.node.name if isinstance(relation.node, exp.Table) else ""
        fragment = next((each for each in fragments.made if each.name == name), None)
        table = fragments.tables.get(name)
        parts = set() if isinstance(relation.node, exp.Table) else set(relations(relation.node))
        known = fragment.cost if fragment is not None else Cost()
        if table is not None:
            known = Cost(costs.statistics(table).rows)
        rows = known.rows if known.rows is not None else UNKNOWN_ROWS
        left = SELECTIVITY ** len(conditions(relation)) if isinstance(relation.node, exp.Table) else 1.0
        size = known.bytes if known.bytes is not None else rows * left * ROW_BYTES
        seconds = known.seconds if known.seconds is not None else size / BYTES_PER_SECOND
        speed = costs.bytes_per_second(fragment.source) if fragment is not None else BYTES_PER_SECOND
        return Node(relation, fragment, table, Cost(rows * left, size, seconds), speed, parts)

    def _start(self, relation: Relation, made: Reduction) -> Cost:
        """What a relation costs before it is restricted; a derived one, given what is left of its parts."""
        node = self.nodes[relation]
        parts = [made.costs[each] for each in node.parts if each in made.costs]
        if not parts:
            return node.cost
        rows = max(each.rows or 0.0 for each in parts)
        select = relation.node.unnest()
        if isinstance(select, exp.Select):
            group, having = select.args.get("group"), select.args.get("having")
            if group is not None and len(group.expressions) == 1 and isinstance(group.expressions[0], exp.Column):
                rows = min(rows, self._behind(group.expressions[0])[0].distinct or rows)
            if having is not None:
                rows *= SELECTIVITY ** len(filters.conjuncts(having.this))
        return Cost(rows, rows * ROW_BYTES, 0.0)

    def statistics(self, relation: Relation, column: str) -> tuple[ColumnStatistics, float | None]:
        """What is known of the table's column behind a column of the relation, and how many rows the table has."""
        node = self.nodes[relation]
        if node.parts:
            select = relation.node.unnest()
            selects = select.selects if isinstance(select, exp.Select) else []
            member = isinstance(relation.node.parent, exp.In)
            outputs = [each.unalias() for each in selects if member or each.alias_or_name == column]
            return self._behind(outputs[0]) if outputs and isinstance(outputs[0], exp.Column) else _NOTHING
        table, name = node.table, column
        if isinstance(node.fragment, RemoteQuery):
            query = node.fragment.query
            output = next((each.unalias() for each in query.selects if each.alias_or_name == column), None)
            if not isinstance(output, exp.Column):
                return _NOTHING
            aliases = {each.alias_or_name: each.name for each in query.find_all(exp.Table)}
            table, name = self._fragments.tables.get(aliases.get(output.table, "")), output.name
        return _NOTHING if table is None else self._of_table(table, name)

    def _type(self, alias: str, column: str) -> pa.DataType | None:
        node = self._by_alias.get(alias)
        if node is not None and node.fragment is not None:
            found: pa.DataType = node.fragment.schema.field(column).type
            return found
        if node is not None and node.table is not None:
            return next((each.type for each in node.table.table.columns if each.name.lower() == column.lower()), None)
        select = node.relation.node.unnest() if node is not None else None
        outputs = select.selects if isinstance(select, exp.Select) else []
        output = next((each.unalias() for each in outputs if each.alias_or_name == column), None)
        return self._type(output.table, output.name) if isinstance(output, exp.Column) else None

    def _is_integer(self, link: Link) -> bool:
        mine = self._type(link.consumer.alias, link.consumer_column)
        other = self._type(link.producer.alias, link.producer_column)
        return all(each is not None and pt.is_integer(each) and each != pa.uint64() for each in (mine, other))

    def _behind(self, column: exp.Column) -> tuple[ColumnStatistics, float | None]:
        node = self._by_alias.get(column.table)
        return self.statistics(node.relation, column.name) if node is not None else _NOTHING

    def _of_table(self, table: CatalogTable, name: str) -> tuple[ColumnStatistics, float | None]:
        known = self._costs.statistics(table)
        exact = next((each.name for each in table.table.columns if each.name.lower() == name.lower()), name)
        found = known.columns.get(exact, ColumnStatistics())
        if found.distinct is None and table.table.primary_key == (exact,):
            found = replace(found, distinct=known.rows)
        return found, known.rows


_NOTHING: tuple[ColumnStatistics, float | None] = (ColumnStatistics(), None)


def distinct_among(rows: float, values: float | None, every: float | None) -> float:
    """How many of a column's `values` are in `rows` of the `every` rows of its table, drawn by chance (S. B. Yao,
    Approximating block accesses, 1977)."""
    if values is None or every is None or not 0 < rows < every:
        return min(rows, values if values is not None else rows)
    return float(values * (1.0 - (1.0 - rows / every) ** max(1.0, every / max(values, 1.0))))


def _best_of_each_column(found: list[Restriction]) -> list[Restriction]:
    """Keys for one column mostly come from one another."""
    best: dict[str, Restriction] = {}
    for each in sorted(found, key=lambda each: each.left):
        best.setdefault(each.link.consumer_column, each)
    return list(best.values())


def _less(cost: Cost, restriction: Restriction, node: Node) -> Cost:
    """A filter leaves less to move; the source still looks at all, but for few keys, whose rows it looks up."""
    rows, size, seconds = cost.rows or 0.0, cost.bytes or 0.0, cost.seconds or 0.0
    left = restriction.left
    if node.fragment is not None and not restriction.sent:
        return Cost(rows * left, size, seconds)
    moving = size / node.bytes_per_second
    looking = max(0.0, seconds - moving)
    if left < BY_INDEX:
        looking = min(looking, LATENCY + rows * left * SECONDS_PER_LOOKUP)
    return Cost(rows * left, size * left, looking + moving * left)
