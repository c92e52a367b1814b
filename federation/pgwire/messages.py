"""The messages of protocol 3.0 as bytes, without I/O: what clients send is read into dataclasses, what the server
sends is made.

Raises ProtocolViolation for a message that is not as the protocol says, InvalidEncoding for text that is not UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from adapters.errors import InterfaceError
from federation.pgwire.decoding.errors import InvalidEncoding

SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104
CANCEL_REQUEST = 80877102
PROTOCOL_3_0 = 3 << 16

TEXT, BINARY = 0, 1
BIND_COMPLETE = b"2\0\0\0\4"
CLOSE_COMPLETE = b"3\0\0\0\4"
COPY_DONE = b"c\0\0\0\4"
EMPTY_QUERY = b"I\0\0\0\4"
NO_DATA = b"n\0\0\0\4"
PARSE_COMPLETE = b"1\0\0\0\4"
PORTAL_SUSPENDED = b"s\0\0\0\4"
AUTHENTICATION_OK = b"R\0\0\0\x08\0\0\0\0"
CLEARTEXT_PASSWORD = b"R\0\0\0\x08\0\0\0\3"

_INT16 = struct.Struct("!h")
_INT32 = struct.Struct("!i")
_UINT16 = struct.Struct("!H")
_UINT32 = struct.Struct("!I")


class ProtocolViolation(InterfaceError, sqlstate="08P01"):
    """A message is not what the protocol asks for."""


class InvalidFormat(InterfaceError, sqlstate="22023"):
    """A format that is neither text nor binary."""


# --- what a client sends ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Query:
    text: str


@dataclass(frozen=True, slots=True)
class Parse:
    name: str
    text: str
    types: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bind:
    """`formats` and `result_formats` as they were sent: none means text, one is for all."""

    portal: str
    statement: str
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    result_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Describe:
    portal: bool  # or else a statement
    name: str


@dataclass(frozen=True, slots=True)
class Execute:
    portal: str
    most_rows: int  # 0 for all


@dataclass(frozen=True, slots=True)
class Close:
    portal: bool
    name: str


@dataclass(frozen=True, slots=True)
class Flush:
    pass


@dataclass(frozen=True, slots=True)
class Sync:
    pass


@dataclass(frozen=True, slots=True)
class Terminate:
    pass


@dataclass(frozen=True, slots=True)
class CopyMessage:
    """What belongs to a COPY FROM, which there is none of: PostgreSQL ignores it outside of one."""


@dataclass(frozen=True, slots=True)
class FunctionCall:
    pass


Message: TypeAlias = (
    Query | Parse | Bind | Describe | Execute | Close | Flush | Sync | Terminate | CopyMessage | FunctionCall
)
KINDS = b"QPBDECHSXdcfF"  # the first byte of each message that a client may send once it is authenticated


def read_message(kind: int, body: bytes) -> Message:
    """One whole message of a kind in KINDS."""
    match kind:
        case 0x53:  # S
            return _nothing_in(body, Sync())
        case 0x48:  # H
            return _nothing_in(body, Flush())
        case 0x58:  # X
            return Terminate()
        case 0x46:  # F
            return FunctionCall()
        case 0x63 | 0x64 | 0x66:  # c d f
            return CopyMessage()
    reader = _Reader(body)
    message = _READERS[kind](reader)
    reader.end()
    return message


def _nothing_in(body: bytes, message: Message) -> Message:
    _Reader(body).end()
    return message


class _Reader:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def _take(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._body):
            raise ProtocolViolation("insufficient data left in message")
        return self._body[start : self._at]

    def byte(self) -> bytes:
        return self._take(1)

    def int32(self) -> int:
        found: int = _INT32.unpack(self._take(4))[0]
        return found

    def int16s(self) -> tuple[int, ...]:
        """A list that its length precedes."""
        count = self._count()
        return struct.unpack(f"!{count}h", self._take(2 * count))

    def uint32s(self) -> tuple[int, ...]:
        count = self._count()
        return struct.unpack(f"!{count}I", self._take(4 * count))

    def values(self) -> tuple[bytes | None, ...]:
        return tuple(self.value() for _ in range(self._count()))

    def _count(self) -> int:
        found: int = _UINT16.unpack(self._take(2))[0]
        return found

    def value(self) -> bytes | None:
        length = self.int32()
        if length == -1:
            return None
        if length < 0:
            raise ProtocolViolation("a value has a negative length")
        return self._take(length)

    def text(self) -> str:
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise ProtocolViolation("invalid string in message")
        start, self._at = self._at, end + 1
        return as_text(self._body[start:end])

    def end(self) -> None:
        if self._at != len(self._body):
            raise ProtocolViolation("invalid message format")


def as_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise InvalidEncoding(f'invalid byte sequence for encoding "UTF8": 0x{data[exc.start]:02x}') from exc


def _formats(reader: _Reader) -> tuple[int, ...]:
    formats = reader.int16s()
    for each in formats:
        if each not in (TEXT, BINARY):
            raise InvalidFormat(f"unsupported format code: {each}")
    return formats


def _is_portal(reader: _Reader) -> bool:
    what = reader.byte()
    if what not in (b"S", b"P"):
        raise ProtocolViolation("a statement (S) or a portal (P) must be named")
    return what == b"P"


def _read_bind(reader: _Reader) -> Bind:
    return Bind(reader.text(), reader.text(), _formats(reader), reader.values(), _formats(reader))


_READERS: dict[int, Callable[[_Reader], Message]] = {
    ord("Q"): lambda reader: Query(reader.text()),
    ord("P"): lambda reader: Parse(reader.text(), reader.text(), reader.uint32s()),
    ord("B"): _read_bind,
    ord("D"): lambda reader: Describe(_is_portal(reader), reader.text()),
    ord("E"): lambda reader: Execute(reader.text(), max(0, reader.int32())),
    ord("C"): lambda reader: Close(_is_portal(reader), reader.text()),
}


def read_startup(body: bytes) -> dict[str, str]:
    """The parameters behind the version of a startup message."""
    parts = body.split(b"\0")
    if parts[-2:] != [b"", b""] or len(parts) % 2:
        raise ProtocolViolation("invalid startup packet layout: expected terminator as last byte")
    texts = [as_text(each) for each in parts[:-2]]
    return dict(zip(texts[::2], texts[1::2], strict=True))


def read_password(body: bytes) -> str:
    reader = _Reader(body)
    password = reader.text()
    reader.end()
    return password


def read_sasl_start(body: bytes) -> tuple[str, bytes | None]:
    """The mechanism of the client's choice, and its first message."""
    reader = _Reader(body)
    mechanism, first = reader.text(), reader.value()
    reader.end()
    return mechanism, first


