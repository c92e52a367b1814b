"""An answer that streams: its chunks are made in a thread and sent from the event loop.

A few are made while those before are sent, and others when the socket has taken those. So a slow reader holds the query
back, down to its sources. A reader that goes away ends it there.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping

from fastapi import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from adapters.errors import Error, QueryCancelled
from federation.http.chunks import Chunk, encode
from federation.http.compression import make_coding
from federation.http.disconnect import watch
from federation.http.engines import Engines
from federation.http.formats import About, Format
from federation.http.problems import FRESHNESS, QUERY_ID, HttpProblem
from federation.http.protocol import write_part
from federation.http.queries import Queries
from federation.http.run import Run
from federation.http.workers import Workers

log = logging.getLogger(__name__)

AHEAD = 3  # chunks that may wait to be sent
LONGEST_STEP = 0.02  # seconds that a thread makes chunks of one answer while other queries wait for it


class Stream:
    """Chunks on their way to a client. `on_gone` is called when it goes away, `on_close` at the end in any case."""

    def __init__(
        self,
        chunks: Iterator[Chunk],
        workers: Workers,
        receive: Receive,
        on_gone: Callable[[], object] = lambda: None,
        on_close: Callable[[BaseException | None], object] = lambda _: None,
    ) -> None:
        self.gone = False
        self._chunks = chunks
        self._workers = workers
        self._on_gone = on_gone
        self._on_close = on_close
        self._stop_watching = watch(receive, self._went)
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._made: deque[Chunk] = deque()  # by a thread, for the event loop
        self._step: asyncio.Task[bool] | None = None  # in which they are made
        self._ended = False  # no step comes after this one
        self._failure: BaseException | None = None
        self._news = asyncio.Event()

    async def first(self) -> Chunk:
        """The first chunk. Most answers have no other, so that it is made without a task."""
        chunk = await self._workers.run(_pull, self._chunks)
        self._ended = chunk.last
        return chunk

    async def next(self) -> Chunk:
        """All that was made meanwhile, as one chunk; then raises what failed."""
        while not self._made:
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            await self._news.wait()
        chunks = [self._made.popleft() for _ in range(len(self._made))]
        self.go_on()
        return Chunk([buffer for chunk in chunks for buffer in chunk.buffers], chunks[-1].last)

    def go_on(self) -> None:
        """Let chunks be made meanwhile, if some are missing."""
        if self._step is None and not self._ended and not self._closed and len(self._made) < AHEAD:
            self._step = asyncio.create_task(self._workers.run(self._make))
            self._step.add_done_callback(self._stepped)

    def _make(self) -> bool:
        """Make chunks until enough are waiting; whether the last is among them. Belongs to a thread."""
        until = time.monotonic() + LONGEST_STEP
        while True:
            chunk = _pull(self._chunks)
            self._made.append(chunk)
            if chunk.last or len(self._made) >= AHEAD or time.monotonic() > until:
                return chunk.last
            self._loop.call_soon_threadsafe(self._news.set)

    def _stepped(self, step: asyncio.Task[bool]) -> None:
        self._step = None
        self._failure = asyncio.CancelledError() if step.cancelled() else step.exception()
        self._ended = self._failure is not None or step.result()
        self.go_on()
        self._news.set()

    def close(self, error: BaseException | None) -> None:
        if not self._closed:
            self._closed = True
            self._stop_watching()
            self._on_close(error)

    def _went(self) -> None:
        self.gone = True
        self._on_gone()


async def respond(stream: Stream, form: Format, coding: str, headers: Callable[[], Mapping[str, str]]) -> Response:
    """The response, once there is a first chunk; `headers` is asked then. Raises what fails before that."""
    try:
        first = await stream.first()
    except BaseException as exc:
        stream.close(exc)
        raise
    all_headers = {**headers(), "Vary": "Accept, Accept-Encoding", "Content-Type": form.content_type}
    if coding != "identity":
        all_headers["Content-Encoding"] = coding
    if first.last:
        stream.close(None)
        return Response(b"".join(first.buffers), headers=all_headers)
    return _StreamedResponse(stream, first, all_headers)


def refuse_http_1_0(request: Request) -> None:
    """Raises HttpProblem where the end of the connection is the end of the answer, whatever ended it."""
    if request.scope["http_version"] == "1.0":
        raise HttpProblem(505, "HTTP/1.0 cannot tell a broken answer from a whole one", hint="use HTTP/1.1")


class Answers:
    """Turns queries into responses."""

    def __init__(self, engines: Engines, workers: Workers, queries: Queries) -> None:
        self._engines = engines
        self._workers = workers
        self._queries = queries

    async def answer(self, request: Request, run: Run, form: Format, coding: str) -> Response:
        """Raises what fails before there is a first chunk."""
        request.state.query_id = run.id
        refuse_http_1_0(request)
        await self._queries.admit(run)
        stream = Stream(
            _drive(run, self._engines, form, coding),
            self._workers,
            request.receive,
            on_gone=lambda: self._workers.soon(functools.partial(run.cancel, "the client went away")),
            on_close=functools.partial(self._release, run),
        )
        return await respond(stream, form, coding, lambda: _headers(run))

    def _release(self, run: Run, error: BaseException | None) -> None:
        """After the last chunk, or instead of it. The place of the query is free when its sources are."""
        if run.ended is not None:
            self._queries.release(run)
            return
        cause = error if isinstance(error, Exception) else QueryCancelled("the connection ended")
        ending = asyncio.ensure_future(self._workers.control(run.end, cause))
        ending.add_done_callback(lambda _: self._queries.release(run))


class _StreamedResponse(Response):
    """Sends chunk by chunk. After a failure it ends without the last one, and the server breaks the connection."""

    def __init__(self, stream: Stream, first: Chunk, headers: Mapping[str, str]) -> None:
        super().__init__(headers=dict(headers))
        del self.headers["content-length"]
        self._stream = stream
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- ASGI
        failure: BaseException | None = QueryCancelled("the connection ended")
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            self._stream.go_on()
            chunk = self._first
            while not self._stream.gone:
                if any(chunk.buffers):
                    write_part(scope, chunk.buffers)
                await send({"type": "http.response.body", "body": b"", "more_body": not chunk.last})
                if chunk.last:
                    failure = None
                    return
                chunk = await self._stream.next()
        except Error as exc:
            failure = exc
            log.info("%s broke off: %s", scope["path"], exc.sqlstate)
        except Exception as exc:
            failure = exc
            log.error("%s broke off", scope["path"], exc_info=exc)
        finally:
            self._stream.close(failure)


def _headers(run: Run) -> dict[str, str]:
    """How old the rows are, as far as it is known when the first of them are sent."""
    found = run.freshness()
    return {QUERY_ID: run.id, **({FRESHNESS: json.dumps(found)} if found else {})}


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
