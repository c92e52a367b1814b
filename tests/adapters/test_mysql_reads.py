"""Long reads from MariaDB, and reads that end before their time: never a shorter answer, nothing left running."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest

from adapters.base import CancelToken
from adapters.errors import CardinalityViolation, QueryTimeout, SourceUnavailable
from adapters.mysql import MySQLAdapter
from tests.adapters.mysql_islands import island, read
from tests.servers import Server, start_mariadb
from tests.waiting import eventually


@pytest.fixture
def uri(mariadb_server: Server) -> str:
    return mariadb_server.create_database("adapter")


@pytest.fixture
def adapter(uri: str) -> Iterator[MySQLAdapter]:
    made = MySQLAdapter("my", {"uri": uri})
    yield made
    made.close()


def statements(server: Server) -> list[str]:
    """What the connections of adapters are busy with."""
    text = server.run("SELECT ID, INFO FROM information_schema.PROCESSLIST WHERE INFO IS NOT NULL")
    return [line for line in text.splitlines() if "PROCESSLIST" not in line]


def one_busy(server: Server) -> str:
    """The connection that runs a statement. The list of processes leaves out what is changing just then, and those of
    other tests may take a moment to end."""
    (line,) = eventually(lambda: found if len(found := statements(server)) == 1 else [])
    return line.split("\t")[0]


# --- long reads -------------------------------------------------------------------------------------------------


def test_rows_of_more_than_one_packet(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    """A row over 16 MiB is sent in several packets; the exact multiple ends with an empty one."""
    mariadb_server.run("SET GLOBAL max_allowed_packet = 67108864")
    head = 2 + 4  # the number and the length before the text
    sizes = [0xFFFFFF - head, 0xFFFFFF - head - 1, 0xFFFFFF - head + 1, 2 * 0xFFFFFF, 40_000_000]
    parts = [f"SELECT {place} AS i, REPEAT('abcdefg', {size // 7 + 1}) AS v, {size} AS n"
             for place, size in enumerate([5, *sizes, 5])]  # fmt: skip
    text = f"SELECT i, LEFT(v, n) AS v, n FROM ({' UNION ALL '.join(parts)}) AS q"
    got = read(adapter, text, i=pa.int8(), v=pa.string(), n=pa.int64())
    values = [value.as_py() for value in got.column("v")]
    assert [len(value) for value in values] == [5, *sizes, 5] == got.column("n").to_pylist()
    assert all(value == ("abcdefg" * (len(value) // 7 + 1))[: len(value)] for value in values)


def test_a_long_read_holds_little(adapter: MySQLAdapter) -> None:
    text = "SELECT seq AS n, REPEAT('x', seq % 2000) AS v FROM seq_1_to_100000"
    rows = length = most = 0
    before = pa.total_allocated_bytes()  # by other tests
    for batch in adapter.read(island(adapter, text, n=pa.int64(), v=pa.string()), CancelToken()):
        rows += batch.num_rows
        length += sum(len(value.as_py()) for value in batch.column(1))
        most = max(most, batch.nbytes)
        del batch
    assert (rows, length) == (100_000, sum(n % 2000 for n in range(1, 100_001)))
    assert most < 4 << 20
    assert pa.total_allocated_bytes() - before < 64 << 20


def test_the_last_row_of_a_slow_result_is_not_waited_for(adapter: MySQLAdapter) -> None:
    assert read(adapter, "SELECT 1 AS a UNION ALL SELECT SLEEP(0.2)", a=pa.int64()).column("a").to_pylist() == [1, 0]


# --- the end of a read before its time --------------------------------------------------------------------------


def test_a_cancel_reaches_the_server(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    """The sleep would last longer than the bound: only a cancel that arrives ends it."""
    cancel = CancelToken()
    cause = QueryTimeout("out of time")
    failures: list[BaseException] = []

    def run() -> None:
        try:
            read(adapter, "SELECT SLEEP(3600) AS a", cancel, a=pa.int64())
        except BaseException as exc:
            failures.append(exc)

    reader = threading.Thread(target=run, daemon=True)
    reader.start()
    eventually(lambda: any("SLEEP(3600)" in each for each in statements(mariadb_server)))
    cancel.cancel(cause)
    reader.join(60)
    assert failures == [cause]
    eventually(lambda: not statements(mariadb_server))
    assert read(adapter, "SELECT 1 AS a", a=pa.int64()).num_rows == 1


def test_an_abandoned_read_ends_at_the_server(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    text = "SELECT a.seq AS n FROM seq_1_to_10000000 AS a, seq_1_to_1000 AS b"
    reader = adapter.read(island(adapter, text, n=pa.int64()), CancelToken())
    assert reader.read_next_batch().num_rows
    eventually(lambda: any("seq_1_to_10000000" in each for each in statements(mariadb_server)))
    del reader
    gc.collect()
    eventually(lambda: not statements(mariadb_server))


def test_a_connection_killed_during_the_read(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    text = "SELECT a.seq AS n FROM seq_1_to_10000000 AS a, seq_1_to_1000 AS b"
    reader = adapter.read(island(adapter, text, n=pa.int64()), CancelToken())
    reader.read_next_batch()
    mariadb_server.run(f"KILL {one_busy(mariadb_server)}")
    with pytest.raises(SourceUnavailable) as caught:
        for _ in reader:
            pass
    assert caught.value.source == "my"
    assert caught.value.retryable
    assert read(adapter, "SELECT 1 AS a", a=pa.int64()).num_rows == 1


def test_a_query_killed_at_the_server(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    reader = adapter.read(
        island(adapter, "SELECT a.seq AS n FROM seq_1_to_10000000 AS a, seq_1_to_1000 AS b", n=pa.int64()),
        CancelToken(),
    )
    reader.read_next_batch()
    mariadb_server.run(f"KILL QUERY {one_busy(mariadb_server)}")
    with pytest.raises(SourceUnavailable):
        for _ in reader:
            pass


def test_an_error_in_the_middle_of_the_rows(adapter: MySQLAdapter) -> None:
    text = "SELECT (SELECT b.seq FROM seq_1_to_2 AS b WHERE b.seq = 1 OR a.seq = 150000) AS n FROM seq_1_to_200000 AS a"
    reader = adapter.read(island(adapter, text, n=pa.int64()), CancelToken())
    with pytest.raises(CardinalityViolation) as caught:
        for _ in reader:
            pass
    assert caught.value.source == "my"


def test_an_idle_connection_that_the_server_closed_is_replaced(mariadb_server: Server, adapter: MySQLAdapter) -> None:
    own = read(adapter, "SELECT CONNECTION_ID() AS a", a=pa.int64()).column("a")[0].as_py()
    mariadb_server.run(f"KILL {own}")
    eventually(lambda: f"{own}" not in mariadb_server.run("SELECT ID FROM information_schema.PROCESSLIST").split())
    assert read(adapter, "SELECT CONNECTION_ID() AS a", a=pa.int64()).column("a")[0].as_py() != own


def test_connections_are_used_again(adapter: MySQLAdapter) -> None:
    used = {read(adapter, "SELECT CONNECTION_ID() AS a", a=pa.int64()).column("a")[0].as_py() for _ in range(5)}
    assert len(used) == 1


def test_the_time_limit_of_the_source(uri: str) -> None:
    adapter = MySQLAdapter("my", {"uri": uri, "limits": {"timeout": 0.2}})
    with pytest.raises(QueryTimeout) as caught:
        read(adapter, "SELECT COUNT(*) AS a FROM seq_1_to_10000000 AS a, seq_1_to_10000000 AS b", a=pa.int64())
    assert caught.value.source == "my"
    adapter.close()


def test_a_server_that_stops() -> None:
    server = start_mariadb()
    adapter = MySQLAdapter("my", {"uri": server.uri})
    part = island(adapter, "SELECT a.seq AS n FROM seq_1_to_10000000 AS a, seq_1_to_1000 AS b", n=pa.int64())
    reader = adapter.read(part, CancelToken())
    reader.read_next_batch()
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    with pytest.raises(SourceUnavailable):
        for _ in reader:
            pass
    stopping.join()
    with pytest.raises(SourceUnavailable) as caught:
        list(adapter.list_tables())
    assert caught.value.hint
    adapter.close()
