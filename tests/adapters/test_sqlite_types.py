"""What SQLite can store against what arrives: the right Arrow value, or an error that names the column."""

from __future__ import annotations

import datetime
import math
import sqlite3
from collections.abc import Iterator
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from adapters.base import CancelToken, ScanRequest, TableName
from adapters.errors import ConversionError, DataError, NumericOutOfRange
from adapters.sqlite import SQLiteAdapter
from tests.adapters.oracle import plain_connection, read_all

D = datetime.date
T = datetime.time
TS = datetime.datetime
UTC = datetime.UTC
LARGEST, LEAST = 9223372036854775807, -9223372036854775808
EVERY_PLANE = "a\0é߿ࠀ￿𐀀🎉𠀀\U000e0041\U0010ffff"

#: declared type, Arrow type, (SQL of what is stored, what arrives)
STORED: list[tuple[str, pa.DataType, list[tuple[str, Any]]]] = [
    ("INTEGER", pa.int64(), [("1", 1), (str(LARGEST), LARGEST), (str(LEAST), LEAST), ("'12'", 12), ("3.0", 3)]),
    ("SMALLINT", pa.int64(), [("70000", 70000)]),
    ("BIGINT UNSIGNED", pa.int64(), [("0", 0)]),
    ("TINYINT(1)", pa.int64(), [("1", 1), ("7", 7)]),
    ("REAL", pa.float64(), [("1.5", 1.5), ("2", 2.0), ("9e999", math.inf), ("-9e999", -math.inf), ("0.1", 0.1)]),
    ("DOUBLE PRECISION", pa.float64(), [("5e-324", 5e-324), ("1.7976931348623157e308", 1.7976931348623157e308)]),
    ("FLOAT", pa.float64(), [("16777217", 16777217.0)]),
    ("NUMERIC", pa.float64(), [("1", 1.0), ("0.25", 0.25), ("1152921504606846976", 2.0**60)]),
    ("DECIMAL(10,2)", pa.decimal128(10, 2), [
        ("1", Decimal("1.00")), ("0.1", Decimal("0.10")), ("-12345678.9", Decimal("-12345678.90")),
        ("'7.25'", Decimal("7.25")), ("99999999.99", Decimal("99999999.99")), ("1e3", Decimal("1000.00")),
    ]),
    ("NUMERIC(38, 10)", pa.decimal128(38, 10), [
        ("0.0000000001", Decimal("1E-10")), ("1234567.1", Decimal("1234567.1000000000")),
        ("1e20", Decimal(10**20).quantize(Decimal("1E-10"), context=Context(prec=38))),
    ]),
    ("DECIMAL(5)", pa.decimal128(5, 0), [("12345", Decimal(12345))]),
    ("DECIMAL(60, 2)", pa.float64(), [("1.5", 1.5)]),
    ("BOOLEAN", pa.bool_(), [("1", True), ("0", False), ("TRUE", True), ("'1'", True)]),
    ("TEXT", pa.string(), [
        ("'x'", "x"), ("''", ""), ("5", "5"), ("1.5", "1.5"), ("CAST(x'00' AS TEXT)", "\0"),
        ("'CAST(x AS BLOB)'", "CAST(x AS BLOB)"),
    ]),
    ("VARCHAR(3)", pa.string(), [("'longer than three'", "longer than three")]),
    ("NCHAR(55) COLLATE NOCASE", pa.string(), [("'É'", "É")]),
    ("CLOB", pa.string(), [("'clob'", "clob")]),
    ("UUID", pa.string(), [("'123e4567-e89b-12d3-a456-426614174000'", "123e4567-e89b-12d3-a456-426614174000")]),
    ("", pa.string(), [
        ("'text'", "text"), (str(LARGEST), str(LARGEST)), ("0.1", "0.1"), ("0.1 + 0.2", "0.30000000000000004"),
    ]),
    ("BLOB", pa.binary(), [("x'00ff61'", b"\x00\xffa"), ("x''", b"")]),
    ("VARBINARY(5)", pa.binary(), [("x'61'", b"a")]),
    ("DATE", pa.date32(), [
        ("'2024-02-29'", D(2024, 2, 29)), ("'0001-01-01'", D(1, 1, 1)), ("'9999-12-31'", D(9999, 12, 31)),
    ]),
    ("DATETIME", pa.timestamp("us"), [
        ("'2024-01-01 10:00:00'", TS(2024, 1, 1, 10)),
        ("'2024-01-01T10:00:00.123456'", TS(2024, 1, 1, 10, 0, 0, 123456)),
        ("'2024-01-01'", TS(2024, 1, 1)), ("'2024-01-01 10:00'", TS(2024, 1, 1, 10)),
        ("'1969-12-31 23:59:59.999'", TS(1969, 12, 31, 23, 59, 59, 999000)),
    ]),
    ("TIMESTAMP", pa.timestamp("us"), [("CURRENT_TIMESTAMP", None)]),
    ("TIMESTAMP WITH TIME ZONE", pa.timestamp("us", "UTC"), [
        ("'2024-01-01 10:00:00+02:00'", TS(2024, 1, 1, 8, tzinfo=UTC)),
        ("'2024-01-01T10:00:00Z'", TS(2024, 1, 1, 10, tzinfo=UTC)),
    ]),
    ("TIME", pa.time64("us"), [("'10:00:00.123456'", T(10, 0, 0, 123456)), ("'23:59'", T(23, 59)), ("'00:00'", T())]),
    ("JSON", pa.json_(), [
        ("""'{"a": [1, null]}'""", '{"a": [1, null]}'), ("'1'", "1"), ("1.5", "1.5"),
        ("'\"x\"'", '"x"'), ("'null'", "null"),
    ]),
    ("STRING", pa.string(), [("'abc'", "abc"), ("5", "5")]),
]  # fmt: skip

