"""What the parent of a server's processes and each of these tell each other, over a pair of sockets of their own.

A message is a kind, a few bytes, and at most one descriptor: a connection of a client, which the parent has accepted,
or one end of a connection between two processes.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from enum import IntEnum

MESSAGE_BYTES = 1 << 16
_LOAD = struct.Struct("!IIQ")


class Kind(IntEnum):
    """The first five are for a process, the others for the parent."""

    HTTP = 1  # a client's connection
    POSTGRES = 2  # another
    SIBLING = 3  # a connection over which a sibling asks
    RELOAD = 4  # the catalog
    DIED = 5  # a sibling: its statements are to be taken over; with its serial
    READY = 6
    FAILED = 7  # to start; with the pickled error
    LOAD = 8  # see Load
    ASK = 9  # a connection to hand on to a sibling; with its number


@dataclass(frozen=True, slots=True)
class Load:
    """How many clients a process has, and how many it was handed in all its life."""

    http: int = 0
    postgres: int = 0
    taken: int = 0

    def to_bytes(self) -> bytes:
        return _LOAD.pack(self.http, self.postgres, self.taken)

    @classmethod
    def from_bytes(cls, data: bytes) -> Load:
        return cls(*_LOAD.unpack(data))


@dataclass(frozen=True, slots=True)
class Message:
    kind: Kind
    data: bytes = b""
    connection: socket.socket | None = None  # for whoever receives it to close


def pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, kind: Kind, data: bytes = b"", connection: socket.socket | None = None) -> None:
    """The connection stays open here. Raises OSError when there is nobody at the other end, BlockingIOError when that
    takes nothing at the moment and the channel does not block."""
    socket.send_fds(channel, [bytes([kind]) + data], [connection.fileno()] if connection is not None else [])


def receive(channel: socket.socket) -> Message | None:
    """The next message; None at the end. Raises OSError."""
    data, descriptors, _, _ = socket.recv_fds(channel, MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
    if not data:
        return None
    connection = socket.socket(fileno=descriptors[0]) if descriptors else None
    return Message(Kind(data[0]), data[1:], connection)


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def encoded(value: int) -> bytes:
    return value.to_bytes(8, "big")
