"""How PostgreSQL is read: cancelled, timed out, cut off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pyarrow as pa
import pytest
from adbc_driver_postgresql import dbapi

from adapters.base import CancelToken, Scan, ScanRequest, TableName
from adapters.errors import (
    ConnectionLost,
    Error,
    QueryCancelled,
    QueryTimeout,
    SourceUnavailable,
)
from adapters.postgres import PostgresAdapter
from adapters.postgres_session import Answer, Session
from tests.adapters.oracle import read_all, run_bounded
from tests.adapters.postgres_big import BIG, FILL, ROWS, backends, island
from tests.servers import Server, run_sql
from tests.waiting import eventually

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


def read_first(adapter: PostgresAdapter, scan: Scan, cancel: CancelToken) -> pa.Table:
    return adapter.read(scan.partitions[0], cancel).read_all()


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
