"""Every type that PostgreSQL 15 stores: the Arrow type it becomes, and the value that DuckDB then reads.

One line for each value: the declared type, the value in PostgreSQL's SQL, the Arrow type, and what DuckDB prints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from adapters.base import CancelToken, ScanRequest, TableName
from adapters.errors import ConversionError
from adapters.postgres import PostgresAdapter
from tests.adapters.oracle import plain_connection
from tests.servers import Server, run_sql

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'höchst 🎉');
CREATE TYPE texture AS ENUM ('b', 'a');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN price AS numeric(8, 3) CHECK (VALUE >= 0);
CREATE DOMAIN cheap AS price CHECK (VALUE < 10);
CREATE DOMAIN code AS char(4);
CREATE DOMAIN ints AS int[];
CREATE DOMAIN feeling AS mood;
CREATE DOMAIN lapse AS interval(1) CHECK (VALUE > '0');
CREATE TYPE floats AS RANGE (subtype = float8);
"""

_D = pa.decimal128
_TS, _TZ = pa.timestamp("us"), pa.timestamp("us", "UTC")
_IV = pa.month_day_nano_interval()
_TEXT = pa.string()
NINES, ZEROS = "9" * 19, "0" * 37
UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"

CASES: list[tuple[str, str, pa.DataType, str | None]] = [
    # integers
    ("smallint", "-32768", pa.int16(), "-32768"),
    ("integer", "2147483647", pa.int32(), "2147483647"),
    ("bigint", "-9223372036854775808", pa.int64(), "-9223372036854775808"),
    ("smallserial", "7", pa.int16(), "7"),
    ("oid", "4294967295", pa.int64(), "4294967295"),
    # floats
    ("real", "0.1", pa.float32(), "0.1"),
    ("real", "'NaN'", pa.float32(), "nan"),
    ("double precision", "0.1", pa.float64(), "0.1"),
    ("double precision", "'NaN'", pa.float64(), "nan"),
    ("double precision", "'Infinity'", pa.float64(), "inf"),
    ("double precision", "'-Infinity'", pa.float64(), "-inf"),
    ("double precision", "'-0'", pa.float64(), "-0.0"),
    ("double precision", "5e-324", pa.float64(), "5e-324"),
    # numeric
    ("numeric(1, 0)", "-9", _D(1, 0), "-9"),
    ("numeric(5)", "12345", _D(5, 0), "12345"),
    ("numeric(15, 2)", "-9999999999999.99", _D(15, 2), "-9999999999999.99"),
    ("numeric(15, 2)", "0.005", _D(15, 2), "0.01"),
    ("numeric(18, 0)", "999999999999999999", _D(18, 0), "999999999999999999"),
    ("numeric(18, 18)", "-0.999999999999999999", _D(18, 18), "-.999999999999999999"),
    ("numeric(19, 0)", "9999999999999999999", _D(19, 0), "9999999999999999999"),
    ("numeric(38, 19)", f"{NINES}.{NINES}", _D(38, 19), f"{NINES}.{NINES}"),
    ("numeric(38, 38)", f"-0.{ZEROS}1", _D(38, 38), f"-.{ZEROS}1"),
    ("numeric(3, -2)", "12345", _D(5, 0), "12300"),
    ("numeric(2, -30)", "99e30", _D(32, 0), "99000000000000000000000000000000"),
    ("numeric(2, 5)", "0.00099", _D(5, 5), ".00099"),
    ("numeric(3, 20)", "-0.00000000000000000123", _D(20, 20), "-.00000000000000000123"),
    ("numeric", "0.1", _D(38, 10), "0.1000000000"),
    ("numeric", "-1234567890123456789012345678.0123456789", _D(38, 10), "-1234567890123456789012345678.0123456789"),
    ("numeric", "1.50000000000000000000000000000000000000000000000000", _D(38, 10), "1.5000000000"),
    ("numeric(50, 10)", "1e27", _D(38, 10), "1000000000000000000000000000.0000000000"),
    ("numeric(45, 38)", "1.5", _D(38, 31), "1.5000000000000000000000000000000"),
    ("numeric(1000, 0)", "1e37", _D(38, 0), "10000000000000000000000000000000000000"),
    # bool, text, bytes
    ("boolean", "true", pa.bool_(), "true"),
    ("boolean", "false", pa.bool_(), "false"),
    ("text", "''", _TEXT, ""),
    ("text", "'a' || chr(233) || chr(26085) || chr(128512) || chr(1114109)", _TEXT, "aé日😀\U0010fffd"),
    ("text", "E'tab\\t\\nline \\\\ \\x01 '", _TEXT, "tab\t\nline \\ \x01 "),
    ("varchar(3)", "'ab '", _TEXT, "ab "),
    ("char(5)", "'ab '", _TEXT, "ab"),
    ("char(3)", "''", _TEXT, ""),
    ('"char"', "'x'", _TEXT, "x"),
    ("name", "'a name'", _TEXT, "a name"),
    ("bytea", "'\\x00ff41'", pa.binary(), "\\x00\\xFFA"),
    ("bytea", "''", pa.binary(), ""),
    # dates and times
    ("date", "'2024-02-29'", pa.date32(), "2024-02-29"),
    ("date", "'infinity'", pa.date32(), "infinity"),
    ("date", "'-infinity'", pa.date32(), "-infinity"),
    ("date", "'4714-11-24 BC'", pa.date32(), "4714-11-24 (BC)"),
    ("date", "'5874897-12-31'", pa.date32(), "5874897-12-31"),
    ("time", "'23:59:59.999999'", pa.time64("us"), "23:59:59.999999"),
    ("time", "'24:00'", pa.time64("us"), "24:00:00"),
    ("time(0)", "'12:00:00.6'", pa.time64("us"), "12:00:01"),
    ("timetz", "'12:00:00.5-07:30'", _TEXT, "12:00:00.5-07:30"),
    ("timestamp", "'2024-02-29 12:34:56.789012'", _TS, "2024-02-29 12:34:56.789012"),
    ("timestamp", "'infinity'", _TS, "infinity"),
    ("timestamp", "'-infinity'", _TS, "-infinity"),
    ("timestamp", "'4714-11-24 00:00:00 BC'", _TS, "4714-11-24 (BC) 00:00:00"),
    ("timestamp", "'0044-03-15 12:00 BC'", _TS, "0044-03-15 (BC) 12:00:00"),
    ("timestamp", "'294247-01-10 04:00:54.775806'", _TS, "294247-01-10 04:00:54.775806"),
    ("timestamptz", "'2024-02-29 12:00:00+05:30'", _TZ, "2024-02-29 06:30:00+00"),
    ("timestamptz", "'infinity'", _TZ, "infinity"),
    ("timestamptz", "'-infinity'", _TZ, "-infinity"),
    ("interval", "'1 year 2 mons -3 days 04:05:06.789'", _IV, "1 year 2 months -3 days 04:05:06.789"),
    ("interval", "'-2562046 hours'", _IV, "-2562046:00:00"),
    ("interval", "'178000000 years'", _IV, "178000000 years"),
    # identifiers, documents
    ("uuid", f"'{UUID}'", pa.uuid(), UUID),
    ("json", "'{\"b\": 1,  \"a\": [null]}'", pa.json_(), '{"b": 1,  "a": [null]}'),
    ("jsonb", "'{\"b\": 1,  \"a\": [\"😀\"]}'", pa.json_(), '{"a": ["😀"], "b": 1}'),
    ("jsonb", "'null'", pa.json_(), "null"),
    ("xml", "'<a>é</a>'", _TEXT, "<a>é</a>"),
    # user types
    ("mood", "'it''s ok'", _TEXT, "it's ok"),
    ("mood", "'höchst 🎉'", _TEXT, "höchst 🎉"),
    ("texture", "'b'", _TEXT, "b"),
    ("price", "12.345", _D(8, 3), "12.345"),
    ("cheap", "1.5", _D(8, 3), "1.500"),
    ("code", "'ab'", _TEXT, "ab"),
    ("feeling", "'sad'", _TEXT, "sad"),
    ("pair", "ROW(1, 'x,y')", _TEXT, '(1,"x,y")'),
    # arrays
    ("int[]", "'{1,NULL,-3}'", pa.list_(pa.int32()), "[1, NULL, -3]"),
    ("int[]", "'{}'", pa.list_(pa.int32()), "[]"),
    ("int[]", "'[5:6]={7,8}'", pa.list_(pa.int32()), "[7, 8]"),
    ("ints", "'{1,2}'", pa.list_(pa.int32()), "[1, 2]"),
    ("text[]", "ARRAY['a', NULL, '', 'NULL', '{\"}']", pa.list_(_TEXT), "[a, NULL, '', 'NULL', '{\"}']"),
    ("char(3)[]", "'{a,bc}'", pa.list_(_TEXT), "[a, bc]"),
    ("numeric(10, 2)[]", "'{1.5,NULL,-0.01}'", pa.list_(_D(10, 2)), "[1.50, NULL, -0.01]"),
    ("numeric[]", "'{0.1,-2}'", pa.list_(_D(38, 10)), "[0.1000000000, -2.0000000000]"),
    ("numeric[]", f"'{{1.5{ZEROS}0,100}}'", pa.list_(_D(38, 10)), "[1.5000000000, 100.0000000000]"),
    ("bool[]", "'{t,f,NULL}'", pa.list_(pa.bool_()), "[true, false, NULL]"),
    ("float8[]", "'{1.5,NaN,-Infinity}'", pa.list_(pa.float64()), "[1.5, nan, -inf]"),
    ("date[]", "'{infinity,2024-01-01}'", pa.list_(pa.date32()), "[infinity, 2024-01-01]"),
    ("timestamp[]", "'{-infinity,\"2024-01-01 10:00\"}'", pa.list_(_TS), "[-infinity, '2024-01-01 10:00:00']"),
    ("uuid[]", f"'{{{UUID}}}'", pa.list_(pa.uuid()), f"[{UUID}]"),
    ("bytea[]", "ARRAY['\\x00ff'::bytea]", pa.list_(pa.binary()), "['\\\\x00\\\\xFF']"),
    ("money[]", "'{-12.34,NULL,1234567.8}'", pa.list_(_D(19, 2)), "[-12.34, NULL, 1234567.80]"),
    ("oid[]", "'{4294967295}'", pa.list_(pa.int64()), "[4294967295]"),
    ("timestamptz[]", "'{infinity,\"2024-01-01 10:00+01\"}'", pa.list_(_TZ), "[infinity, '2024-01-01 09:00:00+00']"),
    ("json[]", "ARRAY['[1]'::json, NULL]", pa.list_(pa.json_()), "[[1], NULL]"),
    ("interval[]", "'{-1 mon 2 days -00:00:00.000001,NULL,1 day -2562046 hours}'", pa.list_(_IV),
     "['-1 month 2 days -00:00:00.000001', NULL, '1 day -2562046:00:00']"),
    ("interval[]", "'{}'", pa.list_(_IV), "[]"),
    ("interval[]", "'[3:4]={1 year,-178000000 years}'", pa.list_(_IV), "[1 year, -178000000 years]"),
    ("lapse[]", "'{1.25 s}'", pa.list_(_IV), "['00:00:01.3']"),
    ("mood[]", "'{sad,NULL}'", pa.list_(_TEXT), "[sad, NULL]"),
    ("inet[]", "'{10.0.0.1}'", pa.list_(_TEXT), "[10.0.0.1/32]"),
    ("pair[]", "ARRAY[ROW(1, 'x')::pair]", pa.list_(_TEXT), "['(1,x)']"),
    # what has no Arrow type comes as PostgreSQL's text
    ("inet", "'192.168.0.1/24'", _TEXT, "192.168.0.1/24"),
    ("inet", "'::1'", _TEXT, "::1/128"),
    ("cidr", "'10.0.0.0/8'", _TEXT, "10.0.0.0/8"),
    ("macaddr", "'08:00:2b:01:02:03'", _TEXT, "08:00:2b:01:02:03"),
    ("macaddr8", "'08:00:2b:01:02:03:04:05'", _TEXT, "08:00:2b:01:02:03:04:05"),
    ("int4range", "'[1,5]'", _TEXT, "[1,6)"),
    ("numrange", "'(,1.5]'", _TEXT, "(,1.5]"),
    ("tstzrange", "'[2024-01-01 00:00+01,)'", _TEXT, '["2023-12-31 23:00:00+00",)'),
    ("daterange", "'empty'", _TEXT, "empty"),
    ("floats", "'[0.1,2)'", _TEXT, "[0.1,2)"),
    ("int8multirange", "'{[1,2],[5,6)}'", _TEXT, "{[1,3),[5,6)}"),
    ("bit(5)", "B'10110'", _TEXT, "10110"),
    ("varbit", "B''", _TEXT, ""),
    ("money", "-12.34", _D(19, 2), "-12.34"),
    ("money", "92233720368547758.07", _D(19, 2), "92233720368547758.07"),
    ("point", "'(1.5,2)'", _TEXT, "(1.5,2)"),
    ("line", "'{1,2,3}'", _TEXT, "{1,2,3}"),
    ("lseg", "'((1,2),(3,4))'", _TEXT, "[(1,2),(3,4)]"),
    ("box", "'((1,2),(3,4))'", _TEXT, "(3,4),(1,2)"),
    ("path", "'[(1,2),(3,4)]'", _TEXT, "[(1,2),(3,4)]"),
    ("polygon", "'((1,2),(3,4),(5,6))'", _TEXT, "((1,2),(3,4),(5,6))"),
    ("circle", "'<(1,2),3>'", _TEXT, "<(1,2),3>"),
    ("tsvector", "'fat:2 cat'", _TEXT, "'cat' 'fat':2"),
    ("tsquery", "'fat & cat'", _TEXT, "'fat' & 'cat'"),
    ("pg_lsn", "'16/B374D848'", _TEXT, "16/B374D848"),
    ("jsonpath", "'$.a'", _TEXT, '$."a"'),
    ("xid", "'123'", _TEXT, "123"),
    ("tid", "'(1,2)'", _TEXT, "(1,2)"),
    ("regclass", "'pg_class'", _TEXT, "pg_class"),
    ("int2vector", "'1 2'", _TEXT, "1 2"),
]  # fmt: skip

