"""psqlODBC with unixODBC at a server and at PostgreSQL, which holds the same tables: what it sees is the same."""

from __future__ import annotations

import datetime
import threading
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pyodbc
import pytest

from tests.pgwire.overlay_world import World
from tests.pgwire.running import Postgres

OPTIONS = (
    "UseDeclareFetch=0",
    "UseDeclareFetch=1;Fetch=100",
    "UseServerSidePrepare=0",
    "BoolsAsChar=0;MaxVarcharSize=1000;TextAsLongVarchar=0;UnknownsAsLongVarchar=1;ByteaAsLongVarBinary=1",
)
SLOW = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
Connections = Callable[[str], tuple[pyodbc.Connection, pyodbc.Connection]]


@pytest.fixture(scope="module")
def addresses(
    world: World, catalog_face: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Of PostgreSQL and of the server, without options."""
    info = psycopg.conninfo.conninfo_to_dict(world.uri)
    theirs = "SERVER={host};PORT={port};DATABASE={dbname};UID={user};PWD={password}".format(**info)
    ours = f"SERVER=127.0.0.1;PORT={catalog_face.port};DATABASE={info['dbname']};UID={info['user']}"
    drivers = tmp_path_factory.mktemp("odbc")
    (drivers / "odbcinst.ini").write_text("[PostgreSQL]\nDriver = psqlodbcw.so\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ODBCSYSINI", str(drivers))
        patch.setattr(pyodbc, "pooling", False)
        yield theirs, ours


@pytest.fixture
def connections(addresses: tuple[str, str]) -> Iterator[Connections]:
    made: list[pyodbc.Connection] = []

    def connect(options: str) -> tuple[pyodbc.Connection, pyodbc.Connection]:
        start = "SET TimeZone = 'Asia/Kolkata'"
        pair = [f"DRIVER=PostgreSQL;{address};ConnSettings={start};{options}" for address in addresses]
        made.extend(pyodbc.connect(each, autocommit=True) for each in pair)
        return made[-2], made[-1]

    yield connect
    for each in made:
        each.close()


def same(connections: Connections, options: str, seen: Callable[[pyodbc.Connection], object]) -> None:
    theirs, ours = connections(options)
    assert seen(ours) == seen(theirs)


def rows(cursor: pyodbc.Cursor) -> list[list[object]]:
    """The names of the columns, and the rows as lists."""
    return [[column[0] for column in cursor.description], *map(list, cursor.fetchall())]


def failure(call: Callable[..., object], *arguments: object) -> str:
    with pytest.raises(pyodbc.Error) as caught:
        call(*arguments)
    return str(caught.value.args[0])


def fetched(by: pyodbc.Connection | pyodbc.Cursor, sql: str) -> object:
    return by.execute(sql).fetchall()


# --- the catalog ------------------------------------------------------------------------------------------------------


def _without_numbers(cursor: pyodbc.Cursor) -> list[list[object]]:
    """psqlODBC adds the number of the table to its columns."""
    found = rows(cursor)
    place = found[0].index("table oid")
    return [row[:place] + row[place + 1 :] for row in found]


CATALOG: dict[str, Callable[[pyodbc.Cursor], object]] = {
    "tables": lambda cursor: rows(cursor.tables()),
    "tables of a schema": lambda cursor: rows(cursor.tables(schema="sh_p", table="c%", tableType="TABLE")),
    "schemas": lambda cursor: rows(cursor.tables(schema="%", catalog="", table="")),
    "columns": lambda cursor: _without_numbers(cursor.columns(schema="shop")),
    "columns by a pattern": lambda cursor: _without_numbers(cursor.columns(table="Odd Name", column="A_b")),
    "primaryKeys": lambda cursor: rows(cursor.primaryKeys("orders", schema="shop")),
    "foreignKeys to": lambda cursor: rows(cursor.foreignKeys(table="customers", schema="shop")),
    "foreignKeys from": lambda cursor: rows(cursor.foreignKeys(foreignTable="orders", foreignSchema="shop")),
    "statistics": lambda cursor: rows(cursor.statistics("orders", schema="shop")),
    "unique statistics": lambda cursor: rows(cursor.statistics("orders", schema="shop", unique=True)),
    "getTypeInfo": lambda cursor: rows(cursor.getTypeInfo()),
    "rowIdColumns": lambda cursor: rows(cursor.rowIdColumns("orders", schema="shop")),
    "rowVerColumns": lambda cursor: rows(cursor.rowVerColumns("orders", schema="shop")),
    "procedures": lambda cursor: rows(cursor.procedures(procedure="abs", schema="pg_catalog")),
    "procedureColumns": lambda cursor: rows(cursor.procedureColumns(procedure="abs", schema="pg_catalog")),
}


@pytest.mark.parametrize("name", CATALOG)
def test_catalog_functions(connections: Connections, name: str) -> None:
    same(connections, OPTIONS[0], lambda connection: CATALOG[name](connection.cursor()))


# --- statements -------------------------------------------------------------------------------------------------------

PARAMETERS: list[tuple[object, str]] = [
    (True, "bool"),
    (-7, "smallint"),
    (5, "int"),
    (-(2**40), "bigint"),
    (1.5, "float8"),
    (Decimal("12345.6789"), "numeric(12, 4)"),
    ("Grüße 'x' \\ \U0001f600", "text"),
    ("", "text"),
    (b"\x00\xff'\\", "bytea"),
    (datetime.date(2024, 2, 29), "date"),
    (datetime.time(12, 30, 1), "time"),
    (datetime.datetime(2024, 2, 29, 12, 0, 0, 1), "timestamp"),
    (datetime.datetime(2024, 2, 29, 12, 0, 0, 1), "timestamptz"),
    (uuid.UUID(int=5), "uuid"),
    (None, "int"),
    (None, "text"),
]
VALUES = [
    *("true", "7::int2", "9007199254740993", "1.5::float4", "'NaN'::float8", "12345.6789::numeric(12, 4)"),
    *("'Grüße'::text", "'\\x00ff'::bytea", "DATE '2024-02-29'", "TIME '12:30:01.000005'", "NULL::int"),
    *("TIMESTAMP '2024-02-29 23:59:59.999999'", "TIMESTAMPTZ '2024-02-29 12:00:00+05:30'"),
    *("INTERVAL '1 year 2 days 03:04:05.6'", "'00112233-4455-6677-8899-aabbccddeeff'::uuid", "ARRAY[1,2,NULL]"),
    "'{\"a\":[1,2]}'::json",
]
WRONG = {
    "SELECT 1 FROM nothing": "42P01",
    "SELECT nothing FROM shop.customers": "42703",
    "SELECT 1/0": "22012",
    "SELECT 'x'::int": "22P02",
    "SELECT nothing(1)": "42883",
    "SELECT 1 +": "42601",
    "SELECT 99999999999::int": "22003",
}


@pytest.mark.parametrize("options", OPTIONS)
class TestStatements:
    def test_parameters(self, connections: Connections, options: str) -> None:
        def seen(connection: pyodbc.Connection) -> list[Any]:
            return [connection.execute(f"SELECT ?::{type_}", value).fetchval() for value, type_ in PARAMETERS]

        same(connections, options, seen)

    def test_values(self, connections: Connections, options: str) -> None:
        def seen(connection: pyodbc.Connection) -> list[Any]:
            cursors = [connection.execute(f"SELECT {value} AS v") for value in VALUES]
            return [[cursor.description, repr(cursor.fetchall())] for cursor in cursors]

        same(connections, options, seen)

    def test_columns_of_a_table(self, connections: Connections, options: str) -> None:
        def seen(connection: pyodbc.Connection) -> object:
            cursor = connection.execute("SELECT id, name, score, seen FROM shop.customers ORDER BY id")
            return [column[:6] for column in cursor.description], [list(row) for row in cursor]

        same(connections, options, seen)

    def test_prepared_again_and_again(self, connections: Connections, options: str) -> None:
        def seen(connection: pyodbc.Connection) -> list[Any]:
            sql, cursor = "SELECT id, name FROM shop.customers WHERE id > ? AND name LIKE ?", connection.cursor()
            return [list(map(list, cursor.execute(sql, run % 3, "%"))) for run in range(7)]

        same(connections, options, seen)

    def test_many_rows(self, connections: Connections, options: str) -> None:
        def seen(connection: pyodbc.Connection) -> list[Any]:
            sql = "SELECT i, 'row ' || i FROM generate_series(1, 20000) AS t(i) ORDER BY i"
            cursor, found = connection.execute(sql), []
            while part := cursor.fetchmany(777):
                found += [(row[0], row[1]) for row in part]
            return found

        same(connections, options, seen)

    def test_several_statements(self, connections: Connections, options: str) -> None:
        def seen(connection: pyodbc.Connection) -> list[Any]:
            cursor = connection.execute("SELECT 1; SELECT 'a;b', 2; SELECT 3 WHERE false")
            found = [rows(cursor)]
            while cursor.nextset():
                found.append(rows(cursor))
            return found

        same(connections, options, seen)

    def test_errors(self, connections: Connections, options: str) -> None:
        for connection in connections(options):
            for sql, sqlstate in WRONG.items():
                assert failure(fetched, connection, sql) == sqlstate
            assert connection.execute("SELECT 1").fetchval() == 1

    def test_transactions(self, connections: Connections, options: str) -> None:
        for connection in connections(options):
            connection.autocommit = False
            assert connection.execute("SELECT count(*) FROM shop.customers").fetchval() == 2
            assert failure(fetched, connection, "SELECT nothing") == "42703"
            connection.rollback()
            assert connection.execute("SELECT 2").fetchval() == 2
            connection.commit()
            connection.set_attr(pyodbc.SQL_ATTR_TXN_ISOLATION, pyodbc.SQL_TXN_SERIALIZABLE)
            assert connection.execute("SHOW transaction_isolation").fetchval() == "serializable"
            connection.rollback()


def test_nothing_is_written(connections: Connections) -> None:
    _, ours = connections(OPTIONS[0])
    assert failure(ours.execute, "DELETE FROM shop.customers") == "25006"


def test_timeout(connections: Connections) -> None:
    for connection in connections(OPTIONS[0]):
        connection.execute("SET statement_timeout = 300")
        assert failure(connection.execute, SLOW) == "57014"
        assert connection.execute("SELECT 1").fetchval() == 1


@pytest.mark.parametrize("options", OPTIONS[:2])
def test_cancel(connections: Connections, options: str) -> None:
    for connection in connections(options):
        cursor, ended = connection.cursor(), threading.Event()

        def cancel(cursor: pyodbc.Cursor = cursor, ended: threading.Event = ended) -> None:
            while not ended.wait(0.05):
                cursor.cancel()

        canceller = threading.Thread(target=cancel)
        canceller.start()
        try:
            assert failure(fetched, cursor, SLOW) == "57014"
        finally:
            ended.set()
            canceller.join()
