"""A view that is kept warm answers what asks for less of it, at real sources; their requests are counted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from federation.warming import Warmer
from tests.cache.test_containment import requests
from tests.cache.world import Clock, ask, engine_of
from tests.faults.world import source
from tests.servers import Server, run_sql

TABLES = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER, region TEXT) {strict};
CREATE TABLE regions (region TEXT PRIMARY KEY, label TEXT) {strict};
INSERT INTO regions VALUES ('n', 'North'), ('s', 'South'), ('e', NULL);
INSERT INTO orders VALUES {values};
"""
VALUES = ", ".join(str((n, f"n{n % 7}", n % 90, "nsew"[n % 4])) for n in range(300))
VIEWS = {
    "plain": "SELECT id AS name, name AS label, amount + 1 AS more FROM src.orders WHERE id > 50",
    "nested": "SELECT name AS number, more FROM v.plain WHERE label = 'n1' OR label IS NULL",
    "groups": "SELECT region, name, count(*) AS n, sum(amount) AS total FROM src.orders GROUP BY region, name",
    "joined": "SELECT o.id, r.label, o.amount FROM src.orders o LEFT JOIN src.regions r ON o.region = r.region",
    "labels": "SELECT r.label, count(*) AS n, sum(o.amount) AS total"
    " FROM src.orders o JOIN src.regions r ON o.region = r.region GROUP BY r.label",
    "top": "SELECT id, name, amount FROM src.orders ORDER BY amount DESC, id LIMIT 20",
    "names": "SELECT DISTINCT region, name FROM src.orders WHERE amount > 10",
}
#: each asks for less than its view
LESS = {
    "plain": [
        "SELECT name FROM v.plain WHERE label = 'n1'",
        "SELECT label, more FROM v.plain WHERE more > 40 AND name IN (60, 70, 80)",
        "SELECT label, count(*) AS n, max(more) AS high FROM v.plain WHERE name < 200 GROUP BY label ORDER BY label",
        "SELECT more FROM v.plain ORDER BY more DESC, name LIMIT 5",
        "SELECT id, name FROM src.orders WHERE id > 60 AND name = 'n2'",
    ],
    "nested": ["SELECT number FROM v.nested WHERE more > 20 ORDER BY number"],
    "groups": [
        "SELECT name, n FROM v.groups WHERE region = 'n'",
        "SELECT name, total FROM v.groups WHERE total > 450 AND n > 2",
        "SELECT region, sum(n) AS n, max(total) / 7 AS high FROM v.groups GROUP BY region",
        "SELECT total FROM v.groups ORDER BY total DESC, name LIMIT 3",
        "SELECT count(*) FROM v.groups WHERE name > 'n3'",
    ],
    "joined": [
        "SELECT id FROM v.joined WHERE label IS NULL AND id > 7",
        "SELECT label, sum(amount) AS total FROM v.joined GROUP BY label",
    ],
    "labels": ["SELECT label FROM v.labels WHERE n > 5", "SELECT max(total) FROM v.labels WHERE label <> 'North'"],
    "top": ["SELECT id FROM v.top WHERE name = 'n3'", "SELECT id, name FROM v.top ORDER BY amount DESC, id LIMIT 3"],
    "names": ["SELECT region FROM v.names WHERE name = 'n1'", "SELECT name, count(*) AS n FROM v.names GROUP BY name"],
}
#: none of these does
MORE = [
    "SELECT id FROM src.orders WHERE id > 49",
    "SELECT o.id FROM src.orders o WHERE o.amount + 2 > 100",
    "SELECT region, count(*) AS n FROM src.orders WHERE id > 7 GROUP BY region",
]


@pytest.fixture(params=["sqlite", "postgres"])
def section(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    policy = {"ttl": "1h"}
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
            connection.executescript(TABLES.format(strict="STRICT", values=VALUES))
        return source("src", "sqlite", path=str(tmp_path / "shop.db"), cache=policy)
    server: Server = request.getfixturevalue("postgres_server")
    uri = server.create_database("warm_views")
    run_sql(uri, TABLES.format(strict="", values=VALUES))
    return source("src", "postgres", uri=uri, cache=policy)


def test_a_view_answers_what_asks_for_less_of_it(section: str, tmp_path: Path, clock: Clock) -> None:
    for view, queries in LESS.items():
        views = "".join(f'[views."v.{name}"]\nsql = "{sql}"\n' for name, sql in VIEWS.items())
        views = views.replace(f'[views."v.{view}"]\n', f'[views."v.{view}"]\ncache.refresh = "every 5m"\n')
        text = f'[settings]\ncache_directory = "{tmp_path / view}"\n{section}{views}'
        with engine_of(tmp_path, clock, text) as engine:
            warmer = Warmer(engine)
            assert [warmer.refresh(each) for each in engine.pins] == [True]
            for sql in queries:
                assert requests(engine, sql) == 0, sql
                wanted = ask(engine, sql, options={"pushdown": False, "no_cache": True})
                found = ask(engine, sql)
                assert sorted(found, key=str) == sorted(wanted, key=str), sql
                assert "ORDER BY" not in sql or found == wanted
            if view == "plain":
                assert all(requests(engine, sql) == 1 for sql in MORE)
