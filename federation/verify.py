"""Shadow mode: a share of the queries is run again without pushdown, and what gave another answer is given up.

1. `Sample` keeps the batches of a query while its caller reads them, up to a limit.
2. When the caller has all of them, `Verifier` queues the sample for its one thread; a full queue drops it.
3. The thread runs the statement again with pushdown off and compares (`agreement`). Data may have changed in between:
   only an answer that the original plan gives twice is blamed.
4. It looks for the one optimisation of one source without which the plan answers right, and quarantines that.

Nothing here delays or fails a query. The quarantine lasts as long as the engine.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from adapters.base import CancelToken
from adapters.duck import Duck
from adapters.errors import Error, QueryCancelled
from adapters.sql.dialect import Reason
from federation.agreement import Order, difference, is_stable, order_of
from federation.planner.nodes import Note
from federation.planner.optimizations import ALL, Optimization, Optimizations
from federation.progress import FragmentProgress

MOST_ROWS = 100_000  # of a result that is compared
MOST_BYTES = 32 << 20  # of a result that is compared, as Arrow
MOST_FETCHED = 256 << 20  # bytes that one run of a verification may take from its sources
SECONDS = 60.0  # for one run of a verification
QUEUE = 4
WATCH_EVERY = 0.1

log = logging.getLogger(__name__)


class Running(Protocol):
    """What the engine's results have."""

    def batches(self) -> Iterator[pa.RecordBatch]: ...
    def progress(self) -> list[FragmentProgress]: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Statement:
    """A query as its caller gave it: `bind` reads it anew, `run` plans and starts it, `explain` shows its plan."""

    bind: Callable[[], exp.Query]
    run: Callable[[Optimizations, CancelToken], Running]
    explain: Callable[[], str]
    sources: tuple[str, ...]
    schema: pa.Schema
    optimizations: Optimizations


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Optimisations that are no longer used for a source, and the difference that they made."""

    source: str
    optimizations: frozenset[Optimization]
    difference: str

    def __str__(self) -> str:
        return "all pushdown" if self.optimizations == ALL else ", ".join(sorted(self.optimizations))


class _NotComparable(Exception):
    """The count under which the sample goes."""


class Sample:
    """What one query answered, as far as it may be kept."""

    def __init__(self, verifier: Verifier, statement: Statement) -> None:
        self.statement = statement
        self._verifier = verifier
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self.is_large:
            self._batches.clear()
        else:
            self._batches.append(batch)

    @property
    def is_large(self) -> bool:
        return self._rows > MOST_ROWS or self._bytes > MOST_BYTES

    @property
    def rows(self) -> pa.Table:
        return pa.Table.from_batches(self._batches, self.statement.schema)

    def keeping(self, batches: Iterator[pa.RecordBatch], is_live: Callable[[], bool]) -> Iterator[pa.RecordBatch]:
        """The batches as they come; when the caller has all of them, they can be verified, unless they are old."""
        for batch in batches:
            self.add(batch)
            yield batch
        self._verifier.submit(self, is_live=is_live())


class Verifier:
    """The thread, its queue, and what it found. `counts` has one key per outcome:

    `agreed`, `differed`; `changed`: the data did, or an earlier quarantine had helped already; not compared: `unstable`
    (the statement has more than one right answer), `cached`, `large`, `dropped` (the queue was full), `failed`.
    """

    def __init__(self, duck: Duck, share: float, scrub: Callable[[str], str]) -> None:
        self.counts: Counter[str] = Counter()
        self.quarantined: list[Quarantined] = []
        self._duck = duck
        self._share = share
        self._scrub = scrub
        self._lock = threading.Lock()
        self._queue: queue.Queue[Sample | None] = queue.Queue(QUEUE)
        self._thread: threading.Thread | None = None
        self._cancel = CancelToken()

    # --- for the engine -------------------------------------------------------------------------------------------

    def sample(self, statement: Callable[[], Statement]) -> Sample | None:
        """Something that keeps the rows of the query that starts now, for the share of queries that is verified."""
        if not self._share or random.random() >= self._share or self._cancel.cancelled:
            return None
        made = statement()
        return Sample(self, made) if made.sources and made.optimizations.pushdown else None

    def submit(self, sample: Sample, *, is_live: bool) -> None:
        if not is_live:
            return self._count("cached")
        if sample.is_large:
            return self._count("large")
        with self._lock:
            if self._cancel.cancelled:
                return None
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="verify", daemon=True)
                self._thread.start()
        try:
            self._queue.put_nowait(sample)
        except queue.Full:
            self._count("dropped")
        return None

    def restricted(self, optimizations: Optimizations) -> Optimizations:
        """The optimisations without those in quarantine."""
        return _without(optimizations, self.quarantine())

    def quarantine(self) -> Mapping[str, frozenset[Optimization]]:
        """By source."""
        found: dict[str, frozenset[Optimization]] = {}
        for each in tuple(self.quarantined):
            found[each.source] = found.get(each.source, frozenset()) | each.optimizations
        return found

    def notes(self, sources: Iterable[str]) -> list[Note]:
        """What EXPLAIN says of a plan over these sources."""
        named = set(sources)
        return [
            Note(f"{each} of {each.source}", "local", Reason.QUARANTINED, f"a sample differed: {each.difference}")
            for each in tuple(self.quarantined)
            if each.source in named
        ]

    def wait(self) -> None:
        """Until everything that was submitted so far has been judged."""
        self._queue.join()

    def close(self) -> None:
        """Ends what runs and drops what waits. Idempotent."""
        with self._lock:
            self._cancel.cancel(QueryCancelled("the engine was closed"))
            thread = self._thread
        if thread is None:
            return
        while thread.is_alive():
            try:
                self._queue.put(None, timeout=WATCH_EVERY)
            except queue.Full:
                continue
            thread.join()

    # --- the thread -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (sample := self._queue.get()) is not None:
            try:
                if not self._cancel.cancelled:
                    self._count(self._judge(sample))
            except _NotComparable as exc:
                self._count(str(exc))
            except Exception:  # whatever it is, no query may fail of it
                if not self._cancel.cancelled:
                    self._count("failed")
                    log.debug("a query could not be verified", exc_info=True)
            finally:
                self._queue.task_done()
        self._queue.task_done()

    def _judge(self, sample: Sample) -> str:
        """The outcome."""
        statement = sample.statement
        query = statement.bind()
        if not is_stable(query):
            return "unstable"
        order = order_of(query, statement.schema.names)
        given, right = sample.rows, self._rows(statement, Optimizations(ALL))
        wrong = difference(right, given, order, self._duck)
        if wrong is None:
            return "agreed"
        # Sources change: only an answer that comes twice, while the other one stays, is the plan's own.
        again = self._rows(statement, self.restricted(statement.optimizations))
        if difference(given, again, order, self._duck) is not None:
            return "changed"
        if difference(right, self._rows(statement, Optimizations(ALL)), order, self._duck) is not None:
            return "changed"
        self._blame(statement, _Trial(right, order), wrong)
        return "differed"

    def _blame(self, statement: Statement, trial: _Trial, wrong: str) -> None:
        found = self._culprit(statement, trial)
        explained = statement.explain()  # of the plan that was wrong
        self.quarantined += [Quarantined(source, given_up, wrong) for source, given_up in found.items()]
        shown = "; ".join(f"{each} of {each.source}" for each in self.quarantined[-len(found) :])
        text = f"pushdown gave a wrong answer ({wrong}); until the engine restarts, plans do without {shown}"
        log.error("%s", self._scrub(f"{text}\n{explained}"))

    def _culprit(self, statement: Statement, trial: _Trial) -> dict[str, frozenset[Optimization]]:
        """The least that has to be given up: one optimisation of one source, of all sources, or a source's pushdown."""
        sources = statement.sources
        candidates: list[frozenset[Optimization]] = [frozenset({each}) for each in Optimization]
        for given_up in [*candidates, ALL]:
            everywhere = dict.fromkeys(sources, given_up)
            if self._heals(statement, trial, everywhere):
                alone = ({source: given_up} for source in sources if len(sources) > 1)
                return next((each for each in alone if self._heals(statement, trial, each)), everywhere)
        return dict.fromkeys(sources, ALL)

    def _heals(self, statement: Statement, trial: _Trial, given_up: Mapping[str, frozenset[Optimization]]) -> bool:
        optimizations = _without(self.restricted(statement.optimizations), given_up)
        try:
            rows = self._rows(statement, optimizations)
        except (Error, _NotComparable):
            self._cancel.check()
            return False
        return difference(trial.right, rows, trial.order, self._duck) is None

    def _rows(self, statement: Statement, optimizations: Optimizations) -> pa.Table:
        """What the statement answers now. Raises _NotComparable where that, or what is fetched for it, is too large."""
        cancel = CancelToken()
        unregister = self._cancel.register(lambda: cancel.cancel(QueryCancelled("the engine was closed")))
        kept = Sample(self, statement)
        try:
            with _Watch(statement.run(optimizations, cancel)) as watch:
                for batch in watch.batches():
                    kept.add(batch)
                    if kept.is_large:
                        raise _NotComparable("large")
        finally:
            unregister()
        return kept.rows

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.counts[outcome] += 1


@dataclass(frozen=True, slots=True)
class _Trial:
    right: pa.Table
    order: Order


class _Watch:
    """Ends a query that fetches more than a verification may."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._exceeded = False
        self._ended = threading.Event()

    def batches(self) -> Iterator[pa.RecordBatch]:
        threading.Thread(target=self._look, name="verify-watch", daemon=True).start()
        try:
            yield from self._running.batches()
        except Error as exc:
            if self._exceeded:
                raise _NotComparable("large") from exc
            raise

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._running.close()

    def _look(self) -> None:
        while not self._ended.wait(WATCH_EVERY):
            if sum(each.bytes for each in self._running.progress()) > MOST_FETCHED:
                self._exceeded = True
                self._running.cancel()
                return


def _without(optimizations: Optimizations, given_up: Mapping[str, frozenset[Optimization]]) -> Optimizations:
    merged = dict(optimizations.quarantined)
    for source, names in given_up.items():
        merged[source] = merged.get(source, frozenset()) | names
    return Optimizations(optimizations.disabled, merged)
