"""PostgreSQL's NOTIFY: what has changed is not given any more, and neither is what may have changed unheard."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.base import CancelToken
from adapters.errors import SourceUnavailable
from adapters.postgres import PostgresAdapter
from federation.engine import Engine
from federation.listening import Listener
from tests.cache.world import ask, states
from tests.faults.proxy import Proxy
from tests.faults.world import engine_over, source
from tests.servers import Server, run_sql
from tests.waiting import eventually

TABLES = """
CREATE TABLE orders (id int PRIMARY KEY, amount int); INSERT INTO orders VALUES (1, 10);
CREATE TABLE parts (id int PRIMARY KEY, amount int); INSERT INTO parts VALUES (1, 10);
"""
ORDERS, PARTS = "SELECT id, amount FROM src.orders", "SELECT id, amount FROM src.parts"
LISTENERS = """
FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE '%listen%' AND pid <> pg_backend_pid()
"""
POLICY = {"ttl": "1h", "stale_if_error": "1h", "notify": "Changes of it"}


@pytest.fixture(scope="module")
def template(postgres_server: Server) -> str:
    uri = postgres_server.create_database("listened_template")
    run_sql(uri, TABLES)
    return "listened_template"


@pytest.fixture
def uri(postgres_server: Server, template: str) -> str:
    return postgres_server.create_database("listened", like=template)


@pytest.fixture
def sections(uri: str, tmp_path: Path) -> tuple[str, str]:
    settings = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\nmetadata_ttl = "1h"\n'
    return settings, source("src", "postgres", uri=uri, cache=POLICY)


@pytest.fixture
def engine(sections: tuple[str, str], tmp_path: Path) -> Iterator[Engine]:
    with engine_over(tmp_path, *sections) as opened:
        heard(opened)
        yield opened


def listener(engine: Engine) -> Listener:
    assert engine.cache is not None
    return engine.cache._listeners["src"]


def heard(engine: Engine, after: float = 0.0) -> float:
    """Since when it listens, once it does."""
    return eventually(lambda: (since := listener(engine).since()) > after and since < math.inf and since)


def test_what_is_notified_is_fetched(engine: Engine, uri: str) -> None:
    for sql in (ORDERS, PARTS):
        ask(engine, sql)
        assert states(engine, sql) == ["fresh"]
    run_sql(uri, "UPDATE orders SET amount = 11; NOTIFY \"Changes of it\", 'public.orders';")
    eventually(lambda: ask(engine, ORDERS) == [(1, 11)])
    assert (states(engine, ORDERS), states(engine, PARTS)) == (["fresh"], ["fresh"])
    run_sql(uri, 'NOTIFY "Changes of it", \'"public".ORDERS\'; NOTIFY other;')
    eventually(lambda: states(engine, ORDERS) == ["live"])
    assert states(engine, PARTS) == ["fresh"]


@pytest.mark.parametrize("text", ["", "everything", "a.b.c", '{"table": "parts"}'])
def test_what_names_no_table_is_the_whole_source(engine: Engine, uri: str, text: str) -> None:
    for sql in (ORDERS, PARTS):
        ask(engine, sql)
    run_sql(uri, f"UPDATE parts SET amount = 11; SELECT pg_notify('Changes of it', '{text}');")
    eventually(lambda: ask(engine, PARTS) == [(1, 11)])
    assert states(engine, ORDERS) == ["live"]


def test_what_may_have_been_missed_counts_as_changed(
    engine: Engine, uri: str, caplog: pytest.LogCaptureFixture
) -> None:
    since = heard(engine)
    ask(engine, ORDERS)
    assert states(engine, ORDERS) == ["fresh"]
    with caplog.at_level(logging.WARNING):
        killed = f"SELECT pg_terminate_backend(pid, 60000) {LISTENERS};"
        run_sql(uri, f"{killed} UPDATE orders SET amount = 12; NOTIFY \"Changes of it\", 'public.orders';")
        heard(engine, after=since)
    assert ask(engine, ORDERS) == [(1, 12)]
    assert states(engine, ORDERS) == ["fresh"]
    assert "nothing of src is cached" in caplog.text
    assert uri not in caplog.text


def test_rows_from_before_it_listened_are_not_given(engine: Engine, sections: tuple[str, str], tmp_path: Path) -> None:
    ask(engine, ORDERS)
    with engine_over(tmp_path, *sections) as other:
        heard(other)
        assert (states(other, ORDERS), states(other, ORDERS)) == (["live"], ["fresh"])
    assert states(engine, ORDERS) == ["fresh"]  # who listened all the time may have them


def test_a_source_that_is_down_is_stood_in_for(uri: str, tmp_path: Path) -> None:
    proxy = Proxy(uri)
    settings = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\nmetadata_ttl = "1h"\n'
    with engine_over(tmp_path, settings, source("src", "postgres", uri=proxy.uri, cache=POLICY)) as engine:
        since = heard(engine)
        ask(engine, ORDERS)
        assert states(engine, ORDERS) == ["fresh"]
        proxy.stop()
        eventually(lambda: listener(engine).since() == math.inf)
        assert states(engine, ORDERS) == ["stale_on_error"]
        run_sql(uri, "UPDATE orders SET amount = 13;")
        proxy.restore()
        heard(engine, after=since)
        assert ask(engine, ORDERS) == [(1, 13)]
    proxy.stop()


def test_it_ends_with_the_engine(engine: Engine, uri: str) -> None:
    assert run_sql(uri, f"SELECT count(*) {LISTENERS}") == "1\n"
    engine.close()
    assert not [each for each in threading.enumerate() if each.name == "listen-src"]
    eventually(lambda: run_sql(uri, f"SELECT count(*) {LISTENERS}") == "0\n")


def test_a_session_that_does_not_listen_any_more_is_an_error(uri: str) -> None:
    """As behind a pool that hands them out by the transaction."""
    with closing(PostgresAdapter("src", {"uri": uri})) as adapter:
        found = adapter.listen("x" * 70, CancelToken())  # PostgreSQL cuts the name
        assert next(iter(found)) == []
        with pytest.raises(SourceUnavailable, match="does not listen") as failed:
            next(iter(found))
        assert failed.value.source == "src"
        with pytest.raises(SourceUnavailable) as failed:
            next(
                iter(PostgresAdapter("src", {"uri": "postgresql://u:secret@127.0.0.1:1/d"}).listen("c", CancelToken()))
            )
        assert "secret" not in str(failed.value) and failed.value.__cause__ is not None
