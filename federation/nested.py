"""Arrow's nested arrays taken apart: the inner values are converted once, as whole arrays, and then dealt out again.

Only what a slice shows is converted, so that reading a batch in small slices costs no more than reading it at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

import pyarrow as pa

Values: TypeAlias = Any  # a pyarrow.Array of any type; the stubs would want its class at each step
Convert: TypeAlias = Callable[[Values], list[Any]]


def struct_rows(array: Values, convert: Convert) -> list[tuple[Any, ...]]:
    """The fields of each struct; those of a null one are null."""
    if not array.type.num_fields:
        return [()] * len(array)
    return list(zip(*map(convert, array.flatten()), strict=True))


def list_rows(array: Values, convert: Convert) -> list[list[Any]]:
    """The items of each list; a null one has none of its own to be trusted."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        values = convert(array.values.slice(array.offset * size, len(array) * size))
        return [values[i * size : (i + 1) * size] for i in range(len(array))]
    return _dealt(array, array.values, convert)


def map_rows(array: Values, key: Convert, item: Convert) -> list[list[tuple[Any, Any]]]:
    """The entries of each map."""
    keys, items = _dealt(array, array.keys, key), _dealt(array, array.items, item)
    return [list(zip(*pair, strict=True)) for pair in zip(keys, items, strict=True)]


def _dealt(array: Values, values: Values, convert: Convert) -> list[list[Any]]:
    if not len(array):
        return []
    offsets = array.offsets.to_pylist()
    first = offsets[0]
    converted = convert(values.slice(first, offsets[-1] - first))
    return [converted[start - first : end - first] for start, end in itertools.pairwise(offsets)]
