"""Every type in both formats, byte for byte what a real PostgreSQL sends for the same value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from federation.engine import Engine
from federation.pgwire.style import Style
from federation.pgwire.types import PgType, pg_types_of
from tests.pgwire.values import encoded, of_postgres

# The same expression for both, or DuckDB's and PostgreSQL's. A type that has no NULL of its own here gets one below.
SAME = """
true
false
1::smallint
(-32768)::smallint
2147483647
(-2147483647 - 1)
9223372036854775807
(-9223372036854775807 - 1)
1.5::real
'-0'::real
1e6::real
123456::real
1234567.5::real
3.4028235e38::real
1e-45::real
0.0001::real
0.00001::real
'NaN'::real
'-infinity'::real
0.1::double precision
'-0'::double precision
1e14::double precision
1e15::double precision
123456789012345678::double precision
0.0001::double precision
0.000012345::double precision
1e-5::double precision
1e-7::double precision
5e-324::double precision
1.7976931348623157e308::double precision
1e22::double precision
1e23::double precision
18014398509482008::double precision
9007199254740993::double precision
'NaN'::double precision
'infinity'::double precision
'-infinity'::double precision
0::decimal(4,0)
0::decimal(18,9)
1.50::decimal(18,2)
-12345.67::decimal(18,2)
0.0001::decimal(18,4)
10000::decimal(18,0)
100000000.0000::decimal(18,4)
0.00012345::decimal(18,8)
99999999999999999999999999999999999999::decimal(38,0)
-99999999999999999999999999999999999999::decimal(38,0)
0.00000000000000000000000000000000000001::decimal(38,38)
1234567890123456789012345678.0123456789::decimal(38,10)
0.5::decimal(38,37)
-1::decimal(38,1)
18446744073709551616::decimal(38,5)
''
'a'
'naïve – 漢字 🙂'
date '2000-01-01'
date '1999-12-31'
date '0001-01-01'
date '9999-12-31'
date '10000-01-01'
date 'infinity'
date '-infinity'
time '00:00:00'
time '23:59:59.999999'
time '12:30:00.5'
time '24:00:00'
'10:00:00.25+05:30'::timetz
'10:00:00-08'::timetz
timestamp '2000-01-01 00:00:00'
timestamp '1999-12-31 23:59:59.999999'
timestamp '2020-02-29 12:34:56.7'
timestamp '0001-01-01 00:00:00'
timestamp '9999-12-31 23:59:59.999999'
timestamp '10000-01-01 00:00:00.000001'
timestamp 'infinity'
timestamp '-infinity'
timestamptz '2000-01-01 00:00:00+00'
timestamptz '2020-07-01 12:00:00.123+00'
timestamptz '2090-07-01 12:00:00+00'
timestamptz '9999-12-31 23:59:59.999999+00'
timestamptz '9999-12-31 12:00:00+00'
timestamptz '12000-07-01 12:00:00+00'
timestamptz '0001-01-01 00:00:00+00'
timestamptz '1850-01-01 00:00:00+00'
timestamptz 'infinity'
timestamptz '-infinity'
'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid
'{"a": [1, 2.50, null]}'::json
interval '0 seconds'
interval '1 day'
interval '1 year 2 months 3 days'
interval '14 months'
interval '-14 months'
interval '-1 day'
interval '04:05:06.789'
interval '-04:05:06'
interval '100 hours'
"""
BIG = "1234567890" * 5 + "0000"
APART = [
    ("5::utinyint", "5::int2"),
    ("-5::tinyint", "-5::int2"),
    ("65535::usmallint", "65535::int4"),
    ("4294967295::uinteger", "4294967295::int8"),
    ("18446744073709551615::ubigint", "18446744073709551615::numeric"),
    ("170141183460469231731::hugeint", "170141183460469231731::numeric"),
    ("-170141183460469231731::hugeint", "-170141183460469231731::numeric"),
    ("0::uhugeint", "0::numeric"),
    (f"{BIG}::bignum", BIG),
    ("-1::bignum", "-1::numeric"),
    ("0::bignum", "0::numeric"),
    ("'\\x00\\xFF\\x41\\x5C'::blob", r"'\x00ff415c'::bytea"),
    ("''::blob", "''::bytea"),
    ("'10110'::bit", "'10110'::varbit"),
    ("'1011011101'::bit", "'1011011101'::varbit"),
    ("date '0044-03-15 (BC)'", "date '0044-03-15 BC'"),
    ("timestamp '0044-03-15 (BC) 10:00:00.5'", "timestamp '0044-03-15 10:00:00.5 BC'"),
    ("timestamptz '0044-03-15 (BC) 10:00:00+00'", "timestamptz '0044-03-15 10:00:00+00 BC'"),
    ("timestamp_s '2020-01-01 00:00:01'", "timestamp '2020-01-01 00:00:01'"),
    ("timestamp_ms '2020-01-01 00:00:01.25'", "timestamp '2020-01-01 00:00:01.25'"),
    ("timestamp_ns '2020-01-01 00:00:01.123456'", "timestamp '2020-01-01 00:00:01.123456'"),
    ("interval '-1 day' + interval '2 hours'", "make_interval(days => -1, hours => 2)"),
    ("interval '-1 year' + interval '5 days'", "make_interval(years => -1, days => 5)"),
    ("interval '-1 year' + interval '-5 days'", "make_interval(years => -1, days => -5)"),
    ("interval '3 days' + interval '-0.5 seconds'", "make_interval(days => 3, secs => -0.5)"),
    ("interval '1 second'", "make_interval(secs => 1)"),
    ("interval '-1 hours' + interval '-1.5 seconds'", "make_interval(hours => -1, secs => -1.5)"),
    ("interval '1 month' + interval '-2 days' + interval '3.000006 seconds'",
     "make_interval(months => 1, days => -2, secs => 3.000006)"),
    ("'b'::enum('a', 'b')", "'b'::text"),
    ("NULL", "NULL::text"),
]  # fmt: skip
ARRAYS = [
    ("[1, 2, NULL]", "'{1,2,NULL}'::int4[]"),
    ("[]::integer[]", "'{}'::int4[]"),
    ("[[1, 2], [3, NULL]]", "'{{1,2},{3,NULL}}'::int4[]"),
    ("[[[1], [2]], [[3], [4]]]", "'{{{1},{2}},{{3},{4}}}'::int4[]"),
    ("[[], []]::integer[][]", "'{}'::int4[]"),
    ("[[]]::integer[][]", "'{}'::int4[]"),
    ("array_value(1, 2, 3)", "'{1,2,3}'::int4[]"),
    ("[true, false, NULL]", "'{t,f,NULL}'::bool[]"),
    ("[1.5, NULL]::double[]", "'{1.5,NULL}'::float8[]"),
    ("[1.50, -0.25]::decimal(8,2)[]", "'{1.50,-0.25}'::numeric(8,2)[]"),
    ("['a', '', NULL, 'NULL', 'null', 'Null', 'nullx', 'b c', '{', '}', ',', 'é']",
     """ARRAY['a', '', NULL, 'NULL', 'null', 'Null', 'nullx', 'b c', '{', '}', ',', 'é']"""),
    ("""['"', '\\', 'a"b\\c', chr(9), chr(10), chr(11), chr(12), chr(13), chr(160)]""",
     """ARRAY['"', '\\', 'a"b\\c', chr(9), chr(10), chr(11), chr(12), chr(13), chr(160)]"""),
    ("[[''], ['a,b']]", "ARRAY[ARRAY[''], ARRAY['a,b']]"),
    ("['\\x00\\x41'::blob, ''::blob]", "ARRAY['\\x0041'::bytea, '']"),
    ("[date '2020-01-01', NULL, date 'infinity']", "ARRAY[date '2020-01-01', NULL, 'infinity']"),
    ("[timestamp '2020-01-01 10:00:00.5']", "ARRAY[timestamp '2020-01-01 10:00:00.5']"),
    ("[timestamptz '2020-01-01 10:00:00+00']", "ARRAY[timestamptz '2020-01-01 10:00:00+00']"),
    ("[time '10:00:00']", "ARRAY[time '10:00:00']"),
    ("[interval '1 day', interval '1 hour']", "ARRAY[interval '1 day', '1 hour']"),
    ("['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, NULL]",
     "ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, NULL]"),
    ("['{\"a\": 1}'::json, NULL]", "ARRAY['{\"a\": 1}'::json, NULL]"),
    ("['a', 'b']::enum('a', 'b')[]", "ARRAY['a', 'b']"),
    ("[18446744073709551615]::ubigint[]", "ARRAY[18446744073709551615]"),
    ("[NULL]", "ARRAY[NULL]::text[]"),
]  # fmt: skip
VALUES = [(each, each) for each in SAME.strip().splitlines()] + APART + ARRAYS
STYLES = [
    Style(),
    Style("America/New_York"),
    Style("Asia/Kolkata", 0, "escape", "postgres_verbose"),
    Style("Africa/Monrovia", -10, "hex", "sql_standard"),
    Style("<+05>-5", 3, "hex", "iso_8601"),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("empty")
    (folder / "federation.toml").write_text("")
    with Engine.open(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def postgres(postgres_uri: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        yield connection


def set_style(connection: psycopg.Connection[Any], style: Style) -> None:
    for name, value in (
        ("timezone", style.timezone),
        ("extra_float_digits", str(style.extra_float_digits)),
        ("bytea_output", style.bytea_output),
        ("intervalstyle", style.interval_style),
    ):
        connection.execute("SELECT set_config(%s, %s, false)", (name, value))


def query(expressions: Iterable[str]) -> str:
    """A column for each, with a NULL between two values."""
    columns = (f"CASE WHEN n <> 2 THEN {each} END AS c{i}" for i, each in enumerate(expressions))
    return f"SELECT {', '.join(columns)} FROM (VALUES (1), (2), (3)) AS q(n) ORDER BY n"


@pytest.fixture(scope="module")
def ours(engine: Engine) -> tuple[pa.Table, list[PgType]]:
    with engine.query(query(ours for ours, _ in VALUES)) as result:
        return result.read_all(), pg_types_of(result.schema, result.types)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.timezone)
@pytest.mark.parametrize("format_", [0, 1], ids=["text", "binary"])
def test_values_are_those_of_postgres(
    ours: tuple[pa.Table, list[PgType]], postgres: psycopg.Connection[Any], format_: int, style: Style
) -> None:
    set_style(postgres, style)
    wanted_types, wanted = of_postgres(postgres, query(theirs for _, theirs in VALUES), format_)
    table, types = ours
    made = encoded(table.to_batches(), table.schema, types, format_, style)
    rows = [zip(VALUES, *pair, strict=True) for pair in zip(made, wanted, strict=True)]
    assert [each for row in rows for each in row if each[1] != each[2]] == []
    assert [each for each in zip(VALUES, types, wanted_types, strict=True) if each[1][:2] != each[2][:2]] == []


@pytest.mark.parametrize(
    "kind", ["decimal(18,2)", "decimal(38,38)", "decimal(4,0)", "decimal(8,3)[]", "varchar", "text[]"]
)
def test_modifiers_are_those_of_postgres(engine: Engine, postgres: psycopg.Connection[Any], kind: str) -> None:
    sql = f"SELECT NULL::{kind}"
    schema, columns = engine.describe(sql)
    assert pg_types_of(schema, [type_ for _, type_ in columns])[0].typmod == of_postgres(postgres, sql, 0)[0][0].typmod
