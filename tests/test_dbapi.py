"""PEP 249, the same over the engine in this process and over a server."""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas
import polars
import pyarrow as pa
import pytest

import federation
from adapters import errors
from federation.dbapi import Connection
from tests.cli.sample import make_catalog
from tests.http.running import Running, start_server

ENDLESS = "SELECT count(*) FROM range(100000000000) AS a(x), range(100000000000) AS b(y) WHERE x * 3 = y + 1"


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_catalog(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="module")
def server(catalog: Path) -> Iterator[Running]:
    with start_server(catalog.parent) as running:
        yield running


@pytest.fixture(params=["embedded", "remote"])
def target(request: pytest.FixtureRequest, catalog: Path) -> str:
    if request.param == "embedded":
        return str(catalog)
    server: Running = request.getfixturevalue("server")
    return server.url


@pytest.fixture
def connection(target: str) -> Iterator[Connection]:
    with federation.connect(target) as connection:
        yield connection


# --- the module ---------------------------------------------------------------------------------------------------


def test_the_globals_are_those_of_pep_249() -> None:
    assert (federation.apilevel, federation.threadsafety, federation.paramstyle) == ("2.0", 2, "qmark")


@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("Warning", Exception),
        ("Error", Exception),
        ("InterfaceError", errors.Error),
        ("DatabaseError", errors.Error),
        ("DataError", errors.DatabaseError),
        ("OperationalError", errors.DatabaseError),
        ("IntegrityError", errors.DatabaseError),
        ("InternalError", errors.DatabaseError),
        ("ProgrammingError", errors.DatabaseError),
        ("NotSupportedError", errors.DatabaseError),
    ],
)
def test_the_exceptions_are_on_the_module_and_the_connection(name: str, parent: type) -> None:
    assert getattr(federation, name) is getattr(Connection, name)
    assert issubclass(getattr(federation, name), parent)


@pytest.mark.parametrize(
    ("type_code", "kind"),
    [
        ("VARCHAR", federation.STRING),
        ("ENUM('a', 'b')", federation.STRING),
        ("BLOB", federation.BINARY),
        ("DECIMAL(18,2)", federation.NUMBER),
        ("HUGEINT", federation.NUMBER),
        ("TIMESTAMP WITH TIME ZONE", federation.DATETIME),
        ("DATE", federation.DATETIME),
    ],
)
def test_type_codes_equal_one_type_object(type_code: str, kind: object) -> None:
    kinds = [federation.STRING, federation.BINARY, federation.NUMBER, federation.DATETIME, federation.ROWID]
    assert [each for each in kinds if type_code == each] == [kind]


def test_a_list_is_none_of_the_type_objects() -> None:
    assert federation.NUMBER != "INTEGER[]"
    assert federation.NUMBER != federation.STRING


