"""How many rows MySQL or MariaDB expects of a query: EXPLAIN FORMAT=JSON, which both write nearly alike.

It tells the rows of each table in the order of the join and stops there: what GROUP BY, DISTINCT, a set operation and
LIMIT make of them is worked out here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlglot import exp

from adapters.base import Estimate, TableName, TableStatistics

Block = Mapping[str, Any]
Statistics = Callable[[TableName], TableStatistics]

#: What holds the same rows further inside, in the words of either server.
_WRAPPERS = (
    "nested_loop",
    "ordering_operation",
    "grouping_operation",
    "duplicates_removal",
    "windowing",
    "window_functions_computation",
    "buffer_result",
    "temporary_table",
    "filesort",
    "read_sorted_file",
    "block-nl-join",
    "range-checked-for-each-record",
)
_COST_OF_ROW = 0.05  # of a row that is looked at; MySQL's own cost counts pages
_ONE_ROW = ("No tables used", "Select tables optimized away")
_USUAL_GROUPS = 200.0  # where nothing is known of what is grouped by


def asked(query: exp.Query) -> str:
    return f"EXPLAIN FORMAT=JSON {query.sql('mysql')}"


def expected(answer: Sequence[tuple[Any, ...]], query: exp.Query, statistics: Statistics) -> Estimate:
    """`answer` is what the server says to `asked`. The cost is its own, or else the rows that it will look at: MariaDB
    tells its cost since version 11. Nothing is known of the width, and of the answers of servers that only speak their
    language."""
    ((text,),) = answer
    block = json.loads(text).get("query_block")
    if block is None:
        return Estimate()
    return Estimate(rows=_rows(_parts(block), query, statistics), cost=_cost(block))


def _parts(block: Block) -> list[Block]:
    """The SELECTs of a set operation, in the order of the text; otherwise the one there is."""
    if "union_result" not in block:
        return [block]
    parts = [each["query_block"] for each in block["union_result"]["query_specifications"]]
    return [select for part in parts for select in _parts(part)]


def _rows(blocks: list[Block], query: exp.Expr, statistics: Statistics) -> float:
    """An upper bound where the server has made other SELECTs of the query than it was written with."""
    query = query.unnest()
    if isinstance(query, exp.SetOperation):
        size = _selects(query.this)
        if len(blocks) != size + _selects(query.expression):
            return sum(_joined(block, frozenset()) for block in blocks)
        left, right = _rows(blocks[:size], query.this, statistics), _rows(blocks[size:], query.expression, statistics)
        rows = left if isinstance(query, exp.Except) else left + right
        return _limited(min(left, right) if isinstance(query, exp.Intersect) else rows, query)
    nullable = {join.alias_or_name for join in query.args.get("joins") or [] if join.side == "LEFT"}
    rows = _joined(blocks[0], frozenset(nullable))
    return _limited(_grouped(rows, query, statistics) if isinstance(query, exp.Select) else rows, query)


def _selects(query: exp.Expr) -> int:
    query = query.unnest()
    return _selects(query.this) + _selects(query.expression) if isinstance(query, exp.SetOperation) else 1


def _joined(block: Block, nullable: frozenset[str]) -> float:
    """The product over the tables; those in `nullable` keep every row that came before them."""
    if "message" in block:
        return float(block["message"] in _ONE_ROW)
    rows = 1.0
    until: dict[str, float] = {}
    for table in _tables(block):
        rows *= _factor(table, nullable)
        if "first_match" in table:  # an EXISTS ends here: its tables add no rows
            rows = min(rows, until.get(table["first_match"], rows))
        until[table.get("table_name", "")] = rows
    return rows


def _factor(table: Block, nullable: frozenset[str]) -> float:
    if "message" in table:
        return float(table["message"] in _ONE_ROW)
    found = _scanned(table) * float(table.get("filtered", 100)) / 100
    if table.get("not_exists"):
        return min(found, 1.0)
    return max(found, 1.0) if table.get("table_name") in nullable else found


def _scanned(table: Block) -> float:
    return float(table.get("rows_examined_per_scan", table.get("rows", 1)))


def _tables(node: Any) -> Iterator[Block]:
    """The tables of one SELECT in the order of the join, without those of its subqueries."""
    if isinstance(node, list):
        for each in node:
            yield from _tables(each)
        return
    if "table" in node:
        yield node["table"]
    for key in _WRAPPERS:
        if key in node:
            yield from _tables(node[key])


def _cost(block: Block) -> float:
    if "union_result" in block:
        return sum(map(_cost, _parts(block)))
    told = block.get("cost_info", block)
    if "query_cost" in told or "cost" in told:
        return float(told.get("query_cost", told.get("cost")))
    rows, cost = 1.0, 0.0
    for table in _tables(block):
        cost += rows * _scanned(table) * _COST_OF_ROW
        rows *= _factor(table, frozenset())
        if "materialized" in table:
            cost += _cost(table["materialized"].get("query_block", {}))
    return cost


def _grouped(rows: float, select: exp.Select, statistics: Statistics) -> float:
    group = select.args.get("group")
    if group is not None and group.expressions:
        return _groups(rows, [_meant(key, select) for key in group.expressions], select, statistics)
    if _is_aggregate(select):
        return 1.0
    if select.args.get("distinct"):
        return _groups(rows, [each.unalias() for each in select.expressions], select, statistics)
    return rows


def _meant(key: exp.Expr, select: exp.Select) -> exp.Expr:
    """What a position or an alias in GROUP BY stands for."""
    selected: list[exp.Expr] = select.expressions
    if isinstance(key, exp.Literal) and not key.is_string and 0 < int(key.this) <= len(selected):
        return selected[int(key.this) - 1].unalias()
    if isinstance(key, exp.Column) and not key.table:
        return next((each.unalias() for each in selected if each.alias == key.name), key)
    return key


def _groups(rows: float, keys: list[exp.Expr], select: exp.Select, statistics: Statistics) -> float:
    groups = 1.0
    for key in keys:
        if not isinstance(key, exp.Literal):
            groups *= _distinct(key, select, statistics) or _USUAL_GROUPS
    return min(groups, rows)


def _distinct(key: exp.Expr, select: exp.Select, statistics: Statistics) -> float | None:
    """How many values there are of a column of a table that the SELECT itself names; a NULL is one more."""
    if not isinstance(key, exp.Column):
        return None
    source = select.args.get("from_")
    relations = [each.this for each in (source, *(select.args.get("joins") or [])) if each is not None]
    tables = [each for each in relations if isinstance(each, exp.Table) and each.db]
    named = [each for each in tables if each.alias_or_name == key.table]
    if not tables or (not named and (key.table or len(relations) > 1)):
        return None
    table = (named or tables)[0]
    column = statistics(TableName(table.db, table.name)).columns.get(key.name)
    return column.distinct + 1 if column is not None and column.distinct is not None else None


def _is_aggregate(select: exp.Select) -> bool:
    """Whether it makes one row of all, not looking into windows and subqueries."""
    for each in select.expressions:
        for node in each.walk(prune=lambda node: isinstance(node, exp.Window | exp.Query)):
            if isinstance(node, exp.AggFunc):
                return True
    return False


def _limited(rows: float, query: exp.Expr) -> float:
    offset, limit = (query.args.get(key) for key in ("offset", "limit"))
    if offset is not None:
        rows = max(rows - _number(offset.expression, 0), 0)
    return min(rows, _number(limit.expression, rows)) if limit is not None else rows


def _number(node: exp.Expr, otherwise: float) -> float:
    return float(node.this) if isinstance(node, exp.Literal) and not node.is_string else otherwise
