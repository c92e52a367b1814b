"""What failures become, and how a running query ends."""

import decimal
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from adapters import errors
from adapters.base import CancelToken
from adapters.duck import Duck
from tests.duck.helpers import table

FAILURES = [
    ("SELEC 1", errors.SQLSyntaxError, "SELEC"),
    ("SELECT sum(1", errors.SQLSyntaxError, "1"),
    ("SELECT 'ü😀', nope FROM range(3) AS t(i)", errors.ColumnNotFound, "nope"),
    ("SELECT t.nope FROM range(3) AS t(i)", errors.ColumnNotFound, "t.nope"),
    ("SELECT * FROM nope", errors.TableNotFound, "nope"),
    ("SELECT i FROM range(3) AS t(i), range(3) AS s(i)", errors.AmbiguousColumn, "i FROM"),
    ("SELECT nope(1)", errors.FunctionNotFound, "nope"),
    ("SELECT * FROM nope(1)", errors.FunctionNotFound, "nope"),
    ("SELECT list_sort(1)", errors.FunctionNotFound, "list_sort"),
    ("SELECT DATE '2024-01-01' + 'a'", errors.FunctionNotFound, "+ 'a'"),
    ("SELECT i, count(*) FROM range(3) AS t(i)", errors.GroupingError, "i, count"),
    ("SELECT sum(sum(i)) FROM range(3) AS t(i)", errors.GroupingError, "sum(i)"),
    ("SELECT $1", errors.UndefinedParameter, None),
    ("SELECT 'abc'::INTEGER", errors.ConversionError, "::INTEGER"),
    ("SELECT 300::TINYINT", errors.NumericOutOfRange, "::TINYINT"),
    ("SELECT CAST(100 AS DECIMAL(2,1))", errors.NumericOutOfRange, "CAST"),
    ("SELECT CAST(123.45 AS DECIMAL(3,2))", errors.NumericOutOfRange, "CAST"),
    ("SELECT CAST('2024-13-01' AS DATE)", errors.DatetimeOverflow, "CAST"),
    ("SELECT 9223372036854775807 + 1", errors.NumericOutOfRange, None),
    ("SELECT 1 % 0", errors.DivisionByZero, None),
    ("SELECT (SELECT unnest([1, 2]))", errors.CardinalityViolation, None),
    ("SELECT error('boo')", errors.DataError, None),
    ("SELECT strptime('x', '%Y')", errors.InvalidDatetime, None),
]


@pytest.mark.parametrize(("sql", "kind", "at"), FAILURES, ids=[f[0] for f in FAILURES])
def test_a_failure_has_its_class_and_position(duck: Duck, sql: str, kind: type[errors.Error], at: str | None) -> None:
    with pytest.raises(errors.Error) as caught:
        table(duck, sql)
    assert type(caught.value) is kind
    assert "exception_type" not in str(caught.value)
    assert caught.value.__cause__ is not None
    position = caught.value.position
    assert (position is None) == (at is None)
    if at is not None and position is not None:
        assert sql[position - 1 :].startswith(at)


def test_a_failure_in_the_middle_of_a_stream_has_its_class(duck: Duck) -> None:
    sql = "SELECT CASE WHEN i = 1900000 THEN ('a' || i)::INTEGER ELSE i END AS x FROM range(2000000) AS t(i)"
    rows = duck.run(duck.cursor(), sql, {})
    next(rows)
    with pytest.raises(errors.ConversionError, match="a1900000") as caught:
        rows.read_all()
    assert caught.value.position is not None and sql[caught.value.position - 1 :].startswith("::INTEGER")
    with pytest.raises(errors.QueryCancelled):
        next(rows)


def test_the_nearest_names_are_in_the_hint(duck: Duck) -> None:
    with pytest.raises(errors.ColumnNotFound) as caught:
        duck.describe("SELECT amont FROM (SELECT 1 AS amount)")
    assert "amount" in (caught.value.hint or "")


@pytest.mark.parametrize("sql", ["SELECT count(*) FROM range(1000000000000)", "FROM range(1000000000000)"])
def test_cancel_interrupts_a_running_query(duck: Duck, sql: str) -> None:
    token = CancelToken()
    timer = threading.Timer(0.2, token.cancel, [errors.QueryTimeout("too long")])
    timer.start()
    cursor = duck.cursor()
    with pytest.raises(errors.QueryTimeout):
        for _ in duck.run(cursor, sql, {}, token):
            pass
    timer.join()
    with pytest.raises(errors.QueryTimeout):
        duck.run(cursor, "SELECT 1", {}, token)
    assert duck.run(cursor, "SELECT 1 AS x", {}).read_all().num_rows == 1


def test_close_from_another_thread_ends_a_blocked_pull(duck: Duck) -> None:
    block, waiting, released = threading.Event(), threading.Event(), threading.Event()

    def batches() -> Iterator[pa.RecordBatch]:
        while True:
            if block.is_set():
                waiting.set()
                assert released.wait(30)
            yield pa.record_batch({"i": pa.array(range(10_000), pa.int64())})

    reader = pa.RecordBatchReader.from_batches(pa.schema({"i": pa.int64()}), batches())
    cursor = duck.cursor()
    rows = duck.run(cursor, "SELECT i FROM t", {"t": reader})
    block.set()
    caught: list[BaseException] = []

    def read() -> None:
        try:
            for _ in rows:
                pass
        except errors.Error as exc:
            caught.append(exc)

    thread = threading.Thread(target=read)
    thread.start()
    assert waiting.wait(30)
    rows.close()
    released.set()
    thread.join(60)
    assert [type(exc) for exc in caught] == [errors.QueryCancelled]
    assert duck.run(cursor, "SELECT 1 AS x", {}).read_all().num_rows == 1


def test_a_source_failure_is_raised_as_it_was(duck: Duck) -> None:
    token = CancelToken()
    original = errors.SourceUnavailable("gone", source="pg")

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"i": [1]})
        token.cancel(original)
        raise original

    reader = pa.RecordBatchReader.from_batches(pa.schema({"i": pa.int64()}), batches())
    with pytest.raises(errors.SourceUnavailable) as caught:
        duck.run(duck.cursor(), "SELECT sum(i) FROM t", {"t": reader}, token).read_all()
    assert caught.value is original


def test_many_threads_share_one_database(duck: Duck) -> None:
    answers: list[int] = []

    def ask(number: int) -> None:
        duck.create_table(f"shared_{number}", pa.schema({"i": pa.int64()}))
        duck.describe(f"SELECT * FROM shared_{number}")
        answers.append(table(duck, f"SELECT sum(i) AS s FROM range({number}) AS t(i)")["s"][0].as_py())

    threads = [threading.Thread(target=ask, args=[n]) for n in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted(decimal.Decimal(n * (n - 1) // 2) for n in range(2, 10))