def test_the_catalog_is_found_without_being_named(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDERATION_CATALOG", raising=False)
    monkeypatch.chdir(catalog.parent)
    with federation.connect() as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    monkeypatch.chdir("/")
    with pytest.raises(federation.Error, match="no catalog file") as caught:
        federation.connect()
    assert caught.value.hint is not None
    monkeypatch.setenv("FEDERATION_CATALOG", str(catalog))
    with federation.connect() as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


# --- rows ---------------------------------------------------------------------------------------------------------


def test_rows_of_two_sources(connection: Connection) -> None:
    cursor = connection.execute(
        "SELECT c.name, t.subject FROM lite.customers c JOIN files.tickets t ON t.customer_id = c.id ORDER BY 1, 2"
    )
    assert cursor.fetchall() == [("Ada", "broken"), ("Ada", "late"), ("日本", "lost")]
    assert cursor.fetchall() == []
    assert cursor.fetchone() is None
    assert cursor.rowcount == 3


def test_values_are_python_s_own(connection: Connection) -> None:
    row = connection.execute("SELECT balance, NULL, '' FROM lite.customers WHERE id = 1").fetchone()
    assert row == (Decimal("10.50"), None, "")
    assert row is not None
    assert isinstance(row[0], Decimal)
    [(amount, paid_at)] = connection.execute("SELECT amount, paid_at FROM files.payments WHERE amount > 5").fetchall()
    assert amount == Decimal("10.00")
    assert paid_at == datetime.datetime(2024, 5, 1, 12, 30, tzinfo=datetime.UTC)
    assert paid_at.tzinfo is not None
    [(total,)] = connection.execute("SELECT sum(n) FROM lite.numbers").fetchall()
    assert (total, type(total)) == (12_502_500, int)


def test_the_description_says_names_and_types(connection: Connection) -> None:
    cursor = connection.cursor()
    assert cursor.description is None
    cursor.execute("SELECT id, name, balance FROM lite.customers")
    assert cursor.description is not None
    names = [column[0] for column in cursor.description]
    assert names == ["id", "name", "balance"]
    assert [column[1] for column in cursor.description] == [federation.NUMBER, federation.STRING, federation.NUMBER]
    assert cursor.description[2][4:6] == (10, 2)
    assert all(len(column) == 7 for column in cursor.description)


def test_fetching_in_parts(connection: Connection) -> None:
    cursor = connection.execute("SELECT n FROM lite.numbers ORDER BY n")
    assert cursor.rowcount == -1
    assert cursor.fetchone() == (1,)
    assert cursor.fetchmany() == [(2,)]
    cursor.arraysize = 3
    assert cursor.fetchmany() == [(3,), (4,), (5,)]
    assert cursor.fetchmany(2000) == [(n,) for n in range(6, 2006)]
    assert [row[0] for row in cursor] == list(range(2006, 5001))
    assert cursor.rowcount == 5000


def test_rows_come_before_the_query_ends(connection: Connection) -> None:
    """A result that could not be held: only what is asked for is read."""
    cursor = connection.execute("SELECT x FROM range(100000000000) AS r(x)")
    assert len(cursor.fetchmany(3000)) == 3000
    cursor.close()


def test_arrow_continues_where_the_rows_ended(connection: Connection) -> None:
    cursor = connection.execute("SELECT n FROM lite.numbers ORDER BY n")
    assert len(cursor.fetchmany(1500)) == 1500
    assert cursor.fetch_record_batch().read_all().column(0).to_pylist() == list(range(1501, 5001))
    assert cursor.rowcount == 5000
    assert cursor.execute("SELECT 1 AS a WHERE false").fetch_arrow_table() == pa.table({"a": pa.array([], pa.int32())})


def test_a_value_that_python_cannot_hold_is_an_error_every_time(connection: Connection) -> None:
    cursor = connection.execute("SELECT x, '0044-03-15 (BC)'::DATE AS ides FROM range(3) AS r(x)")
    for _ in range(2):
        with pytest.raises(federation.DataError, match='"ides"'):
            cursor.fetchone()
    assert cursor.fetch_arrow_table().num_rows == 3


def test_a_failure_between_rows_never_ends_the_result(connection: Connection) -> None:
    sql = """
        SELECT CAST(CASE WHEN x = 200000 THEN 'no number' ELSE '1' END AS INTEGER)
        FROM range(1000000) AS r(x), (SELECT count(*) FROM lite.customers)
    """  # over a source that is read, for otherwise DuckDB is so far ahead that not even the first row comes
    cursor = connection.execute(sql)
    assert cursor.fetchone() == (1,)
    with pytest.raises(federation.DataError):
        cursor.fetchall()
    with pytest.raises(federation.DataError):
        cursor.fetchone()
    with pytest.raises(federation.DataError):
        cursor.fetch_arrow_table()
    assert cursor.rowcount == -1


# --- parameters ---------------------------------------------------------------------------------------------------


def test_parameters_by_position_and_by_name(connection: Connection) -> None:
    by_position = "SELECT name FROM lite.customers WHERE id = ? AND name = ?"
    assert connection.execute(by_position, (1, "Ada")).fetchall() == [("Ada",)]
    assert connection.execute("SELECT $2, $1", [1, "x"]).fetchall() == [("x", 1)]
    assert connection.execute("SELECT $n + $n", {"n": 2}).fetchall() == [(4,)]
    quoted = 'Bo, the "second" \' -- ;'
    assert connection.execute("SELECT ?", [quoted]).fetchall() == [(quoted,)]


def test_question_marks_are_counted_in_the_order_of_the_text(connection: Connection) -> None:
    sql = "WITH a AS (SELECT ? AS x) SELECT x, (SELECT abs(? + 0)), ? FROM a WHERE (? > 0) OR x = ? ORDER BY 1 LIMIT ?"
    assert connection.execute(sql, [1, 2, 3, 4, 5, 6]).fetchall() == [(1, 2, 3)]


def test_parameters_of_every_type(connection: Connection) -> None:
    when = datetime.datetime(2024, 1, 2, 3, 4, 5, 600, tzinfo=datetime.UTC)
    values = [None, True, 2**60, 1.5, Decimal("1.10"), b"\x00\xff", datetime.date(2024, 1, 2), when, [1, 2]]
    marks = ", ".join("?" * len(values))
    assert connection.execute(f"SELECT {marks}", values).fetchall() == [tuple(values)]


def test_parameters_that_are_wrong(connection: Connection) -> None:
    wrong: list[Any] = [[], [1, 2], {"m": 1}, "text", 5]
    for parameters in wrong:
        with pytest.raises(federation.ProgrammingError):
            connection.execute("SELECT ? + 0", parameters)


# --- states -------------------------------------------------------------------------------------------------------


def test_nothing_works_after_close(target: str) -> None:
    connection = federation.connect(target)
    cursor = connection.execute("SELECT 1")
    connection.close()
    connection.close()
    for use in (connection.cursor, connection.commit, connection.rollback, cursor.fetchone, cursor.fetch_arrow_table):
        with pytest.raises(federation.InterfaceError):
            use()
    with pytest.raises(federation.InterfaceError):
        cursor.execute("SELECT 1")


def test_a_closed_cursor_leaves_the_connection(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    cursor.close()
    with pytest.raises(federation.InterfaceError):
        cursor.fetchall()
    assert connection.execute("SELECT 2").fetchall() == [(2,)]


def test_what_has_nothing_to_do_does_nothing(connection: Connection) -> None:
    connection.commit()
    connection.rollback()
    cursor = connection.cursor()
    cursor.setinputsizes([1])
    cursor.setoutputsize(1)
    cursor.cancel()
    with pytest.raises(federation.ProgrammingError):
        cursor.fetchone()
    with pytest.raises(federation.NotSupportedError):
        cursor.executemany("INSERT INTO lite.customers VALUES (?)", [(1,)])


def test_a_failed_statement_leaves_no_rows_of_the_one_before(connection: Connection) -> None:
    cursor = connection.execute("SELECT 1")
    with pytest.raises(federation.ProgrammingError) as caught:
        cursor.execute("SELECT * FROM lite.customer")
    assert caught.value.sqlstate == "42P01"
    with pytest.raises(federation.ProgrammingError):
        cursor.fetchone()
    assert cursor.description is None


def test_two_cursors_read_side_by_side(connection: Connection) -> None:
    left = connection.execute("SELECT n FROM lite.numbers ORDER BY n")
    right = connection.execute("SELECT n FROM lite.numbers ORDER BY n DESC")
    pairs = [(a[0], b[0]) for a, b in zip(left, right, strict=True)]
    assert pairs[0] == (1, 5000)
    assert pairs[-1] == (5000, 1)


def test_threads_share_a_connection(connection: Connection) -> None:
    answers: list[Any] = []

    def work(n: int) -> None:
        answers.append(connection.execute("SELECT count(*) FROM lite.numbers WHERE n <= ?", [n]).fetchone())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(n,) for n in range(8)]


def test_cancel_from_another_thread(connection: Connection) -> None:
    cursor = connection.cursor()
    stop = threading.Event()

    def cancel() -> None:
        while not stop.wait(0.05):
            cursor.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        with pytest.raises(federation.OperationalError) as caught:
            cursor.execute(ENDLESS).fetchall()
        assert caught.value.sqlstate == "57014"
    finally:
        stop.set()
        thread.join()
    assert cursor.execute("SELECT 1").fetchall() == [(1,)]


def test_a_timeout_ends_the_statement(connection: Connection) -> None:
    cursor = connection.cursor()
    cursor.timeout = 0.2
    with pytest.raises(errors.QueryTimeout):
        cursor.execute(ENDLESS).fetchall()


def test_closing_ends_a_running_statement(target: str) -> None:
    connection = federation.connect(target)
    cursor = connection.cursor()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            cursor.execute(ENDLESS).fetchall()
        except federation.Error as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.3)
    connection.close()
    thread.join(30)
    assert not thread.is_alive()
    assert len(failures) == 1


