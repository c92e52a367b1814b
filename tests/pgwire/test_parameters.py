"""Parameters of prepared statements: the types that follow from where they stand, beside PostgreSQL's."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from adapters.errors import Error
from federation.engine import Engine
from federation.pgwire.catalog_parameters import catalog_parameter_types
from federation.pgwire.dialect.parameters import bind, parameter_types
from federation.pgwire.dialect.read import statements
from federation.pgwire.dialect.statements import Query
from federation.pgwire.dialect.translate import to_duckdb
from federation.pgwire.parameter_values import decode_parameter
from tests.pgwire.dialect_corpus import TABLE
from tests.servers import Server

# What PostgreSQL infers is what is inferred here.
SAME = [
    "SELECT $1::int, $2::text, $3::numeric(10, 2), $4::timestamptz",
    "SELECT id FROM edge WHERE i = $1 AND b > $2 AND n < $3 AND d >= $4",
    "SELECT id FROM edge WHERE t = $1 AND dt = $2 AND ts < $3 AND bo = $4",
    "SELECT id FROM edge WHERE i IN ($1, $2) OR t LIKE $3 OR t ILIKE $4",
    "SELECT id FROM edge WHERE i = ANY ($1) AND t = ANY ($2)",
    "SELECT id FROM edge WHERE dt BETWEEN $1 AND $2",
    "SELECT id FROM edge ORDER BY id LIMIT $1 OFFSET $2",
    "SELECT coalesce(i, $1), nullif(t, $2), CASE WHEN $3 THEN i ELSE $4 END FROM edge",
    "SELECT i + $1, $2 - b, dt + $3::int FROM edge",
    "SELECT $1, lower($2), length($3)",
    "SELECT id FROM edge WHERE uu = $1 AND r = $2",
    "SELECT $1::int + $1",
    "SELECT ts + $1, date_trunc('day', $2::timestamp) FROM edge",
    "SELECT left(t, $1), round(n, $2), repeat(t, $3) FROM edge",
    "SELECT * FROM generate_series(1, $1::int) x WHERE x > $2",
    "SELECT id FROM edge WHERE i = (SELECT max(j) FROM edge WHERE t = $1)",
    "SELECT $1 UNION SELECT 1",
    "SELECT id FROM edge WHERE a @> $1 AND a[$2] = $3",
    "VALUES ($1, 1), (2, $2)",
    "SELECT $1::varchar(3), $2::int[]",
]
SAME_IN_THE_CATALOG = [
    "SELECT relname FROM pg_class WHERE oid = $1::regclass AND reltype = $2::regtype AND relnamespace = $3",
    "SELECT $1::regproc, $2::regprocedure, $3::regoper, $4::regoperator, $5::regrole, $6::regnamespace",
    "SELECT $1::oid, $2::text, $3::regclass[] FROM pg_class LIMIT $4",
    "SELECT 1 FROM pg_class c, pg_attribute a WHERE relkind = $1 AND relname = $2 AND attnum > $3",
    "SELECT 1 FROM pg_class WHERE relname LIKE $1 AND oid IN ($2, $3) AND relam = ANY ($4) AND relhasindex <> $5",
    "SELECT 1 FROM information_schema.columns WHERE table_name = $1 AND ordinal_position < $2",
]


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_server.create_database("parameters"), autocommit=True) as connection:
        connection.execute(TABLE)
        yield connection


@pytest.fixture(scope="module")
def engine(database: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    info = database.info
    uri = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
    path = tmp_path_factory.mktemp("parameters") / "catalog.toml"
    path.write_text(f'[sources.pg]\nadapter = "postgres"\nuri = "{uri}"\n')
    with Engine.open(path) as opened:
        yield opened


def _query(text: str) -> Query:
    (said,) = statements(text)
    assert isinstance(said, Query)
    return said


def _theirs(database: psycopg.Connection, text: str) -> list[int]:
    database.pgconn.prepare(b"", text.encode())
    result = database.pgconn.describe_prepared(b"")
    return [{1043: 25, 1015: 1009}.get(oid, oid) for oid in (result.param_type(i) for i in range(result.nparams))]


@pytest.mark.parametrize("text", SAME)
def test_types_are_inferred_as_postgresql_does(database: psycopg.Connection, engine: Engine, text: str) -> None:
    assert parameter_types(_query(text).tree, [], engine.columns) == _theirs(database, text)


@pytest.mark.parametrize("text", SAME_IN_THE_CATALOG)
def test_types_are_inferred_in_the_catalog_too(database: psycopg.Connection, text: str) -> None:
    assert catalog_parameter_types(_query(text).tree, []) == _theirs(database, text)


def test_what_the_client_says_stands(engine: Engine) -> None:
    tree = _query("SELECT id FROM edge WHERE i = $1 AND t = $2").tree
    assert parameter_types(tree, [20], engine.columns) == [20, 25]
    assert parameter_types(tree, [0, 1043], engine.columns) == [23, 1043]


@pytest.mark.parametrize(
    "text, values, expected",
    [
        ("SELECT id FROM edge WHERE i = $1", [(23, b"7")], [(1,)]),
        ("SELECT id FROM edge WHERE i = ANY ($1) ORDER BY id", [(1007, b"{7,1}")], [(1,), (5,)]),
        ("SELECT id FROM edge WHERE i IN ($1, 1, $2, $1) ORDER BY id", [(23, b"7"), (23, None)], [(1,), (5,)]),
        ("SELECT (ARRAY[$2, 1, $1])[3] AS a, greatest(1, $1, $2) AS b", [(23, b"7"), (23, b"8")], [(7, 8)]),
        ("SELECT $1 / 2 AS a, $1 % 4 AS b", [(23, b"7")], [(3, 3)]),
        ("SELECT encode($1, 'hex')", [(17, b"\\x4142")], [("4142",)]),
        ("SELECT count(*) FROM edge WHERE t = $1 OR t LIKE $2", [(25, b"abc"), (25, b"A%")], [(2,)]),
        ("SELECT $1::int + 1", [(25, b"41")], [(42,)]),
        ("SELECT $1 IS NULL", [(23, None)], [(True,)]),
        ("SELECT id FROM edge ORDER BY id LIMIT $1", [(20, b"1")], [(1,)]),
    ],
)
def test_values_are_put_in(
    engine: Engine, text: str, values: list[tuple[int, bytes | None]], expected: list[tuple[object, ...]]
) -> None:
    tree = bind(_query(text).tree, [decode_parameter(oid, 0, data) for oid, data in values])
    table = engine.query(to_duckdb(tree, engine.columns).query).read_all()
    assert [tuple(row.values()) for row in table.to_pylist()] == expected


@pytest.mark.parametrize(
    "text, sqlstate", [("SELECT nosuch FROM edge WHERE i = $1", "42703"), ("SELECT i + $1 FROM nosuch", "42P01")]
)
def test_what_is_wrong_is_said_before_there_are_values(engine: Engine, text: str, sqlstate: str) -> None:
    with pytest.raises(Error) as raised:
        parameter_types(_query(text).tree, [], engine.columns)
    assert raised.value.sqlstate == sqlstate


def test_a_value_that_was_not_given() -> None:
    with pytest.raises(Error) as raised:
        bind(_query("SELECT $2").tree, [decode_parameter(23, 0, b"1")])
    assert raised.value.sqlstate == "42P02"


def test_queries_in_duckdbs_words_keep_their_places(engine: Engine) -> None:
    first, second = statements("SET dialect = 'duckdb'; SELECT 7 / 2, nosuch FROM edge WHERE i = $1", duckdb=True)
    assert isinstance(second, Query) and second.parameters == (1,) and first.tag == "SET"
    with pytest.raises(Error) as raised:
        engine.query(bind(second.tree, [decode_parameter(23, 0, b"1")]))
    assert (raised.value.sqlstate, raised.value.position) == ("42703", 39)
