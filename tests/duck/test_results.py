"""What the results look like: names, types and values."""

import datetime as dt
import decimal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters import errors
from adapters.duck import Duck, Kept
from tests.duck.helpers import RAMP, table, value


def test_describe_over_empty_tables(duck: Duck) -> None:
    columns: dict[str, pa.DataType] = {
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
    duck.create_table('a "table"', pa.schema(columns))
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


MANY_TYPES = (
    "SELECT 1 AS a, true AS b, uuid() AS u, '{}'::JSON AS j, sum(1) AS h, '101'::BIT AS bit, {'x': [true]} AS s, "
    "MAP {'k': 1::HUGEINT} AS m, 'v'::ENUM ('u', 'v') AS e, NULL AS n, 1.5::DECIMAL(4,1) AS d, 'x' AS \"q \"\"\""
)


def test_result_schema_is_what_run_gives(duck: Duck) -> None:
    sql = MANY_TYPES.replace(" AS b,", " AS a,")
    assert duck.result_schema(sql) == table(duck, sql).schema


def test_a_kept_result_has_its_types_again(duck: Duck) -> None:
    types = "typeof(h) AS h, h // 2 AS half, typeof(z) AS z, typeof(b) AS b, typeof(l) AS l, n"
    made = "SELECT 5::HUGEINT AS h, '12:00:00+02'::TIMETZ AS z, '101'::BIT AS b, [1::HUGEINT] AS l, 7 AS n"
    first = duck.query(made)
    kept = Kept(pa.Table.from_batches(first, first.schema), first.types)
    for _ in range(2):  # on one cursor
        (row,) = duck.query(f"SELECT {types} FROM kept", {"kept": kept}).read_all().to_pylist()
        shown = {"h": "HUGEINT", "half": 2, "z": "TIME WITH TIME ZONE", "b": "BIT", "l": "HUGEINT[]", "n": 7}
        assert row == shown
    plain = duck.query("SELECT typeof(h) AS h FROM kept", {"kept": kept.rows}).read_all()
    assert plain.to_pylist() == [{"h": "DECIMAL(38,0)"}]


def test_describe_sees_a_view_with_its_own_types(duck: Duck) -> None:
    duck.create_view('a "view"', MANY_TYPES)
    assert duck.describe('FROM "a ""view"""') == duck.describe(MANY_TYPES)
    duck.create_view('a "view"', "SELECT 1 AS other")
    assert duck.describe('FROM "a ""view"""') == (("other", "INTEGER"),)
    assert table(duck, 'FROM "a ""view"""').to_pylist() == [{"other": 1}]


def test_describe_opens_no_file_of_a_view(tmp_path: Path) -> None:
    file = tmp_path / "numbers.parquet"
    pq.write_table(pa.table({"i": [1, 2]}), file)
    duck = Duck([f"{tmp_path}/"])
    try:
        duck.create_view("numbers", f"SELECT * FROM '{file}'")
        assert table(duck, "SELECT sum(i) AS s FROM numbers").to_pylist() == [{"s": 3}]
        file.unlink()
        assert duck.describe("SELECT sum(i) AS s FROM numbers") == (("s", "HUGEINT"),)
        with pytest.raises(errors.Error, match=r"numbers\.parquet"):
            table(duck, "SELECT sum(i) AS s FROM numbers")
    finally:
        duck.close()


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
    (f"{{'a': true, 'b': '{ONE}'::UUID}}", pa.struct([("a", pa.bool_()), ("b", pa.uuid())]), {"a": True, "b": ONE}),
    ("MAP {'k': true}", pa.map_(pa.string(), pa.bool_()), [("k", True)]),
]


@pytest.mark.parametrize(("expression", "type_", "expected"), VALUES, ids=[v[0] for v in VALUES])
def test_a_value_has_its_arrow_type(duck: Duck, expression: str, type_: pa.DataType, expected: Any) -> None:
    sql = f"SELECT x FROM (VALUES (1, {expression}), (2, NULL), (3, {expression})) AS t(i, x) ORDER BY i"
    result = table(duck, sql)
    result.validate(full=True)
    assert result.schema.field("x").type == type_
    assert result["x"].to_pylist() == [expected, None, expected]


