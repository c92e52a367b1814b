"""What a runtime filter becomes once its keys are known: members, a range, nothing to read at all, or no filter."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
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
_LITTLE = "it would leave most rows"


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


class _NotMade(Exception):
    """A filter that would not help, or that the source cannot be given."""


@dataclass(frozen=True, slots=True)
class _Made:
    """`left` is the share of the rows that the filter leaves, `restrictions` are what it asks for in the form that
    regions are compared in, None where there is none."""

    query: exp.Query
    left: float
    restrictions: Sequence[Predicate | None]
    text: str


def _restrict(fragment: RemoteQuery, found: Sequence[tuple[RuntimeFilter, pa.Array[Any]]]) -> list[str]:
    adapter = fragment.source.adapter
    assert isinstance(adapter, SupportsQuery)
    query, texts, left = fragment.translated.query, [], 1.0
    restrictions: list[Predicate | None] = []
    for each, keys in found:
        try:
            made = (
                _by_rows(fragment, query, each, keys, left) if each.others else _by_column(fragment, query, each, keys)
            )
        except _NotMade as exc:
            texts.append(f"not made: {exc}")
            continue
        except Declined as exc:
            texts.append(f"not made: {exc.reason}")
            continue
        query, left = made.query, left * made.left
        restrictions += made.restrictions
        texts.append(made.text)
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
    return texts


def _by_column(fragment: RemoteQuery, query: exp.Query, each: RuntimeFilter, keys: pa.Array[Any]) -> _Made:
    """Raises _NotMade, Declined."""
    if not comparable(fragment.schema.field(each.column).type, keys.type):
        raise _NotMade(Reason.TYPE_MISMATCH)
    dialect = _dialect(fragment)
    members = _members(dialect, keys)
    left = _share(each.statistics or ColumnStatistics(), keys, fragment.cost, members=members)
    if left > USEFUL:
        raise _NotMade(_LITTLE)
    values = keys if members else pa.concat_arrays([keys[:1], keys[-1:]])
    asked = restricted(dialect, query, fragment.translated.outputs, each.column, values, members=members)
    text = f"{len(keys)} keys" if members else f"from {values[0]} to {values[1]}"
    return _Made(asked, left, _restrictions(each.column, values, members=members), text)


def _by_rows(fragment: RemoteQuery, query: exp.Query, each: RuntimeFilter, keys: Any, left: float) -> _Made:
    """By the keys of several columns together, of what those of single columns have `left`. Raises _NotMade,
    Declined."""
    dialect = _dialect(fragment)
    if len(keys) > (ARRAY_MEMBERS if dialect.key_array is not None else MEMBERS):
        raise _NotMade("too many keys")
    kept = _share(each.statistics or ColumnStatistics(), keys, fragment.cost, members=True) / left
    if kept > USEFUL:
        raise _NotMade(_LITTLE)
    columns = (each.column, *each.others)
    values = [keys.field(number) for number in range(len(columns))]
    asked = restricted_to_rows(dialect, query, fragment.translated.outputs, columns, values)
    return _Made(asked, kept, [None], f"{len(keys)} keys")


def _dialect(fragment: RemoteQuery) -> SourceDialect:
    adapter = fragment.source.adapter
    assert isinstance(adapter, SupportsQuery)
    return adapter.dialect


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
