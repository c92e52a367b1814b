"""Lists as PostgreSQL's arrays: the elements are encoded once, as one column, and then dealt out again.

An array of several dimensions is rectangular, and no part of it is NULL but its elements. Lists of lists need not be.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from adapters.errors import DataError
from federation.pgwire.encoding.segments import (
    Array,
    Column,
    Encode,
    Matrix,
    Numbers,
    Values,
    array_of,
    big_endian,
    binary_array,
    compacted,
    data_of,
    join,
    null_mask,
    offsets,
    pc,
    prefixed,
    varying,
)
from federation.pgwire.types import INT2, INT2VECTOR, OID, OIDVECTOR

VECTORS = {INT2VECTOR: INT2, OIDVECTOR: OID}  # one dimension, counted from 0
_QUOTED = r'[{}",\\ \t\n\r\v\f]|^$|^(?i:null)$'
_COMMA = pa.scalar(b",", pa.binary())
_SPACE = pa.scalar(b" ", pa.binary())


class RaggedArray(DataError, sqlstate="2202E"):
    """A list of lists of different lengths, or with a NULL among them, which no array of PostgreSQL is."""


class _Flat(NamedTuple):
    """`counts` are the lengths of the lists of each level, the outermost first; `shape` has a row's, one per level."""

    elements: Array
    counts: list[Numbers]
    shape: Numbers


def is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def element_type(kind: Any) -> Any:
    """What the innermost lists hold."""
    while is_list(kind):
        kind = kind.value_type
    return kind


def array_text(element: Encode) -> Encode:
    """`{{1,2},{3,NULL}}`. Raises RaggedArray, as `array_binary` does."""
    return lambda array: Column(_text(array, element), null_mask(array))


def array_binary(element: Encode, element_oid: int) -> Encode:
    return lambda array: Column(_binary(_flat(array), element, element_oid, 1), null_mask(array))


def vector_text(element: Encode) -> Encode:
    """`1 2 3`"""

    def encode(array: Array) -> Column:
        flat = _flat(array)
        return Column(_joined(varying(element(flat.elements).filled()), flat.counts[0], _SPACE), null_mask(array))

    return encode


def vector_binary(element: Encode, element_oid: int) -> Encode:
    return lambda array: Column(_binary(_flat(array), element, element_oid, 0), null_mask(array))


def _flat(array: Array) -> _Flat:
    rows = len(array)
    counts: list[Numbers] = []
    shape: list[Numbers] = []
    row_of = np.arange(rows)  # the row that each list of the level is in
    while is_list(array.type):
        if counts and array.null_count:
            raise _ragged()
        count = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
        array = array.flatten()
        size = np.zeros(rows, np.int64)
        size[row_of] = count
        if (size[row_of] != count).any():
            raise _ragged()
        counts.append(count)
        shape.append(size)
        row_of = np.repeat(row_of, count)
    return _Flat(array, counts, np.stack(shape, axis=1))


def _ragged() -> RaggedArray:
    return RaggedArray("a list of lists is not rectangular, as an array must be", hint="cast the column to JSON")


def _text(array: Array, element: Encode) -> Values:
    flat = _flat(array)
    column = element(flat.elements)
    texts = Column(_quoted(varying(column.values)), column.null).filled(b"NULL")
    for count in reversed(flat.counts):
        texts = join([b"{", _joined(varying(texts), count, _COMMA), b"}"], len(count))
    empty = (flat.shape == 0).any(axis=1)
    return pc.if_else(empty, pa.scalar(b"{}", pa.binary()), texts) if empty.any() else texts


def _joined(values: Array, counts: Numbers, separator: Any) -> Array:
    bounds = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=bounds[1:])
    return pc.binary_join(pa.ListArray.from_arrays(array_of(pa.int32(), bounds), values), separator)


def _quoted(texts: Array) -> Array:
    """In double quotes what would be read in another way without them."""
    needed = pc.match_substring_regex(texts, _QUOTED)
    if not pc.any(needed).as_py():
        return texts
    escaped = pc.replace_substring(pc.replace_substring(texts, b"\\", b"\\\\"), b'"', b'\\"')
    return pc.if_else(needed, join([b'"', escaped, b'"'], len(texts)), texts)


def _binary(flat: _Flat, element: Encode, element_oid: int, first: int) -> Values:
    column = element(flat.elements)
    elements = join(prefixed(column), len(flat.elements))
    bounds = np.zeros(len(flat.shape) + 1, np.int64)
    np.cumsum(flat.shape.prod(axis=1), out=bounds[1:])
    starts = offsets(elements)[bounds]
    bodies = binary_array(np.diff(starts), data_of(elements))
    return join([_header(flat.shape, _has_null(column, bounds), element_oid, first), bodies], len(bodies))


def _has_null(column: Column, bounds: Numbers) -> Numbers:
    """Whether a row has a NULL among its elements."""
    if column.null is None:
        return np.zeros(len(bounds) - 1, np.bool_)
    before = np.zeros(len(column.null) + 1, np.int64)
    np.cumsum(column.null, out=before[1:])
    return before[bounds[1:]] > before[bounds[:-1]]


def _header(shape: Numbers, has_null: Numbers, element_oid: int, first: int) -> Matrix | Array:
    """Dimensions, a flag, the type; then each dimension's length and first index. An empty array has no dimensions."""
    rows, dimensions = shape.shape
    words = np.empty((rows, 3 + 2 * dimensions), ">i4")
    words[:, 0] = dimensions
    words[:, 1] = has_null
    words[:, 2] = element_oid
    words[:, 3::2] = shape
    words[:, 4::2] = first
    empty = (shape == 0).any(axis=1)
    if first == 0 or not empty.any():
        return big_endian(words.reshape(-1), "i4").reshape(rows, -1)
    words[empty, 0] = 0
    keep = np.ones(words.shape, np.bool_)
    keep[empty, 3:] = False
    return compacted(words, keep)
