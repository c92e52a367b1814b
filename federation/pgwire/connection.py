"""One client's socket: whole messages in, collected messages out.

Sending blocks as long as the client does not read: nothing is queued for it beyond the buffers of the socket. What is
small is collected, so that the answer to a short query is one packet.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias, TypeVar

import pyarrow as pa

from federation.pgwire.messages import ProtocolViolation

T = TypeVar("T")
Buffer: TypeAlias = bytes | memoryview | pa.Buffer

STARTUP_BYTES = 10_000  # PostgreSQL's limit
MESSAGE_BYTES = 64 << 20  # of a client that is authenticated
READ_BYTES = 8192  # memory of an idle connection, too
LARGE_READ_BYTES = 1 << 18
COLLECTED_BYTES = 1 << 13  # as PostgreSQL does
LINGER_SECONDS = 1.0
_HEADER = struct.Struct("!BI")
_LENGTH = struct.Struct("!I")


class Gone(Exception):
    """The client went away, or took too long: nobody is left who could be told."""


class Connection:
    """For the thread of the connection alone, but for `stop_reading` and `abort`."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._in = bytearray()
        self._out: list[Buffer] = []
        self._out_bytes = 0
        self._deadline: float | None = None
        self.peer: str
        self.peer_port: int
        self.peer, self.peer_port = connected.getpeername()[:2]
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    @property
    def encrypted(self) -> bool:
        return isinstance(self._socket, ssl.SSLSocket)

    def fileno(self) -> int:
        return self._socket.fileno()

    def set_deadline(self, seconds: float | None) -> None:
        """Whatever is read and sent must be done in that time from now on; None waits for good."""
        self._deadline = time.monotonic() + seconds if seconds is not None else None
        if seconds is None:
            self._socket.settimeout(None)

    # --- before there are messages ----------------------------------------------------------------------------------

    def first_byte(self) -> int:
        """The first byte of the connection, which stays to be read."""
        found: int = self._some(lambda: self._socket.recv(1, socket.MSG_PEEK))[0]
        return found

    def encrypt(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """The TLS handshake. Nothing was read ahead, so that nothing in clear text passes for encrypted."""

        def wrap() -> ssl.SSLSocket:
            return context.wrap_socket(self._socket, server_side=True, suppress_ragged_eofs=False)

        self._socket = made = self._blocking(wrap)
        return made

    def read_startup(self) -> bytes:
        """A startup packet without its length: its code is in the first four bytes."""
        length: int = _LENGTH.unpack(self._exactly(4))[0]
        if not 8 <= length <= STARTUP_BYTES:
            raise ProtocolViolation("invalid length of startup packet")
        return self._exactly(length - 4)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self._some(lambda: self._socket.recv(count - len(data)))  # noqa: B023 -- called at once
        return data

    # --- messages ---------------------------------------------------------------------------------------------------

    def read(self, kinds: bytes, most: int) -> tuple[int, bytes]:
        """The next message: its kind, one of those, and its body, of at most so many bytes."""
        self._fill(5)
        kind, length = _HEADER.unpack_from(self._in)
        if kind not in kinds:
            raise ProtocolViolation(f"invalid frontend message type {kind}")
        if not 4 <= length <= most:
            raise ProtocolViolation("invalid message length")
        self._fill(length + 1)
        body = bytes(memoryview(self._in)[5 : length + 1])
        del self._in[: length + 1]
        return kind, body

    def wait(self, seconds: float | None, wake: int | None = None) -> bool:
        """Whether there is something to read within that time, None being all, and before `wake` can be read."""
        if self._in or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if wake is not None:
            poll.register(wake, select.POLLIN)
        found = poll.poll(seconds * 1000 if seconds is not None else None)
        return any(descriptor != wake for descriptor, _ in found)

    def _fill(self, count: int) -> None:
        while (missing := count - len(self._in)) > 0:
            size = READ_BYTES if missing <= READ_BYTES else LARGE_READ_BYTES
            self._in += self._some(lambda: self._socket.recv(size))  # noqa: B023 -- called at once

    def send(self, data: Buffer) -> None:
        """Collect it; large collections leave at once."""
        self._out.append(data)
        self._out_bytes += len(data)
        if self._out_bytes >= COLLECTED_BYTES:
            self.flush()

    def flush(self) -> None:
        out, self._out, self._out_bytes = self._out, [], 0
        if out:
            data = out[0] if len(out) == 1 else b"".join(out)
            self._blocking(lambda: self._socket.sendall(data))

    # --- end --------------------------------------------------------------------------------------------------------

    def stop_reading(self) -> None:
        """From any thread: what has arrived can still be read, then the client counts as gone."""
        self._shutdown(socket.SHUT_RD)

    def abort(self) -> None:
        """From any thread: neither reading nor sending goes on."""
        self._shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Tell the client that this was all: TLS has a message of its own for it."""
        with suppress(OSError, ValueError):
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.settimeout(0)  # sends, and does not wait for the answer
                self._socket.unwrap()
        self._linger()
        self._socket.close()

    def _linger(self) -> None:
        """A socket that is closed with input unread takes back what was sent last."""
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
            self._socket.settimeout(LINGER_SECONDS)
            until = time.monotonic() + LINGER_SECONDS
            while time.monotonic() < until and socket.socket.recv(self._socket, READ_BYTES):
                pass

    def _shutdown(self, how: int) -> None:
        with suppress(OSError):
            socket.socket.shutdown(self._socket, how)  # an SSLSocket's own would forget the encryption

    # --- blocking calls ---------------------------------------------------------------------------------------------

    def _some(self, receive: Callable[[], bytes]) -> bytes:
        data = self._blocking(receive)
        if not data:
            raise Gone("the client closed the connection")
        return data

    def _blocking(self, call: Callable[[], T]) -> T:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise Gone("the client took too long")
            self._socket.settimeout(left)
        try:
            return call()
        except (OSError, ValueError) as exc:
            raise Gone(str(exc)) from exc
