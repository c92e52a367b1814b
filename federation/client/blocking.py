"""The blocking client: what is behind `federation.connect("http://…")`."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import httpx

from adapters.errors import Error, InterfaceError, QueryTimeout
from federation.client.address import Address
from federation.client.exchange import (
    LONGEST_WAIT_SECONDS,
    MOST_PROBLEM_BYTES,
    POLL_SECONDS,
    Exchange,
    check_overview,
    client_options,
    document,
    failure,
    freshness_of,
    is_rows,
    progress_of,
    translated,
    transport_options,
)
from federation.progress import FragmentProgress, Freshness
from federation.staleness import Demand
from federation.statement import Document, Parameters

if TYPE_CHECKING:
    import pyarrow as pa


class Remote:
    """A server. Its first answer is asked for at once: a wrong address or token should not wait for a statement."""

    def __init__(self, address: Address) -> None:
        self.address = address
        transport = httpx.HTTPTransport(**transport_options(address))
        self.client = httpx.Client(**client_options(address), transport=transport)
        try:
            check_overview(self.overview(), address)
        except BaseException:
            self.close()
            raise

    @property
    def catalog(self) -> Remote:
        return self

    def statement(self) -> RemoteStatement:
        return RemoteStatement(self)

    def close(self) -> None:
        self.client.close()

    def overview(self) -> Document:
        return self.get("/v1/catalog")

    def tables(self, source: str | None = None, schema: str | None = None) -> Document:
        return self.get("/v1/catalog/tables", source=source, schema=schema)

    def table(self, name: str, schema: str | None = None, source: str | None = None) -> Document:
        return self.get("/v1/catalog/table", name=name, schema=schema, source=source)

    def get(self, path: str, **query: str | None) -> Document:
        given = {key: value for key, value in query.items() if value is not None}
        with translated(self.address):
            response = self.client.get(path, params=given)
        return document(response, self.address)


class RemoteStatement:
    """As federation.statement.Statement. The rows are decoded as they come, by the thread that asks for them."""

    def __init__(self, remote: Remote) -> None:
        from federation.client.arrow import ArrowDecoder

        self._remote = remote
        self._exchange = Exchange()
        self._decoder = ArrowDecoder()
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._first: list[pa.RecordBatch] = []
        self._answered = threading.Event()  # or failed

    @property
    def schema(self) -> pa.Schema:
        if self._decoder.schema is None:
            raise InterfaceError("the statement has not started")
        return self._decoder.schema

    @property
    def types(self) -> Sequence[str]:
        return self._decoder.types

    def start(self, sql: str, parameters: Parameters | None, timeout: float | None, demand: Demand) -> None:
        request = self._remote.client.build_request(**self._exchange.request(sql, parameters, timeout, demand))
        try:
            self._exchange.check()
            with self._translated():
                self._response = self._remote.client.send(request, stream=True)
            self._read_schema(self._response)
        except BaseException as exc:
            self.close()
            if isinstance(exc, Error):
                self._exchange.check()
                self._exchange.failed(exc)
            raise
        finally:
            self._answered.set()

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self._first
        self._first = []
        while not self._decoder.ended:
            yield from self._more()

    def progress(self) -> Sequence[FragmentProgress]:
        return progress_of(self._remote.get(self._exchange.path))

    def freshness(self) -> Sequence[Freshness]:
        return freshness_of(self._remote.get(self._exchange.path))

    def cancel(self) -> None:
        if self._decoder.ended:
            return
        self._exchange.cancelled = True
        if not (self._answered.is_set() and self._interrupt()):
            self._delete()

    def close(self) -> None:
        if self._response is not None:
            with contextlib.suppress(httpx.HTTPError):
                self._response.close()

    def _read_schema(self, response: httpx.Response) -> None:
        if not is_rows(response):
            with self._translated():
                body = _beginning(response)
            raise self._exchange.failed(failure(response, body, self._remote.address))
        self._pieces = response.iter_bytes()
        while self._decoder.schema is None:
            self._first += self._more()

    def _more(self) -> list[pa.RecordBatch]:
        """Decode what comes next. An answer that ends before its end was said is broken."""
        from federation.client.arrow import BrokenStream

        try:
            with self._translated():
                piece = next(self._pieces, None)
            if piece is None:
                raise BrokenStream("the end is missing")
            batches = self._decoder.feed(piece)
            if self._decoder.ended:  # all that is left is the end of the HTTP message, which frees the connection
                with self._translated():
                    deque(self._pieces, maxlen=0)
            return batches
        except QueryTimeout:
            self.close()
            raise
        except (Error, BrokenStream) as exc:
            raise self._broken() from exc

    def _broken(self) -> Error:
        """What the server says of it, when it can be asked."""
        self.close()
        info = None
        if not self._exchange.cancelled:
            with contextlib.suppress(Error):
                info = self._ended_info()
        return self._exchange.broken(info)

    def _ended_info(self) -> Document:
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            info = self._remote.get(self._exchange.path)
            if info.get("ended") is not None or time.monotonic() > until:
                return info
            time.sleep(POLL_SECONDS)

    def _interrupt(self) -> bool:
        """Wake the reader by ending the connection, which also ends the query at the server."""
        stream: Any = self._response.extensions.get("network_stream") if self._response is not None else None
        connected = stream.get_extra_info("socket") if stream is not None else None
        if not isinstance(connected, socket.socket):
            return False
        with contextlib.suppress(OSError):
            # Not through TLS: its own method would take the session from under the thread that reads.
            socket.socket.shutdown(connected, socket.SHUT_RDWR)
        return True

    def _delete(self) -> None:
        """Tell the server, which may not have heard of the query yet."""
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            with translated(self._remote.address):
                response = self._remote.client.delete(self._exchange.path)
            if response.status_code != 404 or time.monotonic() > until or self._answered.wait(POLL_SECONDS):
                return

    def _translated(self) -> contextlib.AbstractContextManager[None]:
        return translated(self._remote.address, self._exchange)


def _beginning(response: httpx.Response) -> bytes:
    """Enough of an answer to hold a problem document."""
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if len(body) > MOST_PROBLEM_BYTES:
            break
    return body
