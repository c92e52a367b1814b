"""MySQL's types as Arrow types, and the text of the wire as values of them.

Text is read strictly: what is not exactly a value of the wanted type is refused, never rounded, clipped or guessed.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute

from adapters.base import Collation

Array: TypeAlias = "pa.Array[Any]"
pc: Any = pyarrow.compute  # the stubs know neither plain arrays nor half of the functions

BIT = 16  # the types of the wire whose values are not text
GEOMETRY = 255
_SRID_BYTES = 4  # a geometry is sent as its reference system, then well-known binary
_MAX_DIGITS = 38  # of Arrow's and DuckDB's decimals
_UUID_TEXT = 36
_ZERO_DATE = r"^\d{4}-(00-\d\d|\d\d-00)"

_INTEGERS = {
    "tinyint": (pa.int8(), pa.uint8()),
    "smallint": (pa.int16(), pa.uint16()),
    "mediumint": (pa.int32(), pa.uint32()),
    "int": (pa.int32(), pa.uint32()),
    "bigint": (pa.int64(), pa.uint64()),
}
_OTHERS: dict[str, pa.DataType] = {
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
    "timestamp": pa.timestamp("us", "UTC"),
    "time": pa.time64("us"),
    "year": pa.int16(),
    "uuid": pa.uuid(),
    "json": pa.json_(),
}
_BINARY = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector")
_GEOMETRIES = (
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geometrycollection",
    "geomcollection",
)
# Only in these is the order of the binary collation the order of UTF-8.
_BYTEWISE = re.compile(r"(utf8mb4|utf8mb3|utf8|ascii)_(nopad_bin|0900_bin)|binary")


def arrow_type(data_type: str, column_type: str, precision: int | None, scale: int | None) -> pa.DataType:
    """The type for a column as information_schema.COLUMNS describes it.

    A decimal of more than 38 digits is declared with 38, and a value that has more is refused on arrival. What is not
    listed (char, enum, set, inet6, plugins' types) is text.
    """
    if data_type in _INTEGERS:
        return _INTEGERS[data_type]["unsigned" in column_type.lower()]
    if data_type == "decimal":
        return pa.decimal128(min(precision or 10, _MAX_DIGITS), scale or 0)
    if data_type == "bit":
        return pa.bool_() if precision == 1 else pa.uint64()
    if data_type in _BINARY or data_type in _GEOMETRIES:
        return pa.binary()
    return _OTHERS.get(data_type, pa.string())


def collation_of(data_type: str, name: str | None) -> Collation:
    """Equal bytes are equal under every collation; only some also tell all different ones apart."""
    if name is None:
        return Collation.UNKNOWN if data_type == "inet6" or data_type == "inet4" else Collation.BINARY
    if data_type in ("enum", "set"):
        return Collation.INSENSITIVE  # and sorted by position
    if _BYTEWISE.fullmatch(name):
        return Collation.BINARY
    if name.endswith("_nopad_bin"):
        return Collation.LOCALE  # by bytes of another character set
    return Collation.INSENSITIVE if name.endswith(("_ci", "_cs", "_bin")) else Collation.UNKNOWN


def readable(kind: pa.DataType) -> bool:
    """Whether `to_arrow` can produce it."""
    types = pa.types
    return (
        types.is_integer(kind)
        or types.is_decimal(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_string(kind)
        or types.is_binary(kind)
        or types.is_date32(kind)
        or types.is_time64(kind)
        or types.is_timestamp(kind)
        or types.is_null(kind)
        or kind in (pa.uuid(), pa.json_())
    )


def to_arrow(sent: Array, wire_type: int, kind: pa.DataType, *, zero_dates_as_null: bool = False) -> Array:
    """The values of one column as `kind`. Raises ArrowInvalid when one of them is not of that type."""
    if wire_type == BIT:
        return _from_bits(sent).cast(kind)
    if wire_type == GEOMETRY:
        sent = pc.binary_replace_slice(sent, 0, _SRID_BYTES, b"")
    if kind == pa.binary():
        return sent
    text = sent.cast(pa.string())
    if pa.types.is_timestamp(kind) or pa.types.is_date32(kind):
        if zero_dates_as_null:
            text = pc.if_else(pc.match_substring_regex(text, _ZERO_DATE), pa.scalar(None, pa.string()), text)
        return text.cast(pa.timestamp("us")).cast(kind) if pa.types.is_timestamp(kind) else text.cast(kind)
    if pa.types.is_time64(kind):
        day: Array = pc.binary_join_element_wise(pa.scalar("1970-01-01"), text, " ")
        return day.cast(pa.timestamp("us")).cast(kind)
    if pa.types.is_float32(kind):
        return text.cast(pa.float64()).cast(kind, safe=False)
    if kind == pa.uuid():
        return pa.ExtensionArray.from_storage(pa.uuid(), _from_uuids(sent))
    if kind == pa.json_():
        return pa.ExtensionArray.from_storage(pa.json_(), text)
    return text.cast(kind)


def _from_bits(sent: Array) -> Array:
    """Big-endian octets, as many in every value as the column's width needs."""
    valid = sent.is_valid().to_numpy(zero_copy_only=False)
    octets = _fixed(sent.drop_null())
    values = np.zeros(len(octets), np.uint64)
    for place in range(octets.shape[1]):
        values = (values << np.uint64(8)) | octets[:, place]
    spread = np.zeros(len(sent), np.uint64)
    spread[valid] = values
    return pa.array(spread, mask=~valid)


def _from_uuids(sent: Array) -> Array:
    present = sent.drop_null()
    octets = _fixed(present)
    if len(octets) and octets.shape[1] != _UUID_TEXT:
        raise pa.ArrowInvalid("not the text of a UUID")
    digits = np.ascontiguousarray(
        octets[:, [place for place in range(octets.shape[1]) if place not in (8, 13, 18, 23)]]
    )
    try:
        packed = bytes.fromhex(digits.tobytes().decode("ascii"))
    except ValueError as exc:
        raise pa.ArrowInvalid("not the text of a UUID") from exc
    values = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(present), [None, pa.py_buffer(packed)])
    if not sent.null_count:
        return values
    valid = sent.is_valid().to_numpy(zero_copy_only=False)
    return values.take(pa.array(np.cumsum(valid) - 1, mask=~valid))


def _fixed(present: Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Values without NULLs, all of one length, as a matrix of octets."""
    if not len(present):
        return np.empty((0, 0), np.uint8)
    width = len(present[0].as_py())
    if not pc.all(pc.equal(pc.binary_length(present), width)).as_py():
        raise pa.ArrowInvalid("values of different lengths")
    return np.frombuffer(b"".join(value.as_py() for value in present), np.uint8).reshape(len(present), width)


def helpful_cast(kind: pa.DataType, column: str) -> str:
    """What to select at the source instead, when a value is not of the declared type."""
    types = pa.types
    if types.is_date32(kind) or types.is_timestamp(kind):
        return f"NULLIF(CAST({column} AS CHAR), '0000-00-00')"
    if types.is_time64(kind):
        return f"TIME_TO_SEC({column}), or CAST({column} AS CHAR)"
    if types.is_string(kind):
        return f"CAST({column} AS BINARY)"
    return f"CAST({column} AS CHAR)"
