"""A source that cannot be reached, whose rows the cache has: through planning, reading and what comes after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.errors import SourceUnavailable
from federation.engine import Engine
from tests.cache.world import Clock, ask, engine_of, states
from tests.faults.proxy import Proxy
from tests.faults.world import source
from tests.servers import Server, run_sql

SETTINGS = '[settings]\ncache_directory = "{}"\nmetadata_ttl = "{}"\n'
POLICY = {"ttl": "10s", "stale_if_error": "1h"}
SMALL = "SELECT id, name FROM far.small ORDER BY id"
JOINED = "SELECT s.name, count(*) FROM far.small AS s JOIN near.other AS o ON o.id = s.id GROUP BY s.name ORDER BY 1"


@pytest.fixture(params=["postgres_server", "mariadb_server"])
def proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    server: Server = request.getfixturevalue(request.param)
    uri = server.create_database("cache_down")
    run_sql(
        uri,
        "CREATE TABLE small (id int PRIMARY KEY, name varchar(10)); CREATE TABLE unread (id int);"
        "INSERT INTO small VALUES (1, 'Ada'), (2, 'Bo');",
    )
    made = Proxy(uri)
    yield made
    made.stop()


@contextmanager
def opened(proxy: Proxy, clock: Clock, folder: Path, metadata_ttl: str) -> Iterator[Engine]:
    kind = "postgres" if proxy.uri.startswith("postgresql:") else "mysql"
    far = source("far", kind, uri=proxy.uri, cache=POLICY)
    near = '[sources.near]\nadapter = "memory"\ntables = { other = [{ id = 1 }, { id = 2 }, { id = 2 }] }\n'
    with engine_of(folder, clock, SETTINGS.format(folder / "cache", metadata_ttl) + far + near) as engine:
        yield engine


@pytest.fixture
def engine(proxy: Proxy, clock: Clock, tmp_path: Path) -> Iterator[Engine]:
    with opened(proxy, clock, tmp_path, "0s") as found:
        yield found


def test_nothing_is_asked_of_a_source_whose_rows_are_fresh(proxy: Proxy, clock: Clock, tmp_path: Path) -> None:
    """Not even what it expects: they cost next to nothing."""
    with opened(proxy, clock, tmp_path, "1h") as engine:
        answers = [ask(engine, JOINED), ask(engine, SMALL)]
    with opened(proxy, clock, tmp_path, "1h") as engine:
        engine.describe(JOINED)  # which columns there are
        proxy.silence()
        assert [ask(engine, JOINED, timeout=60), ask(engine, SMALL, timeout=60)] == answers
        assert states(engine, JOINED) == ["fresh", "live"]
        expected = {each["source"]: each["expected"] for each in engine.explain(JOINED).to_json()["fragments"]}
        assert expected["far"]["rows"] == 2
        assert expected["far"]["seconds"] < 1e-4


def test_a_source_that_is_down_is_replaced_until_it_is_back(engine: Engine, proxy: Proxy, clock: Clock) -> None:
    answers = [ask(engine, SMALL), ask(engine, JOINED)]
    clock.now += 60
    proxy.stop()
    for _ in range(2):
        assert [ask(engine, SMALL), ask(engine, JOINED)] == answers
    assert states(engine, SMALL) == ["stale_on_error"]
    assert states(engine, JOINED) == ["stale_on_error", "live"]
    proxy.restore()
    assert states(engine, SMALL) == ["live"]
    assert states(engine, SMALL) == ["fresh"]


def test_what_the_cache_does_not_have_is_an_error(engine: Engine, proxy: Proxy, clock: Clock) -> None:
    ask(engine, SMALL)
    clock.now += 10 + 3601
    proxy.stop()
    for sql in (SMALL, "SELECT id FROM far.small WHERE id > 1", "SELECT id FROM far.unread"):
        with pytest.raises(SourceUnavailable):
            ask(engine, sql)
