"""How PostgreSQL is read: in parts under one snapshot, cancelled, timed out, cut off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from adbc_driver_postgresql import dbapi

from adapters.base import CancelToken, Predicate, Scan, ScanRequest, TableName
from adapters.errors import (
    ConnectionLost,
    ConversionError,
    Error,
    QueryCancelled,
    QueryTimeout,
    SourceChanged,
    SourceUnavailable,
)
from adapters.postgres import PostgresAdapter
from adapters.postgres_session import Answer, Session
from tests.adapters.oracle import read_all, run_bounded
from tests.servers import Server, run_sql
from tests.waiting import eventually

BIG = TableName("public", "big")
ROWS = 40_000
#: pages that are nine tenths empty, so that few rows make a large table and an updated row stays near
FILL = f"""
DROP TABLE IF EXISTS big CASCADE;
CREATE TABLE big (id int, amount numeric(10, 2), pad text) WITH (fillfactor = 10, autovacuum_enabled = off);
INSERT INTO big SELECT i, i, repeat('x', 80) FROM generate_series(1, {ROWS}) i;
"""
ENDLESS = "SELECT GENERATE_SERIES(1, 1000000000) AS i"


@pytest.fixture(scope="module")
def uri(postgres_server: Server) -> str:
    return postgres_server.create_database("reads")


@pytest.fixture
def adapter(uri: str) -> Iterator[PostgresAdapter]:
    made = PostgresAdapter("pg", {"uri": uri})
    yield made
    made.close()


@pytest.fixture
def big(uri: str) -> TableName:
    run_sql(uri, FILL)
    return BIG


def island(adapter: PostgresAdapter, sql: str, **types: pa.DataType) -> Scan:
    query = sqlglot.parse_one(sql, dialect="postgres")
    assert isinstance(query, sqlglot.exp.Query)
    scan = adapter.plan_query(query, pa.schema(types))
    assert scan is not None
    return scan


def read_first(adapter: PostgresAdapter, scan: Scan, cancel: CancelToken) -> pa.Table:
    return adapter.read(scan.partitions[0], cancel).read_all()


def backends(uri: str, state: str) -> int:
    """The other sessions of this database in that state."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return int(run_sql(uri, f"{sql} AND state = '{state}'"))


# --- parts of one table


def test_a_large_table_is_read_in_parts(adapter: PostgresAdapter, big: TableName) -> None:
    scan = adapter.plan_scan(ScanRequest(big, ("id", "amount")))
    assert len(scan.partitions) == 4
    ids: list[list[Any]] = [
        [row for batch in adapter.read(each, CancelToken()) for row in batch.column(0).to_pylist()]
        for each in scan.partitions
    ]
    scan.close()
    assert all(ids)
    assert sorted(each for part in ids for each in part) == list(range(1, ROWS + 1))


