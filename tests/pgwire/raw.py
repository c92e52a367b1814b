"""PostgreSQL's protocol by hand, for what no client library would send."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

from tests.waiting import SECONDS

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSSENC_REQUEST = struct.pack("!II", 8, 80877104)


class Message(NamedTuple):
    kind: str
    body: bytes

    def fields(self) -> dict[str, str]:
        """Of an error or a notice."""
        return {part[:1].decode(): part[1:].decode() for part in self.body.split(b"\0") if part}


def message(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def text(*values: str) -> bytes:
    return b"".join(value.encode() + b"\0" for value in values)


def startup(version: int = 3 << 16, /, **parameters: str) -> bytes:
    pairs = [part for pair in parameters.items() for part in pair]
    body = struct.pack("!I", version) + text(*pairs) + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def parse(sql: str, name: str = "", types: Sequence[int] = ()) -> bytes:
    return message("P", text(name, sql) + struct.pack(f"!H{len(types)}I", len(types), *types))


def bind(*values: bytes | None, portal: str = "", statement: str = "", results: Sequence[int] = ()) -> bytes:
    body = text(portal, statement) + struct.pack("!HH", 0, len(values))
    for value in values:
        body += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return message("B", body + struct.pack(f"!H{len(results)}h", len(results), *results))


def execute(most: int = 0, portal: str = "") -> bytes:
    return message("E", text(portal) + struct.pack("!i", most))


def describe(kind: str, name: str = "") -> bytes:
    return message("D", kind.encode() + text(name))


def query(sql: str) -> bytes:
    return message("Q", text(sql))


SYNC = message("S")
FLUSH = message("H")


class Raw:
    """A connection. `read` returns None when the server has closed it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.key = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *data: bytes) -> None:
        self.socket.sendall(b"".join(data))

    def _exactly(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionError:
                return None
            if not part:
                return None
            data += part
        return data

    def read(self) -> Message | None:
        header = self._exactly(5)
        if header is None:
            return None
        body = self._exactly(struct.unpack("!I", header[1:])[0] - 4)
        return None if body is None else Message(header[:1].decode(), body)

    def until(self, kind: str = "Z") -> list[Message]:
        """The messages up to one of that kind."""
        found: list[Message] = []
        while True:
            message = self.read()
            assert message is not None, f"the connection ended after {[each.kind for each in found]}"
            found.append(message)
            if message.kind == kind:
                return found

    def rest(self) -> list[Message]:
        """What comes until the server closes the connection."""
        found: list[Message] = []
        while (message := self.read()) is not None:
            found.append(message)
        return found

    def log_in(self, **parameters: str) -> Raw:
        self.send(startup(**{"user": "somebody", **parameters}))
        for each in self.until():
            if each.kind == "K":
                self.key = each.body
        return self

    def ask(self, *data: bytes) -> list[Message]:
        self.send(*data)
        return self.until()


def kinds(messages: Sequence[Message]) -> str:
    return "".join(each.kind for each in messages)


def errors(messages: Sequence[Message]) -> list[str]:
    """Their SQLSTATEs."""
    return [each.fields()["C"] for each in messages if each.kind == "E"]


def rows(messages: Sequence[Message]) -> list[list[str | None]]:
    """The values of DataRows as text."""
    found = []
    for each in messages:
        if each.kind == "D":
            place, values = 2, []
            for _ in range(struct.unpack_from("!H", each.body)[0]):
                length: int = struct.unpack_from("!i", each.body, place)[0]
                place += 4
                values.append(None if length < 0 else each.body[place : place + length].decode())
                place += max(length, 0)
            found.append(values)
    return found
