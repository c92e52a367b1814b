"""The prefetcher, over a source whose every step the test decides, and under DuckDB itself."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest

from adapters.base import CancelToken, Partition, Scan, ScanRequest, Table, TableName
from adapters.duck import Duck
from adapters.errors import (
    InternalError,
    QueryCancelled,
    QueryTimeout,
    SourceChanged,
    SourceUnavailable,
)
from federation.fetch import QUEUE_BYTES, SMALL_ROWS, Fetcher, start_deadline
from tests.waiting import eventually

SCHEMA = pa.schema({"i": pa.int64()})
Make = Callable[[CancelToken], Iterator[pa.RecordBatch]]


def rows(*values: int) -> pa.RecordBatch:
    return pa.record_batch({"i": pa.array(values, pa.int64())})


class Scripted:
    """A source whose partitions are generators that the test writes."""

    name = "scripted"
    default_schema = "main"
    options: frozenset[str] = frozenset()

    def __init__(self, *partitions: Make, schema: pa.Schema = SCHEMA, sent: pa.Schema | None = None) -> None:
        self.sent = schema if sent is None else sent
        self.closed = 0
        self.ended: list[str] = []
        named = tuple(Partition(f"part {i}", make) for i, make in enumerate(partitions))
        self.scan = Scan(named, schema, close=self._count)

    def _count(self) -> None:
        self.closed += 1

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            try:
                yield from partition.payload(cancel)
            finally:
                self.ended.append(partition.request)

        return pa.RecordBatchReader.from_batches(self.sent, batches())

    def list_tables(self) -> list[TableName]:
        return []

    def get_table(self, name: TableName) -> Table:
        raise NotImplementedError

    def plan_scan(self, request: ScanRequest) -> Scan:
        raise NotImplementedError

    def close(self) -> None:
        pass


def listed(*batches: pa.RecordBatch) -> Make:
    return lambda _cancel: iter(batches)


def blocking(first: pa.RecordBatch, reached: threading.Event) -> Make:
    """One batch, then a wait that only a cancel of the source ends, as a statement at a server would."""

    def make(cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        stopped = threading.Event()
        cancel.register(stopped.set)
        yield first
        reached.set()
        if not stopped.wait(60):
            raise AssertionError("the cancel never reached the source")
        cancel.check()

    return make


def fetch(source: Scripted, token: CancelToken | None = None, **options: Any) -> Fetcher:
    return Fetcher(source, source.scan, token or CancelToken(), **options)


def no_threads_left() -> bool:
    return not [t for t in threading.enumerate() if t.name == "fetch-scripted"]


def test_one_partition_keeps_its_order() -> None:
    source = Scripted(listed(*[rows(i) for i in range(1000)]))
    fetcher = fetch(source)
    table = fetcher.reader().read_all()
    assert table["i"].to_pylist() == list(range(1000))
    fetcher.close()
    stats = fetcher.stats
    assert (stats.rows, stats.bytes, stats.requests, stats.done) == (1000, 8000, 1, True)
    assert stats.first_batch is not None and stats.first_batch <= stats.seconds
    assert source.closed == 1
    assert no_threads_left()


def test_all_partitions_are_read_once_by_fewer_threads() -> None:
    source = Scripted(*[listed(rows(i), rows(i + 100)) for i in range(20)])
    fetcher = fetch(source, workers=3)
    values = fetcher.reader().read_all().to_pydict()["i"]
    assert sorted(values) == sorted([*range(20), *range(100, 120)])
    assert fetcher.stats.requests == 20
    fetcher.close()
    fetcher.close()
    assert source.closed == 1


def test_no_partition_is_no_row() -> None:
    source = Scripted()
    fetcher = fetch(source)
    assert fetcher.reader().read_all().num_rows == 0
    assert fetcher.stats.done
    fetcher.close()
    assert source.closed == 1


def test_start_fetches_before_anything_is_pulled() -> None:
    sent = threading.Event()

    def make(_cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        yield rows(1)
        sent.set()

    fetcher = fetch(Scripted(make))
    fetcher.start()
    assert sent.wait(30)
    assert fetcher.reader().read_all()["i"].to_pylist() == [1]
    fetcher.close()


def test_two_partitions_are_read_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=30)

    def make(_cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        both.wait()
        yield rows(1)

    fetcher = fetch(Scripted(make, make), workers=2)
    assert fetcher.reader().read_all().num_rows == 2
    fetcher.close()


def test_the_queue_is_bounded_by_bytes() -> None:
    made = 0
    batch = pa.record_batch({"i": pa.array(range(100_000), pa.int64())})
    limit = QUEUE_BYTES // batch.nbytes + 2

    def make(_cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        nonlocal made
        for _ in range(10 * limit):
            made += 1
            yield batch

    fetcher = fetch(Scripted(make))
    fetcher.start()
    eventually(lambda: made >= limit - 1)  # until the queue is full
    time.sleep(0.1)
    assert made <= limit
    assert fetcher.reader().read_all().num_rows == 10 * limit * 100_000
    fetcher.close()


def test_small_batches_that_wait_are_joined_and_huge_ones_cut() -> None:
    sent = threading.Event()

    def small(_cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        for i in range(500):
            yield rows(i)
        sent.set()

    fetcher = fetch(Scripted(small))
    fetcher.start()
    assert sent.wait(30)
    batches = list(fetcher.reader())
    assert len(batches) <= 2
    assert max(b.num_rows for b in batches) <= SMALL_ROWS
    assert [v for b in batches for v in b["i"].to_pylist()] == list(range(500))
    fetcher.close()

    huge = pa.record_batch({"i": pa.array(range(1_000_000), pa.int64())})
    fetcher = fetch(Scripted(listed(huge)))
    batches = list(fetcher.reader())
    assert max(b.num_rows for b in batches) <= 131_072
    assert pa.Table.from_batches(batches)["i"].to_pylist() == list(range(1_000_000))
    fetcher.close()


def test_extension_types_and_dictionaries_survive_joining() -> None:
    schema = pa.schema(
        {"u": pa.uuid(), "j": pa.json_(), "d": pa.decimal64(12, 2), "l": pa.list_(pa.int32()), "s": pa.string()}
    )
    one = pa.RecordBatch.from_pylist(
        [{"u": b"\x01" * 16, "j": '{"a":1}', "d": None, "l": [1, None], "s": "ü"}], schema=schema
    )
    fetcher = fetch(Scripted(listed(*[one] * 50), schema=schema))
    table = fetcher.reader().read_all()
    assert table.schema == schema
    assert table.to_pylist() == one.to_pylist() * 50
    fetcher.close()

    coded = pa.dictionary(pa.int8(), pa.string())
    parts = [
        pa.record_batch({"e": pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), [value])}) for value in "abab"
    ]
    fetcher = fetch(Scripted(listed(*parts), schema=pa.schema({"e": coded})))
    assert [v for b in fetcher.reader() for v in b["e"].to_pylist()] == list("abab")
    fetcher.close()


def test_a_failure_is_raised_as_it_was_and_cancels_the_query() -> None:
    reached = threading.Event()

    def failing(_cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        yield rows(1)
        assert reached.wait(30)
        raise SourceUnavailable("the connection broke")

    token = CancelToken()
    source = Scripted(failing, blocking(rows(2), reached))
    fetcher = fetch(source, token)
    with pytest.raises(SourceUnavailable, match="the connection broke") as caught:
        fetcher.reader().read_all()
    fetcher.close()
    assert caught.value is fetcher.error
    assert caught.value.source == "scripted"
    assert not fetcher.stats.done
    with pytest.raises(SourceUnavailable):
        token.check()
    assert source.closed == 1
    assert sorted(source.ended) == ["part 0", "part 1"]
    assert no_threads_left()


def test_a_failure_of_the_last_of_many_partitions_is_never_the_end_of_the_stream() -> None:
    def failing(_cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        raise SourceUnavailable("gone")
        yield

    for position in range(6):
        parts: list[Make] = [listed(rows(i)) for i in range(6)]
        parts[position] = failing
        fetcher = fetch(Scripted(*parts), workers=2)
        with pytest.raises(SourceUnavailable):
            fetcher.reader().read_all()
        fetcher.close()


def test_an_unexpected_exception_is_an_internal_error_without_its_text() -> None:
    def failing(_cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        raise ValueError("password=hunter2")
        yield

    fetcher = fetch(Scripted(failing))
    with pytest.raises(InternalError) as caught:
        fetcher.reader().read_all()
    fetcher.close()
    assert "hunter2" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (pa.schema({"i": pa.int32()}), '"i"'),
        (pa.schema({"j": pa.int64()}), '"i"'),
        (pa.schema({"i": pa.int64(), "k": pa.int64()}), "2 arrived"),
        (pa.schema({}), "0 arrived"),
    ],
)
def test_another_schema_is_source_changed(sent: pa.Schema, named: str) -> None:
    fetcher = fetch(Scripted(listed(), sent=sent))
    with pytest.raises(SourceChanged, match=named):
        fetcher.reader().read_all()
    fetcher.close()


def test_a_schema_that_differs_in_nullability_only_is_the_same() -> None:
    strict = pa.schema([pa.field("i", pa.int64(), nullable=False)])
    batch = pa.RecordBatch.from_arrays([pa.array([1], pa.int64())], schema=strict)
    fetcher = fetch(Scripted(listed(batch), sent=strict))
    table = fetcher.reader().read_all()
    assert table.schema == SCHEMA and table["i"].to_pylist() == [1]
    fetcher.close()


def test_cancel_ends_a_blocked_read_at_once() -> None:
    token, reached = CancelToken(), threading.Event()
    source = Scripted(blocking(rows(1), reached))
    fetcher = fetch(source, token)
    reader = fetcher.reader()
    assert reader.read_next_batch().num_rows == 1
    assert reached.wait(30)
    timer = threading.Timer(0.1, token.cancel)
    timer.start()
    with pytest.raises(QueryCancelled):
        reader.read_next_batch()
    fetcher.close()
    timer.join()
    assert source.ended == ["part 0"]
    assert source.closed == 1
    assert no_threads_left()


def test_cancel_before_the_start() -> None:
    token = CancelToken()
    token.cancel(QueryTimeout("too long"))
    source = Scripted(listed(rows(1)))
    fetcher = fetch(source, token)
    with pytest.raises(QueryTimeout):
        fetcher.reader().read_all()
    fetcher.close()
    assert source.closed == 1


def test_close_ends_the_source_while_the_queue_is_full_and_while_it_blocks() -> None:
    reached = threading.Event()
    batch = pa.record_batch({"i": pa.array(range(100_000), pa.int64())})

    def endless(_cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        while True:
            yield batch

    token = CancelToken()
    source = Scripted(endless, blocking(rows(1), reached))
    fetcher = fetch(source, token)
    fetcher.start()
    assert reached.wait(30)
    fetcher.close()
    assert no_threads_left()
    assert sorted(source.ended) == ["part 0", "part 1"]
    assert source.closed == 1
    assert not token.cancelled  # the query goes on
    with pytest.raises(QueryCancelled):
        fetcher.reader().read_all()


def test_close_without_a_start_closes_the_scan() -> None:
    source = Scripted(listed(rows(1)))
    fetcher = fetch(source)
    fetcher.close()
    fetcher.start()
    assert source.closed == 1
    assert source.ended == []


def test_a_source_that_ends_quietly_when_it_is_cancelled_is_not_complete() -> None:
    reached = threading.Event()

    def quiet(cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        stopped = threading.Event()
        cancel.register(stopped.set)
        yield rows(1)
        reached.set()
        stopped.wait(60)

    token = CancelToken()
    fetcher = fetch(Scripted(quiet), token)
    fetcher.start()
    assert reached.wait(30)
    token.cancel()
    fetcher.close()
    assert not fetcher.stats.done
    with pytest.raises(QueryCancelled):
        fetcher.reader().read_all()


def test_duckdb_reads_two_fragments_and_gets_the_original_failure() -> None:
    def failing(_cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        yield rows(*range(5000))
        raise SourceUnavailable("the connection broke", source="pg")

    duck = Duck()
    try:
        token = CancelToken()
        good = fetch(Scripted(listed(rows(*range(1000)))), token)
        more = fetch(Scripted(listed(rows(*range(500, 2000)))), token)
        tables = {"good": good.reader(), "more": more.reader()}
        answer = duck.run(duck.cursor(), "SELECT count(*) AS n FROM good JOIN more USING (i)", tables, token)
        assert answer.read_all().to_pylist() == [{"n": 500}]
        good.close()
        more.close()

        token = CancelToken()
        good = fetch(Scripted(listed(rows(*range(1000)))), token)
        bad = fetch(Scripted(failing), token)
        tables = {"good": good.reader(), "bad": bad.reader()}
        with pytest.raises(SourceUnavailable, match="the connection broke") as caught:
            duck.run(duck.cursor(), "SELECT count(*) FROM good JOIN bad USING (i)", tables, token).read_all()
        assert caught.value.source == "pg"
        assert caught.value.__context__ is None
        good.close()
        bad.close()
        assert no_threads_left()
    finally:
        duck.close()


def test_a_limit_in_duckdb_ends_the_source() -> None:
    def endless(_cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        while True:
            yield rows(*range(5000))

    duck, token = Duck(), CancelToken()
    source = Scripted(endless)
    fetcher = fetch(source, token)
    answer = duck.run(duck.cursor(), "SELECT i FROM t LIMIT 3", {"t": fetcher.reader()}, token)
    assert answer.read_all().num_rows == 3
    fetcher.close()
    duck.close()
    assert source.ended == ["part 0"] and source.closed == 1
    assert no_threads_left()


def test_the_deadline_cancels_with_a_timeout_unless_stopped() -> None:
    late, in_time = CancelToken(), CancelToken()
    ended = threading.Event()
    late.register(ended.set)
    stop = start_deadline(in_time, 0.2)
    stop()
    start_deadline(late, 0.2)
    assert ended.wait(30)
    with pytest.raises(QueryTimeout, match=r"0\.2 s"):
        late.check()
    in_time.check()
