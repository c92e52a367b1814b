"""Fetching one fragment: its partitions, read ahead by threads of our own into one bounded queue.

DuckDB pulls its inputs strictly one after the other, and one batch at a time. So every fragment of a query is started
at once; each then fills its queue, of a bounded number of bytes, while DuckDB is busy with another.

1. `start` opens the partitions in up to `workers` threads, one connection each, as `federation.slots` lets them.
2. Each thread checks every batch against the planned schema, cuts a huge one, and puts it into the queue. It waits for
   room there, unless its connection is wanted by a fragment that has none: then what has no room goes to disk.
3. `reader` hands the batches to DuckDB, small ones of the queue joined. The end of the stream is told only after every
   partition has ended by itself: a failure is kept as it was raised (DuckDB would make it an error without a cause),
   cancels the query with itself as the cause, and is what the reader raises.
4. What is to be cached is written down by the threads as well, and for that they go on without a consumer that is slow:
   then too what has no room goes to disk. Only what every partition has ended by itself is kept.
5. `close`, or a cancel, ends the statements at the source and the threads. The scan is closed exactly once, by whoever
   comes last.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa

from adapters.base import CancelToken, Partition, Scan, SupportsRevalidation
from adapters.errors import Error, InternalError, OutOfMemory, QueryCancelled, QueryTimeout, SourceChanged
from cache.recording import Recording
from federation.overflow import Overflow
from federation.progress import State
from federation.slots import Slot, Slots
from federation.snapshots import Reads

log = logging.getLogger(__name__)

QUEUE_BYTES = 32 << 20
QUEUE_BATCHES = 1024
SMALL_ROWS = 8192  # batches below it are joined while several are waiting
LARGE_ROWS = 131_072  # batches beyond it are cut
LARGE_BYTES = 8 << 20
JOIN_SECONDS = 10.0  # how long close waits for a source that ignores its cancel


@dataclass(frozen=True, slots=True)
class FetchStats:
    """What one fragment has cost so far. Seconds count from its start."""

    rows: int
    bytes: int
    requests: int
    first_batch: float | None
    seconds: float
    done: bool


class _Stopped(Exception):
    """Nobody wants more batches; ends a worker, and no one else sees it."""


class Fetcher:
    """One fragment, fetched. Every method may be called from any thread, `start` and `close` any number of times."""

    def __init__(
        self,
        adapter: Reads,
        scan: Scan,
        cancel: CancelToken,
        recording: Recording | None = None,
        *,
        workers: int = 4,
        slots: Slots | None = None,
        spill_folder: str | None = None,
    ) -> None:
        """`recording` is ended by the fetcher, however that ends."""
        self.scan = scan
        self.error: Error | None = None
        self._adapter = adapter
        self._query = cancel
        self._cancel = CancelToken()  # of this fragment alone: a LIMIT ends it while the query goes on
        self._workers = max(1, min(workers, len(scan.partitions)))
        self._slots = slots or Slots(self._workers)
        self._recording = recording
        self._todo = deque(scan.partitions)
        self._queue: deque[tuple[pa.RecordBatch, int]] = deque()
        self._queued = 0
        self._overflow = Overflow(spill_folder)  # comes after what is queued
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._running = 0
        self._ended = False  # every partition ended by itself
        self._closed = False
        self._rows = self._bytes = self._requests = 0
        self._started = self.as_of = 0.0  # 0 before start; as_of is in seconds of the epoch
        self._first: float | None = None
        self._seconds = 0.0
        self._stream: Generator[pa.RecordBatch] | None = None
        self._unlink: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begin to fetch. Idempotent; nothing after `close`."""
        with self._changed:
            if self._started or self._closed:
                return
            self._started, self.as_of = time.monotonic(), time.time()
            self._running = self._workers
            name = f"fetch-{self._adapter.name}"
            self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for _ in range(self._workers)]
        self._unlink = self._query.register(self._cancelled)
        for thread in self._threads:
            thread.start()

    def reader(self) -> pa.RecordBatchReader:
        """The one reader of this fragment; starts it when it was not."""
        return pa.RecordBatchReader.from_batches(self.scan.schema, self.batches())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """What `reader` reads, for whoever is to see an error as it is. Either of them, once."""
        self._stream = self._batches()
        return self._stream

    @property
    def state(self) -> State:
        return State.LIVE

    @property
    def query(self) -> str:
        """As CachedFetch."""
        return ""

    @property
    def stats(self) -> FetchStats:
        with self._changed:
            seconds = time.monotonic() - self._started if self._running else self._seconds
            return FetchStats(self._rows, self._bytes, self._requests, self._first, seconds, self._ended)

    def wake(self) -> None:
        """For the slots: a thread that waits for room asks again whether its slot is wanted."""
        with self._changed:
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, and wait until the source has stopped too. Idempotent."""
        self._stop()
        deadline = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            if thread is not threading.current_thread() and thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("source %s does not end a cancelled read", self._adapter.name)
        self._unlink()
        if self._stream is not None:
            # The reader holds the generator where the garbage collector cannot see it: a suspended one would keep
            # everything that a failure's traceback reaches. One that is just being pulled ends by itself.
            with suppress(ValueError):
                self._stream.close()

    # --- the reading side -------------------------------------------------------------------------------------

    def _batches(self) -> Generator[pa.RecordBatch]:
        self.start()
        try:
            while (batch := self._take()) is not None:
                yield batch
        finally:
            self._stop()

    def _take(self) -> pa.RecordBatch | None:
        """The next batch, small ones that wait joined; None at the end. Raises what the source raised."""
        with self._changed:
            while True:
                if self.error is not None:
                    raise self.error
                self._query.check()
                if self._closed:
                    raise QueryCancelled("the fragment was closed while it was read")
                if self._queue:
                    taken = self._take_some()
                    self._changed.notify_all()
                    break
                if self._overflow:
                    self._changed.notify_all()
                    return self._overflow.pop()
                if self._ended:
                    return None
                self._changed.wait()
        return taken[0] if len(taken) == 1 else pa.Table.from_batches(taken).combine_chunks().to_batches()[0]

    def _take_some(self) -> list[pa.RecordBatch]:
        batch, size = self._queue.popleft()
        self._queued -= size
        taken, rows = [batch], batch.num_rows
        while self._queue and self._joinable and rows + self._queue[0][0].num_rows <= SMALL_ROWS:
            batch, size = self._queue.popleft()
            self._queued -= size
            taken.append(batch)
            rows += batch.num_rows
        return taken

    @property
    def _joinable(self) -> bool:
        """Dictionaries may differ from batch to batch, and joining batches without columns loses their rows."""
        return len(self.scan.schema) > 0 and not any(pa.types.is_dictionary(type_) for type_ in self.scan.schema.types)

    # --- the fetching side ------------------------------------------------------------------------------------

    def _work(self) -> None:
        """A thread: one partition after the other, until there is none."""
        failure: Error | None = None
        try:
            while (partition := self._next_partition()) is not None:
                slot = self._slots.acquire(self, self._cancel)
                try:
                    self._read(partition, slot)
                finally:
                    slot.release()
        except _Stopped:
            pass
        except Error as exc:
            failure = exc
            failure.source = failure.source or self._adapter.name
        except BaseException as exc:
            # Not its text: what an adapter did not expect may hold anything.
            failure = InternalError(f"reading failed with {type(exc).__name__}", source=self._adapter.name)
            failure.__cause__ = exc
        self._leave(failure)

    def _next_partition(self) -> Partition | None:
        with self._changed:
            self._check()
            if not self._todo:
                return None
            return self._todo.popleft()

    def _read(self, partition: Partition, slot: Slot) -> None:
        with self._changed:
            self._requests += 1
        reader = self._adapter.read(partition, self._cancel)
        try:
            self._match(reader.schema)
            for batch in reader:
                for part in _cut(self._match_batch(batch)):
                    self._put(part, slot)
                    if self._recording is not None:
                        self._recording.append(part)
            self._cancel.check()  # a source that ends quietly when it is cancelled has not ended by itself
        finally:
            reader.close()
            del reader  # a kept failure must not keep the connection: its traceback holds this frame

    def _put(self, batch: pa.RecordBatch, slot: Slot) -> None:
        size = batch.nbytes
        with self._changed:
            while not self._placed(batch, size, slot):
                self._changed.wait()
            if self._first is None:
                self._first = time.monotonic() - self._started
            self._rows += batch.num_rows
            self._bytes += size
            self._changed.notify_all()

    def _placed(self, batch: pa.RecordBatch, size: int, slot: Slot) -> bool:
        """Whether it was put where there is room: into the queue, or to disk for a consumer that must not be waited
        for. What is on disk comes after what is queued."""
        self._check()
        if not self._overflow and not self._is_full(size):
            self._queue.append((batch, size))
            self._queued += size
            return True
        if slot.wanted():
            self._overflow.append(batch)
            return True
        if self._recording is not None and self._recording.writing:
            try:
                self._overflow.append(batch)
                return True
            except OutOfMemory:
                self._recording.abandon()  # the query can wait, and nobody else shall wait for it
        return False

    def _is_full(self, more: int) -> bool:
        return bool(self._queue) and (self._queued + more > QUEUE_BYTES or len(self._queue) >= QUEUE_BATCHES)

    def _check(self) -> None:
        if self._closed or self.error is not None or self._cancel.cancelled:
            raise _Stopped

    def _match_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.schema.equals(self.scan.schema):
            return batch
        self._match(batch.schema)
        return pa.RecordBatch.from_arrays(batch.columns, schema=self.scan.schema)

    def _match(self, schema: pa.Schema) -> None:
        """Raise SourceChanged for the first column that is not the planned one."""
        planned = self.scan.schema
        for got, wanted in zip(schema, planned, strict=False):
            if got.name != wanted.name or got.type != wanted.type:
                raise self._changed_source(
                    f'column "{wanted.name}" was planned as {wanted.type} and arrived as "{got.name}", {got.type}'
                )
        if len(schema) != len(planned):
            raise self._changed_source(f"{len(planned)} columns were planned and {len(schema)} arrived")

    def _changed_source(self, message: str) -> SourceChanged:
        return SourceChanged(message, hint="run the query again: it is planned afresh", source=self._adapter.name)

    def _leave(self, failure: Error | None) -> None:
        """The end of a thread: keep its failure; the last one closes the scan."""
        with self._changed:
            stopped = self._closed or self.error is not None or self._cancel.cancelled
            if failure is not None and not stopped:
                self.error = failure
            self._running -= 1
            last = self._running == 0
            if last:
                self._ended = failure is None and not stopped and not self._todo
                self._seconds = time.monotonic() - self._started
            self._changed.notify_all()
        if self.error is not None:
            self._cancel.cancel()
            self._query.cancel(self.error)
        if last:
            self._close_scan()
            self._end_recording()

    def _end_recording(self) -> None:
        if self._recording is None:
            return
        if self._ended:
            if isinstance(self._adapter, SupportsRevalidation):
                self._recording.versions = {"": self._adapter.validator(self.scan)}
            self._recording.commit(self._seconds)
        else:
            self._recording.abandon(self.error)

    # --- the end ----------------------------------------------------------------------------------------------

    def _cancelled(self) -> None:
        """The query was cancelled."""
        self._cancel.cancel()
        self.wake()

    def _stop(self) -> None:
        """No more batches are wanted: end the statements at the source, without waiting for them."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            never_started = not self._started
            self._queue.clear()
            self._queued = 0
            self._overflow.clear()
            self._changed.notify_all()
        self._cancel.cancel()
        if never_started:
            self._close_scan()
            self._end_recording()

    def _close_scan(self) -> None:
        """Reached once: by the last thread, or by `_stop` when there never was one."""
        try:
            self.scan.close()
        except Exception:
            # Every row has arrived, or another failure is on its way: this one changes neither.
            log.warning("source %s did not close a scan", self._adapter.name, exc_info=True)


def _cut(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in slices that are not huge, without a copy; nothing for an empty one."""
    rows = batch.num_rows
    step = LARGE_ROWS
    if batch.nbytes > LARGE_BYTES:
        step = max(1, min(step, rows * LARGE_BYTES // batch.nbytes))
    for start in range(0, rows, step):
        yield batch.slice(start, step)


def start_deadline(cancel: CancelToken, seconds: float) -> Callable[[], None]:
    """Cancel with QueryTimeout after that time; returns the function that stops the clock."""
    timeout = QueryTimeout(f"the query ran longer than {seconds:g} s", hint="raise the timeout, or ask for less")
    timer = threading.Timer(seconds, cancel.cancel, [timeout])
    timer.daemon = True
    timer.start()
    return timer.cancel
