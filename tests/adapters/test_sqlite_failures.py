"""What goes wrong with a file is a typed error, promptly, and never fewer rows."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
    QueryTimeout,
    SourceChanged,
    SourceError,
    SourceUnavailable,
)
from adapters.sqlite import SQLiteAdapter
from tests.adapters.oracle import read_all, run_bounded
from tests.adapters.sqlite_files import create_numbers, main, plan, read, write
from tests.waiting import SECONDS, eventually


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


SILENT = {
    "aggregate": 'SELECT max("a"."n" * "b"."n") AS "x" FROM "main"."numbers" AS "a", "main"."numbers" AS "b"',
    "sort": 'SELECT "a"."n" AS "x" FROM "main"."numbers" AS "a", "main"."numbers" AS "b" ORDER BY "a"."n" * "b"."n"',
    "filter": 'SELECT 1 AS "x" FROM "main"."numbers" AS "a", "main"."numbers" AS "b" WHERE "a"."n" + "b"."n" = -1',
    "recursion": ENDLESS.replace('"i" AS "i"', 'max("i") AS "x"'),
}


@pytest.mark.parametrize("cause", [QueryCancelled("enough"), QueryTimeout("too long")])
@pytest.mark.parametrize("sql", SILENT.values(), ids=SILENT)
def test_a_cancel_ends_a_statement_that_is_silent(
    path: Path, adapter: SQLiteAdapter, sql: str, cause: QueryCancelled
) -> None:
    """For the process that ran it is gone, and nothing is left open."""
    create_numbers(path)
    adapter.list_tables()
    before = workers(path)
    cancel = CancelToken()
    reader = adapter.read(plan(adapter, sql, x=pa.int64()).partitions[0], cancel)
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(reader.read_next_batch)
        eventually(lambda: len(workers(path)) == len(before) + 1)
        (worker,) = workers(path) - before
        eventually(lambda: processor_time(worker) > 0.1)
        cancel.cancel(cause)
        assert reading.exception(SECONDS) is cause
    assert workers(path) == before
    eventually(lambda: not any(thread.name.startswith("sqlite") for thread in threading.enumerate()))
    assert len(read(adapter, "numbers", "n")) > 0
    adapter.close()
    assert not workers(path)


def test_a_reader_that_is_left_ends_its_statement(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INT)")
    adapter.list_tables()
    before = workers(path)
    reader = adapter.read(plan(adapter, ENDLESS, i=pa.int64()).partitions[0], CancelToken())
    assert reader.read_next_batch().num_rows
    assert workers(path) > before
    reader.close()
    del reader
    gc.collect()
    assert workers(path) == before


def test_a_process_that_dies_is_not_fewer_rows(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INT)")
    adapter.list_tables()
    before = workers(path)
    reader = adapter.read(plan(adapter, ENDLESS, i=pa.int64()).partitions[0], CancelToken())
    assert reader.read_next_batch().num_rows
    for worker in workers(path) - before:
        os.kill(worker, signal.SIGKILL)
    with pytest.raises(SourceError, match="process"):
        for _ in reader:
            pass


def test_a_process_that_died_while_idle_is_replaced(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")
    ordered = 'SELECT "t"."a" AS "a" FROM "main"."t" AS "t" ORDER BY 1'
    for _ in range(2):
        assert read_all(adapter, plan(adapter, ordered, a=pa.int64())).num_rows == 1
        for worker in workers(path):
            os.kill(worker, signal.SIGKILL)
            os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    assert list(adapter.list_tables()) == [main("t")]


def test_processes_end_with_the_one_that_started_them(path: Path) -> None:
    """Even when it is killed, and whatever they are doing."""
    create_numbers(path)
    script = (
        "import sys; import pyarrow as pa; from adapters.base import CancelToken"
        "; from adapters.sqlite import SQLiteAdapter; from tests.adapters.sqlite_files import plan"
        "; adapter = SQLiteAdapter('lite', {'path': sys.argv[1]})"
        "; list(adapter.read(plan(adapter, sys.argv[2], x=pa.int64()).partitions[0], CancelToken()))"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(path), SILENT["aggregate"]]) as holder:
        eventually(lambda: any(processor_time(worker) > 0.1 for worker in workers(path)))
        holder.kill()
    eventually(lambda: not workers(path))


def test_a_whole_table_is_scanned_here(path: Path, adapter: SQLiteAdapter) -> None:
    create_numbers(path)
    write(path, "CREATE VIEW v AS SELECT n FROM numbers")
    adapter.list_tables()
    before = workers(path)
    assert read(adapter, "numbers", "n")
    assert workers(path) == before
    assert read(adapter, "v", "n")
    assert len(workers(path)) == len(before) + 1, "a view may be silent for long"


def test_a_scan_keeps_its_lock_whatever_else_is_asked(path: Path, adapter: SQLiteAdapter) -> None:
    """Closing the file anywhere in this process would drop it, and a writer would come in between."""
    create_numbers(path)
    (partition,) = adapter.plan_scan(ScanRequest(main("numbers"), ("n",))).partitions
    reader = adapter.read(partition, CancelToken())
    assert reader.read_next_batch() is not None
    assert adapter.get_table(main("numbers")).columns
    assert read(adapter, "numbers", "n")
    write_now = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN EXCLUSIVE')"
    asked = subprocess.run([sys.executable, "-c", write_now, str(path)], capture_output=True, text=True, check=False)
    assert "database is locked" in asked.stderr
    reader.close()


def workers(path: Path) -> set[int]:
    """The processes that have this file."""
    found = set()
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"{path.as_uri()}?".encode() in each.read_bytes():
                found.add(int(each.parent.name))
    return found


def processor_time(worker: int) -> float:
    """In seconds."""
    try:
        fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
