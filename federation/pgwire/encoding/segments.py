"""Rows as one stream of bytes, made column by column.

What has the same width in every row (tags, lengths, fixed-width values) is laid out by numpy, as a matrix of bytes
with a line for each row. What varies in width is an Arrow binary array. Neighbouring parts of the first kind are one
segment; Arrow interleaves the segments with the arrays, and the data of its result are the stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
Values: TypeAlias = Matrix | Array  # of one width, or a binary array without nulls
Part: TypeAlias = bytes | Values

NOTHING = pa.scalar(b"", pa.binary())


@dataclass(frozen=True, slots=True)
class Column:
    """The encoded values of a column. Where `null` is true, `values` may hold anything."""

    values: Values
    null: Mask | None

    def filled(self, at_null: bytes = b"") -> Values:
        """The values with `at_null` in place of NULL."""
        if self.null is None:
            return self.values
        if isinstance(self.values, np.ndarray):
            width = self.values.shape[1]
            if len(at_null) == width:
                return np.where(self.null[:, None], np.frombuffer(at_null, np.uint8), self.values)
            if not at_null:
                return binary_array(np.where(self.null, 0, width), self.values[~self.null])
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
    if not isinstance(values, np.ndarray):
        return values
    rows, width = values.shape
    bounds = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.Array.from_buffers(pa.binary(), rows, [None, _buffer(bounds), _buffer(values)])


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
    bounds = offsets(values)
    return bounds[1:] - bounds[:-1]


def length_word(sizes: Numbers | int) -> Matrix | bytes:
    """Lengths as four bytes each."""
    return sizes.to_bytes(4, "big") if isinstance(sizes, int) else big_endian(sizes, "i4")


def prefixed(column: Column) -> tuple[Matrix | bytes, Values]:
    """The length of each value, -1 for NULL, and the values."""
    values = column.filled()
    sizes = lengths(values)
    return length_word(sizes if column.null is None else np.where(column.null, -1, sizes)), values


def join(parts: Sequence[Part], rows: int) -> Array:
    """One binary array: each value has the parts of its row, one after the other."""
    segments: list[Array] = []
    same: list[bytes | Matrix] = []
    for part in parts:
        if isinstance(part, (bytes, np.ndarray)):
            same.append(part)
            continue
        if same:
            segments.append(varying(_side_by_side(same, rows)))
            same = []
        segments.append(part)
    if same:
        segments.append(varying(_side_by_side(same, rows)))
    return segments[0] if len(segments) == 1 else pc.binary_join_element_wise(*segments, NOTHING)


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
            np.ndarray(rows, cell, made, start, (len(line),))[:] = np.ascontiguousarray(part).view(cell).reshape(-1)
        start += width
    return made.reshape(rows, len(line))


def _buffer(data: Any) -> pa.Buffer:
    contiguous: Any = np.ascontiguousarray(data) if isinstance(data, np.ndarray) else data
    return pa.py_buffer(contiguous)