#: declared type, SQL of what is stored, what the message says of it
REFUSED: list[tuple[str, str, str]] = [
    ("INTEGER", "'abc'", "the text 'abc'"),
    ("INTEGER", "1.5", "the real 1.5"),
    ("INTEGER", "9223372036854775808", "the real"),
    ("INTEGER", "x'31'", "the blob"),
    ("REAL", "'abc'", "the text 'abc'"),
    ("NUMERIC", "9007199254740993", "the integer 9007199254740993"),
    ("DECIMAL(10,2)", "0.125", "the real 0.125"),
    ("DECIMAL(15,15)", "0.1 + 0.2", "the real 0.30000000000000004"),
    ("DECIMAL(10,2)", "'abc'", "'abc'"),
    ("DECIMAL(10,2)", "123456789", "the integer 123456789"),
    ("DECIMAL(10,2)", "9e999", "the real"),
    ("DECIMAL(38,2)", "1234567890123456.78", "the real 1234567890123456"),
    ("DECIMAL(38,2)", "'0.1' + '0.2'", "0.3000000000000000"),
    ("BOOLEAN", "2", "the integer 2"),
    ("BOOLEAN", "'true'", "the text 'true'"),
    ("TEXT", "x'ff'", "the blob"),
    ("TEXT", "CAST(x'ff' AS TEXT)", "not UTF-8"),
    ("BLOB", "'text'", "the text 'text'"),
    ("BLOB", "1", "the integer 1"),
    ("DATE", "'01.02.2024'", "'01.02.2024'"),
    ("DATE", "'2024-02-30'", "'2024-02-30'"),
    ("DATE", "'2024-01-01 10:00:00'", "'2024-01-01 10:00:00'"),
    ("DATE", "1704067200", "the integer 1704067200"),
    ("DATE", "2460310.5", "the real 2460310.5"),
    ("DATETIME", "'yesterday'", "'yesterday'"),
    ("DATETIME", "1704067200", "the integer 1704067200"),
    ("DATETIME", "'2024-01-01 10:00:00+02:00'", "'2024-01-01 10:00:00+02:00'"),
    ("DATETIME", "'2024-01-01 10:00:00.1234567'", "'2024-01-01 10:00:00.1234567'"),
    ("TIMESTAMPTZ", "'2024-01-01 10:00:00'", "'2024-01-01 10:00:00'"),
    ("TIME", "'25:00'", "'25:00'"),
    ("JSON", "'{'", "the text '{'"),
    ("JSON", "x'7b7d'", "the blob"),
    ("ANYTHING", "x'00'", "the blob"),
]


