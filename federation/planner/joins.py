"""Who restricts whom: the equalities of a query under which only some keys of a relation can matter.

A link `producer.column -> consumer.column` says: a row of the consumer whose column is not among the producer's values
does not change the answer. It is drawn along

1. equalities of WHERE and of inner joins, both ways;
2. those in ON of an outer join, towards the side that is not preserved;
3. correlated equalities of a subquery, from the outer query into it; and out of it where EXISTS has to hold;
4. `x IN (SELECT y …)`, both ways.

A consumer inside a derived table is followed through its outputs, as far as the restriction means the same there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from adapters.sql.dialect import is_fence
from federation.planner import filters

KEY = "key"
#: whether DuckDB compares all of these columns (alias and name) as what they are, so that their equality is transitive
Exact = Callable[[Sequence[tuple[str, str]]], bool]


@dataclass(frozen=True)
class Relation:
    """One entry of a FROM: a table, or a derived one; or the subquery of an IN, as a derived table of the one column
    `KEY`. Aliases are unique in the whole query."""

    alias: str
    select: exp.Select = field(compare=False, repr=False)
    node: exp.Expr = field(compare=False, repr=False)


@dataclass(frozen=True)
class Link:
    """The useful rows of the consumer, which is a table, have a value of the producer in their column."""

    producer: Relation
    producer_column: str
    consumer: Relation
    consumer_column: str


def relations(root: exp.Expr) -> list[Relation]:
    """Those of all SELECTs below, without the uses of common table expressions."""
    common = {cte.alias for cte in root.root().find_all(exp.CTE)}
    members = [
        Relation(_alias(part), select, part.args["query"])
        for select in root.find_all(exp.Select)
        for part in filters.where_conjuncts(select)
        if isinstance(part, exp.In) and part.args.get("query") is not None
    ]
    return members + [
        Relation(node.alias_or_name, select, node)
        for select in root.find_all(exp.Select)
        for node in filters.relations(select)
        if isinstance(node, (exp.Table, exp.Subquery))
        and not (isinstance(node, exp.Table) and node.name in common)
        and not node.args.get("joins")
    ]


def is_closed(relation: exp.Expr) -> bool:
    """Whether a relation can be run alone: it reads no common table expression and no column of the query around it."""
    inside = {id(cte) for cte in relation.find_all(exp.CTE)}
    common = {cte.alias for cte in relation.root().find_all(exp.CTE) if id(cte) not in inside}
    if any(table.name in common for table in relation.find_all(exp.Table)):
        return False
    own = {alias.name for alias in relation.find_all(exp.TableAlias)}
    return all(not column.table or column.table in own for column in relation.find_all(exp.Column))


def links(root: exp.Query, exact: Exact) -> list[Link]:
    """All links of a normalized query."""
    known = {each.alias: each for each in relations(root)}
    found: dict[Link, None] = {}
    for select in root.find_all(exp.Select):
        if all(not join.args.get("method") for join in select.args.get("joins") or []):
            for producer, consumer in _restrictions(select, exact):
                _draw(found, known, producer, consumer, exact)
    return list(found)


def composites(found: Sequence[Link]) -> list[tuple[Link, ...]]:
    """The links from one relation to another that are about several columns of it: a row of the producer has to have
    all these values."""
    between: dict[tuple[Relation, Relation], dict[str, Link]] = {}
    for each in found:
        between.setdefault((each.producer, each.consumer), {}).setdefault(each.consumer_column, each)
    return [tuple(each.values()) for each in between.values() if len(each) > 1]


def conditions(relation: Relation) -> list[exp.Expr]:
    """The conjuncts about the relation alone that every useful row of it fulfils."""
    select, alias = relation.select, relation.alias
    if alias in filters.null_extended(select):
        return []
    parts = filters.where_conjuncts(select)
    parts += [part for join in _joins(select) if filters.is_inner(join) for part in _on(join)]
    return [
        each
        for each in parts
        if filters.tables_of(each) == {alias} and not each.find(exp.Query, exp.Lambda) and not filters.volatile(each)
    ]


def _draw(
    found: dict[Link, None], known: dict[str, Relation], producer: exp.Column, consumer: exp.Column, exact: Exact
) -> None:
    source, target = known.get(producer.table), known.get(consumer.table)
    if source is None or target is None or not is_closed(source.node):
        return
    for relation, column in _followed(target, consumer.name, known, exact):
        if relation != source:
            found[Link(source, producer.name, relation, column)] = None


def _restrictions(select: exp.Select, exact: Exact) -> Iterator[tuple[exp.Column, exp.Column]]:
    """Pairs of a producing and a consuming column, for one SELECT."""
    own = {each.alias_or_name for each in filters.relations(select)}
    everywhere = filters.where_conjuncts(select)
    for join in _joins(select):
        if filters.is_inner(join):
            everywhere += _on(join)
            continue
        right = join.this.alias_or_name
        consumers = {"LEFT": {right}, "RIGHT": own - {right}}.get(join.side, set())
        if join.kind in ("", "OUTER"):
            yield from _equalities(_on(join), consumers)
    yield from _equalities(everywhere + _following(everywhere, exact), own)
    for part in everywhere:
        if isinstance(part, exp.Exists):
            yield from _from_exists(part.this, own)
        elif isinstance(part, exp.In) and part.args.get("query") is not None and isinstance(part.this, exp.Column):
            yield from _from_in(part, own)


def _following(parts: list[exp.Expr], exact: Exact) -> list[exp.Expr]:
    """The equalities of columns that follow from others: `a = b AND b = c` says `a = c`."""
    classes: list[dict[exp.Expr, None]] = []
    for part in parts:
        if isinstance(part, exp.EQ):
            sides = {part.this.unnest(): None, part.expression.unnest(): None}
            if all(isinstance(each, exp.Column) for each in sides):
                touched = [each for each in classes if each.keys() & sides.keys()]
                classes = [each for each in classes if each not in touched]
                classes.append({column: None for each in [*touched, sides] for column in each})
    return [
        exp.EQ(this=one.copy(), expression=other.copy())
        for each in classes
        if len(each) > 2 and exact([(column.table, column.name) for column in each if isinstance(column, exp.Column)])
        for one, other in itertools.combinations(each, 2)
    ]


def _equalities(parts: list[exp.Expr], consumers: set[str]) -> Iterator[tuple[exp.Column, exp.Column]]:
    for part in parts:
        sides = (part.this.unnest(), part.expression.unnest()) if isinstance(part, exp.EQ) else ()
        if len(sides) == 2 and all(isinstance(each, exp.Column) and each.table for each in sides):
            for producer, consumer in (sides, sides[::-1]):
                if consumer.table in consumers and producer.table != consumer.table:
                    yield producer, consumer


def _from_exists(query: exp.Expr, outer: set[str]) -> Iterator[tuple[exp.Column, exp.Column]]:
    """Rows of the outer query must find their key in the subquery, unless that has a row whatever it reads."""
    select = query.unnest()
    if not isinstance(select, exp.Select) or _tail(select) or select.args.get("group") or select.args.get("having"):
        return
    if not any(each.find(exp.AggFunc, exp.Anonymous) for each in select.expressions):
        yield from _equalities(filters.where_conjuncts(select), outer)


def _from_in(part: exp.In, own: set[str]) -> Iterator[tuple[exp.Column, exp.Column]]:
    if part.this.table in own:
        yield exp.column(KEY, _alias(part)), part.this
    select = part.args["query"].unnest()
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return
    output = select.expressions[0].unalias()
    if isinstance(output, exp.Column) and output.table and _restrictable(select, output):
        yield part.this, output


def _alias(part: exp.In) -> str:
    return f"IN {id(part)}"


def _followed(relation: Relation, column: str, known: dict[str, Relation], exact: Exact) -> list[tuple[Relation, str]]:
    """The tables, and their columns, that a restriction of a relation's column restricts."""
    if isinstance(relation.node, exp.Table):
        return [(relation, column)]
    reached = [_into(select, column, known, exact) for select in _branches(relation.node)]
    found = [each for branch in reached for each in branch]
    # UNION ALL casts its branches to one type, in which values may be equal that are not the same.
    alike = len(reached) < 2 or (all(reached) and exact([(each.alias, name) for each, name in found]))
    return found if alike else []


