"""The answer to one query: its chunks are made in a thread and sent from the event loop.

The next chunk is asked for when the socket has taken the one before, so a slow reader holds the query back, down to its
sources. A reader that goes away, or fails to read for good, ends it there.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Iterator
from typing import Any

from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from adapters.errors import Error, QueryCancelled
from federation.http.chunks import Chunk, encode
from federation.http.compression import make_coding
from federation.http.disconnect import watch
from federation.http.engines import Engines
from federation.http.formats import About, Format
from federation.http.problems import QUERY_ID, HttpProblem
from federation.http.queries import Queries
from federation.http.run import Run
from federation.http.workers import Workers

log = logging.getLogger(__name__)


class Streams:
    """Turns admitted queries into responses."""

    def __init__(self, engines: Engines, workers: Workers, queries: Queries) -> None:
        self._engines = engines
        self._workers = workers
        self._queries = queries

    async def answer(self, request: Request, run: Run, form: Format, coding: str) -> Response:
        """Raises what fails before there is a first chunk."""
        request.state.query_id = run.id
        if request.scope["http_version"] == "1.0":
            raise HttpProblem(505, "HTTP/1.0 cannot tell a broken answer from a whole one", hint="use HTTP/1.1")
        await self._queries.admit(run)
        stream = _Stream(self, run, _drive(run, self._engines, form, coding), request.receive)
        try:
            first = await self._workers.run(_pull, stream.chunks)
        except BaseException as exc:
            stream.close(exc)
            raise
        headers = {QUERY_ID: run.id, "Vary": "Accept, Accept-Encoding", "Content-Type": form.content_type}
        if coding != "identity":
            headers["Content-Encoding"] = coding
        if first.last:
            stream.close(None)
            return Response(first.data, headers=headers)
        return _StreamedResponse(stream, first, headers)

    def release(self, run: Run, error: BaseException | None) -> None:
        """After the last chunk, or instead of it. The place of the query is free when its sources are."""
        if run.ended is not None:
            self._queries.release(run)
            return
        cause = error if isinstance(error, Exception) else QueryCancelled("the connection ended")
        ending = asyncio.ensure_future(self._workers.control(run.end, cause))
        ending.add_done_callback(lambda _: self._queries.release(run))

    async def next(self, chunks: Iterator[Chunk]) -> Chunk:
        return await self._workers.run(_pull, chunks)

    def cancel(self, run: Run, reason: str) -> None:
        self._workers.soon(functools.partial(run.cancel, reason))


class _Stream:
    """The chunks of one run, watched for a client that goes away."""

    def __init__(self, streams: Streams, run: Run, chunks: Iterator[Chunk], receive: Receive) -> None:
        self.run = run
        self.chunks = chunks
        self._streams = streams
        self._stop_watching = watch(receive, lambda: streams.cancel(run, "the client went away"))
        self._closed = False

    async def next(self) -> Chunk:
        return await self._streams.next(self.chunks)

    def close(self, error: BaseException | None) -> None:
        if not self._closed:
            self._closed = True
            self._stop_watching()
            self._streams.release(self.run, error)


class _StreamedResponse(Response):
    """Sends chunk by chunk. After a failure it ends without the last one, and the server breaks the connection."""

    def __init__(self, stream: _Stream, first: Chunk, headers: dict[str, str]) -> None:
        self._stream = stream
        self._first = first
        self.status_code = 200
        self.background = None
        self.body = b""
        self.init_headers(headers)

    def init_headers(self, headers: Any = None) -> None:
        """Without the Content-Length that a body in one piece would have."""
        self.raw_headers = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI
        run = self._stream.run
        failure: BaseException | None = QueryCancelled("the connection ended")
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            chunk = self._first
            while True:
                await send({"type": "http.response.body", "body": chunk.data, "more_body": not chunk.last})
                if chunk.last:
                    failure = None
                    return
                chunk = await self._stream.next()
        except Error as exc:
            failure = exc
            log.info("query %s failed after its first rows: %s", run.id, exc.sqlstate)
        except Exception as exc:
            failure = exc
            log.error("query %s failed after its first rows", run.id, exc_info=exc)
        finally:
            self._stream.close(failure)


def _drive(run: Run, engines: Engines, form: Format, coding: str) -> Iterator[Chunk]:
    """The whole life of a query, as chunks."""
    try:
        result = run.start(engines)
        about = About(run.id, result.types, run.stats)
        yield from encode(result.schema, run.batches(result), form, make_coding(coding), about)
    except Exception as exc:
        run.end(exc)
        raise
    run.end()


def _pull(chunks: Iterator[Chunk]) -> Chunk:
    """The next chunk; after the last one the query has ended."""
    chunk = next(chunks)
    if chunk.last:
        for _ in chunks:
            raise AssertionError("the last chunk is the last")
    return chunk