class Database:
    """`whole` reads tables as they are; otherwise through a query of them, which another process runs."""

    def __init__(self, path: Path, whole: bool) -> None:
        self.path = path
        self.whole = whole
        self.adapter = SQLiteAdapter("lite", {"path": str(path)})

    def run(self, *statements: str) -> None:
        connection = sqlite3.connect(self.path)
        connection.execute("PRAGMA synchronous = OFF")
        with connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    def read(self, *columns: str) -> pa.Table:
        name = TableName("main", "t")
        if self.whole:
            return read_all(self.adapter, self.adapter.plan_scan(ScanRequest(name, columns)))
        names = [exp.column(exp.to_identifier(column, quoted=True), "t") for column in columns]
        filtered = exp.select(*names).from_(exp.alias_(exp.table_("t", db="main"), "t")).where("1")
        table = self.adapter.get_table(name)
        scan = self.adapter.plan_query(filtered, pa.schema([(each, table.column(each).type) for each in columns]))
        assert scan is not None
        return read_all(self.adapter, scan)


@pytest.fixture(params=[True, False], ids=["whole", "queried"])
def database(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    database = Database(tmp_path / "types.db", request.param)
    yield database
    database.adapter.close()


def shown(values: list[Any]) -> list[str]:
    """0.0 is not -0.0, and 1.0 is not 1; a time in UTC is one, whatever object says so."""
    return [value.astimezone(UTC).isoformat() if getattr(value, "tzinfo", None) else repr(value) for value in values]


@pytest.mark.parametrize(("declared", "arrow", "cases"), STORED, ids=[declared for declared, _, _ in STORED])
def test_what_is_stored_arrives(
    database: Database, declared: str, arrow: pa.DataType, cases: list[tuple[str, Any]]
) -> None:
    """Between thousands of NULLs, so that the first batch tells nothing of the type."""
    database.run(
        f"CREATE TABLE t (id INTEGER PRIMARY KEY, x {declared})",
        *(f"INSERT INTO t VALUES ({10_000 * i}, {sql})" for i, (sql, _) in enumerate(cases, 1)),
        "WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < 9000)"
        " INSERT INTO t SELECT i, NULL FROM g",
    )
    column = database.adapter.get_table(TableName("main", "t")).column("x")
    assert column.type == arrow
    rows = database.read("x")
    assert rows["x"].null_count == 9000
    arrived = rows["x"].drop_null().to_pylist()
    wanted = [value if value is not None else found for (_, value), found in zip(cases, arrived, strict=True)]
    assert shown(arrived) == shown(wanted)
    with plain_connection() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        connection.register("rows", rows)
        through = connection.sql("SELECT x FROM rows WHERE x IS NOT NULL").to_arrow_table()["x"].to_pylist()
    assert shown(through) == shown(wanted)


@pytest.mark.parametrize("at", [1, 5000])
@pytest.mark.parametrize(("declared", "stored", "said"), REFUSED)
def test_what_does_not_fit_is_a_typed_error(database: Database, declared: str, stored: str, said: str, at: int) -> None:
    """In the first batch and in a later one."""
    database.run(
        f'CREATE TABLE t (id INTEGER PRIMARY KEY, "the x" {declared})',
        f"INSERT INTO t VALUES ({at}, {stored})",
        "WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < 6000)"
        f" INSERT INTO t SELECT i, NULL FROM g WHERE i <> {at}",
    )
    with pytest.raises(DataError) as caught:
        database.read("id", "the x")
    assert type(caught.value) is ConversionError
    assert 'column "the x"' in caught.value.message
    assert said in caught.value.message
    assert '"the x"' in (caught.value.hint or "")
    assert caught.value.source == "lite"
    assert caught.value.__cause__ is not None
    assert database.read("id").num_rows == 6000, "the other columns stay readable"


def test_the_hint_helps(database: Database) -> None:
    database.run("CREATE TABLE raw (x INTEGER)", "INSERT INTO raw VALUES ('abc'), (5)")
    database.run('CREATE VIEW t AS SELECT CAST("x" AS TEXT) AS x FROM raw')
    assert database.read("x")["x"].to_pylist() == ["abc", "5"]


def test_the_hint_for_a_date_in_seconds(database: Database) -> None:
    database.run("CREATE TABLE t (x DATE)", "INSERT INTO t VALUES (1704067200)")
    with pytest.raises(ConversionError) as caught:
        database.read("x")
    assert caught.value.hint == (
        'read it through a view at the source that selects date("x") or date("x", \'unixepoch\')'
    )


def test_text_of_every_plane(database: Database) -> None:
    database.run("CREATE TABLE t (x TEXT)")
    connection = sqlite3.connect(database.path)
    with connection:
        connection.execute("INSERT INTO t VALUES (?)", (EVERY_PLANE,))
    connection.close()
    assert database.read("x")["x"].to_pylist() == [EVERY_PLANE]


def test_decimals_of_many_doubles(database: Database) -> None:
    """Every amount of up to 15 digits comes back as the decimal that was put in as a float."""
    amounts = [Decimal(n * n * n * 7919 % 10**15).scaleb(-3) for n in range(1, 5000)]
    connection = sqlite3.connect(database.path)
    with connection:
        connection.execute("CREATE TABLE t (x DECIMAL(15, 3))")
        connection.executemany("INSERT INTO t VALUES (?)", [(float(amount),) for amount in amounts])
    connection.close()
    assert database.read("x")["x"].to_pylist() == amounts


def test_strict_tables_are_static(database: Database) -> None:
    database.run(
        "CREATE TABLE t (i INT, r REAL, s TEXT, b BLOB, a ANY) STRICT",
        "INSERT INTO t VALUES (1, 2, 'x', x'00', 5)",
    )
    columns = database.adapter.get_table(TableName("main", "t")).columns
    assert [(c.name, c.dynamic) for c in columns] == [
        ("i", False),
        ("r", False),
        ("s", False),
        ("b", False),
        ("a", True),
    ]
    assert database.read("i", "r", "s", "b", "a").to_pylist() == [{"i": 1, "r": 2.0, "s": "x", "b": b"\0", "a": "5"}]


@pytest.mark.parametrize(
    ("sql", "kind", "value"),
    [
        ("1", pa.int32(), 1),
        ("1", pa.uint8(), 1),
        ("1", pa.decimal128(38, 0), Decimal(1)),
        ("1.25", pa.decimal64(12, 2), Decimal("1.25")),
        ("'1.25'", pa.decimal128(16, 2), Decimal("1.25")),
        ("0.5", pa.float32(), 0.5),
        ("NULL", pa.time64("us"), None),
    ],
)
def test_the_types_that_only_a_query_has(database: Database, sql: str, kind: pa.DataType, value: object) -> None:
    database.run("CREATE TABLE t (x)")
    assert query(database, f'SELECT {sql} AS "out"', kind).to_pylist() == [{"out": value}]


def test_a_number_out_of_range(database: Database) -> None:
    database.run("CREATE TABLE t (x)")
    with pytest.raises(NumericOutOfRange) as caught:
        query(database, 'SELECT 2147483648 AS "out"', pa.int32())
    assert "2147483648" in caught.value.message


@pytest.mark.parametrize("kind", [pa.month_day_nano_interval(), pa.list_(pa.int64()), pa.uuid()])
def test_a_type_that_sqlite_does_not_have_is_declined(database: Database, kind: pa.DataType) -> None:
    database.run("CREATE TABLE t (x)")
    assert database.adapter.plan_query(island('SELECT NULL AS "out"'), pa.schema({"out": kind})) is None


def island(sql: str) -> exp.Query:
    tree = sqlglot.parse_one(sql, dialect="sqlite")
    assert isinstance(tree, exp.Query)
    return tree


def query(database: Database, sql: str, kind: pa.DataType) -> pa.Table:
    scan = database.adapter.plan_query(island(sql), pa.schema({"out": kind}))
    assert scan is not None
    (partition,) = scan.partitions
    return database.adapter.read(partition, CancelToken()).read_all()
