"""The locked-down DuckDB: what a query can reach, what its results look like, and what its failures become."""

import datetime as dt
import decimal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from adapters import errors
from adapters.base import CancelToken
from adapters.duck import Duck
from adapters.duck_types import as_pattern

RAMP = "FROM range(200000) AS t(i)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that queries may read, with one CSV file; beside it, `secret.csv`, which they may not."""
    inside = tmp_path_factory.mktemp("duck") / "it's [here]"
    inside.mkdir()
    (inside / "a.csv").write_text("i\n1\n2\n")
    (inside.parent / "secret.csv").write_text("i\n42\n")
    (inside.parent / "one.csv").write_text("i\n7\n")
    return inside


@pytest.fixture(scope="module")
def duck(folder: Path) -> Iterator[Duck]:
    opened = Duck([str(folder), str(folder.parent / "one.csv")], threads=2)
    yield opened
    opened.close()


def table(duck: Duck, sql: str, **registered: pa.RecordBatchReader) -> pa.Table:
    cursor = duck.cursor()
    try:
        return duck.run(cursor, sql, registered).read_all()
    finally:
        cursor.close()


def value(duck: Duck, expression: str) -> Any:
    return table(duck, f"SELECT {expression} AS x")["x"][0].as_py()


def literal(path: Path | str) -> str:
    return "'" + str(path).replace("'", "''") + "'"


# --- locked down ------------------------------------------------------------------------------------------------


def test_allowed_files_can_be_read_and_no_other(duck: Duck, folder: Path):
    assert table(duck, f"FROM read_csv({literal(as_pattern(str(folder)) + '/*.csv')})")["i"].to_pylist() == [1, 2]
    assert table(duck, f"FROM read_csv({literal(folder.parent / 'one.csv')})")["i"].to_pylist() == [7]


@pytest.mark.parametrize("function", ["read_csv", "read_text", "read_blob", "glob", "read_json", "read_parquet"])
def test_other_files_are_shut(duck: Duck, folder: Path, function: str):
    elsewhere = [
        "/etc/passwd",
        folder.parent / "secret.csv",
        folder / ".." / "secret.csv",
        as_pattern(str(folder)) + "/../secret.csv",
        as_pattern(str(folder)) + "/*/../../secret.csv",
        folder.parent / "*.csv",
        "https://127.0.0.1:1/x",
        "s3://bucket/x",
    ]
    for path in elsewhere:
        with pytest.raises((errors.NotSupportedError, errors.ProgrammingError)):
            table(duck, f"SELECT * FROM {function}({literal(path)})")


def test_a_file_name_is_no_table(duck: Duck):
    with pytest.raises(errors.NotSupportedError):
        table(duck, "SELECT * FROM '/etc/passwd.csv'")


@pytest.mark.parametrize(
    "statement",
    [
        "ATTACH '{0}/new.db'",
        "ATTACH ':memory:' AS other",
        "COPY (SELECT 1) TO '{0}/out.csv'",
        "EXPORT DATABASE '{0}/out'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_size",
        "SET threads = 1",
        "SET GLOBAL enable_external_access = true",
        "RESET TimeZone",
        "CREATE TABLE made (i INTEGER)",
        "CREATE SECRET s (TYPE http)",
        "DROP TABLE known",
        "INSERT INTO known VALUES (1)",
        "CALL pragma_version()",
        "USE memory",
        "BEGIN",
    ],
)
def test_only_queries_run(duck: Duck, folder: Path, statement: str):
    duck.create_table("known", pa.schema({"i": pa.int64()}))
    text = statement.format(str(folder).replace("'", "''"))
    with pytest.raises(errors.NotSupportedError, match="statements do not run here"):
        table(duck, text)
    with pytest.raises(errors.NotSupportedError, match="statements do not run here"):
        duck.describe(text)
    with pytest.raises(errors.Error):
        table(duck, f"SELECT * FROM query({literal(text)})")
    assert sorted(path.name for path in folder.iterdir()) == ["a.csv"]


