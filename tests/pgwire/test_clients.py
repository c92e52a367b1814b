"""The clients themselves: psql, psycopg 3, psycopg2."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Iterator
from decimal import Decimal

import psycopg
import psycopg2
import psycopg2.extras
import pytest

from tests.http.running import ROWS
from tests.pgwire.running import Postgres


def psql(face: Postgres, *commands: str, options: str = "-At", script: str | None = None) -> str:
    """What psql prints for the commands or the script, errors included."""
    arguments = [part for command in commands for part in ("-c", command)]
    done = subprocess.run(
        ["psql", "-X", *options.split(), face.uri, *arguments], input=script, capture_output=True, text=True, timeout=60
    )
    return done.stdout + done.stderr


@pytest.fixture
def connection(face: Postgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(face.uri, autocommit=True) as made:
        yield made


# --- psql -------------------------------------------------------------------------------------------------------------


def test_psql(face: Postgres) -> None:
    assert psql(face, "SELECT a, b FROM f.small ORDER BY a") == "1|x\n2|\n"
    assert psql(face, "SELECT 1; SELECT 2", "SELECT 3") == "1\n2\n3\n"
    assert psql(face, "\\copy f.small to stdout csv header") == "a,b\n1,x\n2,\n"
    assert psql(face, "COPY (SELECT a FROM f.small) TO STDOUT") == "1\n2\n"


def test_psql_fetches_in_parts(face: Postgres) -> None:
    printed = psql(face, "\\set FETCH_COUNT 1000", "SELECT id FROM f.numbers ORDER BY id").splitlines()
    assert printed == [str(number) for number in range(ROWS)]


def test_psql_shows_where_an_error_is(face: Postgres) -> None:
    assert psql(face, "SELECT a\nFROM f.small WHERE c = 1").splitlines() == [
        'ERROR:  column "c" does not exist',
        "LINE 2: FROM f.small WHERE c = 1",
        "                           ^",
    ]


def test_psql_ends_a_statement_that_takes_too_long(face: Postgres) -> None:
    slow = "SELECT count(*) FROM f.numbers a, f.numbers b, f.numbers c WHERE a.x + b.x < c.x"
    assert "57014" in psql(face, "SET statement_timeout = '200ms'", slow, options="-At -v VERBOSITY=sqlstate")
    assert psql(face, "SET statement_timeout = 0", "SELECT 1") == "SET\n1\n"


# --- psycopg 3 --------------------------------------------------------------------------------------------------------

VALUES = (
    (True, "bool"),
    (5, "int"),
    (-(2**40), "bigint"),
    (1.5, "double precision"),
    (Decimal("12345.6789"), "decimal(18,4)"),
    ("Grüße", "text"),
    (b"\x00\xff", "bytea"),
    (datetime.date(2024, 2, 29), "date"),
    (datetime.time(12, 30, 1, 500), "time"),
    (datetime.datetime(2024, 2, 29, 12, 0, 0, 1), "timestamp"),
    (datetime.datetime(2024, 2, 29, 12, 0, tzinfo=datetime.UTC), "timestamptz"),
    ([1, 2, None], "int[]"),
    (None, "int"),
)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize(("value", "type_"), VALUES)
def test_values_go_there_and_back(connection: psycopg.Connection, value: object, type_: str, binary: bool) -> None:
    place = "%b" if binary else "%s"
    found = connection.execute(f"SELECT {place}::{type_}", [value], binary=binary).fetchone()
    assert found == (value,)


def test_psycopg_prepares(connection: psycopg.Connection) -> None:
    for number in range(12):  # prepared at the server from the fifth on
        found = connection.execute("SELECT a FROM f.small WHERE a = %s::int", [number % 3]).fetchall()
        assert found == [(number % 3,)] * (number % 3 > 0)
    connection.prepare_threshold = 0
    assert connection.execute("SELECT %s::int", [1], prepare=True).fetchone() == (1,)


def test_psycopg_has_a_server_cursor(face: Postgres) -> None:
    with psycopg.connect(face.uri) as transactional, transactional.cursor("c") as cursor:
        cursor.itersize = 10_000
        cursor.execute("SELECT id FROM f.numbers WHERE id >= %s ORDER BY id", [1000])
        assert [row[0] for row in cursor] == list(range(1000, ROWS))


def test_psycopg_streams(connection: psycopg.Connection) -> None:
    with connection.cursor() as cursor:
        assert sum(row[0] for row in cursor.stream("SELECT a FROM f.small")) == 3


def test_psycopg_has_a_pipeline(connection: psycopg.Connection) -> None:
    with connection.pipeline() as pipeline:
        cursors = [connection.execute("SELECT %s::int", [number]) for number in range(50)]
        pipeline.sync()
        assert [cursor.fetchone() for cursor in cursors] == [(number,) for number in range(50)]
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM none").fetchall()
            pipeline.sync()
    assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("form", ["text", "binary"])
def test_psycopg_copies(connection: psycopg.Connection, form: str) -> None:
    sql = f"COPY (SELECT id, name FROM f.numbers WHERE id < 20000 ORDER BY id) TO STDOUT (FORMAT {form})"
    with connection.cursor() as cursor, cursor.copy(sql) as copy:
        copy.set_types(["int8", "text"])
        assert list(copy.rows()) == [(number, f"name {number}") for number in range(20_000)]
        assert cursor.rowcount == 20_000


def test_psycopg_rolls_back(face: Postgres) -> None:
    with psycopg.connect(face.uri) as transactional:
        with pytest.raises(psycopg.errors.UndefinedColumn):
            transactional.execute("SELECT nothing FROM f.small")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            transactional.execute("SELECT 1")
        transactional.rollback()
        with transactional.transaction():  # a savepoint inside
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), transactional.transaction():
                transactional.execute("DELETE FROM f.small")
            assert transactional.execute("SELECT 1").fetchone() == (1,)


def test_psycopg_may_not_write(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("INSERT INTO f.small VALUES (%s, %s)", [3, "z"])
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_psycopg_says_what_is_wrong(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable) as caught:
        connection.execute("SELECT 'é', * FROM f.smal")
    assert caught.value.diag.statement_position == "20"
    assert caught.value.diag.message_hint == "did you mean f.main.small?"


def test_a_constant_again_and_again(face: Postgres, connection: psycopg.Connection) -> None:
    """What is remembered of it is neither of other parameters nor in another form."""
    for value in ("a", "b", None, "c"):
        assert connection.execute("SELECT %s", [value]).fetchone() == (value,)
        assert connection.execute("SELECT %s", [value], binary=True).fetchone() == (value,)
    for binary in (False, True, True, False):
        found = connection.execute("SELECT 1, 'x', 1.5, NULL", binary=binary)
        assert found.fetchall() == [(1, "x", Decimal("1.5"), None)]
    with psycopg.connect(face.uri) as other, other.cursor() as cursor:
        cursor.execute("DECLARE c CURSOR FOR SELECT 1")
        assert cursor.execute("FETCH ALL c").fetchall() == [(1,)]
        assert cursor.execute("FETCH ALL c").fetchall() == []
        assert list(cursor.stream("SELECT 1", size=1)) == [(1,)]


# --- psycopg2 ---------------------------------------------------------------------------------------------------------


def test_psycopg2(face: Postgres) -> None:
    with psycopg2.connect(face.uri) as connection, connection.cursor() as cursor:
        for value, type_ in VALUES:
            cursor.execute(f"SELECT %s::{type_}", [value])
            found = cursor.fetchone()[0]
            assert (bytes(found) if type_ == "bytea" else found) == value
        cursor.execute("SELECT id, amount FROM f.numbers WHERE id = ANY(%s)", [[1, 2]])
        assert sorted(cursor.fetchall()) == [(1, Decimal("0.01")), (2, Decimal("0.02"))]


def test_psycopg2_has_a_server_cursor(face: Postgres) -> None:
    with psycopg2.connect(face.uri) as connection, connection.cursor("c") as cursor:
        cursor.execute("SELECT id FROM f.numbers ORDER BY id")
        assert [row[0] for row in cursor] == list(range(ROWS))


def test_psycopg2_copies(face: Postgres) -> None:
    import io

    target = io.StringIO()
    with psycopg2.connect(face.uri) as connection, connection.cursor() as cursor:
        cursor.copy_expert("COPY f.small TO STDOUT WITH CSV HEADER", target)
    assert target.getvalue() == "a,b\n1,x\n2,\n"
