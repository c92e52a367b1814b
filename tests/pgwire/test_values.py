"""Every type in both formats, byte for byte what a real PostgreSQL sends for the same value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from federation.engine import Engine
from federation.pgwire.style import Style
from tests.pgwire.values import of_engine, of_postgres

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
0::real
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
VALUES = [(each, each) for each in SAME.strip().splitlines()] + APART
STYLES = [
    Style(),
    Style("America/New_York"),
    Style("Asia/Kolkata", 0, "escape", "postgres_verbose"),
    Style("Africa/Monrovia", -10, "hex", "sql_standard"),
    Style("<+05>-5", 3, "hex", "iso_8601"),
]
# A NULL between values, so that every encoder has met both.
ROWS = "SELECT v FROM (VALUES (1, {0}), (2, NULL), (3, {0})) AS q(n, v) ORDER BY n"


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


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.timezone)
@pytest.mark.parametrize("format_", [0, 1], ids=["text", "binary"])
def test_values_are_those_of_postgres(
    engine: Engine, postgres: psycopg.Connection[Any], format_: int, style: Style
) -> None:
    set_style(postgres, style)
    different = []
    for ours, theirs in VALUES:
        try:
            wanted = of_postgres(postgres, ROWS.format(theirs), format_)
            made = of_engine(engine, ROWS.format(ours), format_, style)
        except Exception as exc:
            different.append((ours, repr(exc)))
            continue
        if made[1] != wanted[1] or made[0][0][:2] != wanted[0][0][:2]:
            different.append((ours, made[0], made[1][0], wanted[0], wanted[1][0]))
    assert not different, "\n".join(map(str, different))
