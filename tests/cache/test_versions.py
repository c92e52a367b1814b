"""Version queries: what has not moved at its source is renewed without being fetched, what has is not given."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapters.base import CancelToken
from adapters.errors import CardinalityViolation, Error, NotSupportedError, ProgrammingError
from cache.store import Store
from catalog.load import load_catalog
from federation.check import check
from federation.engine import Engine
from federation.slots import Slots
from federation.versions import VersionQuery, Versions
from tests.cache.world import Clock, ask, engine_of, states
from tests.faults.proxy import Proxy
from tests.faults.world import catalog_of, source
from tests.servers import Server, run_sql
from tests.waiting import eventually

POLICY = {"ttl": "10s", "stale_if_error": "100s"}
TABLES = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, kind VARCHAR(9), amount INTEGER, moved INTEGER);
CREATE TABLE parts (id INTEGER PRIMARY KEY, of_order INTEGER, moved INTEGER);
INSERT INTO orders VALUES (1, 'a', 10, 1), (2, 'b', 20, 2), (3, 'a', 30, 3);
INSERT INTO parts VALUES (1, 1, 1), (2, 3, 1);
"""
MOVED = "SELECT CAST(max(moved) AS INTEGER) AS moved FROM {}"  # SQLite knows the type of nothing else
ALL = "SELECT id, kind, amount FROM src.orders"
# One fragment: only what is an INTEGER PRIMARY KEY holds integers in SQLite for certain.
JOINED = "SELECT o.id, p.id FROM src.orders o JOIN src.parts p ON p.id = o.id"


@dataclass
class Shop:
    """Two tables at a real source."""

    section: str
    run: Callable[[str], object]

    def text(self, folder: Path, orders: str | None = None, parts: str | None = None) -> str:
        """The catalog; the queries are those of the tables' versions, empty for none."""
        text = f'[settings]\ncache_directory = "{folder / "cache"}"\n{self.section}'
        for table, sql in (("orders", orders), ("parts", parts)):
            if sql != "":
                text += f"[tables.'src.{table}']\ncache.version_sql = '''{sql or MOVED.format(table)}'''\n"
        return text


@pytest.fixture
def sqlite_shop(tmp_path: Path) -> Shop:
    def run(script: str) -> None:
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
            connection.executescript(script)

    run(TABLES)
    return Shop(source("src", "sqlite", path=str(tmp_path / "shop.db"), cache=POLICY), run)


@pytest.fixture(params=["sqlite", "postgres", "mysql"])
def shop(request: pytest.FixtureRequest) -> Shop:
    if request.param == "sqlite":
        made: Shop = request.getfixturevalue("sqlite_shop")
        return made
    server: Server = request.getfixturevalue({"postgres": "postgres_server", "mysql": "mariadb_server"}[request.param])
    uri = server.create_database("versions")
    run_sql(uri, TABLES)
    return Shop(source("src", request.param, uri=uri, cache=POLICY), lambda script: run_sql(uri, script))


