"""A client that throws the bytes away: libpq logs in, the rest is a socket."""

from __future__ import annotations

import os
import socket
import time

from psycopg import pq

from tests.pgwire.raw import SYNC, bind, describe, execute, parse, query

BLOCK = 1 << 20
READY = b"Z\0\0\0\5I"
KIND = 1
PAUSE = 0.05  # seconds
HEADER = 5


class Wire:
    """One connection, logged in. Raises AssertionError for an answer that is not whole."""

    def __init__(self, uri: str) -> None:
        self._login = pq.PGconn.connect(uri.encode())
        if self._login.status != pq.ConnStatus.OK:
            raise AssertionError(self._login.get_error_message())
        self._socket = socket.socket(fileno=os.dup(self._login.socket))
        self._socket.setblocking(True)
        self._block = bytearray(BLOCK)

    def close(self) -> None:
        self._login.finish()
        self._socket.close()

    def ask(self, sql: str, *, binary: bool | None = None) -> None:
        """A simple query, or an extended one with its rows in that format."""
        if binary is None:
            self._socket.sendall(query(sql))
        else:
            self._socket.sendall(b"".join((parse(sql), bind(results=[int(binary)]), describe("P"), execute(), SYNC)))

    def _receive(self) -> int:
        """The next bytes, into the block; how many."""
        size = self._socket.recv_into(self._block)
        if not size:
            raise AssertionError("the server has closed the connection")
        return size

    def discard(self, tag: str, slow: float = 0.0, seen: bytes = b"") -> None:
        """All that is answered, whose end must say so. The first `slow` seconds are spent on pauses; `seen` are bytes
        of it that were received before."""
        until = time.monotonic() + slow
        end = tag.encode() + b"\0" + READY
        tail = seen[-len(end) :]
        while not tail.endswith(READY):
            size = self._receive()
            tail = (tail + self._block[max(0, size - len(end)) : size])[-len(end) :]
            if slow and time.monotonic() < until:
                time.sleep(PAUSE)
        if tail != end:
            raise AssertionError(f"an answer ended with {tail!r}")

    def exchange(self, request: bytes) -> bytes:
        """All that is answered to messages that end with a Query or a Sync."""
        self._socket.sendall(request)
        found = bytearray()
        while found[-len(READY) : -1] != READY[:-1]:
            found += self._block[: self._receive()]
        return bytes(found)

    def first_row(self, sql: str, tag: str) -> float:
        """Seconds until the first row has come; the others are discarded."""
        started = time.perf_counter()
        self.ask(sql)
        found = b""
        while True:
            found += self._block[: self._receive()]
            seconds = time.perf_counter() - started
            at = 0
            while at + HEADER <= len(found):
                if found[at : at + KIND] == b"D":
                    self.discard(tag, seen=found)
                    return seconds
                at += KIND + int.from_bytes(found[at + KIND : at + HEADER], "big")
