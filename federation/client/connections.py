"""Connections to one server, by Python's own http.client: rows go from the socket to where they stay.

httpx hands a body on in pieces of 64 KiB, each of which was copied several times.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from federation.client import failures
from federation.client.address import Address
from federation.client.exchange import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    IDLE_SECONDS,
    KEEPALIVE,
    Answer,
    Exchange,
    common_headers,
    tls_context,
)

MOST_IDLE = 20
PATH = "/%:@!$&'()*+,;=~"  # what a path may hold as it is


class Connections:
    """Any number at once; one that is idle is used again for a moment. Every method may be called from any thread."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._tls = tls_context(address)
        self._headers = common_headers(address)
        self._path = quote(urlsplit(address.url).path, safe=PATH)
        self._idle: list[tuple[float, _Connection]] = []
        self._closed = False
        self._lock = threading.Lock()

    def ask(self, method: str, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """A request without a body, and the whole answer to it."""
        response = self.open(method, f"{path}?{urlencode(query)}" if query else path, None, {}, ANSWER_SECONDS)
        try:
            return Answer(response.status, response.headers, response.read())
        finally:
            response.close()

    def open(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        wait: float | None,
        exchange: Exchange | None = None,
    ) -> Response:
        """An answer to be read and closed; `wait` is how many seconds its next bytes may take."""
        connection = self._take()
        try:
            with translated(self._address):
                connection.send(method, self._path + path, body, {**self._headers, **headers})
            with translated(self._address, exchange):
                raw = connection.answer(wait)
        except BaseException:
            connection.close()
            raise
        return Response(connection, raw, lambda: translated(self._address, exchange), self._give_back)

    def close(self) -> None:
        """What is being read goes on; nothing new is asked."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def _take(self) -> _Connection:
        with self._lock:
            if self._closed:
                raise failures.closed()
            while self._idle:
                since, connection = self._idle.pop()
                if time.monotonic() - since < IDLE_SECONDS and connection.is_open():
                    return connection
                connection.close()
        return _connected(self._address, self._tls)

    def _give_back(self, connection: _Connection) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < MOST_IDLE:
                self._idle.append((time.monotonic(), connection))
                return
        connection.close()


class Response:
    """An answer that is being read by one thread. `interrupt` may come from any."""

    def __init__(
        self,
        connection: _Connection,
        raw: http.client.HTTPResponse,
        translated: Callable[[], contextlib.AbstractContextManager[None]],
        give_back: Callable[[_Connection], None],
    ) -> None:
        self.status = raw.status
        self.headers: Mapping[str, str] = cast(Any, raw.headers)  # which finds a name in any case, as httpx's do
        self._connection = connection
        self._raw = raw
        self._translated = translated
        self._give_back = give_back
        self._closed = False
        self._lock = threading.Lock()

    def fill(self, part: memoryview) -> None:
        """The next bytes of the body, as many as there is room for. Raises ServerUnavailable if there are fewer."""
        at = 0
        with self._translated():
            while at < len(part):
                count = self._raw.readinto(part[at:])
                if not count:
                    raise http.client.IncompleteRead(b"", len(part) - at)
                at += count

    def read(self, most: int | None = None) -> bytes:
        """The body, or the beginning of it."""
        with self._translated():
            return self._raw.read(most)

    def finish(self) -> None:
        """Read what is left, which frees the connection for another request."""
        block = bytearray(1 << 16)
        with self._translated():
            while self._raw.readinto(block):
                """Nobody wants it."""
            if self._raw.length:
                raise http.client.IncompleteRead(b"", self._raw.length)
        self.close()

    def interrupt(self) -> None:
        """End the connection, which wakes whoever reads."""
        with self._lock:
            if not self._closed:  # or it might be another answer's by now
                self._connection.interrupt()

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        whole = self._raw.isclosed() and not self._raw.length
        if whole and not self._raw.will_close:
            self._give_back(self._connection)
        else:
            self._raw.close()
            self._connection.close()


class _Connection:
    """A socket with HTTP on it. http.client forgets the socket when it expects no other answer."""

    def __init__(self, http_: http.client.HTTPConnection) -> None:
        self._http = http_
        self._socket: socket.socket = http_.sock

    def send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        self._socket.settimeout(ANSWER_SECONDS)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # a server need not read what it refuses
            self._http.request(method, target, body, dict(headers))

    def answer(self, wait: float | None) -> http.client.HTTPResponse:
        self._socket.settimeout(wait)
        return self._http.getresponse()

    def is_open(self) -> bool:
        """Whether the server has not ended it meanwhile."""
        try:
            self._socket.settimeout(0)
            socket.socket.recv(self._socket, 1, socket.MSG_PEEK)  # not through TLS: nothing should be there at all
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def interrupt(self) -> None:
        with contextlib.suppress(OSError):
            # Not through TLS: its own method would take the session from under the thread that reads.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        self._http.close()


def _connected(address: Address, tls: ssl.SSLContext | None) -> _Connection:
    where = urlsplit(address.url)
    host, port = where.hostname or "", where.port
    try:
        made = (
            http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
            if tls is None
            else http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=tls)
        )
    except http.client.InvalidURL as exc:
        raise failures.no_address(address, exc) from exc
    try:
        made.connect()
        for option in KEEPALIVE:
            made.sock.setsockopt(*option)
    except ssl.SSLError as exc:
        made.close()
        raise failures.untrusted(address, exc) from exc
    except TimeoutError as exc:
        made.close()
        raise failures.unreached(address) from exc
    except OSError as exc:
        made.close()
        raise failures.absent(address, exc) from exc
    except UnicodeError as exc:
        raise failures.no_address(address, exc) from exc
    return _Connection(made)


@contextlib.contextmanager
def translated(address: Address, exchange: Exchange | None = None) -> Iterator[None]:
    """What http.client and sockets raise as ours."""
    try:
        yield
    except TimeoutError as exc:
        raise ((exchange and exchange.late()) or failures.unanswered(address)) from exc
    except (OSError, http.client.HTTPException) as exc:
        raise failures.broke(address, exc, no_http=isinstance(exc, http.client.BadStatusLine)) from exc
    except ValueError as exc:  # the file of a socket that another thread has closed
        raise failures.closed() from exc
