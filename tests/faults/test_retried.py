"""An idle connection that its source ends in the moment of the next statement: one more try, with a new connection, as
long as nothing of the answer was there. Whatever else fails, fails the query."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest
import sqlglot

from adapters import mysql_session, postgres_session
from adapters.base import CancelToken, Partition, Table, TableName
from adapters.errors import ConnectionLost, QueryTimeout, SnapshotLost, SourceUnavailable
from adapters.mysql import MySQLAdapter
from adapters.postgres import PostgresAdapter
from federation.engine import Engine
from tests.faults.proxy import Proxy
from tests.faults.world import ROWS, end_sessions, rows_of, running, sessions
from tests.servers import run_sql
from tests.waiting import SECONDS, eventually

Adapter = PostgresAdapter | MySQLAdapter
ENDLESS = "SELECT id FROM {}.endless"
NUMBERS = "SELECT id FROM {}.numbers"


class Moment:
    """Just before a method of sessions: what happens there at the next calls, and the sessions that were called."""

    def __init__(self) -> None:
        self.happens: list[Callable[[], object]] = []
        self.called: list[Any] = []

    def before(self, monkeypatch: pytest.MonkeyPatch, kind: type, method: str) -> None:
        original = getattr(kind, method)

        def wrapped(session: Any, *arguments: Any) -> Any:
            self.called.append(session)
            if self.happens:
                self.happens.pop(0)()
            return original(session, *arguments)

        monkeypatch.setattr(kind, method, wrapped)


def kind_of(uri: str) -> type:
    return postgres_session.Session if uri.startswith("postgresql:") else mysql_session.Session


@pytest.fixture
def moment(uri: str, monkeypatch: pytest.MonkeyPatch) -> Moment:
    """Between a connection that was lent and the query."""
    made = Moment()
    made.before(monkeypatch, kind_of(uri), "open")
    return made


def adapter_of(uri: str, **options: Any) -> Adapter:
    kind = PostgresAdapter if uri.startswith("postgresql:") else MySQLAdapter
    return kind("far", {"uri": uri, **options})


@pytest.fixture
def adapter(uri: str) -> Iterator[Adapter]:
    made = adapter_of(uri)
    yield made
    made.close()


def partition(adapter: Adapter, sql: str = NUMBERS) -> Partition:
    query = sqlglot.parse_one(sql.format(adapter.default_schema), dialect=adapter.dialect.name)
    assert isinstance(query, sqlglot.exp.Query)
    scan = adapter.plan_query(query, pa.schema([("id", pa.int64())]))
    assert scan is not None
    return scan.partitions[0]


def read(adapter: Adapter, token: CancelToken | None = None, sql: str = NUMBERS) -> int:
    return adapter.read(partition(adapter, sql), token or CancelToken()).read_all().num_rows


def warmed(adapter: Adapter, moment: Moment) -> Adapter:
    """With an idle connection."""
    assert read(adapter) == ROWS
    moment.called.clear()
    return adapter


def cancel_statements(uri: str) -> None:
    if uri.startswith("postgresql:"):
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        run_sql(uri, f"SELECT pg_cancel_backend(pid) {others}")
        return
    others = "FROM information_schema.processlist WHERE db = database() AND command = 'Query' AND id <> connection_id()"
    run_sql(uri, f"KILL QUERY {run_sql(uri, f'SELECT id {others}').strip()}")


# --- not tried again


def test_a_new_connection(adapter: Adapter, moment: Moment, uri: str) -> None:
    moment.happens = [lambda: end_sessions(uri)]
    with pytest.raises(ConnectionLost) as caught:
        read(adapter)
    assert (caught.value.source, caught.value.sqlstate, caught.value.retryable) == ("far", "08006", True)
    assert len(moment.called) == 1
    assert read(adapter) == ROWS


def test_a_second_time(adapter: Adapter, moment: Moment, uri: str) -> None:
    warmed(adapter, moment)
    moment.happens = [lambda: end_sessions(uri)] * 3
    with pytest.raises(ConnectionLost):
        read(adapter)
    assert len(moment.called) == len(set(moment.called)) == 2
    moment.happens.clear()
    assert read(adapter) == ROWS


def test_the_error_is_that_of_the_second_try(proxy: Proxy, moment: Moment) -> None:
    """And the only connection that there may be is free again."""
    adapter = warmed(adapter_of(proxy.uri, limits={"concurrency": 1}), moment)
    moment.happens = [proxy.stop]
    with pytest.raises(SourceUnavailable, match=r"(?i)cannot connect|can't connect") as caught:
        read(adapter)
    assert type(caught.value) is SourceUnavailable
    assert len(moment.called) == 1
    proxy.restore()
    assert read(adapter) == ROWS
    adapter.close()


def test_after_the_first_row(adapter: Adapter, moment: Moment, uri: str) -> None:
    warmed(adapter, moment)
    reader = adapter.read(partition(adapter, ENDLESS), CancelToken())
    assert reader.read_next_batch().num_rows
    end_sessions(uri)
    with pytest.raises(ConnectionLost):
        for _ in reader:
            pass
    assert len(moment.called) == 1


def test_a_query_that_was_cancelled(adapter: Adapter, moment: Moment, uri: str) -> None:
    warmed(adapter, moment)
    token = CancelToken()
    cause = QueryTimeout("the time of the query is over")

    def end_and_cancel() -> None:
        end_sessions(uri)
        token.cancel(cause)

    moment.happens = [end_and_cancel]
    with pytest.raises(QueryTimeout) as caught:
        read(adapter, token)
    assert caught.value is cause
    assert len(moment.called) == 1


def test_the_time_limit_of_the_source(moment: Moment, uri: str) -> None:
    adapter = warmed(adapter_of(uri, limits={"timeout": 0.5}), moment)
    if isinstance(adapter, PostgresAdapter):
        sql = "SELECT 1 AS id FROM pg_sleep(1000)"
    else:
        sql = "SELECT COUNT(*) AS id FROM seq_1_to_10000000 AS a, seq_1_to_10000000 AS b"
    with pytest.raises(QueryTimeout):
        read(adapter, sql=sql)
    assert len(moment.called) == 1
    adapter.close()


def test_a_statement_that_an_administrator_ended(adapter: Adapter, moment: Moment, uri: str) -> None:
    warmed(adapter, moment)
    endless = "SELECT count(*) AS id FROM {0}.endless"
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read, adapter, None, endless)
        eventually(lambda: any("count" in each.lower() for each in running(uri)))
        cancel_statements(uri)
        with pytest.raises(QueryTimeout if isinstance(adapter, PostgresAdapter) else SourceUnavailable):
            reading.result(SECONDS)
    assert len(moment.called) == 1


def test_in_a_snapshot(adapter: Adapter, moment: Moment, uri: str) -> None:
    """Its connection is the state that is read."""
    snapshot = warmed(adapter, moment).take_snapshot(CancelToken())
    assert snapshot.read(partition(adapter), CancelToken()).read_all().num_rows == ROWS
    moment.called.clear()
    moment.happens = [lambda: end_sessions(uri)]
    with pytest.raises(ConnectionLost):
        snapshot.read(partition(adapter), CancelToken()).read_all()
    assert len(moment.called) == 1
    with pytest.raises(SnapshotLost):
        snapshot.read(partition(adapter), CancelToken()).read_all()
    snapshot.close()


# --- tried again


def test_other_idle_connections_that_were_ended_too(adapter: Adapter, moment: Moment, uri: str) -> None:
    readers = [adapter.read(partition(adapter), CancelToken()) for _ in range(3)]
    for reader in readers:
        reader.read_next_batch()
    assert all(sum(batch.num_rows for batch in reader) < ROWS for reader in readers)
    idle = set(moment.called)
    moment.called.clear()
    assert len(idle) == 3
    moment.happens = [lambda: end_sessions(uri)]
    assert read(adapter) == ROWS
    first, second = moment.called
    assert first in idle
    assert second not in idle


def test_the_only_connection(proxy: Proxy, moment: Moment, uri: str) -> None:
    adapter = warmed(adapter_of(proxy.uri, limits={"concurrency": 1}), moment)
    for _ in range(3):
        moment.happens = [proxy.cut]
        assert read(adapter) == ROWS
    assert len(moment.called) == 6
    eventually(lambda: sessions(uri) <= 2)  # with that which describes tables
    adapter.close()


def test_an_answer_without_rows(adapter: Adapter, moment: Moment, uri: str) -> None:
    warmed(adapter, moment)
    moment.happens = [lambda: end_sessions(uri)]
    assert read(adapter, sql=f"{NUMBERS} WHERE id < 0") == 0
    assert len(moment.called) == 2


def described(adapter: Adapter) -> Table:
    return adapter.get_table(TableName(adapter.default_schema, "numbers"))


QUESTIONS: dict[str, Callable[[Adapter], Any]] = {
    "tables": lambda adapter: sorted(each.name for each in adapter.list_tables()),
    "a table": described,
    "many tables": lambda adapter: list(adapter.get_tables([TableName(adapter.default_schema, "numbers")])),
    "statistics": lambda adapter: adapter.statistics(TableName(adapter.default_schema, "numbers")).rows is None,
    "a native query": lambda adapter: adapter.describe_native("SELECT id FROM numbers"),
    "a snapshot": lambda adapter: adapter.take_snapshot(CancelToken()).close(),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_metadata(adapter: Adapter, uri: str, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Adapter], Any]) -> None:
    answer = ask(adapter)
    moment = Moment()
    for method in ("run", "value", "schema") if isinstance(adapter, PostgresAdapter) else ("rows", "prepared"):
        moment.before(monkeypatch, kind_of(uri), method)
    moment.happens = [lambda: end_sessions(uri)]
    assert ask(adapter) == answer
    assert len(set(moment.called)) > 1
    moment.happens = [lambda: end_sessions(uri)] * 100
    with pytest.raises(ConnectionLost):
        ask(adapter)


def test_a_query(beside: Engine, moment: Moment, uri: str) -> None:
    joined = "SELECT count(*) FROM far.numbers a JOIN lite.numbers b USING (id)"
    native = "SELECT * FROM query('far', 'SELECT count(*) AS n FROM numbers')"
    for sql in (native, joined):  # whose connection is not kept, and one whose is
        assert rows_of(beside, sql) == [(ROWS,)]
    moment.called.clear()
    moment.happens = [lambda: end_sessions(uri)]
    assert rows_of(beside, joined) == [(ROWS,)]
    assert len(moment.called) == 2
    moment.happens = [lambda: end_sessions(uri)]
    assert rows_of(beside, native) == [(ROWS,)]
    assert len(moment.called) == 4
