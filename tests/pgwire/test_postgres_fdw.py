"""postgres_fdw: a PostgreSQL whose foreign server is ours. What it answers is what the tables themselves give."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

from tests.pgwire.overlay_world import World
from tests.pgwire.running import Postgres
from tests.servers import Server

# Statements, and what of each must be in the SQL that travels.
PUSHED = [
    ("SELECT id, name FROM shop.customers WHERE id > 1 AND name LIKE 'G%' ORDER BY id", ["id > 1", "~~ 'G%'"]),
    ("SELECT count(*), max(score), sum(id) FROM shop.customers WHERE born < '2020-01-01'", ["count(*)", "born <"]),
    (
        "SELECT c.name, o.line, o.id FROM shop.customers c JOIN shop.orders o ON o.customer = c.id"
        " WHERE c.score > 1 OR o.line = 2 ORDER BY o.line LIMIT 3",
        ["INNER JOIN", "ORDER BY", "LIMIT 3::bigint"],
    ),
    (
        "SELECT customer, count(*), sum(weight), avg(line) FROM shop.orders GROUP BY customer"
        " HAVING count(*) > 0 ORDER BY customer",
        ["GROUP BY 1", "HAVING"],
    ),
    (
        "SELECT id, paid, tags FROM shop.orders WHERE at >= '2024-01-01' AND tags @> ARRAY['a'] AND paid IS NOT NULL"
        " AND id = 9007199254740993",
        ["@> '{a}'", "9007199254740993::bigint"],
    ),
    (
        "SELECT name FROM shop.customers WHERE seen > '2024-02-29 00:00:00-05' AND id IN (1, 2, 3)"
        " OR score BETWEEN -1 AND 0 ORDER BY name",
        ["ANY ('{1,2,3}'::integer[])", "(-1)::numeric"],
    ),
    ("SELECT count(*) FROM shop.customers WHERE name = ANY (ARRAY['Ada', 'Bo'])", ["'{Ada,Bo}'::text[]"]),
    (
        "SELECT count(*) FROM shop.orders WHERE took > interval '1 day' OR due < time '10:00' OR photo = '\\x00'"
        " OR code = '00112233-4455-6677-8899-aabbccddeeff' OR size = 1.5::real OR weight < 'NaN'",
        ["took >", "E'\\\\x00'", "'NaN'::double precision"],
    ),
    ('SELECT "A b", "select" FROM shop."Odd Name" WHERE "A b" IS NULL', ['shop."Odd Name"']),
    ("SELECT * FROM shop.orders ORDER BY id", ["photo, took, due"]),
    ("SELECT name FROM shop.customers c WHERE NOT EXISTS (SELECT FROM shop.orders o WHERE o.customer = c.id)", []),
    (
        "SELECT a.id, b.id FROM shop.customers a, shop.customers b WHERE a.name || b.name <> '' ORDER BY 1, 2",
        [],
    ),
]


@pytest.fixture(scope="module", params=["false", "true"], ids=["own estimates", "ours"])
def foreign(
    request: pytest.FixtureRequest, catalog_face: Postgres, postgres_server: Server
) -> Iterator[psycopg.Connection]:
    """A database with the server's `shop` imported; it fetches one row at a time, and plans by its own estimates or
    by the server's."""
    postgres_server.run("DROP DATABASE IF EXISTS fdw WITH (FORCE)")
    postgres_server.run("CREATE DATABASE fdw TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    with psycopg.connect(postgres_server.uri.rsplit("/", 1)[0] + "/fdw", autocommit=True) as connection:
        connection.execute(f"""
            CREATE EXTENSION postgres_fdw;
            CREATE SERVER federation FOREIGN DATA WRAPPER postgres_fdw
                OPTIONS (host '127.0.0.1', port '{catalog_face.port}', dbname 'anything', fetch_size '1',
                    use_remote_estimate '{request.param}');
            CREATE USER MAPPING FOR CURRENT_USER SERVER federation OPTIONS (user 'federation');
            CREATE SCHEMA shop;
            IMPORT FOREIGN SCHEMA shop FROM SERVER federation INTO shop
        """)
        yield connection


def test_the_schema_is_imported(world: World, foreign: psycopg.Connection) -> None:
    sql = """SELECT table_name, column_name, ordinal_position, data_type, is_nullable, numeric_precision, numeric_scale
        FROM information_schema.columns WHERE table_schema = 'shop' ORDER BY 1, 3"""
    assert foreign.execute(sql).fetchall() == world.database.execute(sql).fetchall()


@pytest.mark.parametrize(("sql", "travels"), PUSHED)
def test_what_is_pushed(
    request: pytest.FixtureRequest, world: World, foreign: psycopg.Connection, sql: str, travels: list[str]
) -> None:
    plan = "\n".join(row[0] for row in foreign.execute(f"EXPLAIN (VERBOSE) {sql}"))
    remote = " ".join(re.findall("Remote SQL: (.*)", plan))
    if "own estimates" in request.node.name:  # by ours, that depends on how fast this machine is
        assert [each for each in travels if each not in remote] == [], plan
    assert foreign.execute(sql).fetchall() == world.theirs(sql)[1]


def test_estimates_are_the_sources(world: World, foreign: psycopg.Connection) -> None:
    """Of a query that one source answers; of others they are a guess."""
    foreign.execute("ALTER SERVER federation OPTIONS (SET use_remote_estimate 'true')")
    for sql in ("SELECT id FROM shop.customers", "SELECT count(*) FROM shop.orders GROUP BY customer"):
        (theirs,), (ours,) = (next(iter(each.execute(f"EXPLAIN {sql}"))) for each in (world.database, foreign))
        assert re.findall("rows=[0-9]+", ours) == re.findall("rows=[0-9]+", theirs)


def test_parameters_travel(foreign: psycopg.Connection) -> None:
    foreign.execute("SET plan_cache_mode = force_generic_plan")
    foreign.execute(
        "PREPARE named (int, text) AS SELECT name FROM shop.customers WHERE id < $1 AND name <> $2 ORDER BY id"
    )
    assert foreign.execute("EXECUTE named (2, 'Bo')").fetchall() == [("Ada",)]
    assert foreign.execute("EXECUTE named (9, 'Ada')").fetchall() == [("Grüße",)]


def test_a_failure_within_a_savepoint(foreign: psycopg.Connection) -> None:
    with foreign.transaction():
        assert foreign.execute("SELECT count(*) FROM shop.customers").fetchone() == (2,)
        with pytest.raises(psycopg.errors.DivisionByZero), foreign.transaction():
            foreign.execute("SELECT name FROM shop.customers WHERE 6 / (id - 2) > 1")
        assert foreign.execute("SELECT max(id) FROM shop.customers").fetchone() == (2,)


def test_a_cursor_that_is_left(foreign: psycopg.Connection) -> None:
    with foreign.transaction():
        foreign.execute("DECLARE c CURSOR FOR SELECT id FROM shop.customers ORDER BY id")
        assert foreign.execute("FETCH 2 FROM c").fetchall() == [(1,), (2,)]
    assert foreign.execute("SELECT id FROM shop.customers ORDER BY id LIMIT 1").fetchall() == [(1,)]


def test_statistics_are_gathered(foreign: psycopg.Connection) -> None:
    foreign.execute("ANALYZE shop.customers")
    found = foreign.execute("SELECT reltuples FROM pg_class WHERE oid = 'shop.customers'::regclass").fetchone()
    assert found == (2.0,)


def test_nothing_is_written(foreign: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        foreign.execute("INSERT INTO shop.customers (id, name) VALUES (9, 'x')")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        foreign.execute("UPDATE shop.customers SET name = 'x' WHERE id = 1")
