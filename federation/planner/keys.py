"""What a runtime filter becomes once its keys are known: members, a range, nothing to read at all, or no filter."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from adapters.base import ColumnStatistics, Predicate, Scan, SupportsQuery
from adapters.errors import ConversionError
from adapters.sql.dialect import Declined, Reason, SourceDialect
from adapters.sql.keys import comparable, restricted, restricted_by, restricted_to_rows
from federation.planner.fragments import plan_scan
from federation.planner.nodes import Cost, Fragment, RemoteQuery, RuntimeFilter, TableScan

USEFUL = 0.7  # a filter that leaves more of the rows is none
MEMBERS = 10_000  # keys in a list
ARRAY_MEMBERS = 500_000  # keys in one literal


def apply_filters(fragment: Fragment, found: Sequence[tuple[RuntimeFilter, pa.Array[Any]]]) -> list[str]:
    """Plan the fragment's scan again with the filters that help; returns what was made of each, for EXPLAIN.

    The keys are distinct, those of one column sorted, and none of them is NULL.
    """
    if any(not len(keys) for _, keys in found):
        if fragment.scan is not None:
            fragment.scan.close()
        fragment.scan = Scan((), fragment.schema)  # no row of it can matter
        return ["no keys, nothing is read" if not len(keys) else "" for _, keys in found]
    if isinstance(fragment, TableScan):
        plan_scan(fragment, [Predicate(each.column, "in", _values(each, keys)) for each, keys in found])
        return [f"{len(keys)} keys" for _, keys in found]
    assert isinstance(fragment, RemoteQuery)
    return _restrict(fragment, found)


def _restrict(fragment: RemoteQuery, found: Sequence[tuple[RuntimeFilter, pa.Array[Any]]]) -> list[str]:
    adapter = fragment.source.adapter
    assert isinstance(adapter, SupportsQuery)
    query, made, left = fragment.translated.query, [], 1.0
    restrictions: list[Predicate | None] = []
    for each, keys in found:
        if each.others:
            restricted_query, kept, text = _restricted_to_rows(fragment, query, each, keys, left)
            made.append(text)
            if restricted_query is not None:
                query, left = restricted_query, left * kept
                restrictions.append(None)
            continue
        if not comparable(fragment.schema.field(each.column).type, keys.type):
            made.append(f"not made: {Reason.TYPE_MISMATCH}")
            continue
        members = _members(adapter.dialect, keys)
        kept = _share(each.statistics or ColumnStatistics(), keys, fragment.cost, members=members)
        if kept > USEFUL:
            made.append("not made: it would leave most rows")
            continue
        values = keys if members else pa.concat_arrays([keys[:1], keys[-1:]])
        try:
            query = restricted(
                adapter.dialect, query, fragment.translated.outputs, each.column, values, members=members
            )
        except Declined as exc:
            made.append(f"not made: {exc.reason}")
            continue
        left *= kept
        restrictions += _restrictions(each.column, values, members=members)
        made.append(f"{len(keys)} keys" if members else f"from {values[0]} to {values[1]}")
    if query is not fragment.translated.query:
        scan = adapter.plan_query(query, fragment.schema)
        if scan is None:
            return ["not made: the adapter declined" for _ in found]
        if fragment.scan is not None:
            fragment.scan.close()
        fragment.scan, fragment.asked = scan, query
        known = [each for each in restrictions if each is not None]
        fragment.keys = tuple(known) if len(known) == len(restrictions) else None
    if fragment.cost.rows is not None:
        fragment.expected = replace(fragment.expected, rows=fragment.cost.rows * left)
    return made


def _restricted_to_rows(
    fragment: RemoteQuery, query: exp.Query, made: RuntimeFilter, keys: Any, left: float
) -> tuple[exp.Query | None, float, str]:
    """The query with the keys of several columns together, the share that they leave of what single columns have
    `left`, and what became of them."""
    adapter = fragment.source.adapter
    assert isinstance(adapter, SupportsQuery)
    members = len(keys) <= (ARRAY_MEMBERS if adapter.dialect.key_array is not None else MEMBERS)
    kept = _share(made.statistics or ColumnStatistics(), keys, fragment.cost, members=True) / left
    if not members or kept > USEFUL:
        return None, 1.0, "not made: it would leave most rows" if members else "not made: too many keys"
    columns = (made.column, *made.others)
    try:
        values = [keys.field(number) for number in range(len(columns))]
        asked = restricted_to_rows(adapter.dialect, query, fragment.translated.outputs, columns, values)
    except Declined as exc:
        return None, 1.0, f"not made: {exc.reason}"
    return asked, kept, f"{len(keys)} keys"


def remaining(fragment: Fragment, missing: Sequence[Predicate]) -> Fragment | None:
    """A fragment for those rows of another one, as it is planned now, that fulfil conditions on its outputs; None
    where its source cannot be asked for them."""
    rest = copy(fragment)
    rest.notes = []
    rest.keys = (*fragment.keys, *missing) if fragment.keys is not None else None
    if isinstance(rest, TableScan):
        plan_scan(rest, [*rest.request.predicates[len(rest.predicates) :], *missing])
        return rest
    assert isinstance(rest, RemoteQuery)
    adapter = rest.source.adapter
    assert isinstance(adapter, SupportsQuery)
    try:
        rest.asked = restricted_by(adapter.dialect, rest.asked, rest.translated.outputs, missing)
    except Declined:
        return None
    rest.scan = adapter.plan_query(rest.asked, rest.wanted)
    return rest if rest.scan is not None else None


def _restrictions(column: str, values: pa.Array[Any], *, members: bool) -> list[Predicate | None]:
    """What was asked for, in the form that regions are compared in; None where that would be too long."""
    try:
        if not members:
            low, high = values.to_pylist()
            return [Predicate(column, ">=", (low,)), Predicate(column, "<=", (high,))]
        return [Predicate(column, "in", tuple(values.to_pylist())) if len(values) <= MEMBERS else None]
    except OverflowError:  # a date that Python has none for
        return [None]


def _values(made: RuntimeFilter, keys: pa.Array[Any]) -> tuple[Any, ...]:
    try:
        return tuple(keys.to_pylist())
    except OverflowError as exc:
        raise ConversionError(
            f"a key of {made.column} lies outside of the years 1 to 9999, which the source cannot be asked for",
            hint="exclude such dates with a condition",
        ) from exc


def _members(dialect: SourceDialect, keys: pa.Array[Any]) -> bool:
    array = dialect.key_array is not None and pa.types.is_integer(keys.type)
    return len(keys) <= (ARRAY_MEMBERS if array else MEMBERS)


def _share(known: ColumnStatistics, keys: pa.Array[Any], cost: Cost, *, members: bool) -> float:
    """How much of the fragment the filter is expected to leave."""
    if members:
        distinct = known.distinct if known.distinct is not None else cost.rows
        return min(1.0, len(keys) / max(distinct, 1.0)) if distinct is not None else 0.0
    whole = _distance(known.minimum, known.maximum)
    try:
        part = _distance(keys[0].as_py(), keys[-1].as_py())
    except OverflowError:  # a date that Python has none for
        part = None
    return min(1.0, part / whole) if whole and part is not None else 1.0


def _distance(first: Any, last: Any) -> float | None:
    """Between two numbers, or two dates."""
    if isinstance(first, datetime.date) and isinstance(last, datetime.date):
        return float(last.toordinal() - first.toordinal())
    if isinstance(first, int | float | Decimal) and isinstance(last, int | float | Decimal):
        return float(last) - float(first)
    return None


def distinct_keys(rows: pa.Table) -> pa.Array[Any]:
    """The distinct values of the one column in order, without NULL; of several the rows without one, as structs."""
    if rows.num_columns > 1:
        whole = rows.drop_null().combine_chunks()
        return pa.StructArray.from_arrays([each.combine_chunks() for each in whole.columns], rows.column_names)
    values = pc.unique(rows.column(0).combine_chunks()).drop_null()
    return values.take(pc.sort_indices(values))
