"""`query('source', 'text')`: what is sent is the text, and its result is a relation like any other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.duck import Duck
from adapters.errors import FunctionNotFound, NotSupportedError, ReadOnlyError, SQLSyntaxError, StatementTooComplex
from federation.engine import Engine
from tests.servers import Server, run_sql

CATALOG = """
[sources.pg]
adapter = "postgres"
uri = "{uri}"
[sources.lite]
adapter = "sqlite"
path = "crm.db"
[sources.mem]
adapter = "memory"
tables.query = [{{ id = 1, name = "one" }}, {{ id = 3, name = "three" }}]
[settings]
search_path = ["mem"]
"""
SETUP = """
CREATE TABLE orders (id int PRIMARY KEY, amount numeric(10,2));
INSERT INTO orders SELECT n, n / 4.0 FROM generate_series(1, 1000) n;
CREATE FUNCTION erases() RETURNS int LANGUAGE plpgsql AS 'BEGIN DELETE FROM orders; RETURN 1; END';
"""


@pytest.fixture(scope="module")
def uri(postgres_server: Server) -> str:
    uri = postgres_server.create_database("passthrough")
    run_sql(uri, SETUP)
    return uri


@pytest.fixture(scope="module")
def engine(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder: Path = tmp_path_factory.mktemp("native")
    connection = sqlite3.connect(folder / "crm.db")
    connection.executescript("CREATE TABLE people (id INTEGER PRIMARY KEY); INSERT INTO people VALUES (1), (2), (9)")
    connection.close()
    (folder / "federation.toml").write_text(CATALOG.format(uri=uri))
    with Engine.open(folder / "federation.toml") as engine:
        yield engine


def rows(engine: Engine, sql: str, params: object = None, **options: bool) -> list[tuple[object, ...]]:
    with engine.query(sql, params, options=options) as result:  # type: ignore[arg-type]
        return list(zip(*(column.to_pylist() for column in result.read_all().columns), strict=True))


NATIVE = "query('pg', 'SELECT id, amount::float8 AS amount FROM orders')"


@pytest.mark.parametrize("pushdown", [True, False])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*), sum(amount), min(id) FROM {0} WHERE id % 3 = 0",
        "SELECT id FROM {0} ORDER BY id DESC LIMIT 3",
        "SELECT count(*) FROM (SELECT id FROM {0} LIMIT 7)",
        "SELECT n.id, p.id FROM {0} AS n RIGHT JOIN lite.people AS p ON p.id = n.id AND n.amount > 0.25 ORDER BY p.id",
        "SELECT p.id FROM lite.people AS p WHERE p.id IN (SELECT id FROM {0} WHERE amount > 0.25) ORDER BY 1",
        "SELECT o.id FROM pg.orders AS o WHERE o.id < 4 AND EXISTS (SELECT 1 FROM {0} AS n WHERE n.id = o.id + 998)",
        "SELECT id FROM {0} WHERE id < 3 UNION ALL SELECT id FROM {0} WHERE id > 999 ORDER BY 1",
        "WITH n AS (SELECT id FROM {0} WHERE id < 4) SELECT count(*) FROM n AS a, n AS b",
        "SELECT (SELECT max(amount) FROM {0} AS n WHERE n.id <= p.id) AS m FROM lite.people AS p ORDER BY 1",
        "SELECT a.x FROM {0} AS a (x, y) WHERE a.y = 1 UNION SELECT x FROM {0} AS b (x) WHERE x = 9 ORDER BY 1",
        "WITH RECURSIVE r (i) AS (SELECT 998 UNION SELECT n.id FROM {0} AS n JOIN r ON n.id = i + 1) FROM r ORDER BY 1",
        "SELECT DISTINCT amount > 100 AS big FROM {0} ORDER BY 1",
        "SELECT id, lag(id) OVER (ORDER BY id) FROM {0} WHERE id < 3 ORDER BY id",
    ],
)
def test_it_is_a_relation_like_the_table_itself(engine: Engine, sql: str, pushdown: bool) -> None:
    table = "(SELECT id, amount::DOUBLE AS amount FROM pg.orders)"
    assert rows(engine, sql.format(NATIVE), pushdown=pushdown) == rows(engine, sql.format(table))


def test_parameters_are_texts_as_well(engine: Engine) -> None:
    sql = "SELECT id FROM query($1, $2) WHERE id > $3"
    assert rows(engine, sql, ["PG", "SELECT id FROM orders WHERE amount = 250; ", 1]) == [(1000,)]
    with pytest.raises(FunctionNotFound):
        rows(engine, sql, ["pg", None, 1])
    with pytest.raises(FunctionNotFound):
        rows(engine, sql, ["pg", 7, 1])


def test_dollar_quotes(engine: Engine) -> None:
    assert rows(engine, "SELECT a FROM query('pg', $$SELECT 'it''s' AS a$$)") == [("it's",)]


def test_other_uses_of_the_name_are_untouched(engine: Engine) -> None:
    assert rows(engine, "SELECT query.id, name AS query FROM query ORDER BY 1") == [(1, "one"), (3, "three")]
    assert rows(engine, "WITH query AS (SELECT 5 AS id) SELECT query.id FROM query") == [(5,)]
    assert rows(engine, f"SELECT count(*) FROM mem.query AS query JOIN {NATIVE} AS n USING (id)") == [(2,)]


def test_a_text_of_a_megabyte(engine: Engine) -> None:
    """As a parameter it is not part of the statement's own length."""
    pad = "/* " + "x" * 990_000 + " */"
    assert rows(engine, "SELECT * FROM query('pg', $1)", [f"SELECT 1 AS one {pad}"]) == [(1,)]
    with pytest.raises(StatementTooComplex):
        rows(engine, "SELECT * FROM query('pg', $1)", [f"SELECT 1 AS one {pad} {pad}"])


def test_a_text_with_a_nul(engine: Engine) -> None:
    """A driver would end the text there, and answer another query."""
    with pytest.raises(SQLSyntaxError):
        rows(engine, "SELECT * FROM query('pg', $1)", ["SELECT 1 AS one\0 WHERE false"])


def test_nothing_is_written(engine: Engine, uri: str) -> None:
    with pytest.raises(ReadOnlyError):
        rows(engine, "SELECT * FROM query('pg', 'SELECT erases()')")
    with pytest.raises(NotSupportedError):
        rows(engine, "SELECT * FROM query('pg', 'DELETE FROM orders RETURNING id')")
    assert run_sql(uri, "SELECT count(*) FROM orders") == "1000\n"


def test_describing_and_explaining_run_nothing(engine: Engine) -> None:
    sql = "SELECT * FROM query('pg', 'SELECT erases() AS x, pg_sleep(600)::text AS y')"
    assert list(engine.describe(sql)[1]) == [("x", "INTEGER"), ("y", "VARCHAR")]
    assert "SELECT erases() AS x, pg_sleep(600)::text AS y" in engine.explain(sql).text()


def test_many_texts_leave_no_tables_behind(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB knows them by their columns."""
    made: list[str] = []
    create = Duck.create_table

    def create_table(self: Duck, name: str, schema: pa.Schema) -> None:
        made.append(name)
        create(self, name, schema)

    monkeypatch.setattr(Duck, "create_table", create_table)
    for number in range(20):
        assert rows(engine, f"SELECT * FROM query('pg', 'SELECT {number} AS many')") == [(number,)]
    assert len(made) == 1