def journal(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the source is asked from now on: `version` or `rows`."""
    adapter = engine.catalog.sources["src"].adapter
    asked: list[str] = []
    read = adapter.read

    def reading(partition: Any, cancel: Any) -> Any:
        asked.append("version" if "moved" in partition.request else "rows")
        return read(partition, cancel)

    monkeypatch.setattr(adapter, "read", reading)
    return asked


@pytest.fixture
def engine(sqlite_shop: Shop, clock: Clock, tmp_path: Path) -> Iterator[Engine]:
    with engine_of(tmp_path, clock, sqlite_shop.text(tmp_path)) as opened:
        yield opened


# --- bad input --------------------------------------------------------------------------------------------------


NO_QUERY = (ProgrammingError, NotSupportedError)
BAD: list[tuple[str, type[Error] | tuple[type[Error], ...]]] = [
    ("DELETE FROM orders", NO_QUERY),
    ("UPDATE orders SET moved = 9", NO_QUERY),
    ("SELECT 1; SELECT 2", NO_QUERY),
    ("SELECT 1; DELETE FROM orders", NO_QUERY),
    ("SELEC 1", NO_QUERY),
    ("SELECT mooved FROM orders", NO_QUERY),
    ("SELECT moved FROM gone", NO_QUERY),
    (";", NO_QUERY),
    ("SELECT moved FROM orders WHERE id = 99", CardinalityViolation),
    ("SELECT moved FROM orders", CardinalityViolation),
    ("SELECT moved AS a, id AS b FROM orders WHERE id = 1", CardinalityViolation),
]


def test_what_tells_no_version_is_a_typed_error(shop: Shop, tmp_path: Path) -> None:
    with closing(load_catalog(catalog_of(tmp_path, shop.text(tmp_path)))) as catalog:
        versions = Versions(Store(tmp_path / "cache"), {"src": Slots()})
        for sql, raised in BAD:
            with pytest.raises(raised) as failed:
                versions.ask(catalog.sources["src"], [VersionQuery("src.main.orders", sql, "0" * 32)], CancelToken())
            error = failed.value
            assert isinstance(error, Error) and (error.source, error.position) == ("src", None)
            assert "src.main.orders" in error.message and error.hint


def test_a_query_fails_with_it(sqlite_shop: Shop, clock: Clock, tmp_path: Path) -> None:
    with engine_of(tmp_path, clock, sqlite_shop.text(tmp_path, "SELECT moved FROM orders")) as engine:
        for _ in range(2):
            with pytest.raises(CardinalityViolation, match=r"src\.main\.orders"):
                ask(engine, ALL)
        assert ask(engine, ALL, options={"no_cache": True})  # where nothing is kept, nothing is asked
        assert len(ask(engine, "SELECT id FROM src.parts")) == 2


def test_the_catalog_is_checked(sqlite_shop: Shop, tmp_path: Path) -> None:
    good = check(catalog_of(tmp_path, sqlite_shop.text(tmp_path, "SELECT CAST(1 AS INTEGER)", "")))
    assert all(each.ok for each in good)
    found = check(catalog_of(tmp_path, sqlite_shop.text(tmp_path, "SELECT mooved FROM orders", "")))
    (fault,) = [each for each in found if not each.ok]
    assert (fault.kind, fault.name) == ("table", "src.orders") and "mooved" in fault.message


# --- renewed, or fetched ----------------------------------------------------------------------------------------


def test_what_has_not_moved_is_renewed(
    shop: Shop, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine_of(tmp_path, clock, shop.text(tmp_path)) as engine:
        asked = journal(engine, monkeypatch)
        rows = ask(engine, ALL)
        assert asked == ["version", "rows"]
        clock.now += 11
        with engine.query(ALL) as result:
            assert result.read_all().num_rows == 3
            (found,) = result.freshness()
        assert (str(found.state), found.as_of) == ("fresh", clock.now)
        assert asked == ["version", "rows", "version"]
        clock.now += 10
        assert (ask(engine, ALL), states(engine, ALL)) == (rows, ["fresh"])
        assert asked == ["version", "rows", "version"]  # as fresh as the last question
        clock.now += 1
        shop.run("UPDATE orders SET amount = 11, moved = 4 WHERE id = 1;")
        assert (1, "a", 11) in ask(engine, ALL)
        assert asked == ["version", "rows", "version", "version", "rows"]
        clock.now += 11
        assert (states(engine, ALL), asked[5:]) == (["fresh"], ["version"])


def test_one_question_renews_all_fragments_of_a_table(
    engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow, groups = f"{ALL} WHERE amount > 15", "SELECT kind, count(*) FROM src.orders GROUP BY kind"
    ask(engine, ALL)
    ask(engine, "SELECT id FROM src.parts")
    clock.now += 11
    asked = journal(engine, monkeypatch)
    assert sorted(ask(engine, narrow)) == [(2, "b", 20), (3, "a", 30)]
    assert sorted(ask(engine, groups)) == [("a", 2), ("b", 1)]
    assert states(engine, ALL) == ["fresh"]
    assert asked == ["version"]
    ask(engine, "SELECT id FROM src.parts")
    assert asked == ["version", "version"]  # that of the other table


def test_an_island_needs_the_versions_of_all_its_tables(
    engine: Engine, sqlite_shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sorted(ask(engine, JOINED)) == [(1, 1), (2, 2)]
    asked = journal(engine, monkeypatch)
    clock.now += 11
    assert (states(engine, JOINED), asked) == (["fresh"], ["version", "version"])
    clock.now += 11
    sqlite_shop.run("INSERT INTO parts VALUES (3, 2, 2);")
    assert sorted(ask(engine, JOINED)) == [(1, 1), (2, 2), (3, 3)]
    assert asked[2:] == ["version", "version", "rows"]


def test_a_table_without_a_version_is_fetched(
    sqlite_shop: Shop, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine_of(tmp_path, clock, sqlite_shop.text(tmp_path, parts="")) as engine:
        asked = journal(engine, monkeypatch)
        for _ in range(2):
            ask(engine, "SELECT id FROM src.parts")
            clock.now += 11
        assert asked == ["rows", "rows"]
        ask(engine, JOINED)
        clock.now += 11
        asked.clear()
        ask(engine, JOINED)
        assert "rows" in asked


def test_null_is_no_version(shop: Shop, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.run("UPDATE orders SET moved = NULL;")
    with engine_of(tmp_path, clock, shop.text(tmp_path)) as engine:
        ask(engine, ALL)
        clock.now += 11
        shop.run("UPDATE orders SET amount = 0 WHERE id = 1;")
        asked = journal(engine, monkeypatch)
        assert (1, "a", 0) in ask(engine, ALL)
        assert asked == ["version", "rows"]


def test_the_version_is_that_from_before_the_fetch(
    engine: Engine, sqlite_shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = engine.catalog.sources["src"].adapter
    read = adapter.read

    def reading(partition: Any, cancel: Any) -> Any:
        reader = read(partition, cancel)
        if "moved" not in partition.request:
            rows = reader.read_all()
            sqlite_shop.run("UPDATE orders SET amount = amount + 1, moved = moved + 10;")
            return rows.to_reader()
        return reader

    monkeypatch.setattr(adapter, "read", reading)
    assert (1, "a", 10) in ask(engine, ALL)
    clock.now += 11
    assert (1, "a", 11) in ask(engine, ALL)


def test_a_query_of_another_text_starts_anew(sqlite_shop: Shop, clock: Clock, tmp_path: Path) -> None:
    for sql in (None, "SELECT CAST(count(*) AS INTEGER) AS moved FROM orders"):
        with engine_of(tmp_path, clock, sqlite_shop.text(tmp_path, sql)) as engine:
            clock.now += 11
            assert states(engine, ALL) == ["live"]


# --- what else judges age ---------------------------------------------------------------------------------------


def test_max_staleness_asks_for_the_version(engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(engine, ALL)
    clock.now += 5
    asked = journal(engine, monkeypatch)
    for seconds, more in ((5, []), (4, ["version"]), (0, []), (0, [])):
        with engine.query(ALL, options={"max_staleness": seconds}) as result:
            result.read_all()
            assert [str(each.state) for each in result.freshness()] == ["fresh"]
        assert asked == more or seconds == 0
        asked.clear()
    clock.now += 1
    with engine.query(ALL, options={"max_staleness": 0}) as result:
        result.read_all()
        assert [each.as_of for each in result.freshness()] == [clock.now]
    assert asked == ["version"]


def test_stale_rows_are_renewed_behind_the_query(
    sqlite_shop: Shop, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = sqlite_shop.section.replace('ttl = "10s"', 'ttl = "10s", stale_while_revalidate = "20s"')
    with engine_of(tmp_path, clock, Shop(section, sqlite_shop.run).text(tmp_path)) as engine:
        asked = journal(engine, monkeypatch)
        ask(engine, ALL)
        clock.now += 11
        assert states(engine, ALL) == ["stale"]
        eventually(lambda: asked == ["version", "rows", "version"])
        eventually(lambda: states(engine, ALL) == ["fresh"])
        assert asked == ["version", "rows", "version"]


def test_what_was_invalidated_is_not_renewed(engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(engine, ALL)
    clock.now += 1
    engine.invalidate("src.orders")
    asked = journal(engine, monkeypatch)
    clock.now += 1
    assert (states(engine, ALL), asked) == (["live"], ["version", "rows"])


def test_explain_tells_it(engine: Engine, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 11
    assert engine.explain(ALL).to_json()["fragments"][0]["freshness"] is None
    (fragment,) = engine.explain(ALL, analyze=True).to_json()["fragments"]
    assert fragment["freshness"]["state"] == "fresh"
    assert engine.explain(ALL).to_json()["fragments"][0]["freshness"] == fragment["freshness"]


def test_others_who_share_the_folder_know_the_version(
    engine: Engine, sqlite_shop: Shop, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(engine, ALL)
    clock.now += 11
    assert states(engine, ALL) == ["fresh"]
    (tmp_path / "other").mkdir()
    with engine_of(tmp_path / "other", clock, sqlite_shop.text(tmp_path)) as other:
        asked = journal(other, monkeypatch)
        assert (states(other, ALL), asked) == (["fresh"], [])


def test_many_ask_once(engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(engine, ALL)
    clock.now += 11
    asked, together = journal(engine, monkeypatch), threading.Barrier(8)

    def one(_: int) -> int:
        together.wait()
        return len(ask(engine, ALL))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [3] * 8
    assert asked == ["version"]


# --- failures ---------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(postgres_server: Server) -> Iterator[Proxy]:
    uri = postgres_server.create_database("versions_down")
    run_sql(uri, TABLES)
    made = Proxy(uri)
    yield made
    made.stop()


def test_a_version_that_cannot_be_asked_for_is_a_failed_fetch(proxy: Proxy, clock: Clock, tmp_path: Path) -> None:
    shop = Shop(source("src", "postgres", uri=proxy.uri, cache=POLICY), lambda _: None)
    text = shop.text(tmp_path).replace("[settings]\n", '[settings]\nmetadata_ttl = "1h"\n')
    with engine_of(tmp_path, clock, text) as engine:
        ask(engine, ALL)
        clock.now += 60
        proxy.stop()
        with engine.query(ALL) as result:
            assert result.read_all().num_rows == 3
            assert [(str(each.state), each.as_of) for each in result.freshness()] == [
                ("stale_on_error", clock.now - 60)
            ]
        clock.now += 51
        with pytest.raises(Error) as failed:
            ask(engine, ALL)
        assert failed.value.sqlstate == "08006" and failed.value.retryable
        proxy.restore()
        assert states(engine, ALL) == ["fresh"]
        proxy.stop()
        clock.now += 11
        assert states(engine, ALL) == ["stale_on_error"]


def test_all_who_wait_for_a_version_fail_with_it(
    engine: Engine, sqlite_shop: Shop, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(engine, ALL)
    clock.now += 11
    sqlite_shop.run("ALTER TABLE orders RENAME COLUMN moved TO gone;")
    asked, together = journal(engine, monkeypatch), threading.Barrier(4)

    def one(_: int) -> str:
        together.wait()
        with pytest.raises(Error) as failed:
            ask(engine, ALL)
        return failed.value.sqlstate

    with ThreadPoolExecutor(4) as pool:
        assert all(list(pool.map(one, range(4))))
    assert "rows" not in asked