# --- frames -------------------------------------------------------------------------------------------------------

EVERY = """SELECT x, CASE WHEN x > 0 THEN x END AS maybe, x > 0 AS flag, x * 1.5::DECIMAL(9,2) AS amount,
    DATE '2024-01-01' + x::INTEGER AS day, TIMESTAMPTZ '2024-01-01 00:00:00+00' AS at, [x] AS items,
    '2cc86fd4-0ce0-4092-8ede-9243787c90e7'::UUID AS u FROM range(3) AS r(x) ORDER BY x"""


def test_pandas_keeps_integers_and_decimals(connection: Connection) -> None:
    frame = connection.execute(EVERY).fetch_df()
    assert list(frame["maybe"].fillna(-1)) == [-1, 1, 2]
    assert str(frame["maybe"].dtype) == "Int64"
    assert str(frame["flag"].dtype) == "boolean"
    assert list(frame["amount"]) == [Decimal("0.00"), Decimal("1.50"), Decimal("3.00")]
    assert frame["day"][0] == datetime.date(2024, 1, 1)
    assert frame["at"][0] == pandas.Timestamp("2024-01-01", tz="UTC")
    assert frame["items"][2] == [2]
    assert list(connection.execute("SELECT 1 AS a, 2 AS a").fetch_df().columns) == ["a", "a"]
    assert len(connection.execute("SELECT 1 AS a WHERE false").fetch_df()) == 0


