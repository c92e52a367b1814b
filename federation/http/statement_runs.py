"""Running statements: a few at once, the others wait; each result goes to a file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from adapters.errors import Error
from federation.http.callbacks import Caller
from federation.http.config import ServerConfig
from federation.http.engines import Engines
from federation.http.errors import ShuttingDown, TooManyQueries
from federation.http.formats import result_columns
from federation.http.place import Place
from federation.http.problems import problem
from federation.http.queries import Queries
from federation.http.results import Results
from federation.http.run import Run
from federation.http.state import State
from federation.http.statement_store import Statements
from federation.http.workers import Workers

log = logging.getLogger(__name__)
WAITING = 1000
EXPIRE_EVERY = 30.0


class StatementRuns:
    """For the event loop's thread; what blocks runs in others."""

    def __init__(
        self,
        config: ServerConfig,
        engines: Engines,
        workers: Workers,
        queries: Queries,
        state: State,
        place: Place,
    ) -> None:
        self.store = Statements(state, place.serial)
        self._place = place
        self.results = Results(state.folder / "results", config.result_bytes)
        self._config = config
        self._engines = engines
        self._workers = workers
        self._queries = queries
        self._threads = ThreadPoolExecutor(config.statements_at_once, thread_name_prefix="statement")
        self._caller = Caller(self.store, lambda: engines.current.catalog.access.callbacks)
        self._runs: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False

    def start(self) -> None:
        """The first process of a server takes over what an earlier one has left."""
        if self._place.first:
            self.store.take_over(None, self._config.result_ttl)
            self._expire()
            self.results.keep_only(self.store.ids())
        self._caller.start()
        self._expiring = asyncio.create_task(self._expire_for_good())

    def check_room(self) -> None:
        """Raises TooManyQueries, ShuttingDown."""
        if self._queries.draining:
            raise ShuttingDown("the server is shutting down", hint="ask again in a moment, or another server")
        if len(self._runs) >= WAITING:
            raise TooManyQueries("too many statements are waiting", hint="ask again when some have ended")

    def submit(self, run: Run) -> None:
        """Run it when its turn comes."""
        self._runs[run.id] = run
        self._queries.register(run)
        task = asyncio.create_task(self._run(run))
        self._tasks.add(task)  # a task that nobody holds may vanish
        task.add_done_callback(self._tasks.discard)

    def forget(self, statement_id: str) -> None:
        """And its result. Talks to the disk."""
        self.results.delete(statement_id)
        self.store.delete(statement_id)

    def take_over(self, serial: int) -> None:
        """From another process of the server, which has died. Talks to the disk."""
        for statement_id in self.store.take_over(serial, self._config.result_ttl):
            self.results.delete_partial(statement_id)
        self._caller.wake()

    async def close(self, deadline: float) -> None:
        """Let them run until the deadline of `time.monotonic`; what runs longer is interrupted."""
        self._expiring.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, deadline - time.monotonic()))
        self._ending = True
        failure = ShuttingDown("the server was shut down")
        await asyncio.gather(*(self._workers.control(run.end, failure) for run in self._runs.values()))
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        await asyncio.to_thread(self.store.interrupt, self._config.result_ttl)
        await asyncio.to_thread(self._caller.close)

    async def _run(self, run: Run) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._execute, run)
        finally:
            self._runs.pop(run.id, None)
            self._queries.unregister(run)
            self._caller.wake()

    def _execute(self, run: Run) -> None:
        try:
            self.store.started(run.id)
            result = run.start(self._engines)
            size, starts = self.results.write(run.id, result.schema, run.batches(result))
            stats = run.stats()
        except Exception as exc:
            if not isinstance(exc, Error):
                log.error("statement %s failed", run.id, exc_info=exc)
            run.end(exc)
            if not self._ending:
                self.store.ended(run.id, run.state, self._config.result_ttl, error=problem(exc, run.id))
            return
        run.end()
        self.store.ended(
            run.id,
            "finished",
            self._config.result_ttl,
            rows=run.rows,
            bytes=size,
            columns=result_columns(result.schema, result.types),
            stats=stats,
            starts=starts,
        )

    async def _expire_for_good(self) -> None:
        while True:
            await asyncio.sleep(min(EXPIRE_EVERY, self._config.result_ttl))
            with contextlib.suppress(Error):
                await self._workers.control(self._expire)

    def _expire(self) -> None:
        for statement_id in self.store.expired():
            self.forget(statement_id)