def test_parts_and_predicates(adapter: PostgresAdapter, big: TableName) -> None:
    scan = adapter.plan_scan(ScanRequest(big, ("id",), (Predicate("id", "in", (1, ROWS // 2, ROWS)),)))
    assert len(scan.partitions) == 4
    assert sorted(read_all(adapter, scan).to_pydict()["id"]) == [1, ROWS // 2, ROWS]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) AS id FROM big",
        "SELECT DISTINCT id FROM big",
        "SELECT id FROM big GROUP BY id",
        "SELECT id FROM big ORDER BY id",
        "SELECT id FROM big LIMIT 1000000",
        "SELECT id FROM big OFFSET 0",
        "SELECT a.id FROM big AS a JOIN big AS b ON a.id = b.id",
        "SELECT a.id FROM big AS a, big AS b WHERE a.id = b.id",
        "SELECT CAST(SUM(1) OVER () AS INT) AS id FROM big",
        "SELECT id FROM big UNION SELECT id FROM big",
        "WITH b AS (SELECT id FROM big) SELECT id FROM b",
        "SELECT id FROM (SELECT id FROM big) AS b",
        "SELECT id FROM big WHERE id = (SELECT MAX(id) FROM big)",
        "SELECT id FROM big_view",
        "SELECT id FROM big_parent",
    ],
)
@pytest.mark.usefixtures("big")
def test_what_does_not_go_row_by_row_over_one_table_is_one_read(adapter: PostgresAdapter, uri: str, sql: str) -> None:
    run_sql(
        uri,
        "CREATE OR REPLACE VIEW big_view AS SELECT * FROM big; DROP TABLE IF EXISTS big_parent CASCADE;"
        "CREATE TABLE big_parent (id int, amount numeric(10, 2), pad text); ALTER TABLE big INHERIT big_parent;"
        "INSERT INTO big_parent SELECT 0",
    )
    scan = island(adapter, sql, id=pa.int32())
    assert len(scan.partitions) == 1
    rows = read_all(adapter, scan).num_rows
    assert rows == {"COUNT": 1, "SELECT id FROM big_parent": ROWS + 1, "MAX": 1}.get(
        next((key for key in ("COUNT", "SELECT id FROM big_parent", "MAX") if key in sql), ""), ROWS
    )


def test_all_parts_see_the_moment_of_the_first(adapter: PostgresAdapter, big: TableName, uri: str) -> None:
    """An update moves a row to another page: without one snapshot, later parts would lose and repeat rows."""
    scan = adapter.plan_scan(ScanRequest(big, ("id", "amount")))
    seen: list[tuple[int, str]] = []
    for number, partition in enumerate(scan.partitions):
        for batch in adapter.read(partition, CancelToken()):
            seen += [(row["id"], str(row["amount"])) for row in batch.to_pylist()]
        run_sql(
            uri,
            f"UPDATE big SET amount = -1 WHERE id % 4 = {number}; DELETE FROM big WHERE id % 5 = {number};"
            f"INSERT INTO big SELECT i, 0, 'new' FROM generate_series(1, 1000) i",
        )
    scan.close()
    assert sorted(seen) == [(i, f"{i}.00") for i in range(1, ROWS + 1)]


def test_a_scan_that_is_read_again_sees_a_moment_of_its_own(adapter: PostgresAdapter, big: TableName, uri: str) -> None:
    first = adapter.plan_scan(ScanRequest(big, ("id",), (Predicate("pad", "<", ("y",)),)))
    found = [batch.num_rows for batch in adapter.read(first.partitions[0], CancelToken())]
    run_sql(uri, "UPDATE big SET pad = 'z' WHERE id > 10")
    again = first.again()
    assert (again.residual, again.schema, again.estimate) == (first.residual, first.schema, first.estimate)
    found += [batch.num_rows for batch in adapter.read(again.partitions[1], CancelToken())]
    for partition in first.partitions[1:]:
        found += [batch.num_rows for batch in adapter.read(partition, CancelToken())]
    first.close()
    assert sum(found) == ROWS
    assert read_all(adapter, again).num_rows == 10


def test_the_first_rows_wait_for_few_pages(adapter: PostgresAdapter, big: TableName) -> None:
    for columns in (("id", "amount"), ("id", "pad")):  # packed, and row by row
        with closing(adapter.plan_scan(ScanRequest(big, columns))) as scan:
            sizes = [batch.num_rows for batch in adapter.read(scan.partitions[0], CancelToken())]
            assert 0 < sizes[0] < 400 < sum(sizes)


def test_parts_under_concurrent_writes_add_up(adapter: PostgresAdapter, big: TableName, uri: str) -> None:
    """A writer moves money between rows, and rows between pages; every scan must see the same sum."""
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            run_sql(
                uri,
                f"BEGIN; UPDATE big SET amount = amount + 1 WHERE id % 400 = {number % 400};"
                f"UPDATE big SET amount = amount - 1 WHERE id % 400 = {(number * 7 + 200) % 400};"
                f"WITH gone AS (DELETE FROM big WHERE id % 400 = {number % 399} RETURNING *)"
                " INSERT INTO big SELECT * FROM gone; COMMIT",
            )

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        for _ in range(5):
            read = read_all(adapter, adapter.plan_scan(ScanRequest(big, ("id", "amount")))).to_pydict()
            assert sorted(read["id"]) == list(range(1, ROWS + 1))
            assert sum(read["amount"]) == ROWS * (ROWS + 1) // 2
    finally:
        stop.set()
        writer.join(60)


FIXED = """
DROP TABLE IF EXISTS fixed;
CREATE TABLE fixed (a smallint, b int, c bigint, d real, e float8, f numeric(18, 4), g numeric(5), h date, i timestamp,
  j timestamptz, k int NOT NULL, l date NOT NULL, m numeric(10, 2) NOT NULL) WITH (fillfactor = 10);
INSERT INTO fixed SELECT CASE WHEN n % 2 = 0 THEN n % 30000 - 15000 END, CASE WHEN n % 3 > 0 THEN -n END,
  CASE WHEN n % 5 > 0 THEN n * 100000000000 END, CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' ELSE n / 3.0 END,
  CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN '-Infinity' ELSE n / 3.0 END, CASE WHEN n % 11 > 0 THEN -n / 7.0 END,
  CASE WHEN n % 13 > 0 THEN n END, CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' ELSE date '0001-01-01' + n END,
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '-infinity' ELSE timestamp '1969-12-31' + n * interval '1 s' END,
  CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'infinity' ELSE timestamptz '1969-12-31 UTC' - n * interval '1 us' END,
  n, date '1970-01-01' + n, n / 100.0
FROM generate_series(1, 60000) n;
"""


def test_fixed_width_columns_travel_packed(adapter: PostgresAdapter, uri: str) -> None:
    """Whole columns at once are what the same columns are row by row."""
    run_sql(uri, FIXED)
    name = TableName("public", "fixed")
    columns = tuple(column.name for column in adapter.get_table(name).columns)
    packed = adapter.plan_scan(ScanRequest(name, columns))
    assert len(packed.partitions) == 4
    assert all("string_agg" in sql for each in packed.partitions for sql in each.payload.fetch.statements())
    plain = adapter.plan_scan(ScanRequest(name, columns, limit=1_000_000))
    assert not any("string_agg" in sql for sql in plain.partitions[0].payload.fetch.statements())
    assert packed.schema == plain.schema
    # By bytes: infinity is no day that Python knows.
    numbers = {"h": pa.int32(), "l": pa.int32(), "i": pa.int64(), "j": pa.int64()}
    packed_rows, plain_rows = (
        pa.table(
            {
                column: each.column(column).combine_chunks().view(numbers.get(column, each.schema.field(column).type))
                for column in columns
            }
        ).sort_by("k")
        for each in (read_all(adapter, packed), read_all(adapter, plain))
    )
    assert packed_rows.num_rows == 60000
    assert list(map(str, packed_rows.to_pylist())) == list(map(str, plain_rows.to_pylist()))
    some = adapter.plan_scan(ScanRequest(name, ("k", "b"), (Predicate("k", ">", (59_998,)),)))
    assert sorted(map(str, read_all(adapter, some).to_pylist())) == [
        "{'k': 59999, 'b': -59999}",
        "{'k': 60000, 'b': None}",
    ]


def test_a_number_that_cannot_travel_in_a_large_table_names_its_column(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, FILL + "UPDATE big SET amount = 'NaN' WHERE id = 39999")
    with pytest.raises(ConversionError, match='column "amount"'):
        read_all(adapter, adapter.plan_scan(ScanRequest(BIG, ("id", "amount"))))
    assert read_all(adapter, adapter.plan_scan(ScanRequest(BIG, ("id", "pad")))).num_rows == ROWS


def test_rows_added_after_planning_are_read(adapter: PostgresAdapter, big: TableName, uri: str) -> None:
    adapter.get_table(big)
    scan = adapter.plan_scan(ScanRequest(big, ("id",)))
    run_sql(uri, f"INSERT INTO big SELECT i, i, repeat('y', 80) FROM generate_series({ROWS + 1}, {2 * ROWS}) i")
    assert read_all(adapter, scan).num_rows == 2 * ROWS


@pytest.mark.parametrize("change", ["ALTER TABLE big ALTER amount TYPE numeric(12, 4)", "DROP TABLE big CASCADE"])
def test_a_large_table_that_changed_is_an_error(
    adapter: PostgresAdapter, big: TableName, uri: str, change: str
) -> None:
    adapter.get_table(big)
    scan = adapter.plan_scan(ScanRequest(big, ("id", "amount")))
    run_sql(uri, change)
    with pytest.raises(SourceChanged):
        read_all(adapter, scan)


def test_a_table_cannot_change_between_its_parts(adapter: PostgresAdapter, big: TableName, uri: str) -> None:
    scan = adapter.plan_scan(ScanRequest(big, ("id",)))
    rows = sum(batch.num_rows for batch in adapter.read(scan.partitions[0], CancelToken()))
    truncating = threading.Thread(target=run_sql, args=(uri, "TRUNCATE big"), daemon=True)
    truncating.start()
    eventually(lambda: "TRUNCATE" in run_sql(uri, "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    assert rows
    with pytest.raises(SourceChanged):
        run_bounded(lambda: adapter.read(scan.partitions[1], CancelToken()).read_all())
    scan.close()
    truncating.join(60)
    assert run_sql(uri, "SELECT count(*) FROM big").strip() == "0"


def test_a_closed_scan_leaves_no_transaction(adapter: PostgresAdapter, big: TableName, uri: str) -> None:
    scan = adapter.plan_scan(ScanRequest(big, ("id",)))
    adapter.read(scan.partitions[0], CancelToken()).read_next_batch()
    assert backends(uri, "idle in transaction") >= 1
    scan.close()
    eventually(lambda: backends(uri, "idle in transaction") == 0)
    again = adapter.plan_scan(ScanRequest(big, ("id",)))
    assert read_all(adapter, again).num_rows == ROWS


# --- ends before the end


def cancel_when(running: Callable[[], bool], reader: Callable[[CancelToken], object]) -> Error:
    """Cancel once it runs; the error that the blocked reader raises."""
    cancel = CancelToken()
    raised: list[Error] = []

    def read() -> None:
        try:
            reader(cancel)
        except Error as exc:
            raised.append(exc)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    eventually(running)
    cancel.cancel()
    thread.join(60)
    assert raised, "the reader was not unblocked"
    return raised[0]


def test_a_cancel_reaches_the_server(adapter: PostgresAdapter, uri: str) -> None:
    scan = island(adapter, "SELECT 1 AS n FROM pg_sleep(3600)", n=pa.int32())
    error = cancel_when(lambda: backends(uri, "active") == 1, partial(read_first, adapter, scan))
    assert isinstance(error, QueryCancelled)
    assert not isinstance(error, QueryTimeout)
    eventually(lambda: backends(uri, "active") == 0)


def test_a_cancel_while_rows_stream(adapter: PostgresAdapter, uri: str) -> None:
    scan = island(adapter, ENDLESS, i=pa.int32())
    error = cancel_when(lambda: backends(uri, "active") == 1, partial(read_first, adapter, scan))
    assert isinstance(error, QueryCancelled)
    eventually(lambda: backends(uri, "active") == 0)


def test_a_cancel_while_waiting_for_a_lock(adapter: PostgresAdapter, big: TableName, uri: str) -> None:
    adapter.get_table(big)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with closing(dbapi.connect(uri)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("LOCK TABLE big IN ACCESS EXCLUSIVE MODE")
        for request in (ScanRequest(big, ("id",)), ScanRequest(big, ("id",), limit=1)):
            scan = adapter.plan_scan(request)
            error = cancel_when(
                lambda: run_sql(uri, waiting).strip() == "1",
                partial(read_first, adapter, scan),
            )
            scan.close()
            assert isinstance(error, QueryCancelled)
            eventually(lambda: run_sql(uri, waiting).strip() == "0")
        connection.rollback()


def test_a_cancel_while_waiting_for_a_connection(uri: str) -> None:
    adapter = PostgresAdapter("pg", {"uri": uri, "limits": {"concurrency": 1}})
    scan = island(adapter, ENDLESS, i=pa.int32())
    first = adapter.read(scan.partitions[0], CancelToken())
    first.read_next_batch()
    error = cancel_when(lambda: True, partial(read_first, adapter, scan))
    assert isinstance(error, QueryCancelled)
    del first
    adapter.close()


def test_an_abandoned_reader_ends_its_statement(adapter: PostgresAdapter, uri: str) -> None:
    scan = island(adapter, ENDLESS, i=pa.int32())
    reader = adapter.read(scan.partitions[0], CancelToken())
    reader.read_next_batch()
    assert backends(uri, "active") == 1
    del reader
    eventually(lambda: backends(uri, "active") == 0)


def test_the_time_limit_of_the_source(uri: str) -> None:
    adapter = PostgresAdapter("pg", {"uri": uri, "limits": {"timeout": 0.5}})
    for sql in ("SELECT 1 AS i FROM pg_sleep(3600)", ENDLESS):
        scan = island(adapter, sql, i=pa.int32())
        with pytest.raises(QueryTimeout) as caught:
            run_bounded(partial(read_first, adapter, scan, CancelToken()))
        assert caught.value.source == "pg"
    adapter.close()


@pytest.mark.parametrize("before", [0, 3])
def test_a_connection_that_is_killed_is_never_a_shorter_answer(adapter: PostgresAdapter, uri: str, before: int) -> None:
    scan = island(adapter, ENDLESS, i=pa.int32())
    reader = adapter.read(scan.partitions[0], CancelToken())
    for _ in range(before + 1):
        reader.read_next_batch()
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ILIKE '%generate_series%'"
    run_sql(uri, f"{kill} AND datname = current_database() AND pid <> pg_backend_pid()")
    with pytest.raises(SourceUnavailable) as caught:
        run_bounded(lambda: [0 for _ in reader])
    assert caught.value.retryable
    assert read_all(adapter, island(adapter, "SELECT 1 AS n", n=pa.int32())).num_rows == 1


def test_a_part_that_lost_its_connection_is_not_read_again(
    adapter: PostgresAdapter, big: TableName, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its snapshot was that of the connection."""
    original, opened = Session.open, []

    def ended(session: Session, sql: str) -> Answer:
        opened.append(sql)
        pid = session.value("SELECT pg_backend_pid()")
        run_sql(uri, f"SELECT pg_terminate_backend({pid}, 60000)")
        return original(session, sql)

    scan = adapter.plan_scan(ScanRequest(big, ("id",)))
    assert adapter.read(scan.partitions[0], CancelToken()).read_all().num_rows
    monkeypatch.setattr(Session, "open", ended)
    with pytest.raises(ConnectionLost):
        adapter.read(scan.partitions[1], CancelToken()).read_all()
    assert len(opened) == 1
    scan.close()


def test_idle_connections_that_the_server_closed(adapter: PostgresAdapter, big: TableName, uri: str) -> None:
    """As after a restart of the server: nobody notices."""
    ask = ScanRequest(big, ("id",))
    for _ in range(2):
        adapter.get_table(big)
        assert read_all(adapter, adapter.plan_scan(ask)).num_rows == ROWS
        assert read_all(adapter, island(adapter, "SELECT 1 AS n", n=pa.int32())).num_rows == 1
        assert backends(uri, "idle") >= 3
        run_sql(
            uri,
            "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