def test_values_of_many_batches(connection: Connection) -> None:
    """More days than are kept, and NULLs among them."""
    sql = """
        SELECT CASE WHEN i % 3 > 0 THEN (i * 0.01)::DECIMAL(12, 2) END AS a,
               CASE WHEN i % 20000 > 0 THEN DATE '2000-01-01' + i::INTEGER END AS d
        FROM range(40000) AS r(i) ORDER BY i
    """
    expected = [
        (
            Decimal(i).scaleb(-2) if i % 3 else None,
            datetime.date(2000, 1, 1) + datetime.timedelta(i) if i % 20000 else None,
        )
        for i in range(40_000)
    ]
    assert connection.execute(sql).fetchall() == expected
    assert [*connection.execute(sql)] == expected
    frame = connection.execute(sql).fetch_df().astype(object)
    assert [*zip(frame["a"], frame["d"].where(frame["d"].notna(), None), strict=True)] == expected


def test_polars_frames(connection: Connection) -> None:
    frame = connection.execute(EVERY).fetch_polars()
    assert frame["maybe"].to_list() == [None, 1, 2]
    assert frame["amount"].to_list() == [Decimal("0.00"), Decimal("1.50"), Decimal("3.00")]
    assert frame["u"][0] == "2cc86fd4-0ce0-4092-8ede-9243787c90e7"
    assert frame["day"].dtype == polars.Date
    assert connection.execute("SELECT 1 AS a WHERE false").fetch_polars().height == 0


@pytest.mark.parametrize("value", ["'infinity'::TIMESTAMP", "'-infinity'::DATE", "TIME '24:00:00'"])
def test_frames_refuse_what_they_would_falsify(connection: Connection, value: str) -> None:
    for fetch in ("fetch_df", "fetch_polars"):
        with pytest.raises(federation.DataError, match='"v"'):
            getattr(connection.execute(f"SELECT {value} AS v"), fetch)()


def test_polars_has_no_intervals(connection: Connection) -> None:
    with pytest.raises(federation.NotSupportedError, match='"v"'):
        connection.execute("SELECT INTERVAL '1 day' AS v").fetch_polars()


@pytest.mark.filterwarnings("ignore:pandas only supports SQLAlchemy")
def test_pandas_and_polars_read_through_the_connection(connection: Connection) -> None:
    sql = "SELECT id, name FROM lite.customers ORDER BY id"
    assert pandas.read_sql(sql, connection)["name"].iloc[0] == "Ada"
    by_parameter = pandas.read_sql("SELECT name FROM lite.customers WHERE id = ?", connection, params=(3,))
    assert list(by_parameter["name"]) == ["日本"]
    frame = polars.read_database(sql, connection)
    assert frame.schema == {"id": polars.Int64, "name": polars.String}
    assert frame["id"].to_list() == [1, 2, 3]


def test_closing_works_with_contextlib(target: str) -> None:
    with (
        contextlib.closing(federation.connect(target)) as connection,
        contextlib.closing(connection.cursor()) as cursor,
    ):
        assert cursor.execute("SELECT 1").fetchone() == (1,)