MISFITS: list[tuple[str, str]] = [
    ("numeric(10, 2)", "'NaN'"),
    ("numeric(18, 0)", "'NaN'"),
    ("numeric(38, 2)", "'NaN'"),
    ("numeric", "'NaN'"),
    ("numeric", "'-Infinity'"),
    ("numeric", "0.00000000001"),
    ("numeric", "1e28"),
    ("numeric(50, 10)", "1e39"),
    ("price[]", "'{NaN}'"),
    ("numeric[]", "'{0.00000000001}'"),
    ("int[]", "'{{1,2},{3,4}}'"),
    ("text[]", "'{{a}}'"),
    ("interval", "'2562048 hours'"),
    ("interval", "'-9223372036854775808 us'"),
    ("interval[]", "'{1 day,NULL,2562048 hours}'"),
    ("interval[]", "'{{1 day},{2 days}}'"),
    ("interval[]", "'{{1 day},{-2562048 hours}}'"),
    ("timestamp", "'294276-12-31 23:59:59.999999'"),
    ("timestamptz", "'294247-01-11'"),
]


@pytest.fixture(scope="module")
def adapter(postgres_server: Server) -> Iterator[PostgresAdapter]:
    """A table with a column for each case; its rows are the value, NULL, and the value again."""
    uri = postgres_server.create_database("types")
    columns = [f"c{number} {case[0]}" for number, case in enumerate(CASES)]
    values = ", ".join(case[1] for case in CASES)
    nulls = ", ".join(["NULL"] * len(CASES))
    run_sql(
        uri,
        TYPES
        + f"CREATE TABLE cases (n int, {', '.join(columns).replace('smallserial', 'smallint')});\n"
        + f"INSERT INTO cases VALUES (1, {values}), (2, {nulls}), (3, {values});\n"
        + "".join(
            f"CREATE TABLE misfit{number} (fine numeric(3, 1), wrong {kind}); INSERT INTO misfit{number} "
            f"SELECT 1.5, NULL FROM generate_series(1, 100); INSERT INTO misfit{number} VALUES (2.5, {value});\n"
            for number, (kind, value) in enumerate(MISFITS)
        ),
    )
    made = PostgresAdapter("pg", {"uri": uri})
    yield made
    made.close()


