"""The asynchronous client: what is behind `federation.aio.connect("http://…")`."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

import httpx

from adapters.errors import Error, InterfaceError, QueryTimeout
from federation.client import failures
from federation.client.address import Address
from federation.client.exchange import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    IDLE_SECONDS,
    KEEPALIVE,
    LONGEST_WAIT_SECONDS,
    MOST_PROBLEM_BYTES,
    POLL_SECONDS,
    Answer,
    Exchange,
    check_overview,
    common_headers,
    document,
    failure,
    freshness_of,
    is_rows,
    progress_of,
    tls_context,
)
from federation.progress import FragmentProgress, Freshness
from federation.staleness import Demand
from federation.statement import Document, Parameters

if TYPE_CHECKING:
    import pyarrow as pa


async def open_remote(address: Address) -> AsyncRemote:
    """Raises OperationalError when there is no server that answers to who asks."""
    remote = AsyncRemote(address)
    try:
        check_overview(await remote.get("/v1/catalog"), address)
    except BaseException:
        await remote.close()
        raise
    return remote


class AsyncRemote:
    """A server, for one event loop."""

    def __init__(self, address: Address) -> None:
        self.address = address
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=IDLE_SECONDS)
        transport = httpx.AsyncHTTPTransport(
            verify=tls_context(address) or False, limits=limits, socket_options=KEEPALIVE
        )
        self.client = httpx.AsyncClient(
            base_url=address.url,
            headers=common_headers(address),
            timeout=_times(ANSWER_SECONDS),
            follow_redirects=False,  # they would take what proves who asks elsewhere
            transport=transport,
        )

    def statement(self) -> AsyncRemoteStatement:
        return AsyncRemoteStatement(self)

    async def close(self) -> None:
        await self.client.aclose()

    async def get(self, path: str) -> Document:
        with _translated(self.address):
            response = await self.client.get(path)
        return document(Answer(response.status_code, response.headers, response.content), self.address)


class AsyncRemoteStatement:
    """As federation.statement.AsyncStatement. The rows are decoded as they come, by the task that asks for them."""

    def __init__(self, remote: AsyncRemote) -> None:
        from federation.client.arrow import ArrowDecoder

        self._remote = remote
        self._exchange = Exchange()
        self._decoder = ArrowDecoder()
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._first: list[pa.RecordBatch] = []
        self._answered = asyncio.Event()  # or failed

    @property
    def schema(self) -> pa.Schema:
        if self._decoder.schema is None:
            raise InterfaceError("the statement has not started")
        return self._decoder.schema

    @property
    def types(self) -> Sequence[str]:
        return self._decoder.types

    async def start(self, sql: str, parameters: Parameters | None, timeout: float | None, demand: Demand) -> None:
        exchange, client = self._exchange, self._remote.client
        body = exchange.body(sql, parameters, timeout, demand)
        request = client.build_request(
            "POST", "/v1/query", content=body, headers=exchange.headers, timeout=_times(exchange.wait)
        )
        try:
            exchange.check()
            with self._translated():
                self._response = await client.send(request, stream=True)
            await self._read_schema(self._response)
        except BaseException as exc:
            await self.close()
            if isinstance(exc, Error):
                exchange.check()
                exchange.failed(exc)
            raise
        finally:
            self._answered.set()

    async def batches(self) -> AsyncIterator[pa.RecordBatch]:
        for batch in self._first:
            yield batch
        self._first = []
        while not self._decoder.ended:
            for batch in await self._more():
                yield batch

    async def progress(self) -> Sequence[FragmentProgress]:
        return progress_of(await self._remote.get(self._exchange.path))

    async def freshness(self) -> Sequence[Freshness]:
        return freshness_of(await self._remote.get(self._exchange.path))

    async def cancel(self) -> None:
        """Tell the server, which may not have heard of the query yet; it breaks the answer off."""
        if self._decoder.ended:
            return
        self._exchange.cancelled = True
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            with _translated(self._remote.address):
                response = await self._remote.client.delete(self._exchange.path)
            if response.status_code != 404 or time.monotonic() > until or self._answered.is_set():
                return
            await asyncio.sleep(POLL_SECONDS)

    async def close(self) -> None:
        """Closing the connection ends the query at the server too."""
        if self._response is not None:
            with contextlib.suppress(httpx.HTTPError):
                await self._response.aclose()

    async def _read_schema(self, response: httpx.Response) -> None:
        if not is_rows(response.status_code, response.headers):
            with self._translated():
                answer = Answer(response.status_code, response.headers, await _beginning(response))
            raise self._exchange.failed(failure(answer, self._remote.address))
        self._pieces = response.aiter_bytes()
        while self._decoder.schema is None:
            self._first += await self._more()

    async def _more(self) -> list[pa.RecordBatch]:
        """Decode what comes next. An answer that ends before its end was said is broken."""
        from federation.client.arrow import BrokenStream

        assert self._pieces is not None
        try:
            with self._translated():
                piece = await anext(self._pieces, None)
            if piece is None:
                raise BrokenStream("the end is missing")
            batches = self._decoder.feed(piece)
            if self._decoder.ended:  # all that is left is the end of the HTTP message, which frees the connection
                with self._translated():
                    async for _ in self._pieces:
                        """No Arrow reader looks behind the end."""
            return batches
        except QueryTimeout:
            await self.close()
            raise
        except (Error, BrokenStream) as exc:
            raise await self._broken() from exc

    async def _broken(self) -> Error:
        """What the server says of it, when it can be asked."""
        await self.close()
        info = None
        if not self._exchange.cancelled:
            with contextlib.suppress(Error):
                info = await self._ended_info()
        return self._exchange.broken(info)

    async def _ended_info(self) -> Document:
        until = time.monotonic() + LONGEST_WAIT_SECONDS
        while True:
            info = await self._remote.get(self._exchange.path)
            if info.get("ended") is not None or time.monotonic() > until:
                return info
            await asyncio.sleep(POLL_SECONDS)

    def _translated(self) -> contextlib.AbstractContextManager[None]:
        return _translated(self._remote.address, self._exchange)


async def _beginning(response: httpx.Response) -> bytes:
    """Enough of an answer to hold a problem document."""
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MOST_PROBLEM_BYTES:
            break
    return body


def _times(wait: float | None) -> httpx.Timeout:
    return httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=wait, pool=None)


@contextlib.contextmanager
def _translated(address: Address, exchange: Exchange | None = None) -> Iterator[None]:
    """httpx's exceptions as ours."""
    try:
        yield
    except httpx.ReadTimeout as exc:
        raise ((exchange and exchange.late()) or failures.unanswered(address)) from exc
    except httpx.ConnectError as exc:
        raise (failures.untrusted if _is_about_certificates(exc) else failures.absent)(address, exc) from exc
    except httpx.TimeoutException as exc:
        raise failures.unreached(address) from exc
    except (httpx.HTTPError, httpx.StreamError) as exc:
        raise failures.broke(address, exc, no_http=isinstance(exc, httpx.RemoteProtocolError)) from exc
    except RuntimeError as exc:  # httpx's for a client that is closed
        raise failures.closed() from exc
    except httpx.InvalidURL as exc:
        raise failures.no_address(address, exc) from exc


def _is_about_certificates(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
