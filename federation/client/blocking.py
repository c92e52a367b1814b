"""The blocking client: what is behind `federation.connect("http://…")`."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from adapters.errors import Error, InterfaceError, QueryTimeout
from federation.client.address import Address
from federation.client.connections import Connections, Response
from federation.client.exchange import (
    LONGEST_WAIT_SECONDS,
    MOST_PROBLEM_BYTES,
    POLL_SECONDS,
    Answer,
    Exchange,
    check_overview,
    document,
    failure,
    freshness_of,
    is_rows,
    progress_of,
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
        self.connections = Connections(address)
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
        self.connections.close()

    def overview(self) -> Document:
        return self.get("/v1/catalog")

    def tables(self, source: str | None = None, schema: str | None = None) -> Document:
        return self.get("/v1/catalog/tables", source=source, schema=schema)

    def table(self, name: str, schema: str | None = None, source: str | None = None) -> Document:
        return self.get("/v1/catalog/table", name=name, schema=schema, source=source)

    def get(self, path: str, **query: str | None) -> Document:
        given = {key: value for key, value in query.items() if value is not None}
        return document(self.connections.ask("GET", path, given), self.address)


class RemoteStatement:
    """As federation.statement.Statement. The rows are decoded as they come, by the thread that asks for them."""

    def __init__(self, remote: Remote) -> None:
        from federation.client.arrow import ArrowDecoder

        self._remote = remote
        self._exchange = Exchange()
        self._decoder = ArrowDecoder()
        self._response: Response | None = None
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
        exchange = self._exchange
        try:
            body = exchange.body(sql, parameters, timeout, demand)
            exchange.check()
            self._response = response = self._remote.connections.open(
                "POST", "/v1/query", body, exchange.headers, exchange.wait, exchange
            )
            self._read_schema(response)
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
        if self._answered.is_set() and self._response is not None:
            self._response.interrupt()  # which ends the query at the server too
        else:
            self._delete()

    def close(self) -> None:
        if self._response is not None:
            self._response.close()

    def _read_schema(self, response: Response) -> None:
        if not is_rows(response.status, response.headers):
            answer = Answer(response.status, response.headers, response.read(MOST_PROBLEM_BYTES))
            raise self._exchange.failed(failure(answer, self._remote.address))
        while self._decoder.schema is None:
            self._first += self._more()

    def _more(self) -> list[pa.RecordBatch]:
        """Decode what comes next. An answer that ends before its end was said is broken."""
        from federation.client.arrow import BrokenStream

        assert self._response is not None
        try:
            part = self._decoder.part()
            self._response.fill(memoryview(part))
            batches = self._decoder.take(part)
            if self._decoder.ended:
                self._response.finish()
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

    def _delete(self) -> None:
        """Tell the server, which may not have heard of the query yet."""
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            answer = self._remote.connections.ask("DELETE", self._exchange.path)
            if answer.status != 404 or time.monotonic() > until or self._answered.wait(POLL_SECONDS):
                return
