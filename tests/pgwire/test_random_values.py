"""Random values in both formats and in COPY, byte for byte what a real PostgreSQL sends.

The server is given a batch of values as one array in binary form, and sends them back one by one.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg import pq, sql

from federation.pgwire import types as pg
from federation.pgwire.copy_format import CopyEncoder
from federation.pgwire.copy_options import CopyOptions
from federation.pgwire.style import Style
from federation.pgwire.types import ARRAYS, PgType
from tests.pgwire.values import copy_messages, of_array

RANDOM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ZONES = ("UTC", "America/New_York", "Europe/Dublin", "Asia/Kathmandu", "Africa/Casablanca", "Australia/Lord_Howe")
DAY = 86_400_000_000
TO_2000 = 946_684_800_000_000
FIRST, LAST = -210_866_803_200_000_000, 9_223_371_331_200_000_000 - 1  # 4713 BC (PostgreSQL) to 294247 (DuckDB)
NEAR = st.integers(-25_568, 47_482)  # days from 1899 to 2100
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
TRICKY = st.text("a\\\"{},;\n\r\t NUL.-'", max_size=6)


@pytest.fixture(scope="module")
def postgres(postgres_uri: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        yield connection


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | values, min_size=1, max_size=40)


def array_parameter(oid: int, elements: Sequence[bytes | None]) -> bytes:
    parts = [struct.pack(">iiIii", 1, 1, oid, len(elements), 1)]
    parts += [struct.pack(">i", -1) if each is None else struct.pack(">i", len(each)) + each for each in elements]
    return b"".join(parts)


def sent_back(
    connection: psycopg.Connection[Any], oid: int, elements: Sequence[bytes | None], format_: int, cast: str = ""
) -> list[bytes | None]:
    query = f"SELECT v{cast} FROM unnest($1) WITH ORDINALITY AS q(v, n) ORDER BY n"
    result = connection.pgconn.exec_params(
        query.encode(), [array_parameter(oid, elements)], [ARRAYS[oid]], [1], format_
    )
    assert result.status == pq.ExecStatus.TUPLES_OK, result.error_message
    return [result.get_value(row, 0) for row in range(result.ntuples)]


def check(connection: psycopg.Connection[Any], oid: int, array: Any, elements: Sequence[bytes | None]) -> None:
    for format_ in (0, 1):
        assert of_array(array, PgType(oid, -1), format_, Style()) == sent_back(connection, oid, elements, format_)


def packed(form: str, values: Sequence[Any]) -> list[bytes | None]:
    return [None if value is None else struct.pack(form, value) for value in values]


def rounded(number: float) -> float:
    """To 32 bits."""
    return float(struct.unpack("f", struct.pack("f", number))[0])


WHOLE = st.integers(0, 24).flatmap(lambda digits: st.integers(-(10**digits), 10**digits))
DOUBLES = st.floats() | WHOLE.map(float) | WHOLE.map(lambda n: n / 1000)
SINGLES = st.floats(width=32) | (WHOLE | WHOLE.map(lambda n: n / 1000)).map(rounded)


@RANDOM
@given(lists(DOUBLES))
@example([1e23, 9.5e15, 18014398509482008.0, 18014398509482012.0, 2.0**54, -(2.0**60), 2.0**70, 1e14, 1e15, 1e16])
@example([0.0, -0.0, 1.0, 0.5, math.nan, -math.inf, None, 999999999999999.9, 1e-4, 0.00009999])
def test_doubles(postgres: psycopg.Connection[Any], values: list[float | None]) -> None:
    check(postgres, pg.FLOAT8, pa.array(values, pa.float64()), packed(">d", values))


@RANDOM
@given(lists(SINGLES))
@example([1e6, 999999.9, 2.0**25, 2.0**26, 33554440.0, 67108868.0, 9.5e9, 1e15, 1e-5, 1.1754944e-38])
def test_singles(postgres: psycopg.Connection[Any], values: list[float | None]) -> None:
    check(postgres, pg.FLOAT4, pa.array(values, pa.float32()), packed(">f", values))


@RANDOM
@given(st.integers(0, 38), lists(st.integers(-(10**38) + 1, 10**38 - 1) | st.integers(-(10**9), 10**9)))
@example(4, [0, 1, -1, 9999, -9999, 10_000, None, -10_001])
@example(2, [9 * 10**17, -9 * 10**17])
@example(2, [9 * 10**17 + 1])
@example(1, [-(2**63)])
@example(0, [2**63 - 1, -(2**63)])
@example(3, [2**63])
@example(17, [0, 1, -1, 10**17 - 1, -(10**17), 9 * 10**17, -9 * 10**17, None])
@example(18, [0, 1, -1, 10**17, -9 * 10**17])
def test_numerics(postgres: psycopg.Connection[Any], scale: int, values: list[int | None]) -> None:
    decimals = [None if value is None else Decimal(f"{value}e-{scale}") for value in values]
    texts = [None if value is None else f"{value:f}".encode() for value in decimals]
    array = pa.array(decimals, pa.decimal128(38, scale))
    cast = f"::numeric(38,{scale})"
    for format_ in (0, 1):
        wanted = sent_back(postgres, pg.TEXT, texts, format_, cast)
        assert of_array(array, PgType(pg.NUMERIC, -1), format_, Style()) == wanted


@RANDOM
@given(st.integers(1, 18), st.data())
def test_narrow_numerics(postgres: psycopg.Connection[Any], precision: int, data: st.DataObject) -> None:
    scale = data.draw(st.integers(0, precision))
    values = data.draw(lists(st.integers(-(10**precision) + 1, 10**precision - 1)))
    decimals = [None if value is None else Decimal(f"{value}e-{scale}") for value in values]
    texts = [None if value is None else f"{value:f}".encode() for value in decimals]
    array = pa.array(decimals, pa.decimal128(precision, scale))
    for format_ in (0, 1):
        wanted = sent_back(postgres, pg.TEXT, texts, format_, f"::numeric({precision},{scale})")
        assert of_array(array, PgType(pg.NUMERIC, -1), format_, Style()) == wanted


@RANDOM
@given(
    st.sampled_from(ZONES),
    lists(st.integers(FIRST, LAST) | st.integers(-(10**16), 10**16)) | lists(NEAR.map(lambda day: day * DAY + day)),
)
@example("UTC", [0, -1, 1, 10, 1000, 1001, 10_000, 999_000, 10**6, 1_100_000, DAY - 1, DAY, None])
@example("UTC", [day * DAY + more for day in (-25_567, 47_482) for more in (-1, 0)])
def test_timestamps(postgres: psycopg.Connection[Any], zone: str, values: list[int | None]) -> None:
    postgres.execute("SELECT set_config('timezone', %s, false)", [zone])
    elements = packed(">q", [None if value is None else value - TO_2000 for value in values])
    for oid, kind in ((pg.TIMESTAMP, pa.timestamp("us")), (pg.TIMESTAMPTZ, pa.timestamp("us", "UTC"))):
        array = pa.array(values, pa.int64()).cast(kind)
        for format_ in (0, 1):
            wanted = sent_back(postgres, oid, elements, format_)
            assert of_array(array, PgType(oid, 8), format_, Style(zone)) == wanted


@RANDOM
@given(lists(st.integers(-2_451_545 + 10_957, 2_145_031_948) | st.integers(-800_000, 3_000_000)) | lists(NEAR))
@example([0, -1, None, -25_567, 47_481])
def test_dates(postgres: psycopg.Connection[Any], values: list[int | None]) -> None:
    elements = packed(">i", [None if value is None else value - 10_957 for value in values])
    check(postgres, pg.DATE, pa.array(values, pa.int32()).cast(pa.date32()), elements)


@RANDOM
@given(lists(st.integers(0, 86_400_000_000) | st.integers(0, 86_400).map(lambda second: second * 10**6)))
def test_times(postgres: psycopg.Connection[Any], values: list[int | None]) -> None:
    check(postgres, pg.TIME, pa.array(values, pa.int64()).cast(pa.time64("us")), packed(">q", values))


SMALL = st.integers(-40, 40)
PARTS = st.tuples(SMALL, SMALL, st.integers(-(10**15), 10**15) | st.integers(-90_000, 90_000).map(lambda s: s * 10**6))


@RANDOM
@given(st.sampled_from(["postgres", "postgres_verbose", "sql_standard", "iso_8601"]), lists(PARTS))
def test_intervals(postgres: psycopg.Connection[Any], style: str, values: list[tuple[int, int, int] | None]) -> None:
    postgres.execute("SELECT set_config('intervalstyle', %s, false)", [style])
    elements = [None if each is None else struct.pack(">qii", each[2], each[1], each[0]) for each in values]
    array = pa.array(
        [None if each is None else (each[0], each[1], 1000 * each[2]) for each in values], pa.month_day_nano_interval()
    )
    for format_ in (0, 1):
        wanted = sent_back(postgres, pg.INTERVAL, elements, format_)
        assert of_array(array, PgType(pg.INTERVAL, 16), format_, Style(interval_style=style)) == wanted


@RANDOM
@given(st.lists(st.none() | st.lists(st.none() | TEXT | TRICKY, max_size=6), min_size=1, max_size=10))
def test_arrays_of_text(postgres: psycopg.Connection[Any], values: list[list[str | None] | None]) -> None:
    array = pa.array(values, pa.list_(pa.string()))
    for format_ in (0, 1):
        with postgres.cursor(binary=bool(format_)) as cursor:
            union = sql.SQL(" UNION ALL ").join(sql.SQL("SELECT %s::text[]") for _ in values)
            cursor.execute(union, values)
            assert cursor.pgresult is not None
            wanted = [cursor.pgresult.get_value(row, 0) for row in range(len(values))]
        assert of_array(array, PgType(ARRAYS[pg.TEXT], -1), format_, Style()) == wanted


@RANDOM
@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.none() | st.integers(-9, 9), min_size=9, max_size=9))
def test_arrays_of_two_dimensions(
    postgres: psycopg.Connection[Any], rows: int, columns: int, values: list[int | None]
) -> None:
    nested = [values[row * columns : (row + 1) * columns] for row in range(rows)]
    array = pa.array([nested, None, [[None]], []], pa.list_(pa.list_(pa.int32())))
    text = "{" + ",".join("{" + ",".join("NULL" if v is None else str(v) for v in each) + "}" for each in nested) + "}"
    for format_ in (0, 1):
        with postgres.cursor(binary=bool(format_)) as cursor:
            cursor.execute("VALUES (%s::int4[]), (NULL), ('{{NULL}}'), ('{}')", [text])
            assert cursor.pgresult is not None
            wanted = [cursor.pgresult.get_value(row, 0) for row in range(4)]
        assert of_array(array, PgType(ARRAYS[pg.INT4], -1), format_, Style()) == wanted


@RANDOM
@given(
    st.sampled_from([CopyOptions(), CopyOptions("text", "|", "x"), CopyOptions("csv", ",", ""),
                     CopyOptions("csv", ";", "a", quote="'", escape="\\"), CopyOptions("csv", ",", "", escape="a")]),
    st.lists(st.tuples(st.none() | TEXT | TRICKY, st.none() | TRICKY), min_size=1, max_size=20),
)  # fmt: skip
def test_copies(
    postgres: psycopg.Connection[Any], options: CopyOptions, rows: list[tuple[str | None, str | None]]
) -> None:
    schema = pa.schema([("a", pa.string()), ("b", pa.string())])
    batch = pa.record_batch(list(zip(*rows, strict=True)), schema=schema)
    encoder = CopyEncoder(schema, [PgType(pg.TEXT, -1)] * 2, options, Style())
    names = ("format", "delimiter", "null", *(("quote", "escape") if options.format == "csv" else ()))
    clause = sql.SQL(", ").join(sql.SQL(name) + sql.SQL(" ") + sql.Literal(getattr(options, name)) for name in names)
    values = sql.SQL(", ").join(sql.SQL("({}, {}::text, {}::text)").format(n, *row) for n, row in enumerate(rows))
    statement = sql.SQL("COPY (SELECT a, b FROM (VALUES {}) AS q(n, a, b) ORDER BY n) TO STDOUT ({})")
    with postgres.cursor() as cursor, cursor.copy(statement.format(values, clause)) as copy:
        assert copy_messages(b"".join(encoder.encode(batch))) == [bytes(message) for message in copy]
