"""The text form of values, as PostgreSQL's output functions write them: whole columns at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from federation.pgwire import types as pg
from federation.pgwire.encoding.digits import digits
from federation.pgwire.encoding.floats import float4_text, float8_text
from federation.pgwire.encoding.intervals import interval_text
from federation.pgwire.encoding.numeric import numeric_text
from federation.pgwire.encoding.segments import (
    Array,
    Matrix,
    Values,
    as_binary,
    binary_array,
    data_of,
    join,
    lengths,
    numbers,
)
from federation.pgwire.encoding.times import date_text, time_text, timestamp_text, timestamptz_text, timetz_text
from federation.pgwire.style import Style
from federation.text import to_text

Write: TypeAlias = Callable[[Array, Style], Values]

_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)
_ESCAPED = {byte: f"\\{byte:03o}".encode() for byte in (*range(32), *range(127, 256))} | {ord("\\"): b"\\\\"}
_DASHES = (8, 13, 18, 23)


def write_text(oid: int) -> Write:
    """How values of a type are written. What may stand where a value is NULL is not said."""
    return _WRITERS.get(oid, plain_text)


def plain_text(array: Array, _style: Style) -> Values:
    """Text as it is; what is no text is written as everywhere else in the federation."""
    kind = array.type
    if isinstance(kind, pa.JsonType):
        return as_binary(array.storage)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return as_binary(array)
    return as_binary(to_text(array))


def _bool(array: Array, _style: Style) -> Matrix:
    flags = numbers(array.cast(pa.uint8()), "u1")
    return np.where(flags, np.uint8(ord("t")), np.uint8(ord("f"))).reshape(-1, 1)


def _integer(array: Array, _style: Style) -> Values:
    return digits(numbers(array, array.type.to_pandas_dtype()))


def _bytea(array: Array, style: Style) -> Values:
    values = as_binary(array)
    if style.bytea_output == "escape":
        return as_binary(pa.array([_escape(value) for value in values.to_pylist()], pa.binary()))
    data = np.frombuffer(data_of(values), np.uint8)
    return join([b"\\x", binary_array(2 * np.asarray(lengths(values)), _HEX[data])], len(values))


def _escape(value: bytes) -> bytes:
    return b"".join(_ESCAPED.get(byte) or bytes([byte]) for byte in value)


def _uuid(array: Array, _style: Style) -> Matrix:
    digits = _HEX[uuid_bytes(array)].reshape(-1, 32)
    made = np.full((len(array), 36), ord("-"), np.uint8)
    made[:, [at for at in range(36) if at not in _DASHES]] = digits
    return made


def uuid_bytes(array: Array) -> Matrix:
    """The 16 bytes of each; zero where NULL."""
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    return numbers(storage, "V16").view(np.uint8).reshape(-1, 16)


_WRITERS: dict[int, Write] = {
    pg.BOOL: _bool,
    **dict.fromkeys((pg.INT2, pg.INT4, pg.INT8, pg.OID, pg.XID, pg.CID), _integer),
    pg.NUMERIC: numeric_text,
    pg.FLOAT4: float4_text,
    pg.FLOAT8: float8_text,
    pg.BYTEA: _bytea,
    pg.DATE: date_text,
    pg.TIME: time_text,
    pg.TIMETZ: timetz_text,
    pg.TIMESTAMP: timestamp_text,
    pg.TIMESTAMPTZ: timestamptz_text,
    pg.INTERVAL: interval_text,
    pg.UUID: _uuid,
}
