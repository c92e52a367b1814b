"""Whether two answers to one statement agree, and for which statements that can be asked.

Two right answers may differ: in the order of rows that ORDER BY leaves open, in the rows of a tie that LIMIT cuts, in
the last digits of floats. What differs for other reasons (random(), now(), the first value of a group) is not compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlglot import exp

from adapters.duck import Duck
from adapters.sql.dialect import is_fence

RELATIVE = 1e-9
SMALLEST = 1e-9
# Another moment, another session.
UNSTABLE = frozenset(
    (
        *("now", "today", "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp"),
        *("get_current_time", "get_current_timestamp", "transaction_timestamp", "age"),
        *("random", "setseed", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "nextval", "currval", "setval"),
        *("current_connection_id", "current_query", "current_query_id", "current_transaction_id", "txid_current"),
        *("current_database", "current_schema", "current_schemas", "current_setting", "getvariable", "in_search_path"),
        *("error", "sleep_ms", "stats", "vector_type", "write_log"),
    )
)
# Another order of the rows.
UNORDERED = frozenset(
    (
        *("any_value", "arbitrary", "first", "last", "first_value", "last_value", "nth_value", "lag", "lead"),
        *("row_number", "ntile", "mode", "list", "array_agg", "string_agg", "group_concat", "listagg", "lttb"),
        *("arg_max", "arg_max_null", "arg_max_nulls_last", "argmax", "max_by"),
        *("arg_min", "arg_min_null", "arg_min_nulls_last", "argmin", "min_by"),
        *("approx_count_distinct", "approx_quantile", "approx_top_k", "reservoir_quantile", "histogram"),
        *("json_group_array", "json_group_object", "variant_group_object"),
    )
)


@dataclass(frozen=True, slots=True)
class Order:
    """What ORDER BY and LIMIT promise: `keys` are the leading sort keys that are columns of the result; at most `limit`
    rows come, after `skipped` ones have been left out."""

    keys: tuple[int, ...]
    limit: int | None
    skipped: bool


def is_stable(query: exp.Query) -> bool:
    """Whether a bound query has one answer, but for the order of its rows and for what its own LIMIT cuts."""
    own = {id(query.args.get("limit")), id(query.args.get("offset"))}
    return not any(id(node) not in own and _is_open(node) for node in query.walk())


def _is_open(node: exp.Expr) -> bool:
    """Whether it may give one of several right answers."""
    match node:
        case exp.TableSample() | exp.Fetch() | exp.Offset():
            return True
        case exp.Limit():
            return node.parent is None or not is_fence(node.parent)
        case exp.WindowSpec():
            return str(node.args.get("kind")).upper() != "RANGE"
        case exp.Distinct():
            return node.args.get("on") is not None
        case exp.Array():  # of a subquery
            return any(isinstance(each, exp.Query) for each in node.expressions)
        case exp.Anonymous() | exp.AnonymousAggFunc() | exp.ParameterizedAgg():
            return node.name.lower() in UNSTABLE | UNORDERED
        case exp.Func():
            return any(name.lower() in UNSTABLE | UNORDERED for name in node.sql_names())
    return False


def order_of(query: exp.Query, names: Sequence[str]) -> Order:
    """`names` are those of the columns of the result."""
    limit, order = query.args.get("limit"), query.args.get("order")
    most = limit.expression if isinstance(limit, exp.Limit) else None
    known = int(most.name) if isinstance(most, exp.Literal) and most.name.isdigit() else 0  # 0: any number may be cut
    keys: list[int] = []
    for key in order.expressions if order else ():
        if isinstance(key.this, exp.Var) and key.this.name.upper() == "ALL":
            keys += range(len(names))
            break
        position = _position(key.this, query, names)
        if position is None:
            break
        keys.append(position)
    return Order(tuple(keys), known if limit else None, query.args.get("offset") is not None)


def _position(key: exp.Expr, query: exp.Query, names: Sequence[str]) -> int | None:
    """Which column of the result a sort key is."""
    if isinstance(key, exp.Literal) and not key.is_string:
        return int(key.name) - 1
    outputs = query.selects
    starred = len(outputs) != len(names) or any(output.is_star for output in outputs)
    if isinstance(key, exp.Column) and not key.table:
        same = [index for index, name in enumerate(names) if name.lower() == key.name.lower()]
        return same[0] if len(same) == 1 else None
    if not starred and isinstance(query, exp.Select):
        return next((index for index, output in enumerate(outputs) if output.unalias() == key), None)
    return None


def difference(one: pa.Table, other: pa.Table, order: Order, duck: Duck) -> str | None:
    """How two whole results of one schema differ, without any of their values; None when both can be right."""
    if one.num_rows != other.num_rows:
        return f"{one.num_rows} rows and {other.num_rows} rows"
    keys = [column for column in order.keys if column < one.num_columns]
    ones, others = list(_rows(one.select(keys))), list(_rows(other.select(keys)))
    moved = sum(not _same(left, right) for left, right in zip(ones, others, strict=True))
    if moved:
        return f"another order: {moved} of {one.num_rows} rows have other sort keys"
    if order.skipped or (order.limit is not None and one.num_rows >= order.limit):
        one, other = one.filter(_uncut(ones, order)), other.filter(_uncut(ones, order))
    missing, extra = _except(one, other, duck), _except(other, one, duck)
    unmatched = len(missing) if len(missing) != len(extra) else _unmatched(missing, extra)
    return f"{unmatched} of {one.num_rows} rows" if unmatched else None


def _uncut(keys: list[tuple[Any, ...]], order: Order) -> pa.BooleanArray:
    """The rows that no tie at either end of a LIMIT could replace: those at the ends have other sort keys."""
    ends = [*(keys[:1] if order.skipped else ()), *(keys[-1:] if order.limit is not None else ())]
    return pa.array([not any(_same(key, end) for end in ends) for key in keys], pa.bool_())


def _except(one: pa.Table, other: pa.Table, duck: Duck) -> list[tuple[Any, ...]]:
    """The rows of one that the other lacks, counted: equal ones are found in DuckDB, at a fraction of Python's time."""
    names = [f"c{index}" for index in range(one.num_columns)]
    tables = {"one": one.rename_columns(names), "other": other.rename_columns(names)}
    found = duck.query('SELECT * FROM "one" EXCEPT ALL SELECT * FROM "other"', tables).read_all()
    return list(_rows(found))


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    if not table.num_columns:
        return iter([()] * table.num_rows)
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _unmatched(missing: list[tuple[Any, ...]], extra: list[tuple[Any, ...]]) -> int:
    """How many rows have no partner that differs in the last digits of floats alone."""
    groups: dict[str, list[tuple[Any, ...]]] = {}
    for row in sorted(extra, key=_digits):
        groups.setdefault(_exact(row), []).append(row)
    unmatched = 0
    for row in sorted(missing, key=_digits):
        partners = groups.get(_exact(row), [])
        at = next((index for index, partner in enumerate(partners) if _same(row, partner)), None)
        if at is None:
            unmatched += 1
        else:
            partners.pop(at)
    return unmatched


def _exact(row: tuple[Any, ...]) -> str:
    return repr([value for value in row if not _has_float(value)])


def _digits(row: tuple[Any, ...]) -> str:
    """Rows that agree come next to each other, nearly always."""
    return repr([f"{value:.6g}" for value in row if isinstance(value, float)])


def _has_float(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_float, value))
    return _has_float(list(value.values())) if isinstance(value, dict) else isinstance(value, float)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        close = math.isclose(one, other, rel_tol=RELATIVE, abs_tol=SMALLEST)
        return close or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)
