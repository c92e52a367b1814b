"""The binary form of values, as PostgreSQL's send functions write them: whole columns at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from adapters.errors import NotSupportedError
from federation.pgwire import types as pg
from federation.pgwire.encoding.intervals import interval_binary
from federation.pgwire.encoding.numeric import numeric_binary
from federation.pgwire.encoding.segments import Array, Matrix, Values, as_binary, big_endian, join, numbers
from federation.pgwire.encoding.texts import plain_text, uuid_bytes
from federation.pgwire.encoding.times import date_binary, time_binary, timestamp_binary, timetz_binary
from federation.pgwire.style import Style

Send: TypeAlias = Callable[[Array], Values]
_STYLE = Style()


def send_binary(oid: int, kind: pa.DataType) -> Send:
    """How values of a type are sent that come as `kind`. Raises NotSupportedError for a type without a binary form."""
    send = _SENDERS.get(oid)
    if send is None or (oid in pg.REGISTERED and not pa.types.is_integer(kind)):
        raise NotSupportedError(f"the type {oid} has no binary form here", hint="ask for the column as text")
    return send


def _text(array: Array) -> Values:
    return plain_text(array, _STYLE)


def _bool(array: Array) -> Matrix:
    return numbers(array.cast(pa.uint8()), "u1").reshape(-1, 1)


def _number(array: Array, arrow: pa.DataType, kind: str) -> Matrix:
    return big_endian(numbers(array if array.type == arrow else array.cast(arrow), kind), kind)


def _jsonb(array: Array) -> Values:
    return join([b"\x01", plain_text(array, _STYLE)], len(array))


def _char(array: Array) -> Matrix:
    """The type "char": one byte, NUL for the empty text."""
    values = (value or b"\0" for value in as_binary(array).to_pylist())
    return np.frombuffer(b"".join(value[:1] for value in values), np.uint8).reshape(-1, 1)


def _bits(array: Array) -> Values:
    return as_binary(pa.array([_packed(text or "") for text in array.to_pylist()], pa.binary()))


def _packed(bits: str) -> bytes:
    size = -(-len(bits) // 8)
    return len(bits).to_bytes(4, "big") + int(bits.ljust(8 * size, "0") or "0", 2).to_bytes(size, "big")


_UNSIGNED = partial(_number, arrow=pa.uint32(), kind="u4")
_SENDERS: dict[int, Send] = {
    pg.BOOL: _bool,
    pg.INT2: partial(_number, arrow=pa.int16(), kind="i2"),
    pg.INT4: partial(_number, arrow=pa.int32(), kind="i4"),
    pg.INT8: partial(_number, arrow=pa.int64(), kind="i8"),
    **dict.fromkeys((pg.OID, pg.XID, pg.CID, *pg.REGISTERED), _UNSIGNED),
    pg.NUMERIC: numeric_binary,
    pg.FLOAT4: partial(_number, arrow=pa.float32(), kind="f4"),
    pg.FLOAT8: partial(_number, arrow=pa.float64(), kind="f8"),
    pg.BYTEA: as_binary,
    pg.DATE: date_binary,
    pg.TIME: time_binary,
    pg.TIMETZ: timetz_binary,
    pg.TIMESTAMP: timestamp_binary,
    pg.TIMESTAMPTZ: timestamp_binary,
    pg.INTERVAL: interval_binary,
    pg.UUID: uuid_bytes,
    pg.JSONB: _jsonb,
    **dict.fromkeys((pg.TEXT, pg.VARCHAR, pg.BPCHAR, pg.NAME, pg.UNKNOWN, pg.JSON, pg.XML, pg.PG_NODE_TREE), _text),
    pg.CHAR: _char,
    **dict.fromkeys((pg.BIT, pg.VARBIT), _bits),
}
