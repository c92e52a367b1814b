"""What the encoder is asked for beside the values themselves: formats, sizes, types of the catalog, what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from adapters.errors import DataError, Error, NotSupportedError
from federation.pgwire import types as pg
from federation.pgwire.encoder import BYTES, MOST_ROW_BYTES, ROWS, RowEncoder, RowTooLong, message_length
from federation.pgwire.encoding.segments import MOST_TAKEN
from federation.pgwire.encoding.time_zones import UnknownTimeZone, find_zone
from federation.pgwire.style import Style
from federation.pgwire.types import ARRAYS, PgType, pg_type
from tests.pgwire.values import data_rows, of_array, of_postgres

INT = PgType(pg.INT4, 4)
LISTS = pa.list_(pa.list_(pa.int32()))


@pytest.fixture(scope="module")
def postgres(postgres_uri: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        yield connection


def two_columns(rows: int) -> pa.RecordBatch:
    return pa.record_batch({"a": pa.array(range(rows), pa.int32()), "b": pa.array(range(rows), pa.int32())})


@pytest.mark.parametrize(
    ("formats", "row"),
    [
        ([], (b"7", b"7")),
        ([0], (b"7", b"7")),
        ([1], (b"\0\0\0\x07", b"\0\0\0\x07")),
        ([0, 1], (b"7", b"\0\0\0\x07")),
        ([1, 0], (b"\0\0\0\x07", b"7")),
    ],
)
def test_formats(formats: list[int], row: tuple[bytes, bytes]) -> None:
    batch = two_columns(8).slice(7)
    (buffer,) = RowEncoder(batch.schema, [INT, INT], formats, Style()).encode(batch)
    assert data_rows(bytes(buffer)) == [row]


def test_nothing_is_nothing() -> None:
    batch = two_columns(0)
    assert list(RowEncoder(batch.schema, [INT, INT], [], Style()).encode(batch)) == []


def test_many_rows_are_cut() -> None:
    batch = two_columns(2 * ROWS + 1)
    buffers = list(RowEncoder(batch.schema, [INT, INT], [0], Style()).encode(batch))
    assert len(buffers) == 3
    assert data_rows(b"".join(buffers)) == [(b"%d" % n, b"%d" % n) for n in range(batch.num_rows)]


@pytest.mark.parametrize("format_", [0, 1])
def test_a_row_alone_is_as_it_is_among_others(format_: int) -> None:
    batch = pa.record_batch(
        {
            "even": pa.array([10, 20, 30, 40]),
            "wider": pa.array([1, 10, 100, 1000]),
            "missing": pa.array([1, None, 3, None]),
            "text": pa.array(["", "a", None, "abc"]),
            "nothing": pa.array(["", "", "", ""]),
            "flag": pa.array([True, None, False, True]),
        }
    )
    kinds = ["BIGINT"] * 3 + ["VARCHAR"] * 2 + ["BOOLEAN"]
    types = [pg_type(field, kind) for field, kind in zip(batch.schema, kinds, strict=True)]
    encoder = RowEncoder(batch.schema, types, [format_], Style())
    together = b"".join(encoder.encode(batch))
    assert b"".join(part for row in range(4) for part in encoder.encode(batch.slice(row, 1))) == together
    if not format_:
        assert data_rows(together)[1] == (b"20", b"10", None, b"a", b"", None)


def test_a_long_list_is_whole() -> None:
    values = list(range(2 * MOST_TAKEN + 5))
    array = pa.array([values, [], [7]])
    text = b"{" + ",".join(map(str, values)).encode() + b"}"
    assert of_array(array, PgType(ARRAYS[pg.INT8], -1), 0, Style()) == [text, b"{}", b"{7}"]


def test_wide_rows_are_cut() -> None:
    """The buffers are bounded, however many rows of a megabyte there are; one row is never cut."""
    rows = [bytes([n]) * (1 << 20) for n in range(40)] + [b"x" * (BYTES + 1)]
    batch = pa.record_batch({"v": pa.array(rows, pa.binary())})
    buffers = list(RowEncoder(batch.schema, [PgType(pg.BYTEA, -1)], [1], Style()).encode(batch))
    assert all(len(buffer) <= BYTES + 4096 for buffer in buffers)
    assert data_rows(b"".join(buffers)) == [(row,) for row in rows]


def test_a_row_beyond_what_postgres_sends_is_an_error() -> None:
    assert message_length(MOST_ROW_BYTES)
    with pytest.raises(RowTooLong):
        message_length(MOST_ROW_BYTES + 1)


CATALOG = [
    (pg.OID, pa.array([1, None, 4294967295], pa.int64()), "VALUES (1::oid), (NULL), (4294967295)"),
    (pg.NAME, pa.array(["a", None, ""]), "VALUES ('a'::name), (NULL), ('')"),
    (pg.CHAR, pa.array(["r", None, "v"]), """VALUES ('r'::"char"), (NULL), ('v')"""),
    (pg.INT2VECTOR, pa.array([[1, 2], None, [3]], pa.list_(pa.int16())), "VALUES ('1 2'::int2vector), (NULL), ('3')"),
    (pg.OIDVECTOR, pa.array([[25], None, []], pa.list_(pa.int64())), "VALUES ('25'::oidvector), (NULL), ('')"),
    (ARRAYS[pg.NAME], pa.array([["a b", None], None, []]), "VALUES ('{a b,NULL}'::name[]), (NULL), ('{}')"),
    (ARRAYS[pg.OID], pa.array([[1], None, [2, 3]], pa.list_(pa.int64())), "VALUES ('{1}'::oid[]), (NULL), ('{2,3}')"),
    (ARRAYS[pg.CHAR], pa.array([["i"], None, ["o", "t"]]), """VALUES ('{i}'::"char"[]), (NULL), ('{o,t}')"""),
    (pg.XID, pa.array([3, None, 4], pa.int64()), "VALUES ('3'::xid), (NULL), ('4')"),
    (pg.JSONB, pa.array(["{}", None, "1"]), "VALUES ('{}'::jsonb), (NULL), ('1')"),
]


@pytest.mark.parametrize(("oid", "array", "sql"), CATALOG, ids=[str(oid) for oid, _, _ in CATALOG])
def test_types_of_the_catalog(postgres: psycopg.Connection[Any], oid: int, array: Any, sql: str) -> None:
    for format_ in (0, 1):
        types, rows = of_postgres(postgres, sql, format_)
        assert of_array(array, PgType(oid, types[0].size), format_, Style()) == [row[0] for row in rows]
        assert types[0].oid == oid


@pytest.mark.parametrize("oid", [1033, 869, 2206, 99_999, 1034])
def test_what_has_no_binary_form_is_refused_at_once(oid: int) -> None:
    schema = pa.schema([("v", pa.string())])
    RowEncoder(schema, [PgType(oid, -1)], [0], Style())
    with pytest.raises(NotSupportedError):
        RowEncoder(schema, [PgType(oid, -1)], [1], Style())


@pytest.mark.parametrize(
    ("array", "oid", "format_", "sqlstate"),
    [
        (pa.array([[[1], [2, 3]]], LISTS), ARRAYS[pg.INT4], 0, "2202E"),
        (pa.array([[[1], [2, 3]]], LISTS), ARRAYS[pg.INT4], 1, "2202E"),
        (pa.array([[[1], None]], LISTS), ARRAYS[pg.INT4], 0, "2202E"),
        (pa.array([[[1], []]], LISTS), ARRAYS[pg.INT4], 0, "2202E"),
        (pa.array([1], pa.timestamp("ns")), pg.TIMESTAMP, 0, "22000"),
        (pa.array([1], pa.time64("ns")), pg.TIME, 1, "22000"),
        (pa.array([-(2**63) + 2]).cast(pa.timestamp("us")), pg.TIMESTAMP, 1, "22008"),
        (pa.array([2**62]).cast(pa.timestamp("s")), pg.TIMESTAMP, 0, "22008"),
        (pa.array([-(2**31) + 2], pa.int32()).cast(pa.date32()), pg.DATE, 1, "22008"),
        (pa.array(["1" * 131_073]), pg.NUMERIC, 1, "22003"),
    ],
)
def test_what_postgres_cannot_hold_is_an_error(array: Any, oid: int, format_: int, sqlstate: str) -> None:
    with pytest.raises(DataError) as caught:
        of_array(array, PgType(oid, -1), format_, Style())
    assert caught.value.sqlstate == sqlstate


@pytest.mark.parametrize("name", ["", "Nowhere/Land", "../../etc/passwd", "/etc/passwd", "+05", "GMT+200", "a\0b"])
def test_unknown_zones(name: str) -> None:
    with pytest.raises(UnknownTimeZone):
        find_zone(name)


def test_nested_values_are_json() -> None:
    structs = pa.array([{"a": 1, "b": [1, None]}, None])
    for format_ in (0, 1):
        assert of_array(structs, PgType(pg.JSON, -1), format_, Style()) == [b'{"a": 1, "b": [1, null]}', None]
    field = pa.field("v", structs.type)
    assert pg_type(field, "STRUCT(a BIGINT, b BIGINT[])") == PgType(pg.JSON, -1)
    assert pg_type(field, "STRUCT(a BIGINT)[]") == PgType(ARRAYS[pg.JSON], -1)
    assert pg_type(field, "INTEGER" + "[]" * 7) == PgType(pg.JSON, -1)
    assert pg_type(pa.field("v", pa.string()), "UNION(a INTEGER)") == PgType(pg.TEXT, -1)


def test_dictionaries_are_what_they_stand_for() -> None:
    array = pa.array(["a", None, "b", "a"]).dictionary_encode()
    assert of_array(array, PgType(pg.TEXT, -1), 0, Style()) == [b"a", None, b"b", b"a"]


def test_an_error_is_typed_whatever_the_zone() -> None:
    array = pa.array([0], pa.timestamp("us", "UTC"))
    with pytest.raises(Error) as caught:
        of_array(array, PgType(pg.TIMESTAMPTZ, 8), 0, Style("Nowhere/Land"))
    assert caught.value.sqlstate == "22023"