def _into(select: exp.Select, column: str, known: dict[str, Relation], exact: Exact) -> list[tuple[Relation, str]]:
    output = next((each.unalias() for each in select.expressions if each.alias_or_name == column), None)
    if not isinstance(output, exp.Column) or not _restrictable(select, output):
        return []
    inner = known.get(output.table)
    return _followed(inner, output.name, known, exact) if inner is not None and inner.select is select else []


def _branches(node: exp.Expr) -> list[exp.Select]:
    """The SELECT of a derived table, or those of its UNION ALL, whose outputs have the same names."""
    query = node.unnest()
    if isinstance(query, exp.Union) and not query.args.get("distinct") and not _tail(query):
        sides = [_branches(query.this), _branches(query.expression)]
        names = [[each.alias_or_name for each in select.expressions] for side in sides for select in side]
        return sides[0] + sides[1] if all(sides) and all(each == names[0] for each in names) else []
    return [query] if isinstance(query, exp.Select) else []


def _restrictable(select: exp.Select, output: exp.Column) -> bool:
    """Whether rows with other values of an output may be taken away below the SELECT."""
    if _tail(select) or any(select.args.get(key) for key in ("qualify", "sample")):
        return False
    if any(join.args.get("method") for join in _joins(select)):  # ASOF and POSITIONAL look at rows beside the one
        return False
    distinct = select.args.get("distinct")
    if (distinct is not None and distinct.args.get("on")) or select.find(exp.Window, exp.Unnest, exp.Explode):
        return False
    group = select.args.get("group")
    if group is not None:
        simple = not any(value for key, value in group.args.items() if key != "expressions")
        return simple and any(key == output for key in group.expressions)
    aggregated = any(each.find(exp.AggFunc, exp.Anonymous) for each in select.expressions)
    return not aggregated and not select.args.get("having")


def _tail(query: exp.Query) -> bool:
    return not is_fence(query) and any(query.args.get(key) for key in ("limit", "offset"))


def _joins(select: exp.Select) -> list[exp.Join]:
    return select.args.get("joins") or []


def _on(join: exp.Join) -> list[exp.Expr]:
    return filters.conjuncts(join.args.get("on"))
