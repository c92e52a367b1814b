"""A later query that asks for less is answered from the cache, at real sources; its requests are counted."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import Error
from federation.engine import Engine
from tests.adapters.rest_server import RestServer
from tests.cache.world import Clock, ask, catalog_text, engine_of, people, states
from tests.faults.world import source
from tests.servers import Server, run_sql

POLICY: dict[str, Any] = {"cache": {"ttl": "10s", "stale_while_revalidate": "20s", "stale_if_error": "100s"}}
TABLE = "(id INTEGER PRIMARY KEY, name TEXT, amount {decimal}, region TEXT, day {date})"
ROWS = [(n, f"n{n % 7}" if n % 5 else None, n * 1.25, "nsew"[n % 4], f"2024-01-{n % 28 + 1:02}") for n in range(1, 401)]
LIST = "SELECT id, name, amount, region, day FROM src.orders WHERE id > 50"
#: each asks for less than LIST
LESS = [
    "SELECT id FROM src.orders WHERE id > 50",
    "SELECT name, id FROM src.orders WHERE id BETWEEN 60 AND 90 ORDER BY id",
    "SELECT id, amount FROM src.orders WHERE id IN (51, 60, 7000) AND name IS NOT NULL",
    "SELECT id FROM src.orders WHERE id > 100 AND (name = 'n1' OR name IS NULL) AND length(region) = 1",
    "SELECT region, count(*) AS n, sum(amount) AS s FROM src.orders WHERE id > 50 GROUP BY region ORDER BY region",
    "SELECT DISTINCT region FROM src.orders WHERE id >= 51 AND amount > 100",
    "SELECT id, amount FROM src.orders WHERE id > 50 ORDER BY amount DESC, id LIMIT 5",
    "SELECT o.id FROM src.orders AS o WHERE o.id > 300 AND o.day >= '2024-01-15' ORDER BY 1 LIMIT 3 OFFSET 2",
    "SELECT count(*) AS n FROM src.orders WHERE id > 200",
    "SELECT max(amount) - min(amount) AS spread FROM src.orders WHERE id > 50 AND region = 'n'",
]
#: none of these may be
MORE = [
    "SELECT id FROM src.orders WHERE id > 49 ORDER BY id",
    "SELECT id FROM src.orders WHERE id > 50 OR region = 'n'",
    "SELECT count(*) FROM src.orders",
    "SELECT id FROM src.orders WHERE NOT id > 50",
    "SELECT name FROM src.orders WHERE name = 'n1'",
]


@pytest.fixture(params=["sqlite", "postgres"])
def section(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The source `src` with the table `orders`."""
    if request.param == "sqlite":
        path = tmp_path / "orders.db"
        with sqlite3.connect(path) as connection:
            connection.execute(f"CREATE TABLE orders {TABLE.format(decimal='REAL', date='TEXT')} STRICT")
            connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", ROWS)
        connection.close()
        return source("src", "sqlite", path=str(path), **POLICY)
    server: Server = request.getfixturevalue("postgres_server")
    uri = server.create_database("containment")
    values = ", ".join(str(row).replace("None", "NULL") for row in ROWS)
    table = TABLE.format(decimal="numeric(10, 2)", date="date")
    run_sql(uri, f"CREATE TABLE orders {table}; INSERT INTO orders VALUES {values};")
    return source("src", "postgres", uri=uri, **POLICY)


@pytest.fixture
def engine(section: str, clock: Clock, tmp_path: Path) -> Iterator[Engine]:
    text = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n{section}'
    with engine_of(tmp_path, clock, text) as opened:
        yield opened


def requests(engine: Engine, sql: str, **options: Any) -> int:
    """How many a query makes."""
    fragments = engine.explain(sql, analyze=True, options=options).to_json()["fragments"]
    return sum(each["actual"]["requests"] for each in fragments)


def test_less_is_answered_without_a_request(engine: Engine) -> None:
    wanted = [ask(engine, sql, options={"pushdown": False}) for sql in LESS]
    assert engine.cache is not None
    for entry in engine.cache.store.entries():
        engine.cache.store.remove(entry)
    assert requests(engine, LIST) == 1
    for sql, rows in zip(LESS, wanted, strict=True):
        assert requests(engine, sql) == 0, sql
        found = ask(engine, sql)
        assert sorted(found, key=str) == sorted(rows, key=str), sql
        assert "ORDER BY" not in sql or found == rows


def test_more_is_not(engine: Engine) -> None:
    ask(engine, LIST)
    for sql in MORE:
        wanted = ask(engine, sql, options={"pushdown": False})
        assert requests(engine, sql) == 1, sql
        assert sorted(ask(engine, sql), key=str) == sorted(wanted, key=str), sql


def test_explain_shows_what_picks_the_rows(engine: Engine) -> None:
    sql = "SELECT id FROM src.orders WHERE id > 60 ORDER BY id LIMIT 2"
    assert "from the cache" not in engine.explain(sql).text()
    ask(engine, LIST)
    (fragment,) = engine.explain(sql).to_json()["fragments"]
    assert fragment["freshness"]["state"] == "fresh"
    assert '"cached"."id" > 60' in fragment["freshness"]["query"]
    assert 'from the cache: SELECT "cached"."id"' in engine.explain(sql, analyze=True).text()


