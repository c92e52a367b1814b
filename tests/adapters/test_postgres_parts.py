"""How PostgreSQL's large tables are read: in parts under one snapshot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pytest

from adapters.base import CancelToken, Predicate, ScanRequest, TableName
from adapters.errors import ConversionError, SourceChanged
from adapters.postgres import PostgresAdapter
from tests.adapters.oracle import read_all, run_bounded
from tests.adapters.postgres_big import BIG, FILL, LONG_TEXT, ROWS, backends, island
from tests.servers import Server, run_sql
from tests.waiting import eventually


@pytest.fixture(scope="module")
def uri(postgres_server: Server) -> str:
    return postgres_server.create_database("parts")


@pytest.fixture
def adapter(uri: str) -> Iterator[PostgresAdapter]:
    made = PostgresAdapter("pg", {"uri": uri})
    yield made
    made.close()


@pytest.fixture
def big(uri: str) -> TableName:
    run_sql(uri, FILL)
    return BIG


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


@pytest.mark.parametrize("long", [False, True], ids=["packed", "row by row"])
def test_the_first_rows_wait_for_few_pages(adapter: PostgresAdapter, big: TableName, uri: str, long: bool) -> None:
    if long:
        run_sql(uri, f"INSERT INTO big SELECT 0, 0, {LONG_TEXT}")
    with closing(adapter.plan_scan(ScanRequest(big, ("id", "pad")))) as scan:
        assert ("string_agg" in next(iter(scan.partitions[0].payload.fetch.statements()))) is not long
        sizes = [batch.num_rows for batch in adapter.read(scan.partitions[0], CancelToken())]
        assert 0 < sizes[0] < 400 < sum(sizes)


@pytest.mark.parametrize("rows", [ROWS, 0], ids=["rows", "no rows"])
def test_the_first_rows_have_a_head_start(
    adapter: PostgresAdapter, big: TableName, uri: str, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr("adapters.postgres._HEAD_START_SECONDS", 600.0)
    run_sql(uri, f"DELETE FROM big WHERE id > {rows}")
    scan = adapter.plan_scan(ScanRequest(big, ("id", "pad")))
    first, *others = (adapter.read(each, CancelToken()) for each in scan.partitions)
    came: list[str] = []

    def read_others() -> None:
        for each in others:
            came.extend("other" for _ in each)

    thread = threading.Thread(target=read_others)
    thread.start()
    for _ in first:
        came.append("first")
    thread.join()
    scan.close()
    assert came[:1] == (["first"] if rows else [])


def test_a_part_that_is_read_alone_waits_for_nobody(adapter: PostgresAdapter, big: TableName) -> None:
    scan = adapter.plan_scan(ScanRequest(big, ("id",)))
    assert adapter.read(scan.partitions[-1], CancelToken()).read_all().num_rows
    scan.close()


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
