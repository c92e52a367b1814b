"""The binary forms of values."""

from __future__ import annotations

import struct
from collections.abc import Callable

from adapters.errors import NotSupportedError
from federation.parameters import Typed
from federation.pgwire import types as pg
from federation.pgwire.decoding.errors import InvalidBinary, InvalidEncoding
from federation.pgwire.decoding.intervals import interval_of
from federation.pgwire.decoding.scalars import blob, read_text
from federation.pgwire.decoding.times import ENDLESS, ENDLESS_DAYS, date_of, time_of, timestamp_of, timetz_of

_TO_2000_DAYS = 10_957
_TO_2000 = _TO_2000_DAYS * 86_400 * 10**6
_SIGNS = {0x0000: "", 0x4000: "-", 0xC000: "NaN", 0xD000: "Infinity", 0xF000: "-Infinity"}


def read_binary(oid: int, data: bytes) -> Typed:
    """Raises InvalidBinary, NotSupportedError for a type whose binary form is not known, and what `read_text` does."""
    read = _READERS.get(oid)
    if read is None:
        raise NotSupportedError(f"values of the type {oid} are not read in binary form", hint="send it as text")
    try:
        return read(data)
    except (struct.error, IndexError):
        raise InvalidBinary(f"incorrect binary data format for the type {oid}") from None


def decoded(data: bytes) -> str:
    """A text. Raises InvalidEncoding."""
    try:
        text = data.decode()
    except UnicodeDecodeError as exc:
        raise InvalidEncoding(f'invalid byte sequence for encoding "UTF8": {exc.reason}') from None
    if "\0" in text:
        raise InvalidEncoding('invalid byte sequence for encoding "UTF8": 0x00')
    return text


def _as_text(oid: int) -> Callable[[bytes], Typed]:
    return lambda data: read_text(oid, decoded(data), "UTC")


def _number(oid: int, form: str) -> Callable[[bytes], Typed]:
    """What numbers are written as, is read as that."""

    def read(data: bytes) -> Typed:
        (value,) = struct.unpack(form, data)
        return read_text(oid, str(value), "UTC")

    return read


def _float4(data: bytes) -> Typed:
    """The value of 32 bits as a double, which has it exactly; in text it would have to be rounded again."""
    (value,) = struct.unpack(">f", data)
    return Typed("FLOAT", repr(value))


def _bool(data: bytes) -> Typed:
    (value,) = struct.unpack(">B", data)
    return Typed("BOOLEAN", "true" if value else "false")


def _numeric(data: bytes) -> Typed:
    count, weight, sign, scale = struct.unpack_from(">hhHh", data)
    groups = struct.unpack(f">{count}h", data[8:])
    if sign not in _SIGNS or scale < 0 or any(not 0 <= group < 10_000 for group in groups):
        raise InvalidBinary("incorrect binary data format for the type numeric")
    if sign > 0x4000:
        return read_text(pg.NUMERIC, _SIGNS[sign], "UTC")
    digits = "".join(f"{group:04}" for group in groups) or "0"
    point = 4 * (weight + 1)
    if not -1000 < point < 1000:
        return read_text(pg.NUMERIC, f"{digits}e{point}", "UTC")  # says that it is too large
    whole = digits[: max(point, 0)].ljust(point, "0") or "0"
    fraction = ("0" * max(-point, 0) + digits[max(point, 0) :])[:scale].ljust(scale, "0")
    return read_text(pg.NUMERIC, f"{_SIGNS[sign]}{whole}.{fraction}" if scale else _SIGNS[sign] + whole, "UTC")


def _date(data: bytes) -> Typed:
    (days,) = struct.unpack(">i", data)
    if days in (2**31 - 1, -(2**31)):
        return date_of(ENDLESS_DAYS if days > 0 else -ENDLESS_DAYS)
    return date_of(days + _TO_2000_DAYS)


def _timestamp(kind: str) -> Callable[[bytes], Typed]:
    def read(data: bytes) -> Typed:
        (value,) = struct.unpack(">q", data)
        if value in (2**63 - 1, -(2**63)):
            return timestamp_of(ENDLESS if value > 0 else -ENDLESS, kind)
        return timestamp_of(value + _TO_2000, kind)

    return read


def _timetz(data: bytes) -> Typed:
    microseconds, west = struct.unpack(">qi", data)
    return timetz_of(microseconds, -west)


def _interval(data: bytes) -> Typed:
    microseconds, days, months = struct.unpack(">qii", data)
    return interval_of(months, days, microseconds)


def _jsonb(data: bytes) -> Typed:
    if data[0] != 1:
        raise InvalidBinary(f"unsupported jsonb version number {data[0]}")
    return read_text(pg.JSONB, decoded(data[1:]), "UTC")


def _bits(data: bytes) -> Typed:
    (count,) = struct.unpack_from(">i", data)
    body = data[4:]
    if count < 0 or len(body) != -(-count // 8):
        raise InvalidBinary("incorrect binary data format for the type bit")
    return read_text(pg.VARBIT, "".join(f"{byte:08b}" for byte in body)[:count], "UTC")


def _uuid(data: bytes) -> Typed:
    if len(data) != 16:
        raise InvalidBinary("incorrect binary data format for the type uuid")
    return read_text(pg.UUID, data.hex(), "UTC")


_READERS: dict[int, Callable[[bytes], Typed]] = {
    pg.BOOL: _bool,
    pg.INT2: _number(pg.INT2, ">h"),
    pg.INT4: _number(pg.INT4, ">i"),
    pg.INT8: _number(pg.INT8, ">q"),
    **{oid: _number(pg.OID, ">I") for oid in (pg.OID, pg.XID, pg.CID, *pg.REGISTERED)},
    pg.FLOAT4: _float4,
    pg.FLOAT8: lambda data: Typed("DOUBLE", repr(struct.unpack(">d", data)[0])),
    pg.NUMERIC: _numeric,
    pg.BYTEA: blob,
    pg.DATE: _date,
    pg.TIME: lambda data: time_of(struct.unpack(">q", data)[0]),
    pg.TIMETZ: _timetz,
    pg.TIMESTAMP: _timestamp("TIMESTAMP"),
    pg.TIMESTAMPTZ: _timestamp("TIMESTAMPTZ"),
    pg.INTERVAL: _interval,
    pg.UUID: _uuid,
    pg.JSONB: _jsonb,
    **dict.fromkeys((pg.BIT, pg.VARBIT), _bits),
    **{
        oid: _as_text(oid) for oid in (0, pg.TEXT, pg.VARCHAR, pg.BPCHAR, pg.NAME, pg.CHAR, pg.UNKNOWN, pg.JSON, pg.XML)
    },
}