def test_it_is_an_optimization_that_can_be_switched_off(engine: Engine) -> None:
    ask(engine, LIST)
    assert requests(engine, LESS[0], disable=["containment"]) == 1
    assert requests(engine, LESS[1]) == 0


def test_a_limited_fragment_answers_what_its_limit_allows(engine: Engine) -> None:
    head = "SELECT id, amount FROM src.orders ORDER BY amount DESC LIMIT {}"
    assert requests(engine, head.format(20)) == 1
    assert requests(engine, head.format(7)) == 0
    assert ask(engine, head.format(7)) == ask(engine, head.format(7), options={"pushdown": False})
    assert requests(engine, head.format(21)) == 1
    assert requests(engine, "SELECT id FROM src.orders WHERE id > 390") == 1
    assert requests(engine, "SELECT id FROM src.orders ORDER BY id LIMIT 3") == 1


def test_groups_are_filtered_by_their_keys(engine: Engine) -> None:
    groups = "SELECT region, name, count(*) AS n FROM src.orders WHERE id > 10 {} GROUP BY region, name"
    assert requests(engine, groups.format("")) == 1
    for condition in ("AND region = 'n'", "AND region IN ('n', 's') AND name IS NULL", "AND name > 'n3'"):
        sql = groups.format(condition)
        assert requests(engine, sql) == 0, sql
        wanted = ask(engine, sql, options={"pushdown": False})
        assert sorted(ask(engine, sql), key=str) == sorted(wanted, key=str)
    assert requests(engine, groups.format("AND amount > 5")) == 1


def test_an_answer_is_as_old_as_what_it_is_from(engine: Engine, clock: Clock) -> None:
    ask(engine, LIST)
    clock.now += 9
    with engine.query(LESS[0]) as result:
        result.read_all()
        (found,) = result.freshness()
    assert (str(found.state), found.as_of) == ("fresh", clock.now - 9)
    clock.now += 2
    assert states(engine, LESS[1]) == ["stale"]
    clock.now += 200
    assert states(engine, LESS[2]) == ["live"]


def test_a_fragment_that_is_gone_is_fetched(engine: Engine, tmp_path: Path) -> None:
    ask(engine, LIST)
    for path in (tmp_path / "cache").rglob("*.arrow"):
        path.unlink()
    assert requests(engine, LESS[0]) == 1


def test_another_engine_finds_it(engine: Engine, section: str, clock: Clock, tmp_path: Path) -> None:
    ask(engine, LIST)
    other = tmp_path / "other"
    other.mkdir()
    text = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n{section}'
    with engine_of(other, clock, text) as second:
        assert requests(second, LESS[0]) == 0


def test_a_condition_that_fails_fails_as_it_would_without(engine: Engine) -> None:
    ask(engine, LIST)
    with pytest.raises(Error) as caught:
        ask(engine, "SELECT id FROM src.orders WHERE id > 50 AND CAST(region AS INTEGER) = 1")
    with pytest.raises(Error) as plain:
        ask(
            engine,
            "SELECT id FROM src.orders WHERE id > 50 AND CAST(region AS INTEGER) = 1",
            options={"pushdown": False},
        )
    assert caught.value.sqlstate == plain.value.sqlstate


def test_a_source_that_is_down_is_replaced_by_what_holds_more(clock: Clock, tmp_path: Path) -> None:
    server = RestServer({"/people": people("Ada", "Bo", "Cy")})
    with server, engine_of(tmp_path, clock, catalog_text(server.url, tmp_path / "cache")) as engine:
        assert len(ask(engine, "SELECT id, name FROM crm.people")) == 3
        clock.now += 60
        server.faults += ["503"] * 3
        sql = "SELECT name FROM crm.people WHERE id > 1 ORDER BY id"
        assert ask(engine, sql) == [("Bo",), ("Cy",)]
        assert states(engine, sql) == ["stale_on_error"]
        clock.now += 60
        with pytest.raises(Error):
            ask(engine, sql)


def test_keys_of_a_join_find_the_whole_table(engine: Engine) -> None:
    """What a runtime filter restricts is picked out of the fragment without it, and not the other way round."""
    everything = "SELECT id, name, amount FROM src.orders"
    joined = "SELECT o.id, o.amount FROM src.orders AS o JOIN (VALUES (5), (6)) AS k(id) ON k.id = o.id ORDER BY o.id"
    wanted = ask(engine, joined, options={"pushdown": False})
    assert ask(engine, joined) == wanted
    assert len(ask(engine, everything)) == len(ROWS)
    assert requests(engine, joined.replace("6", "7")) == 0
    assert ask(engine, joined.replace("6", "7")) == [
        (5, wanted[0][1]),
        (7, ask(engine, f"{everything} WHERE id = 7")[0][2]),
    ]


