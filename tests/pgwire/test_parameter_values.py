"""Values that a client sends arrive as they would in a real PostgreSQL: what comes back is compared byte for byte."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import pq

from adapters.errors import Error
from federation.engine import Engine
from federation.pgwire import types as pg
from federation.pgwire.parameter_values import decode_parameter
from federation.pgwire.style import Style
from federation.pgwire.types import ARRAYS, SIZES, PgType
from tests.pgwire.values import encoded

ZONE = "America/New_York"

TEXTS: dict[int, list[str]] = {
    pg.BOOL: ["t", " TRUE ", "yes", "y", "on", "1", "f", "false", "no", "n", "of", "off", "0"],
    pg.INT2: ["0", "-32768", " +32767 ", "007"],
    pg.INT4: ["2147483647", "-2147483648", "0000000000000000000000001"],
    pg.INT8: ["9223372036854775807", "-9223372036854775808", "5"],
    pg.OID: ["0", "4294967295", "-1"],
    pg.FLOAT4: ["1.5", "-0", "1e38", "NaN", "inf", "-Infinity", "0.1", "16777217", "3.4028235e38", "1e-45"],
    pg.FLOAT8: ["1.5", ".5", "5.", "+1e5", " 1E-5 ", "nan", "infinity", "-inf", "5e-324", "0.1", "-0.0"],
    pg.NUMERIC: ["0", "1.50", "-1.5", "1e3", "1.23e-5", ".5", "99999999999999999999999999999999999999", "0.00",
                 "007.10"],
    pg.TEXT: ["", "a", "é 漢", "it's", "a\\b", "\n"],
    pg.VARCHAR: ["x "],
    pg.BYTEA: ["", "\\x", "\\x00fF5c", "\\x 00 ff", "abc", "a\\\\b", "\\000\\377'"],
    pg.DATE: ["2020-02-29", "0001-01-01", "0044-03-15 BC", "infinity", "-infinity", "2020-1-5", "2020-01-01 +01",
              "2020-01-01 10:00:00", "12345-01-01", " 2020-01-01 "],
    pg.TIME: ["00:00:00", "23:59:59.999999", "24:00:00", "10:30", "1:02:03.5", "23:59:60", "10:00:00+05",
              "10:00:00.1234567"],
    pg.TIMETZ: ["10:00:00+05:30", "10:00:00.5-08", "23:59:59.999999+00", "24:00:00Z", "10:00:00+05:30:15"],
    pg.TIMESTAMP: ["2020-01-01 10:00:00", "2020-01-01T10:00:00.123456", "2020-01-01 10:00:00+05", "2020-01-01",
                   "infinity",
                   "-infinity", "0044-03-15 10:00:00 BC", "10000-12-31 23:59:59.999999", "2020-12-31 24:00:00",
                   "2020-12-31 23:59:60", "2020-01-01 00:00:00.9999999", "2020-01-01 10:00 Europe/Berlin",
                   "2020-01-01 1:02"],
    pg.TIMESTAMPTZ: ["2020-01-01 10:00:00+00", "2020-01-01 10:00:00", "2020-07-01 10:00:00", "2020-03-08 02:30:00",
                     "2020-11-01 01:30:00", "2090-07-01 12:00:00", "2020-01-01 10:00:00+05:30",
                     "2020-01-01T10:00:00Z",
                     "2020-01-01 10:00:00-0330", "infinity", "-infinity", "1850-01-01 00:00:00",
                     "0044-03-15 10:00:00+00 BC",
                     "2020-07-01 10:00:00 Europe/Berlin", "10000-07-01 00:00:00", "2020-01-01",
                     "0044-03-15 10:00:00 BC",
                     "1900-01-01 10:00:00+04:30:21", "2020-01-01 10:00 UTC"],
    pg.INTERVAL: ["1 day", "-1 day", "1 year 2 mons -3 days +04:05:06.5", "04:05", "-00:00:01.5",
                  "@ 1 day 2 hours ago",
                  "1-2", "-1-2", "3 4:05:06", "5", "1.5", "1.5 days", "1.5 months", "2.5 years", "1.5 weeks",
                  "P1Y2M3DT4H5M6.7S",
                  "PT-1H", "P-1M", "P2W", "PT0.5S", "0", "100:00:00", "1 week 2 days", "3 decades", "1 century",
                  "1000 ms 5 us", "1h 2m 3s", "-1 day 02:00:00", "1 month -1 day", "+1 mon", "1 day 1.5"],
    pg.UUID: ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}",
              "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11"],
    pg.JSON: ['{"a": [1, 2.50, null]}', "null", '"é"', " [1] ", "123456789012345678901234567890"],
    pg.VARBIT: ["1", "10110", "1011011101"],
    ARRAYS[pg.BOOL]: ["{t,f,NULL}"],
    ARRAYS[pg.INT4]: ["{}", "{1,2,NULL}", "{{1,2},{3,4}}", "{{{1}}}", " { 1 , 2 } ", "[1:2]={1,2}", "{null}",
           '{"1"}'],
    ARRAYS[pg.INT8]: ["{1,9223372036854775807}"],
    ARRAYS[pg.NUMERIC]: ["{1.50,NULL,2.25,-100.00}", "{}", "{1e3}"],
    ARRAYS[pg.TEXT]: ['{a,"b c","",NULL,"NULL"}', '{"a\\"b","c\\\\d",e\\,f}', "{ a b , c }", '{"{}",","}', "{é}",
           '{{a,b},{c,NULL}}',
                      '{a\\ }', '{\\N}', '{"\n"}'],
    ARRAYS[pg.DATE]: ["{2020-01-01,infinity,NULL}"],
    ARRAYS[pg.TIMESTAMPTZ]: ['{"2020-07-01 10:00:00",NULL}'],
    ARRAYS[pg.UUID]: ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}"],
    ARRAYS[pg.FLOAT8]: ["{1.5,NaN,-Infinity}"],
    ARRAYS[pg.BYTEA]: ['{"\\\\x00ff",NULL}'],
    ARRAYS[pg.INTERVAL]: ['{"1 day 02:00:00"}'],
}  # fmt: skip
BAD: dict[int, list[str]] = {
    pg.BOOL: ["", "o", "maybe", "2"],
    pg.INT2: ["32768", "", "1.0", "a", "1 2"],
    pg.INT4: ["2147483648", "-2147483649", "0x10", "1_000", "99999999999999999999999999"],
    pg.INT8: ["9223372036854775808", "١"],
    pg.OID: ["4294967296", "x"],
    pg.FLOAT4: ["1e39", "1e-46", "x"],
    pg.FLOAT8: ["1e400", "1e-400", "1_0", "", "infinit"],
    pg.NUMERIC: ["", "1.2.3", "x", "1e", "--1"],
    pg.BYTEA: ["a\\b", "\\400"],
    pg.DATE: ["2020-02-30", "2020-13-01", "", "x", "0000-01-01"],
    pg.TIME: ["25:00:00", "10:60:00", "x", "24:00:01", "10:00:61"],
    pg.TIMESTAMP: ["2020-01-01 25:00:00", "2020-02-30 00:00:00", "x", ""],
    pg.TIMESTAMPTZ: ["x", "2020-01-01 10:00 Nowhere/Land"],
    pg.INTERVAL: ["", "x", "1 parsec", "P", "1 day x", "P1X", "@"],
    pg.UUID: ["", "a0eebc99", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    pg.JSON: ["", "{", "{'a': 1}", "NaN", "[1,]", '{"a" 1}'],
    ARRAYS[pg.INT4]: ["", "1", "{1", "{1}}", "{1,}", "{,1}", "{{1},{2,3}}", "{{1},2}", "{x}", "{2147483648}",
           '{"1"2}', "{1} x", "{{},{}}", "{{}}"],
    ARRAYS[pg.TEXT]: ['{"a}', "{a}b}", '{a"b"}', "{a{b}"],
}  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("empty")
    (folder / "federation.toml").write_text("")
    with Engine.open(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def postgres(postgres_uri: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        connection.execute(f"SET timezone = '{ZONE}'")
        yield connection


def of_postgres(connection: psycopg.Connection[Any], oid: int, format_: int, data: bytes | None) -> bytes | str | None:
    """The parameter as the server sends it back in binary form, or the SQLSTATE of its error."""
    result = connection.pgconn.exec_params(b"SELECT $1", [data], [oid], [format_], 1)
    if result.status != pq.ExecStatus.TUPLES_OK:
        return (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode()
    return result.get_value(0, 0)


def of_ours(engine: Engine, oid: int, format_: int, data: bytes | None) -> bytes | str | None:
    type_ = PgType(oid, SIZES.get(oid, -1))
    try:
        literal = decode_parameter(oid, format_, data, ZONE)
        with engine.query(f"SELECT {literal.sql(dialect='duckdb')} AS v") as result:
            return encoded(result.batches(), result.schema, [type_], 1, Style())[0][0]
    except Error as exc:
        return exc.sqlstate


@pytest.mark.parametrize("oid", TEXTS)
def test_texts_mean_what_they_mean_to_postgres(engine: Engine, postgres: psycopg.Connection[Any], oid: int) -> None:
    values = [(text, text.encode()) for text in TEXTS[oid]]
    made = [(text, of_ours(engine, oid, 0, data)) for text, data in values]
    assert made == [(text, of_postgres(postgres, oid, 0, data)) for text, data in values]


@pytest.mark.parametrize("oid", TEXTS)
def test_what_postgres_sends_in_binary_is_read(engine: Engine, postgres: psycopg.Connection[Any], oid: int) -> None:
    values = [of_postgres(postgres, oid, 0, text.encode()) for text in TEXTS[oid]]
    assert [of_ours(engine, oid, 1, data) for data in values if isinstance(data, bytes)] == values


@pytest.mark.parametrize("oid", BAD)
def test_bad_texts_are_refused_as_by_postgres(engine: Engine, postgres: psycopg.Connection[Any], oid: int) -> None:
    values = [(text, text.encode()) for text in BAD[oid]]
    made = [(text, of_ours(engine, oid, 0, data)) for text, data in values]
    assert made == [(text, of_postgres(postgres, oid, 0, data)) for text, data in values]


@pytest.mark.parametrize(
    ("oid", "text", "sqlstate"),
    [
        (pg.BYTEA, "\\x0", "22P02"),
        (pg.BYTEA, "\\xgg", "22P02"),
        (pg.TIMESTAMPTZ, "2020-01-01 10:00:00+25", "22008"),
        (pg.INTERVAL, "99999999999 years", "22008"),
        (ARRAYS[pg.INT4], "{" * 7 + "1" + "}" * 7, "22P02"),
        (pg.NUMERIC, "1e39", "22003"),
        (pg.NUMERIC, "1e-39", "22003"),
        (pg.NUMERIC, "1e999999999999999999999", "22003"),
        (pg.NUMERIC, "NaN", "0A000"),
        (ARRAYS[pg.NUMERIC], "{1e37,1e-37}", "22003"),
        (pg.DATE, "01/02/2020", "22007"),
        (pg.TEXT, "a\0", "22021"),
        (0, "a\0", "22021"),
    ],
)
def test_what_is_refused_here_has_a_code(oid: int, text: str, sqlstate: str) -> None:
    with pytest.raises(Error) as caught:
        decode_parameter(oid, 0, text.encode(), ZONE)
    assert caught.value.sqlstate == sqlstate


def array(dimensions: int, *words: int, oid: int = pg.INT4) -> bytes:
    return struct.pack(f">iiI{len(words)}i", dimensions, 0, oid, *words)


@pytest.mark.parametrize(
    ("oid", "data", "sqlstate"),
    [
        (pg.TEXT, b"\xff", "22021"),
        (pg.INT4, b"\0\0\0", "22P03"),
        (pg.INT4, b"", "22P03"),
        (pg.BOOL, b"", "22P03"),
        (pg.FLOAT8, b"1.5", "22P03"),
        (pg.UUID, b"1" * 15, "22P03"),
        (pg.INTERVAL, b"1" * 15, "22P03"),
        (pg.JSONB, b"", "22P03"),
        (pg.JSONB, b"\x02{}", "22P03"),
        (pg.JSON, b"{", "22P02"),
        (pg.VARBIT, struct.pack(">i", 100), "22P03"),
        (pg.VARBIT, struct.pack(">i", -1), "22P03"),
        (pg.NUMERIC, struct.pack(">hhHh", 1, 0, 0, 0), "22P03"),
        (pg.NUMERIC, struct.pack(">hhHh", -1, 0, 0, 0), "22P03"),
        (pg.NUMERIC, struct.pack(">hhHhh", 1, 0, 0, 0, 10_000), "22P03"),
        (pg.NUMERIC, struct.pack(">hhHh", 0, 0, 0xC000, 0), "0A000"),
        (pg.NUMERIC, struct.pack(">hhHhh", 1, 32_767, 0, 0, 1), "22003"),
        (pg.NUMERIC, struct.pack(">hhHhh", 1, 10, 0, 0, 1), "22003"),
        (pg.TIME, struct.pack(">q", -1), "22008"),
        (pg.TIMESTAMP, struct.pack(">q", 2**63 - 2), "22008"),
        (pg.DATE, struct.pack(">i", 2**31 - 2), "22008"),
        (ARRAYS[pg.INT4], b"", "22P03"),
        (ARRAYS[pg.INT4], array(7), "22P03"),
        (ARRAYS[pg.INT4], array(-1), "22P03"),
        (ARRAYS[pg.INT4], array(1), "22P03"),
        (ARRAYS[pg.INT4], array(1, 2**31 - 1, 1), "22P03"),
        (ARRAYS[pg.INT4], array(2, 2**31 - 1, 1, 2**31 - 1, 1), "22P03"),
        (ARRAYS[pg.INT4], array(1, -1, 1), "22P03"),
        (ARRAYS[pg.INT4], array(1, 1, 1, 100, 0), "22P03"),
        (ARRAYS[pg.INT4], array(1, 1, 1, -2), "22P03"),
        (ARRAYS[pg.INT4], array(1, 1, 1, 4, 1, 1), "22P03"),
        (ARRAYS[pg.INT4], array(1, 1, 1, 4, 1, oid=pg.INT8), "22P03"),
        (600, b"1" * 16, "0A000"),
    ],
)
def test_bad_binary_is_refused(oid: int, data: bytes, sqlstate: str) -> None:
    with pytest.raises(Error) as caught:
        decode_parameter(oid, 1, data, ZONE)
    assert caught.value.sqlstate == sqlstate


@pytest.mark.parametrize(
    ("oid", "sql"),
    [
        (0, "NULL"),
        (pg.INT4, "CAST(NULL AS INT)"),
        (pg.TEXT, "CAST(NULL AS TEXT)"),
        (ARRAYS[pg.INT4], "CAST(NULL AS INT[])"),
        (ARRAYS[pg.TEXT], "CAST(NULL AS TEXT[])"),
        (600, "CAST(NULL AS TEXT)"),
    ],
)
def test_null_has_the_type_of_its_parameter(oid: int, sql: str) -> None:
    assert {decode_parameter(oid, format_, None).sql(dialect="duckdb") for format_ in (0, 1)} == {sql}


def test_a_text_of_no_type_stays_a_literal() -> None:
    assert decode_parameter(0, 0, b"it's").sql(dialect="duckdb") == "'it''s'"
    assert decode_parameter(pg.UNKNOWN, 0, b"1").sql(dialect="duckdb") == "'1'"


@pytest.mark.parametrize("oid", [*SIZES, *ARRAYS.values(), 0, 600, 2**32 - 1])
@given(data=st.binary(max_size=60))
@settings(max_examples=25, deadline=None)
def test_any_bytes_are_read_or_refused(oid: int, data: bytes) -> None:
    for format_ in (0, 1):
        with suppress(Error):
            decode_parameter(oid, format_, data, ZONE)