def read_all(adapter: PostgresAdapter, *columns: str, table: str = "cases") -> pa.Table:
    """Not validated by Arrow, which knows no 24:00 as PostgreSQL and DuckDB do."""
    scan = adapter.plan_scan(ScanRequest(TableName("public", table), columns))
    (partition,) = scan.partitions
    return adapter.read(partition, CancelToken()).read_all()


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{case[0]}={case[1]}" for case in CASES])
def test_a_type_survives(adapter: PostgresAdapter, number: int) -> None:
    _, _, type_, expected = CASES[number]
    name = f"c{number}"
    table = TableName("public", "cases")
    assert adapter.get_table(table).column(name).type == type_
    read = read_all(adapter, "n", name)
    assert read.schema.field(name).type == (
        pa.decimal64(type_.precision, type_.scale) if pa.types.is_decimal(type_) and type_.precision <= 18 else type_
    )
    with plain_connection() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        connection.register("read", read)
        rows = connection.sql(f"SELECT n, {name}::varchar, {name} IS NULL FROM read ORDER BY n").fetchall()
    assert rows == [(1, expected, False), (2, None, True), (3, expected, False)]


SCALARS = [case for case in CASES if not case[0].endswith("[]") and case[0] not in ("ints", "smallserial")]


@pytest.fixture(scope="module")
def arrays(postgres_server: Server) -> Iterator[PostgresAdapter]:
    """For each scalar a table with two columns: one, and one of arrays of it."""
    uri = postgres_server.create_database("arrays")
    script = TYPES
    for number, (kind, value, _, _) in enumerate(SCALARS):
        one = f"({value})::{kind}"
        script += f"CREATE TABLE t{number} (n int, one {kind}, many {kind}[]);\n"
        script += f"INSERT INTO t{number} VALUES (1, {one}, ARRAY[{one}, NULL, {one}]), (2, NULL, NULL), "
        script += f"(3, {one}, '{{}}');\n"
    run_sql(uri, script)
    made = PostgresAdapter("pg", {"uri": uri})
    yield made
    made.close()