@pytest.fixture
def dividing(section: str, clock: Clock, tmp_path: Path) -> Iterator[Engine]:
    """Rows never change their day or id."""
    note = '[tables."src.orders"]\ncache = { immutable = ["Day", "id"] }\n'
    text = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n{section}{note}'
    with engine_of(tmp_path, clock, text) as opened:
        yield opened


def sent(engine: Engine) -> list[str]:
    """What the cache has is what was asked for."""
    assert engine.cache is not None
    return [entry.region for entry in engine.cache.store.entries()]


PERIOD = "SELECT id, day, amount FROM src.orders WHERE day >= '2024-01-{:02}' AND day <= '2024-01-{:02}'"


def test_only_what_is_missing_is_fetched(dividing: Engine) -> None:
    assert requests(dividing, PERIOD.format(5, 15)) == 1
    wider = PERIOD.format(10, 20)
    wanted = ask(dividing, wider, options={"pushdown": False})
    (fragment,) = dividing.explain(wider, analyze=True).to_json()["fragments"]
    assert fragment["actual"]["requests"] == 1
    assert fragment["actual"]["rows"] == sum(
        row[1] > type(row[1])(2024, 1, 15) if not isinstance(row[1], str) else row[1] > "2024-01-15" for row in wanted
    )
    assert "UNION ALL" in fragment["freshness"]["query"]
    assert requests(dividing, wider) == 0  # both parts are there
    assert sorted(ask(dividing, wider)) == sorted(wanted)
    assert sorted(ask(dividing, f"{PERIOD.format(7, 19)} ORDER BY id")) == sorted(
        ask(dividing, PERIOD.format(7, 19), options={"pushdown": False})
    )


def test_parts_are_put_together_in_order(dividing: Engine) -> None:
    sql = "SELECT id, amount FROM src.orders WHERE id IN ({}) ORDER BY amount DESC"
    assert requests(dividing, sql.format("1, 2, 3, 400")) == 1
    assert requests(dividing, sql.format("2, 3, 77, 78")) == 1
    found = ask(dividing, sql.format("2, 3, 77, 78"))
    assert [row[0] for row in found] == [78, 77, 3, 2]
    assert any('"in"' not in each and "77" in each for each in sent(dividing))


def test_groups_are_divided_by_their_keys(dividing: Engine) -> None:
    sql = "SELECT day, region, count(*) AS n FROM src.orders WHERE day >= '2024-01-{:02}' GROUP BY day, region"
    assert requests(dividing, sql.format(20)) == 1
    wanted = ask(dividing, sql.format(10), options={"pushdown": False})
    (fragment,) = dividing.explain(sql.format(10), analyze=True).to_json()["fragments"]
    assert "UNION ALL" in fragment["freshness"]["query"]
    assert sorted(ask(dividing, sql.format(10)), key=str) == sorted(wanted, key=str)


def test_what_may_change_is_not_divided(engine: Engine, dividing: Engine) -> None:
    """A row that moves from one part to the other between the two fetches would be seen twice, or not at all."""
    assert requests(engine, PERIOD.format(5, 15)) == 1
    (fragment,) = engine.explain(PERIOD.format(10, 20), analyze=True).to_json()["fragments"]
    assert fragment["freshness"]["query"] is None
    amounts = "SELECT id, amount FROM src.orders WHERE amount {}"
    ask(dividing, amounts.format("> 100.0::DOUBLE"))
    (fragment,) = dividing.explain(amounts.format("> 50.0::DOUBLE"), analyze=True).to_json()["fragments"]
    assert fragment["freshness"]["query"] is None


def test_two_parts_are_as_old_as_the_older(dividing: Engine, clock: Clock) -> None:
    clock.now = time.time()
    ask(dividing, PERIOD.format(5, 15))
    clock.now += 8
    with dividing.query(PERIOD.format(10, 20)) as result:
        result.read_all()
        (found,) = result.freshness()
    assert found.as_of == clock.now - 8
    clock.now += 40
    assert states(dividing, PERIOD.format(10, 20)) == ["live"]


def test_what_is_cached_is_expected_to_cost_nothing(clock: Clock, tmp_path: Path) -> None:
    """So that a plan stays with what the cache has."""
    sections = []
    for name in ("one", "two"):
        with sqlite3.connect(tmp_path / f"{name}.db") as connection:
            connection.execute(f"CREATE TABLE orders {TABLE.format(decimal='REAL', date='TEXT')} STRICT")
            connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", ROWS)
        connection.close()
        sections.append(source(name, "sqlite", path=str(tmp_path / f"{name}.db"), **POLICY))
    joined = "SELECT {} FROM one.orders AS a JOIN two.orders AS b ON a.day = b.day AND a.amount = b.amount"
    settings = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n'
    with engine_of(tmp_path, clock, settings + "".join(sections)) as engine:
        assert ask(engine, joined.format("count(*)")) == [(len(ROWS),)]
        again = joined.format("count(*) AS n")  # another statement that needs the same
        found = engine.explain(again).to_json()["fragments"]
        assert [each["expected"]["rows"] for each in found] == [len(ROWS)] * 2
        assert all(each["expected"]["seconds"] < 1e-4 for each in found)
        assert requests(engine, again) == 0