# --- what the server sends --------------------------------------------------------------------------------------


def message(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return kind + _INT32.pack(len(body) + 4) + body


def _text(value: str) -> bytes:
    return value.encode("utf-8", "replace").replace(b"\0", b"?") + b"\0"


def sasl_mechanisms(names: Iterable[str]) -> bytes:
    return message(b"R", _INT32.pack(10), *(_text(each) for each in names), b"\0")


def sasl_continue(data: bytes) -> bytes:
    return message(b"R", _INT32.pack(11), data)


def sasl_final(data: bytes) -> bytes:
    return message(b"R", _INT32.pack(12), data)


def negotiate_version(unknown: Sequence[str]) -> bytes:
    """3.0 is what there is; `unknown` are the protocol options that are not known."""
    return message(b"v", _INT32.pack(PROTOCOL_3_0), _INT32.pack(len(unknown)), *(_text(each) for each in unknown))


def backend_key(pid: int, secret: bytes) -> bytes:
    return message(b"K", _INT32.pack(pid), secret)


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", _text(name), _text(value))


def notification(channel: str, payload: str) -> bytes:
    """Of the server itself, which has no number."""
    return message(b"A", _UINT32.pack(0), _text(channel), _text(payload))


def ready(status: str) -> bytes:
    """`status` is I, T or E."""
    return b"Z\0\0\0\5" + status.encode()


def command_complete(tag: str) -> bytes:
    return message(b"C", _text(tag))


def parameter_description(oids: Sequence[int]) -> bytes:
    return message(b"t", _UINT16.pack(len(oids)), *(_UINT32.pack(each) for each in oids))


def row_description(
    names: Sequence[str],
    types: Sequence[tuple[int, int, int]],
    formats: Sequence[int],
    origins: Sequence[tuple[int, int]],
) -> bytes:
    """`types` are OID, size and type modifier; `origins` the OID of a table and the number of its column, or zeros."""
    fields = (
        _text(name) + struct.pack("!IhIhih", table, column, oid, size, typmod, form)
        for name, (oid, size, typmod), form, (table, column) in zip(names, types, formats, origins, strict=True)
    )
    return message(b"T", _UINT16.pack(len(names)), *fields)


def copy_out(columns: int, form: int) -> bytes:
    return message(b"H", struct.pack("!bH", form, columns), _INT16.pack(form) * columns)


def report(kind: bytes, fields: Iterable[tuple[str, str | None]]) -> bytes:
    """An error (`E`) or a notice (`N`) of the fields that have a value."""
    return message(kind, *(code.encode() + _text(value) for code, value in fields if value is not None), b"\0")