@pytest.mark.parametrize(
    "type_",
    [
        *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UINTEGER", "FLOAT", "DOUBLE", "BLOB"),
        *("DATE", "TIME", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS", "INTERVAL", "VARCHAR", "UUID"),
        *("DECIMAL(4,1)", "DECIMAL(18,0)", "DECIMAL(38,10)", "JSON", "BIT", "INTEGER[]", "STRUCT(a DATE)", '"NULL"'),
    ],
)
def test_the_arrow_type_of_a_column_is_what_run_gives(duck: Duck, type_: str) -> None:
    assert duck.arrow_type(type_) == table(duck, f"SELECT NULL::{type_} AS x").schema.field("x").type


@pytest.mark.parametrize("expression", ["1" + "0" * 38 + "::HUGEINT", "-1" + "0" * 38 + "::HUGEINT"])
def test_a_hugeint_beyond_38_digits_is_an_error(duck: Duck, expression: str) -> None:
    with pytest.raises(errors.NumericOutOfRange, match='"x"') as caught:
        table(duck, f"SELECT {expression} AS x")
    assert caught.value.hint == 'CAST("x" AS VARCHAR)'
    cursor = duck.cursor()
    rows = duck.run(cursor, f"SELECT {expression} AS x FROM range(10)", {})
    with pytest.raises(errors.NumericOutOfRange):
        rows.read_all()
    assert duck.run(cursor, "SELECT 1 AS x", {}).read_all().num_rows == 1


def test_a_uhugeint_is_never_a_negative_number(duck: Duck) -> None:
    with pytest.raises(errors.NumericOutOfRange, match='"x"'):
        table(duck, "SELECT 340282366920938463463374607431768211455::UHUGEINT AS x")
    with pytest.raises(errors.NumericOutOfRange):
        table(duck, "SELECT [NULL, 340282366920938463463374607431768211455::UHUGEINT] AS x")


@pytest.mark.parametrize("expression", ["['1'::BIT]", "{'t': '12:00:00+01'::TIMETZ}", "MAP {'k': ['1'::BIT]}"])
def test_a_nested_type_without_an_arrow_type_names_the_column_and_a_cast(duck: Duck, expression: str) -> None:
    for ask in (duck.result_schema, lambda sql: table(duck, sql)):
        with pytest.raises(errors.NotSupportedError, match='"my col"') as caught:
            ask(f'SELECT {expression} AS "my col"')
        assert caught.value.hint == 'CAST("my col" AS VARCHAR)'
    assert value(duck, f"CAST({expression} AS VARCHAR)")


def test_text_casts_keep_names_order_and_position(duck: Duck) -> None:
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


def test_ordinary_columns_are_not_copied(duck: Duck) -> None:
    before = pa.total_allocated_bytes()
    result = table(duck, f"SELECT i, i::DOUBLE AS d, i::HUGEINT AS h, i::VARCHAR AS s {RAMP}")
    assert result.num_rows == 200_000
    assert pa.total_allocated_bytes() - before < 100_000  # the buffers are DuckDB's own


def test_rows_stream_and_a_closed_result_frees_the_cursor(duck: Duck) -> None:
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


def test_an_empty_result_has_its_schema(duck: Duck) -> None:
    columns: dict[str, pa.DataType] = {"i": pa.int32(), "b": pa.bool_()}
    assert table(duck, "SELECT 1 AS i, true AS b WHERE false").schema == pa.schema(columns)


def test_many_results_over_files_are_made_less_far_ahead() -> None:
    opened = Duck(threads=4)

    def ahead() -> object:
        return opened.query("SELECT current_setting('streaming_buffer_size') AS s").read_all().to_pylist()

    alone = ahead()
    results = [opened.query("SELECT i FROM range(1000000) AS t(i)")]
    assert ahead() == alone
    results.append(opened.query("SELECT i FROM range(1000000) AS t(i)"))
    assert ahead() != alone
    reader = pa.RecordBatchReader.from_batches(pa.schema([("i", pa.int64())]), [])
    over_readers = opened.query("SELECT i FROM t", {"t": reader})
    results[0].close()  # in the middle
    with pytest.raises(errors.ConversionError):
        opened.query("SELECT CAST('x' AS INTEGER)").read_all()
    assert ahead() == alone
    assert results[1].read_all().num_rows == 1_000_000
    over_readers.close()
    assert ahead() == alone
    opened.close()
