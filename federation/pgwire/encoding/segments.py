"""Rows as one stream of bytes, made column by column.

What has the same width in every row (tags, lengths, fixed-width values) is laid out by numpy, as a matrix of bytes
with a line for each row; neighbouring parts of this kind are one segment. What varies in width is an Arrow binary
array, or lies in some data with other bytes in between. The stream is what Arrow takes from all segments, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute
Array: TypeAlias = Any  # a pyarrow.Array of any type
Matrix: TypeAlias = npt.NDArray[np.uint8]  # rows x width
Mask: TypeAlias = npt.NDArray[np.bool_]
Numbers: TypeAlias = npt.NDArray[Any]
Values: TypeAlias = "Matrix | Spans | Array"  # of one width, or a binary array without nulls
Part: TypeAlias = "bytes | Values"

MOST_TAKEN = 1 << 18  # spans at once, for each of which there are some 12 bytes


@dataclass(frozen=True, slots=True)
class Spans:
    """Values that lie in `data` in their order, with other bytes before, between and behind them."""

    data: Any
    starts: Numbers
    ends: Numbers

    def __len__(self) -> int:
        return len(self.starts)

    def part(self, start: int, end: int) -> Spans:
        first, last = self.starts[start], self.ends[end - 1]
        data = memoryview(self.data).cast("B")[first:last]
        return Spans(data, self.starts[start:end] - first, self.ends[start:end] - first)

    def shortened(self, by: Numbers) -> Spans:
        """Without as many bytes at the end of each."""
        return Spans(self.data, self.starts, self.ends - by)

    def empty_where(self, mask: Mask) -> Spans:
        return Spans(self.data, self.starts, np.where(mask, self.starts, self.ends))


@dataclass(frozen=True, slots=True)
class Column:
    """The encoded values of a column. Where `null` is true, `values` may hold anything."""

    values: Values
    null: Mask | None

    def filled(self, at_null: bytes = b"") -> Values:
        """The values with `at_null` in place of NULL."""
        if self.null is None:
            return self.values
        if not at_null:
            return spans(self.values).empty_where(self.null)
        if isinstance(self.values, np.ndarray) and len(at_null) == self.values.shape[1]:
            return np.where(self.null[:, None], np.frombuffer(at_null, np.uint8), self.values)
        return pc.if_else(self.null, pa.scalar(at_null, pa.binary()), varying(self.values))


Encode: TypeAlias = Callable[[Array], Column]


def null_mask(array: Array) -> Mask | None:
    """None where no value is NULL."""
    if not array.null_count:
        return None
    mask: Mask = array.is_null().to_numpy(zero_copy_only=False)
    return mask


def numbers(array: Array, kind: str) -> Numbers:
    """The values of a fixed-width array as numpy's `kind`, zero where NULL. A view if there is no NULL."""
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), kind)
    values: Numbers = np.frombuffer(data, kind, array.offset + len(array))[array.offset :]
    null = null_mask(array)
    if null is None:
        return values
    values = values.copy()
    values[null] = np.zeros((), values.dtype)
    return values


def array_of(kind: Any, values: Numbers) -> Array:
    """numpy's values as an Arrow array of a type of the same width."""
    return pa.Array.from_buffers(kind, len(values), [None, _buffer(values)])


def big_endian(values: Numbers | int, kind: str) -> Matrix:
    """Numbers as bytes in network order; `kind` is numpy's, such as "i4"."""
    turned = np.ascontiguousarray(values, f">{kind}")
    return turned.view(np.uint8).reshape(len(turned), turned.dtype.itemsize)


def binary_array(lengths: Numbers, data: Any) -> Array:
    """A binary array of values that lie one after the other in `data`."""
    bounds = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=bounds[1:])
    return pa.Array.from_buffers(pa.binary(), len(lengths), [None, _buffer(bounds), _buffer(data)])


def compacted(matrix: Numbers, keep: Mask) -> Array:
    """A binary array of the cells of each line that are to be kept."""
    return binary_array(np.count_nonzero(keep, axis=1) * matrix.itemsize, matrix[keep])


def varying(values: Values) -> Array:
    """As a binary array."""
    if isinstance(values, Spans):
        return binary_array(values.ends - values.starts, _interleaved([values], len(values)))
    if not isinstance(values, np.ndarray):
        return values
    rows, width = values.shape
    bounds = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.Array.from_buffers(pa.binary(), rows, [None, _buffer(bounds), _buffer(values)])


def spans(values: Values) -> Spans:
    if isinstance(values, Spans):
        return values
    if isinstance(values, np.ndarray):
        rows, width = values.shape
        starts = np.arange(0, rows * width, width, dtype=np.int32) if width else np.zeros(rows, np.int32)
        return Spans(np.ascontiguousarray(values), starts, starts + np.int32(width))
    bounds = offsets(values) - offsets(values)[0]
    return Spans(data_of(values), bounds[:-1], bounds[1:])


def as_binary(texts: Array) -> Array:
    """Texts or bytes as a binary array without nulls; empty where NULL."""
    array = texts if texts.type == pa.binary() else texts.cast(pa.binary())
    return array.fill_null(b"") if array.null_count else array


def offsets(array: Array) -> Numbers:
    """Where each value of a binary array starts, and where the last one ends."""
    return np.frombuffer(array.buffers()[1], np.int32, array.offset + len(array) + 1)[array.offset :]


def data_of(array: Array) -> memoryview:
    """The values of a binary array, one after the other."""
    bounds = offsets(array)
    data = array.buffers()[2]
    return memoryview(data)[bounds[0] : bounds[-1]] if data is not None else memoryview(b"")


