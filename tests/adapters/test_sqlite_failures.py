"""What goes wrong with a file is a typed error, promptly, and never fewer rows."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from adapters.base import CancelToken, Partition, ScanRequest
from adapters.errors import (
    CatalogError,
    ConversionError,
    QueryCancelled,
    SourceChanged,
    SourceError,
    SourceUnavailable,
)
from adapters.sqlite import SQLiteAdapter
from tests.adapters.oracle import read_all, run_bounded
from tests.adapters.sqlite_files import create_numbers, main, plan, read, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "crm.db"


@pytest.fixture
def adapter(path: Path) -> Iterator[SQLiteAdapter]:
    adapter = SQLiteAdapter("lite", {"path": path})
    yield adapter
    adapter.close()


def test_no_file(adapter: SQLiteAdapter) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        adapter.list_tables()
    assert caught.value.retryable
    assert caught.value.source == "lite"
    assert "crm.db" in caught.value.message


def test_a_file_that_goes_away(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INT)")
    scan = adapter.plan_scan(ScanRequest(main("t"), ("a",)))
    path.unlink()
    with pytest.raises(SourceUnavailable):
        read_all(adapter, scan)


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be one" * 100, b"SQLite format 3\0" + b"\1" * 9000]
)
def test_a_file_that_is_no_database(path: Path, adapter: SQLiteAdapter, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        adapter.list_tables()
    assert caught.value.source == "lite"


def test_a_torn_page_is_not_fewer_rows(path: Path, adapter: SQLiteAdapter) -> None:
    create_numbers(path)
    scan = adapter.plan_scan(ScanRequest(main("numbers"), ("n",)))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        read_all(adapter, scan)
    assert caught.value.__cause__ is not None


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable):
        SQLiteAdapter("lite", {"path": tmp_path}).list_tables()


def test_no_path() -> None:
    with pytest.raises(CatalogError) as caught:
        SQLiteAdapter("lite", {})
    assert "path" in caught.value.message


@pytest.mark.parametrize(
    "change",
    ["DROP TABLE t", "ALTER TABLE t RENAME TO u", "ALTER TABLE t DROP COLUMN b", "ALTER TABLE t RENAME COLUMN b TO c"],
)
def test_a_table_that_changed_since_planning(path: Path, adapter: SQLiteAdapter, change: str) -> None:
    write(path, "CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 2)")
    scan = adapter.plan_scan(ScanRequest(main("t"), ("a", "b")))
    write(path, change)
    with pytest.raises(SourceChanged) as caught:
        read_all(adapter, scan)
    assert caught.value.retryable


def test_a_view_over_a_table_that_went_away(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INT); CREATE VIEW v AS SELECT a FROM t")
    scan = adapter.plan_scan(ScanRequest(main("v"), ("a",)))
    write(path, "DROP TABLE t")
    with pytest.raises(SourceError) as caught:
        read_all(adapter, scan)
    assert caught.value.source == "lite"
    assert list(adapter.list_tables()) == [main("v")]
    with pytest.raises(SourceError):
        adapter.get_table(main("v"))


def test_a_column_whose_type_changed_since_planning(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")
    scan = adapter.plan_scan(ScanRequest(main("t"), ("a",)))
    write(path, "DROP TABLE t; CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('one')")
    with pytest.raises(ConversionError):
        read_all(adapter, scan)


def test_an_error_of_the_query_itself(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INT); INSERT INTO t VALUES (9223372036854775807), (1)")
    with pytest.raises(SourceError) as caught:
        read_all(adapter, plan(adapter, 'SELECT sum("q"."a") AS "s" FROM "main"."t" AS "q"', s=pa.int64()))
    assert "overflow" in caught.value.message


def test_failed_reads_give_their_connections_back(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES ('x', 1)")

    def fail_often() -> None:
        for _ in range(20):
            with pytest.raises(ConversionError):
                read(adapter, "t", "a")

    run_bounded(fail_often)
    assert read(adapter, "t", "b") == [{"b": 1}]


def test_nothing_is_written(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INT)")
    before = path.read_bytes()
    read(adapter, "t", "a")
    with pytest.raises(SourceError):
        list(adapter.read(Partition("", replace_sql(adapter, "DELETE FROM t")), CancelToken()))
    assert path.read_bytes() == before


def replace_sql(adapter: SQLiteAdapter, sql: str) -> Any:
    """A fetch that no planner makes."""
    (partition,) = adapter.plan_scan(ScanRequest(main("t"), ("a",))).partitions
    return replace(partition.payload, sql=sql)


def test_a_locked_database(path: Path, adapter: SQLiteAdapter) -> None:
    """By another process: within one, SQLite's locks of two libraries do not see each other."""
    write(path, "CREATE TABLE t (a INT)")
    lock = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN EXCLUSIVE')"
        "; print('locked', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", lock, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(SourceUnavailable) as caught:
            read(adapter, "t", "a")
        holder.communicate(b"\n")
    assert "locked" in str(caught.value)
    assert read(adapter, "t", "a") == []


ENDLESS = 'WITH RECURSIVE "g"("i") AS (SELECT 1 UNION ALL SELECT "i" + 1 FROM "g") SELECT "i" AS "i" FROM "g"'


def test_an_endless_query_streams_and_a_cancel_ends_it(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INT)")
    cancel = CancelToken()
    reader = adapter.read(plan(adapter, ENDLESS, i=pa.int64()).partitions[0], cancel)
    assert reader.read_next_batch()["i"][0].as_py() == 1
    cancel.cancel()
    with pytest.raises(QueryCancelled):
        reader.read_next_batch()


def test_a_cancel_frees_a_reader_that_blocks(path: Path, adapter: SQLiteAdapter) -> None:
    """The first row takes some seconds of work at the source; nobody waits for it."""
    write(path, "CREATE TABLE t (a INT)")
    slow = ENDLESS.replace('FROM "g")', 'FROM "g" WHERE "i" < 20000000)').replace('"i" AS "i"', 'max("i") AS "i"')
    cancel = CancelToken()
    reader = adapter.read(plan(adapter, slow, i=pa.int64()).partitions[0], cancel)
    failures: list[BaseException] = []

    def pull() -> None:
        try:
            reader.read_next_batch()
        except BaseException as exc:
            failures.append(exc)

    puller = threading.Thread(target=pull)
    puller.start()
    while not any(thread.name == "sqlite" for thread in threading.enumerate()):
        pass
    cancel.cancel()
    puller.join()
    assert [type(failure) for failure in failures] == [QueryCancelled]
    assert any(thread.name == "sqlite" for thread in threading.enumerate()), "it waited for the query"
    assert read(adapter, "t", "a") == []
    for thread in threading.enumerate():
        if thread.name == "sqlite":
            thread.join()
