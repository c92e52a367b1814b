"""Rows of a fragment that fulfil simple conditions, found without looking at the others: batches say between which
values theirs lie, and the columns of the conditions are compared before any other is touched.

What is given may be more than what fulfils them.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from adapters.base import Predicate

#: the least and the greatest value, of a date or timestamp as a number; by the place of the column
Ranges: TypeAlias = dict[str, tuple[int, int]]

_RANGES = b"ranges"
_COMPARISONS: Mapping[str, Callable[..., Any]] = {
    "in": pc.equal,  # the only one of a list
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def written_ranges(batch: pa.RecordBatch) -> dict[bytes, bytes]:
    """What a batch is written with, as its metadata."""
    found = {}
    for place, column in enumerate(batch.columns):
        if _has_ranges(column.type) and column.null_count < len(column):
            found[str(place)] = [_number(each) for each in pc.min_max(column).values()]
    return {_RANGES: json.dumps(found).encode()}


def pruned(reader: pa.RecordBatchReader, conditions: Sequence[Predicate]) -> Iterator[pa.RecordBatch]:
    """Batches with all rows that fulfil the conditions, and as few others as can be had quickly. They must know no
    other order than that of the columns' values in DuckDB."""
    tests = [test for each in conditions if (test := _test(each, reader.schema)) is not None]
    while True:
        try:
            found = reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            return
        batch = found.batch
        metadata = found.custom_metadata
        ranges: Ranges = json.loads(metadata[_RANGES]) if metadata is not None and _RANGES in metadata else {}
        for test in tests:
            if batch.num_rows:
                batch = test.keep(batch, ranges)
        if batch.num_rows:
            yield batch


class _Test:
    """A comparison of one column with values of its type."""

    def __init__(self, place: int, op: str, values: pa.Array[Any]) -> None:
        self._place = place
        self._op = op
        self._values = values
        self._numbers = sorted(map(_number, values)) if _has_ranges(values.type) else []

    def keep(self, batch: pa.RecordBatch, ranges: Ranges) -> pa.RecordBatch:
        bounds = ranges.get(str(self._place))
        if bounds is not None and not self._overlaps(*bounds):
            return batch.slice(0, 0)
        mask = self._mask(batch.column(self._place))
        return batch if mask.true_count == batch.num_rows else batch.filter(mask)

    def _overlaps(self, low: int, high: int) -> bool:
        if self._op == "in":
            place = bisect_left(self._numbers, low)
            return place < len(self._numbers) and self._numbers[place] <= high
        (value,) = self._numbers
        return {"<": low < value, "<=": low <= value, ">": high > value, ">=": high >= value}[self._op]

    def _mask(self, column: pa.Array[Any]) -> pa.BooleanArray:
        if self._op == "in" and len(self._values) > 1:
            return pc.is_in(column, value_set=self._values)
        found: pa.BooleanArray = _COMPARISONS[self._op](column, self._values[0])
        return found


def _test(condition: Predicate, schema: pa.Schema) -> _Test | None:
    place = schema.get_field_index(condition.column)
    if place < 0 or condition.op not in _COMPARISONS or not condition.values:
        return None
    type_ = schema.field(place).type
    if not (_has_ranges(type_) or pt.is_string(type_)):
        return None
    try:
        return _Test(place, condition.op, pa.array(condition.values, type_))
    except (pa.ArrowException, OverflowError, TypeError):  # no value of the column can be compared with it here
        return None


def _has_ranges(type_: pa.DataType) -> bool:
    """Whether its values are whole numbers for Arrow, ordered as DuckDB orders them."""
    return bool(pt.is_integer(type_) or pt.is_date32(type_) or (pt.is_timestamp(type_) and type_.unit == "us"))


def _number(value: Any) -> int:
    """Of a scalar."""
    found: int = value.as_py() if pt.is_integer(value.type) else value.value
    return found