def lengths(values: Values) -> Numbers | int:
    """The bytes of each value; one number if they all have the same."""
    if isinstance(values, np.ndarray):
        return int(values.shape[1])
    if isinstance(values, Spans):
        return values.ends - values.starts
    bounds = offsets(values)
    return bounds[1:] - bounds[:-1]


def evened(values: Values) -> Values:
    """As a matrix, if all values have the same width and lie at the same distance."""
    if isinstance(values, np.ndarray) or not len(values):
        return values
    each = spans(values)
    start, width = each.starts[0], each.ends[0] - each.starts[0]
    distance = each.starts[1] - start if len(each) > 1 else width
    if not ((each.ends - each.starts == width).all() and (np.diff(each.starts) == distance).all()):
        return values
    return np.ndarray((len(each), width), np.uint8, each.data, start, (distance, 1))


def length_word(sizes: Numbers | int) -> Matrix | bytes:
    """Lengths as four bytes each."""
    return sizes.to_bytes(4, "big") if isinstance(sizes, int) else big_endian(sizes, "i4")


def prefixed(column: Column) -> tuple[Matrix | bytes, Values]:
    """The length of each value, -1 for NULL, and the values."""
    values = evened(column.filled())
    sizes = lengths(values)
    return length_word(sizes if column.null is None else np.where(column.null, -1, sizes)), values


def join(parts: Sequence[Part], rows: int) -> Array:
    """One binary array: each value has the parts of its row, one after the other."""
    segments = _segments(parts, rows)
    if len(segments) == 1:
        return varying(segments[0])
    total = np.zeros(rows, np.int32)
    for each in segments:
        total += lengths(each)
    return binary_array(total, _interleaved(segments, rows))


def stream(parts: Sequence[Part], rows: int) -> memoryview:
    """The data of what `join` makes."""
    return _interleaved(_segments(parts, rows), rows)


def _segments(parts: Sequence[Part], rows: int) -> list[Values]:
    """The parts, neighbours of one width as one."""
    segments: list[Values] = []
    same: list[bytes | Matrix] = []
    for part in parts:
        if isinstance(part, (bytes, np.ndarray)):
            same.append(part)
            continue
        if same:
            segments.append(_side_by_side(same, rows))
            same = []
        segments.append(part)
    if same:
        segments.append(_side_by_side(same, rows))
    return segments


def _side_by_side(parts: Sequence[bytes | Matrix], rows: int) -> Matrix:
    if len(parts) == 1 and isinstance(parts[0], np.ndarray):
        return parts[0]
    line = b"".join(part if isinstance(part, bytes) else bytes(part.shape[1]) for part in parts)
    made = np.frombuffer(bytearray(line) * rows, np.uint8)
    start = 0
    for part in parts:
        width = len(part) if isinstance(part, bytes) else part.shape[1]
        if isinstance(part, np.ndarray) and width and rows:
            cell = f"V{width}"  # one move for each, ten times as quick as one for each byte
            np.ndarray(rows, cell, made, start, (len(line),))[:] = part.view(cell)[:, 0]
        start += width
    return made.reshape(rows, len(line))


def _interleaved(segments: Sequence[Values], rows: int) -> memoryview:
    if len(segments) == 1 and not isinstance(segments[0], Spans):
        return data_of(varying(segments[0]))
    most = max(MOST_TAKEN // len(segments), 1)
    if rows <= most:
        return _taken(segments, rows)
    bounds = [(start, min(start + most, rows)) for start in range(0, rows, most)]
    return memoryview(b"".join(_taken([_part(each, *of) for each in segments], of[1] - of[0]) for of in bounds))


def _part(values: Values, start: int, end: int) -> Values:
    if isinstance(values, Spans):
        return values.part(start, end)
    return values[start:end] if isinstance(values, np.ndarray) else values.slice(start, end - start)


def _taken(segments: Sequence[Values], rows: int) -> memoryview:
    """Arrow takes them from a binary array that has all values of each segment, and what lies between: the values need
    not lie one after the other, and each costs half of what it does in Arrow's joining of arrays."""
    bounds: list[Numbers] = []
    data: list[Any] = []
    size = 0
    for each in segments:
        found, values = _bounds(each)
        found += np.int32(size)
        bounds.append(found)
        data.append(values)
        size += memoryview(values).nbytes
    every = np.concatenate([*bounds, [size]], dtype=np.int32)
    steps = tuple(2 if isinstance(each, Spans) else 1 for each in segments)
    joined = data[0] if len(data) == 1 else b"".join(data)
    whole = pa.Array.from_buffers(pa.binary(), len(every) - 1, [None, _buffer(every), _buffer(joined)])
    return data_of(pc.take(whole, _row_by_row(steps, rows), boundscheck=False))


def _bounds(values: Values) -> tuple[Numbers, Any]:
    """Where each value starts and ends in some data: of spans both, of what has no gaps each start and the last end."""
    if isinstance(values, Spans):
        return np.stack([values.starts, values.ends], axis=1).reshape(-1), values.data
    if isinstance(values, np.ndarray):
        rows, width = values.shape
        return np.arange(rows + 1, dtype=np.int32) * np.int32(width), np.ascontiguousarray(values)
    return offsets(values) - offsets(values)[0], data_of(values)


@lru_cache(8)
def _row_by_row(steps: tuple[int, ...], rows: int) -> Array:
    """The numbers of the values of each row, where those of a segment are so far from each other."""
    made = np.empty((rows, len(steps)), np.int32)
    first = 0
    for at, step in enumerate(steps):
        made[:, at] = np.arange(first, first + step * rows, step)
        first += step * rows + (step == 1)
    return pa.array(made.reshape(-1))


def _buffer(data: Any) -> pa.Buffer:
    contiguous: Any = np.ascontiguousarray(data) if isinstance(data, np.ndarray) else data
    return pa.py_buffer(contiguous)
