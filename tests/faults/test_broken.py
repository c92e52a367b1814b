"""A connection or a whole server that ends in the middle of a read: an error, never fewer rows; and then it works."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.errors import SourceUnavailable
from federation.engine import Engine
from tests.adapters.rest_server import RestServer
from tests.faults.proxy import Proxy
from tests.faults.world import ROWS, end_sessions, fetching, rows_of

READS = {
    "as it comes": "SELECT id, pad FROM far.endless",
    "through DuckDB": "SELECT id, pad FROM far.endless UNION ALL SELECT id, pad FROM lite.numbers",
}
NEAR = "SELECT count(*) FROM lite.numbers"
COUNT = "SELECT count(*) FROM far.numbers"


def assert_broken(engine: Engine, sql: str, break_it: Callable[[], object]) -> None:
    with engine.query(sql) as result:
        batches = result.batches()
        assert next(batches).num_rows
        break_it()
        with pytest.raises(SourceUnavailable) as caught:
            for _ in batches:
                pass
        assert (caught.value.source, caught.value.sqlstate, caught.value.retryable) == ("far", "08006", True)
        with pytest.raises(Exception, match=r"read already|was cancelled|far"):
            result.read_all()
    assert not fetching()


@pytest.mark.parametrize("sql", READS.values(), ids=READS.keys())
def test_an_administrator_ends_the_connection(beside: Engine, uri: str, sql: str) -> None:
    assert_broken(beside, sql, lambda: end_sessions(uri))
    assert rows_of(beside, NEAR) == [(ROWS,)]
    assert rows_of(beside, COUNT) == [(ROWS,)]


@pytest.mark.parametrize("sql", READS.values(), ids=READS.keys())
def test_the_network_breaks(beside: Engine, proxy: Proxy, sql: str) -> None:
    assert_broken(beside, sql, proxy.cut)
    assert rows_of(beside, NEAR) == [(ROWS,)]
    assert rows_of(beside, COUNT) == [(ROWS,)]


def test_connections_that_lay_idle_are_replaced(beside: Engine, uri: str) -> None:
    for sql in (COUNT, "SELECT count(DISTINCT list_value(id)) FROM far.numbers"):
        assert rows_of(beside, sql) == [(ROWS,)]
        end_sessions(uri)
        assert rows_of(beside, sql) == [(ROWS,)]


def test_a_web_api_breaks_off_between_two_pages(engine: Engine, rest: RestServer) -> None:
    for fault in ("cut", "disconnect", "503"):
        rest.faults.extend(["", "", fault])
        with pytest.raises(SourceUnavailable) as caught:
            rows_of(engine, "SELECT count(*) FROM crm.numbers")
        assert caught.value.source == "crm"
        assert rows_of(engine, "SELECT count(*) FROM crm.numbers") == [(ROWS,)]
