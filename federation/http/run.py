"""One query of a caller: its state, its rows, its cancel. What the registry lists and the endpoints drive."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from adapters.base import CancelToken
from adapters.errors import QueryCancelled, QueryTimeout
from federation.engine import Engine
from federation.http.engines import Engines
from federation.http.problems import problem
from federation.progress import FragmentProgress, Freshness
from federation.result import Result

StartQuery: TypeAlias = Callable[[Engine, CancelToken], Result]
State = Literal["queued", "running", "finished", "failed", "cancelled"]
ID = r"^[0-9A-Za-z_-]{8,64}$"
SHOWN_CHARACTERS = 10_000  # of a statement, once it is only to be looked at


class Run:
    """`query` starts it, `sql` is what is shown of it.

    `start` and `batches` block and belong to one thread at a time; everything else may be called from any.
    """

    def __init__(
        self,
        sql: str,
        user: str | None,
        query: StartQuery,
        *,
        query_id: str | None = None,
        max_rows: int | None = None,
        cancel: CancelToken | None = None,
    ) -> None:
        self.id = query_id or secrets.token_hex(16)
        self.user = user
        self.sql = sql[:SHOWN_CHARACTERS]
        self.state: State = "queued"
        self.created = time.time()
        self.started: float | None = None
        self.ended: float | None = None
        self.first_batch: float | None = None  # seconds from the start
        self.rows = 0
        self.truncated = False
        self.error: Exception | None = None
        self._query: StartQuery | None = query  # None once it has ended: parameters may be large
        self._max_rows = max_rows
        self._cancel = cancel or CancelToken()
        self._result: Result | None = None
        self._progress: Sequence[FragmentProgress] = ()
        self._freshness: Sequence[Freshness] = ()
        self._held = ExitStack()
        self._lock = threading.Lock()

    def start(self, engines: Engines) -> Result:
        """Plan and start. Raises what is wrong with the statement."""
        with self._lock:
            self._cancel.check()
            query = self._query
            assert query is not None
            self.state, self.started = "running", time.time()
            engine = self._held.enter_context(engines.lease())
        result = query(engine, self._cancel)
        with self._lock:
            if self.ended is None:
                self._result = result
                self._held.callback(result.close)
                return result
        result.close()
        self._cancel.check()
        raise AssertionError("a query that has ended was cancelled")

    def batches(self, result: Result) -> Iterator[pa.RecordBatch]:
        """The rows, up to `max_rows`; `truncated` tells whether there were more."""
        assert self.started is not None
        left = self._max_rows
        for batch in result.batches():
            if self.first_batch is None:
                self.first_batch = time.time() - self.started
            if left is not None:
                self.truncated = batch.num_rows > left
                batch = batch.slice(0, left)
                left -= batch.num_rows
            self.rows += batch.num_rows
            if batch.num_rows:
                yield batch
            if self.truncated:
                return

    def progress(self) -> Sequence[FragmentProgress]:
        """What each fragment has brought so far, or in the end."""
        result = self._result
        return result.progress() if result is not None else self._progress

    def freshness(self) -> list[dict[str, str]]:
        """How old the rows of each source are, so far or in the end."""
        result = self._result
        return [each.document() for each in (result.freshness() if result is not None else self._freshness)]

    def stats(self) -> dict[str, Any]:
        seconds = (self.ended or time.time()) - (self.started or self.created)
        return {
            "rows": self.rows,
            "seconds": round(seconds, 6),
            "truncated": self.truncated,
            "sources": self.sources(),
            "freshness": self.freshness(),
        }

    def sources(self) -> list[dict[str, Any]]:
        return [
            {"source": each.source, "rows": each.rows, "bytes": each.bytes, "done": each.done}
            for each in self.progress()
        ]

    def cancel(self, reason: str = "the query was cancelled") -> None:
        """End it, down to the sources. May talk to a source: never on the event loop."""
        self._cancel.cancel(QueryCancelled(reason))

    def end(self, error: Exception | None = None) -> None:
        """Free everything that it holds. The first call says how it ended."""
        with self._lock:
            if self.ended is None:
                self.ended = time.time()
                self.error = error
                self.state = _end_state(error)
            held, result = self._held.pop_all(), self._result
            self._result = self._query = None
            if result is not None:
                self._progress, self._freshness = result.progress(), result.freshness()
        self._cancel.cancel(QueryCancelled("the query has ended"))
        held.close()

    def info(self) -> dict[str, Any]:
        """As `models.QueryInfo`."""
        return {
            "query_id": self.id,
            "user": self.user,
            "sql": self.sql,
            "state": self.state,
            "created": self.created,
            "started": self.started,
            "ended": self.ended,
            "rows": self.rows,
            "sources": self.sources(),
            "freshness": self.freshness(),
            "error": problem(self.error, self.id) if self.error is not None else None,
        }


def _end_state(error: Exception | None) -> State:
    if error is None:
        return "finished"
    return "cancelled" if isinstance(error, QueryCancelled) and not isinstance(error, QueryTimeout) else "failed"