@pytest.mark.parametrize("text", ["", "-- nothing", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE known"])
def test_exactly_one_statement(duck: Duck, text: str):
    with pytest.raises(errors.SQLSyntaxError, match="one statement"):
        table(duck, text)


def test_the_configuration_is_locked_even_for_a_raw_cursor(duck: Duck):
    for setting in (
        "enable_external_access = true",
        "allowed_directories = ['/']",
        "allowed_configs = ['threads']",
        "lock_configuration = false",
        "python_enable_replacements = true",
        "autoload_known_extensions = true",
        "TimeZone = 'America/New_York'",
        "temp_directory = '/tmp'",
    ):
        with pytest.raises(Exception, match="locked"):
            duck.cursor().execute(f"SET {setting}").fetchall()


def test_python_variables_are_no_tables(duck: Duck):
    visible = pa.table({"i": [1]})
    with pytest.raises(errors.TableNotFound):
        table(duck, "SELECT * FROM visible")
    assert visible.num_rows == 1


def test_every_cursor_has_the_settings(duck: Duck):
    names = ["TimeZone", "streaming_buffer_size", "max_streaming_buffer_size", "python_enable_replacements"]
    for cursor in (duck.cursor(), duck.cursor()):
        row = cursor.sql("SELECT " + ", ".join(f"current_setting('{name}')" for name in names)).fetchall()[0]
        assert row == ("UTC", "97.6 KiB", "97.6 KiB", False)
    assert value(duck, "TIMESTAMPTZ '2024-01-01 00:00:00'") == dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def test_what_one_cursor_registers_no_other_sees(duck: Duck):
    first = duck.cursor()
    first.register("mine", pa.table({"i": [1]}))
    with pytest.raises(errors.TableNotFound):
        duck.run(duck.cursor(), "SELECT * FROM mine", {})


def test_the_spill_folder_is_private_and_goes_with_the_database(tmp_path: Path):
    duck = Duck(memory_limit="40MB", temp_directory=str(tmp_path), threads=1)
    (spill,) = tmp_path.iterdir()
    assert spill.stat().st_mode & 0o077 == 0
    rows = duck.run(duck.cursor(), "SELECT i, md5(i::VARCHAR) AS h FROM range(1500000) AS t(i) ORDER BY h", {})
    next(rows)
    assert list(spill.iterdir())
    rows.close()
    duck.close()
    duck.close()
    assert list(tmp_path.iterdir()) == []


def test_over_the_memory_limit_without_relief():
    duck = Duck(memory_limit="30MB", threads=1)
    with pytest.raises(errors.OutOfMemory) as caught:
        table(duck, "SELECT list(i) FROM range(20000000) AS t(i)")
    duck.close()
    assert caught.value.sqlstate == "53200"
    assert "memory_limit" in (caught.value.hint or "")


# --- describing -------------------------------------------------------------------------------------------------


def test_describe_over_empty_tables(duck: Duck):
    schema = pa.schema(
        {
            "i": pa.int64(),
            "d": pa.decimal128(12, 2),
            "small": pa.decimal64(9, 1),
            "u": pa.uuid(),
            "j": pa.json_(),
            "ts": pa.timestamp("us", "UTC"),
            "iv": pa.month_day_nano_interval(),
            "l": pa.list_(pa.int32()),
            'odd "name"': pa.uint8(),
        }
    )
    duck.create_table('a "table"', schema)
    described = dict(duck.describe('SELECT * FROM "a ""table"""'))
    assert described == {
        "i": "BIGINT",
        "d": "DECIMAL(12,2)",
        "small": "DECIMAL(9,1)",
        "u": "UUID",
        "j": "JSON",
        "ts": "TIMESTAMP WITH TIME ZONE",
        "iv": "INTERVAL",
        "l": "INTEGER[]",
        'odd "name"': "UTINYINT",
    }
    assert duck.describe('SELECT sum(i) AS s, i / 2 AS h FROM "a ""table""" GROUP BY i') == (
        ("s", "HUGEINT"),
        ("h", "DOUBLE"),
    )
    duck.create_table('a "table"', pa.schema({"other": pa.string()}))
    assert duck.describe('FROM "a ""table"""') == (("other", "VARCHAR"),)
    duck.drop_table('a "table"')
    with pytest.raises(errors.TableNotFound):
        duck.describe('FROM "a ""table"""')


def test_result_schema_is_what_run_gives(duck: Duck):
    sql = (
        "SELECT 1 AS a, true AS a, uuid() AS u, '{}'::JSON AS j, sum(1) AS h, '101'::BIT AS b, {'x': [true]} AS s, "
        "MAP {'k': 1::HUGEINT} AS m, 'v'::ENUM ('u', 'v') AS e, NULL AS n, 1.5::DECIMAL(4,1) AS d, 'x' AS \"q \"\"\""
    )
    assert duck.result_schema(sql) == table(duck, sql).schema


# --- results ----------------------------------------------------------------------------------------------------

ONE = uuid.UUID(int=1)
VALUES = [
    ("true", pa.bool_(), True),
    ("5::HUGEINT", pa.decimal128(38, 0), decimal.Decimal(5)),
    ("-99999999999999999999999999999999999999::HUGEINT", pa.decimal128(38, 0), decimal.Decimal("-" + "9" * 38)),
    ("5::UHUGEINT", pa.decimal128(38, 0), decimal.Decimal(5)),
    (f"'{ONE}'::UUID", pa.uuid(), ONE),
    ("'{\"a\": 1}'::JSON", pa.json_(), '{"a": 1}'),
    ("'b'::ENUM ('a', 'b')", pa.dictionary(pa.uint8(), pa.string()), "b"),
    ("'1010011'::BIT", pa.string(), "1010011"),
    ("'12:00:00+01:30'::TIMETZ", pa.string(), "12:00:00+01:30"),
    ("12345678901234567890123456789012345678901234567890::BIGNUM", pa.string(), "1234567890" * 5),
    ("1.50::DECIMAL(9,2)", pa.decimal128(9, 2), decimal.Decimal("1.50")),
    ("from_hex('00ff')", pa.binary(), b"\x00\xff"),
    ("DATE '0044-03-15'", pa.date32(), dt.date(44, 3, 15)),
    ("TIME '12:34:56.789'", pa.time64("us"), dt.time(12, 34, 56, 789000)),
    ("TIMESTAMP '2024-02-29 12:00:00'", pa.timestamp("us"), dt.datetime(2024, 2, 29, 12)),
    ("TIMESTAMPTZ '2024-02-29 12:00:00+02'", pa.timestamp("us", "UTC"), dt.datetime(2024, 2, 29, 10, tzinfo=dt.UTC)),
    ("'a' || chr(128512)", pa.string(), "a\U0001f600"),
    ("NULL", pa.null(), None),
    ("[true, NULL, false]", pa.list_(pa.bool_()), [True, None, False]),
    ("[[1::HUGEINT], NULL]", pa.list_(pa.list_(pa.decimal128(38, 0))), [[decimal.Decimal(1)], None]),
    ("array_value(true, false)", pa.list_(pa.bool_(), 2), [True, False]),
    (f"{{'a': true, 'b': '{ONE}'::UUID}}", pa.struct({"a": pa.bool_(), "b": pa.uuid()}), {"a": True, "b": ONE}),
    ("MAP {'k': true}", pa.map_(pa.string(), pa.bool_()), [("k", True)]),
]


@pytest.mark.parametrize(("expression", "type_", "expected"), VALUES, ids=[v[0] for v in VALUES])
def test_a_value_has_its_arrow_type(duck: Duck, expression: str, type_: pa.DataType, expected: Any):
    sql = f"SELECT x FROM (VALUES (1, {expression}), (2, NULL), (3, {expression})) AS t(i, x) ORDER BY i"
    result = table(duck, sql)
    result.validate(full=True)
    assert result.schema.field("x").type == type_
    assert result["x"].to_pylist() == [expected, None, expected]


@pytest.mark.parametrize("expression", ["1" + "0" * 38 + "::HUGEINT", "-1" + "0" * 38 + "::HUGEINT"])
def test_a_hugeint_beyond_38_digits_is_an_error(duck: Duck, expression: str):
    with pytest.raises(errors.NumericOutOfRange, match='"x"') as caught:
        table(duck, f"SELECT {expression} AS x")
    assert caught.value.hint == 'CAST("x" AS VARCHAR)'
    cursor = duck.cursor()
    rows = duck.run(cursor, f"SELECT {expression} AS x FROM range(10)", {})
    with pytest.raises(errors.NumericOutOfRange):
        rows.read_all()
    assert duck.run(cursor, "SELECT 1 AS x", {}).read_all().num_rows == 1


def test_a_uhugeint_is_never_a_negative_number(duck: Duck):
    with pytest.raises(errors.NumericOutOfRange, match='"x"'):
        table(duck, "SELECT 340282366920938463463374607431768211455::UHUGEINT AS x")
    with pytest.raises(errors.NumericOutOfRange):
        table(duck, "SELECT [NULL, 340282366920938463463374607431768211455::UHUGEINT] AS x")


@pytest.mark.parametrize("expression", ["['1'::BIT]", "{'t': '12:00:00+01'::TIMETZ}", "MAP {'k': ['1'::BIT]}"])
def test_a_nested_type_without_an_arrow_type_names_the_column_and_a_cast(duck: Duck, expression: str):
    for ask in (duck.result_schema, lambda sql: table(duck, sql)):
        with pytest.raises(errors.NotSupportedError, match='"my col"') as caught:
            ask(f'SELECT {expression} AS "my col"')
        assert caught.value.hint == 'CAST("my col" AS VARCHAR)'
    assert value(duck, f"CAST({expression} AS VARCHAR)")


def test_text_casts_keep_names_order_and_position(duck: Duck):
    sql = 'SELECT i AS a, (i % 2)::INTEGER::BIT AS a, \'é\' AS "ü """ FROM range(300000) AS t(i) ORDER BY i DESC -- end'
    result = table(duck, sql)
    assert result.schema.names == ["a", "a", 'ü "']
    assert result[0].to_pylist() == list(range(299_999, -1, -1))
    assert result[1][0].as_py() == "0" * 31 + "1"
    bad = "SELECT 'éé', '1'::BIT, ('x' || i)::INTEGER FROM range(3) AS t(i)"
    with pytest.raises(errors.ConversionError) as caught:
        table(duck, bad)
    assert caught.value.position is not None
    assert bad[caught.value.position - 1 :].startswith("::INTEGER")


def test_ordinary_columns_are_not_copied(duck: Duck):
    before = pa.total_allocated_bytes()
    result = table(duck, f"SELECT i, i::DOUBLE AS d, i::HUGEINT AS h, i::VARCHAR AS s {RAMP}")
    assert result.num_rows == 200_000
    assert pa.total_allocated_bytes() - before < 100_000  # the buffers are DuckDB's own


def test_rows_stream_and_a_closed_result_frees_the_cursor(duck: Duck):
    cursor = duck.cursor()
    made = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal made
        while True:
            made += 1
            yield pa.record_batch({"i": pa.array(range(10_000), pa.int64())})

    reader = pa.RecordBatchReader.from_batches(pa.schema({"i": pa.int64()}), batches())
    rows = duck.run(cursor, "SELECT i FROM endless", {"endless": reader})
    assert next(rows).num_rows > 0
    assert made < 1000
    rows.close()
    rows.close()
    with pytest.raises(errors.QueryCancelled):
        list(rows)
    assert duck.run(cursor, "SELECT 1 AS x", {}).read_all().num_rows == 1
    with pytest.raises(errors.TableNotFound):
        duck.run(cursor, "SELECT i FROM endless", {})


def test_an_empty_result_has_its_schema(duck: Duck):
    assert table(duck, "SELECT 1 AS i, true AS b WHERE false").schema == pa.schema({"i": pa.int32(), "b": pa.bool_()})


# --- failures ---------------------------------------------------------------------------------------------------

FAILURES = [
    ("SELEC 1", errors.SQLSyntaxError, "SELEC"),
    ("SELECT sum(1", errors.SQLSyntaxError, "1"),
    ("SELECT 'ü😀', nope FROM range(3) AS t(i)", errors.ColumnNotFound, "nope"),
    ("SELECT t.nope FROM range(3) AS t(i)", errors.ColumnNotFound, "t.nope"),
    ("SELECT * FROM nope", errors.TableNotFound, "nope"),
    ("SELECT i FROM range(3) AS t(i), range(3) AS s(i)", errors.AmbiguousColumn, "i FROM"),
    ("SELECT nope(1)", errors.FunctionNotFound, "nope"),
    ("SELECT * FROM nope(1)", errors.FunctionNotFound, "nope"),
    ("SELECT list_sort(1)", errors.FunctionNotFound, "list_sort"),
    ("SELECT DATE '2024-01-01' + 'a'", errors.FunctionNotFound, "+ 'a'"),
    ("SELECT i, count(*) FROM range(3) AS t(i)", errors.GroupingError, "i, count"),
    ("SELECT $1", errors.UndefinedParameter, None),
    ("SELECT 'abc'::INTEGER", errors.ConversionError, "::INTEGER"),
    ("SELECT 300::TINYINT", errors.ConversionError, "::TINYINT"),
    ("SELECT CAST('2024-13-01' AS DATE)", errors.ConversionError, "CAST"),
    ("SELECT 9223372036854775807 + 1", errors.NumericOutOfRange, None),
    ("SELECT 1 % 0", errors.DivisionByZero, None),
    ("SELECT (SELECT unnest([1, 2]))", errors.CardinalityViolation, None),
    ("SELECT error('boo')", errors.DataError, None),
    ("SELECT strptime('x', '%Y')", errors.DataError, None),
]


@pytest.mark.parametrize(("sql", "kind", "at"), FAILURES, ids=[f[0] for f in FAILURES])
def test_a_failure_has_its_class_and_position(duck: Duck, sql: str, kind: type[errors.Error], at: str | None):
    with pytest.raises(errors.Error) as caught:
        table(duck, sql)
    assert type(caught.value) is kind
    assert "exception_type" not in str(caught.value)
    assert caught.value.__cause__ is not None
    position = caught.value.position
    assert (position is None) == (at is None)
    if at is not None and position is not None:
        assert sql[position - 1 :].startswith(at)


def test_a_failure_in_the_middle_of_a_stream_has_its_class(duck: Duck):
    sql = "SELECT CASE WHEN i = 1900000 THEN ('a' || i)::INTEGER ELSE i END AS x FROM range(2000000) AS t(i)"
    rows = duck.run(duck.cursor(), sql, {})
    next(rows)
    with pytest.raises(errors.ConversionError, match="a1900000") as caught:
        rows.read_all()
    assert caught.value.position is not None and sql[caught.value.position - 1 :].startswith("::INTEGER")
    with pytest.raises(errors.QueryCancelled):
        next(rows)


def test_the_nearest_names_are_in_the_hint(duck: Duck):
    with pytest.raises(errors.ColumnNotFound) as caught:
        duck.describe("SELECT amont FROM (SELECT 1 AS amount)")
    assert "amount" in (caught.value.hint or "")


@pytest.mark.parametrize("sql", ["SELECT count(*) FROM range(1000000000000)", "FROM range(1000000000000)"])
def test_cancel_interrupts_a_running_query(duck: Duck, sql: str):
    token = CancelToken()
    timer = threading.Timer(0.2, token.cancel, [errors.QueryTimeout("too long")])
    timer.start()
    cursor = duck.cursor()
    with pytest.raises(errors.QueryTimeout):
        for _ in duck.run(cursor, sql, {}, token):
            pass
    timer.join()
    with pytest.raises(errors.QueryTimeout):
        duck.run(cursor, "SELECT 1", {}, token)
    assert duck.run(cursor, "SELECT 1 AS x", {}).read_all().num_rows == 1


def test_close_from_another_thread_ends_a_blocked_pull(duck: Duck):
    block, waiting, released = threading.Event(), threading.Event(), threading.Event()

    def batches() -> Iterator[pa.RecordBatch]:
        while True:
            if block.is_set():
                waiting.set()
                assert released.wait(30)
            yield pa.record_batch({"i": pa.array(range(10_000), pa.int64())})

    reader = pa.RecordBatchReader.from_batches(pa.schema({"i": pa.int64()}), batches())
    cursor = duck.cursor()
    rows = duck.run(cursor, "SELECT i FROM t", {"t": reader})
    block.set()
    caught: list[BaseException] = []

    def read() -> None:
        try:
            for _ in rows:
                pass
        except errors.Error as exc:
            caught.append(exc)

    thread = threading.Thread(target=read)
    thread.start()
    assert waiting.wait(30)
    rows.close()
    released.set()
    thread.join(60)
    assert [type(exc) for exc in caught] == [errors.QueryCancelled]
    assert duck.run(cursor, "SELECT 1 AS x", {}).read_all().num_rows == 1


def test_a_source_failure_is_raised_as_it_was(duck: Duck):
    token = CancelToken()
    original = errors.SourceUnavailable("gone", source="pg")

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"i": [1]})
        token.cancel(original)
        raise original

    reader = pa.RecordBatchReader.from_batches(pa.schema({"i": pa.int64()}), batches())
    with pytest.raises(errors.SourceUnavailable) as caught:
        duck.run(duck.cursor(), "SELECT sum(i) FROM t", {"t": reader}, token).read_all()
    assert caught.value is original


def test_many_threads_share_one_database(duck: Duck):
    answers: list[int] = []

    def ask(number: int) -> None:
        duck.create_table(f"shared_{number}", pa.schema({"i": pa.int64()}))
        duck.describe(f"SELECT * FROM shared_{number}")
        answers.append(table(duck, f"SELECT sum(i) AS s FROM range({number}) AS t(i)")["s"][0].as_py())

    threads = [threading.Thread(target=ask, args=[n]) for n in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == sorted(decimal.Decimal(n * (n - 1) // 2) for n in range(2, 10))
