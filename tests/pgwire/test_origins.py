"""Which table and column a column of a result is from: as a real PostgreSQL says it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.pgwire.overlay_world import World
from tests.pgwire.running import Postgres

QUERIES = [
    "SELECT * FROM shop.orders",
    "SELECT c.*, o.line AS number, 1 AS one FROM shop.customers c, shop.orders o",
    "SELECT id, (name), name || '', count(*) OVER (), id::int, id::text, -id, score::numeric FROM shop.customers",
    'SELECT "A b", plain AS "select" FROM shop."Odd Name"',
    "SELECT max(id), customer FROM shop.orders GROUP BY customer",
    "SELECT DISTINCT name FROM shop.customers ORDER BY name LIMIT 1",
    "SELECT s.a, s.b, s.c FROM (SELECT id + 1 AS a, name AS b, born FROM shop.customers) AS s (a, b, c)",
    "WITH t (x, y) AS (SELECT born, line + 1 FROM shop.customers, shop.orders) SELECT x, y FROM t",
    "WITH RECURSIVE t (x) AS (SELECT id FROM shop.customers UNION SELECT x FROM t) SELECT x FROM t",
    "SELECT id FROM shop.customers UNION SELECT id FROM shop.orders",
    "SELECT x FROM (SELECT id AS x FROM shop.customers UNION ALL SELECT customer FROM shop.orders) u",
    'SELECT id, plain FROM shop.customers NATURAL JOIN (SELECT 1 AS id, plain FROM shop."Odd Name") o',
    "SELECT id FROM shop.customers a JOIN shop.customers b USING (id)",
    "SELECT * FROM shop.customers c JOIN shop.orders o USING (id)",
    "SELECT * FROM shop.orders o LEFT JOIN shop.customers c USING (id)",
    "SELECT id FROM shop.orders o RIGHT JOIN shop.customers c USING (id)",
    "SELECT id FROM shop.customers a RIGHT JOIN (SELECT id, born FROM shop.customers) b USING (id)",
    "SELECT id, a.id FROM shop.customers a FULL JOIN shop.customers b USING (id)",
    "SELECT l.name, (SELECT c.name) FROM shop.customers c, LATERAL (SELECT c.name) l",
    "SELECT line, x FROM shop.orders, generate_series(1, 2) AS x",
    "SELECT coalesce(name), CASE WHEN true THEN name END FROM shop.customers",
    "(SELECT id FROM shop.customers)",
    "VALUES (1, 'a')",
    "TABLE shop.customers",
]


def origins(connection: psycopg.Connection, sql: str) -> list[tuple[str, Any, int]]:
    """Of each column: its name, the name of its table, and its number there."""
    result = connection.execute(sql).pgresult
    assert result is not None
    columns = [(result.fname(i) or b"", result.ftable(i), result.ftablecol(i)) for i in range(result.nfields)]
    names = {0: None, **dict(connection.execute("SELECT oid, relname FROM pg_class WHERE relkind IN ('r', 'v')"))}
    return [(name.decode(), names[table], number) for name, table, number in columns]


@pytest.mark.parametrize("sql", QUERIES)
def test_as_postgresql_says(world: World, catalog_face: Postgres, sql: str) -> None:
    with psycopg.connect(catalog_face.uri, autocommit=True) as ours:
        assert origins(ours, sql) == origins(world.database, sql)


def test_prepared_and_in_a_cursor(catalog_face: Postgres) -> None:
    """The number of the column is the one that the catalog says."""
    sql = "SELECT attrelid::int, attnum FROM pg_attribute WHERE attrelid = 'shop.orders'::regclass AND attname = 'at'"
    with psycopg.connect(catalog_face.uri) as ours, ours.cursor() as cursor:
        (known,) = cursor.execute(sql)
        ours.pgconn.prepare(b"p", b"SELECT at, id + 1 FROM shop.orders WHERE id = $1")
        for found in (ours.pgconn.describe_prepared(b"p"), ours.pgconn.exec_prepared(b"p", [b"1"])):
            assert (found.ftable(0), found.ftablecol(0)) == known
            assert (found.ftable(1), found.ftablecol(1)) == (0, 0)
        with ours.cursor("named") as named:
            named.execute("SELECT at FROM shop.orders")
            assert named.pgresult is not None
            assert (named.pgresult.ftable(0), named.pgresult.ftablecol(0)) == known


def test_a_view_and_a_table_of_the_system(face: Postgres) -> None:
    with psycopg.connect(face.uri, autocommit=True) as connection:
        assert origins(connection, "SELECT id, id + 1 AS more FROM shown.evens") == [
            ("id", "evens", 1),
            ("more", None, 0),
        ]
        assert origins(connection, "SELECT * FROM system.cache LIMIT 0")[0][1:] == ("cache", 1)
        connection.execute("SET dialect = 'duckdb'")
        result = connection.execute("SELECT a FROM f.small").pgresult
        assert result is not None
        assert (result.ftable(0), result.ftablecol(0)) == (0, 0)