@pytest.mark.parametrize("number", range(len(SCALARS)), ids=[f"{case[0]}={case[1]}" for case in SCALARS])
def test_an_array_holds_what_its_elements_are(arrays: PostgresAdapter, number: int) -> None:
    table = f"t{number}"
    columns = arrays.get_table(TableName("public", table))
    assert columns.column("many").type == pa.list_(columns.column("one").type)
    with plain_connection() as connection:
        connection.register("read", read_all(arrays, "n", "one", "many", table=table))
        rows = connection.sql(
            "SELECT len(many), many = [one, NULL, one], typeof(many) = typeof(one) || '[]' FROM read ORDER BY n"
        ).fetchall()
    assert rows == [(3, True, True), (None, None, True), (0, False, True)]


def test_all_types_in_one_scan(adapter: PostgresAdapter) -> None:
    table = adapter.get_table(TableName("public", "cases"))
    read = read_all(adapter, *(each.name for each in table.columns))
    assert read.num_rows == 3
    assert all(
        column.null_count == (0 if name == "n" else 1)
        for name, column in zip(read.column_names, read.columns, strict=True)
    )


@pytest.mark.parametrize("number", range(len(MISFITS)), ids=[f"{kind}={value}" for kind, value in MISFITS])
def test_a_value_that_cannot_be_held_is_an_error(adapter: PostgresAdapter, number: int) -> None:
    table = f"misfit{number}"
    with pytest.raises(ConversionError) as caught:
        read_all(adapter, "fine", "wrong", table=table)
    assert 'column "wrong"' in caught.value.message
    assert "::" in (caught.value.hint or "")
    assert read_all(adapter, "fine", table=table).num_rows == 101


def test_a_small_decimal_is_the_buffer_that_came(adapter: PostgresAdapter) -> None:
    """The int8 values of the source are the storage of the decimals; DuckDB takes them as they are, too."""
    read = read_all(adapter, "fine", table="misfit0")
    chunk: Any = read.column(0).chunk(0)
    assert chunk.view(pa.int64()).to_pylist()[:1] == [15]
    with plain_connection() as connection:
        connection.register("read", read)
        assert connection.sql("SELECT DISTINCT typeof(fine) FROM read").fetchall() == [("DECIMAL(3,1)",)]
