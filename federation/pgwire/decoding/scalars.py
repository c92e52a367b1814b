"""A text of one type, checked as PostgreSQL checks it, as DuckDB reads it."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import TypeAlias

from adapters.errors import NotSupportedError
from federation.parameters import Typed
from federation.pgwire import types as pg
from federation.pgwire.decoding.errors import out_of_range, syntax
from federation.pgwire.decoding.intervals import read_interval
from federation.pgwire.decoding.times import read_date, read_time, read_timestamp, read_timestamptz, read_timetz

Read: TypeAlias = Callable[[str], Typed]

MOST_DIGITS = 38
_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_DECIMAL = re.compile(r"\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_UUID = re.compile(r"(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}", re.IGNORECASE)
_ESCAPE = re.compile(rb"\\(\\|[0-3][0-7]{2})")
_NOT_FINITE = {
    "nan": "nan",
    **dict.fromkeys(("infinity", "+infinity", "inf", "+inf"), "inf"),
    **dict.fromkeys(("-infinity", "-inf"), "-inf"),
}
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def read_text(oid: int, text: str, zone: str) -> Typed:
    """A text of a type; of one that is not known here, it stays text. Raises DataError and NotSupportedError."""
    if oid in (pg.TIMESTAMPTZ, pg.TIMETZ):
        return read_timestamptz(text, zone) if oid == pg.TIMESTAMPTZ else read_timetz(text, zone)
    return _READERS.get(oid, _plain)(text)


def _plain(text: str) -> Typed:
    return Typed("VARCHAR", text)


def _bool(text: str) -> Typed:
    """Any beginning of a word that is not the beginning of another."""
    word = text.strip().lower()
    if word and word != "o":
        for words, value in ((_TRUE, "true"), (_FALSE, "false")):
            if any(each.startswith(word) for each in words):
                return Typed("BOOLEAN", value)
    raise syntax("boolean", text)


def _integer(text: str, *, kind: str, name: str, low: int, high: int) -> Typed:
    if not _INTEGER.fullmatch(text):
        raise syntax(name, text)
    digits = text.strip()
    if len(digits.lstrip("+-").lstrip("0")) > 19 or not low <= int(digits) <= high:
        raise out_of_range(name, text)
    return Typed(kind, str(int(digits)))


def _oid(text: str) -> Typed:
    """32 bits without a sign; a negative number is what the same bits mean."""
    signed = _integer(text, kind="BIGINT", name="oid", low=-(2**31), high=2**32 - 1)
    return Typed("BIGINT", str(int(signed.text or 0) % 2**32))


def _registered(text: str) -> Typed:
    """The number of an object, or its name, which stays text."""
    return _oid(text) if _INTEGER.fullmatch(text) else _plain(text)


def _float(text: str, *, kind: str, name: str) -> Typed:
    named = _NOT_FINITE.get(text.strip().lower())
    if named is not None:
        return Typed(kind, named)
    if not _DECIMAL.fullmatch(text):
        raise syntax(name, text)
    value = _rounded(float(text)) if kind == "FLOAT" else float(text)
    lost = value == 0 and re.search("[1-9]", text.lower().partition("e")[0])
    if math.isinf(value) or lost:
        raise out_of_range(name, text)
    return Typed(kind, text.strip().removeprefix("+"))


def _rounded(value: float) -> float:
    """To 32 bits; infinity beyond them."""
    try:
        (rounded,) = struct.unpack("f", struct.pack("f", value))
    except OverflowError:
        return math.inf
    return float(rounded)


def _numeric(text: str) -> Typed:
    if text.strip().lower() in _NOT_FINITE:
        raise NotSupportedError(f"numeric has no {text.strip()} here", hint="pass a double precision")
    if not _DECIMAL.fullmatch(text):
        raise syntax("numeric", text)
    try:
        value = Decimal(text.strip())
    except InvalidOperation:  # its exponent has too many digits
        raise out_of_range("numeric", text) from None
    scale = max(-int(value.as_tuple().exponent), 0)
    whole = max(value.adjusted() + 1, 0) if value else 0
    if whole + scale > MOST_DIGITS:
        raise out_of_range("numeric", text)
    digits = f"{value:f}"
    return Typed(f"DECIMAL({min(max(whole, 1) + scale, MOST_DIGITS)},{scale})", digits)


def _bytea(text: str) -> Typed:
    if text.startswith("\\x"):
        try:
            return blob(bytes.fromhex(text[2:]))
        except ValueError:
            raise syntax("bytea", text) from None
    data = text.encode()
    if b"\\" in _ESCAPE.sub(b"", data):
        raise syntax("bytea", text)
    return blob(_ESCAPE.sub(lambda found: b"\\" if found[1] == b"\\" else bytes([int(found[1], 8)]), data))


def blob(data: bytes) -> Typed:
    return Typed("BLOB", "".join(f"\\x{byte:02X}" for byte in data))


def _uuid(text: str) -> Typed:
    digits = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    if not _UUID.fullmatch(digits):
        raise syntax("uuid", text)
    return Typed("UUID", digits.replace("-", "").lower())


def _json(text: str) -> Typed:
    try:
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise syntax("json", text) from None
    return Typed("JSON", text)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _bits(text: str) -> Typed:
    if not text or set(text) - {"0", "1"}:
        raise syntax("bit", text)
    return Typed("BIT", text)


_READERS: dict[int, Read] = {
    pg.BOOL: _bool,
    pg.INT2: partial(_integer, kind="SMALLINT", name="smallint", low=-(2**15), high=2**15 - 1),
    pg.INT4: partial(_integer, kind="INTEGER", name="integer", low=-(2**31), high=2**31 - 1),
    pg.INT8: partial(_integer, kind="BIGINT", name="bigint", low=-(2**63), high=2**63 - 1),
    **dict.fromkeys((pg.OID, pg.XID, pg.CID), _oid),
    **dict.fromkeys(pg.REGISTERED, _registered),
    pg.FLOAT4: partial(_float, kind="FLOAT", name="real"),
    pg.FLOAT8: partial(_float, kind="DOUBLE", name="double precision"),
    pg.NUMERIC: _numeric,
    pg.BYTEA: _bytea,
    pg.DATE: read_date,
    pg.TIME: read_time,
    pg.TIMESTAMP: read_timestamp,
    pg.INTERVAL: read_interval,
    pg.UUID: _uuid,
    **dict.fromkeys((pg.JSON, pg.JSONB), _json),
    **dict.fromkeys((pg.BIT, pg.VARBIT), _bits),
}
