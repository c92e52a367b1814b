"""COPY … TO STDOUT, message for message what a real PostgreSQL sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from adapters.errors import ColumnNotFound, Error
from federation.pgwire.copy_format import CopyEncoder
from federation.pgwire.copy_options import CopyOptions, read_copy_options
from federation.pgwire.encoder import ROWS
from federation.pgwire.style import Style
from federation.pgwire.types import INT4, TEXT, TIMESTAMP, PgType
from tests.pgwire.values import copy_messages

TEXTS = [
    "a",
    "",
    None,
    "\\N",
    "\\.",
    "\\",
    "a,b",
    'q"q',
    "'x'",
    "t\tt",
    "n\nn",
    "r\rr",
    "\b\f\v",
    "a;b|c",
    "é",
    "NULL",
    "-",
]
COLUMNS: dict[str, pa.DataType] = {"t": pa.string(), "Na,me": pa.int32(), "at": pa.timestamp("us")}
SCHEMA = pa.schema(COLUMNS)
TYPES = [PgType(TEXT, -1), PgType(INT4, 4), PgType(TIMESTAMP, 8)]
AT = 1_577_836_800_000_000  # 2020-01-01

Options = Mapping[str, str | tuple[str, ...]]
OPTIONS: list[Options] = [
    {},
    {"header": "true"},
    {"delimiter": ","},
    {"delimiter": "|", "null": ""},
    {"delimiter": "-", "null": "NULL"},
    {"format": "csv"},
    {"format": "csv", "header": "on"},
    {"format": "csv", "delimiter": ";", "null": "NULL"},
    {"format": "csv", "quote": "'", "escape": "\\"},
    {"format": "csv", "quote": '"', "escape": "a"},
    {"format": "csv", "force_quote": ("*",), "header": "true"},
    {"format": "csv", "force_quote": ("t", "at")},
    {"format": "csv", "delimiter": "\t", "null": "\\N"},
    {"format": "csv", "delimiter": "-"},
    {"format": "csv", "encoding": "UTF8", "freeze": "true"},
    {"format": "binary"},
]
BAD: list[Options] = [
    {"format": "xml"},
    {"header": "perhaps"},
    {"header": "match"},
    {"nonsense": "1"},
    {"encoding": "klingon"},
    {"delimiter": "ab"},
    {"delimiter": ""},
    {"delimiter": "é"},
    {"delimiter": "a"},
    {"delimiter": "\n"},
    {"delimiter": "N", "null": "NULL"},
    {"null": "a\nb"},
    {"quote": "'"},
    {"escape": "'"},
    {"force_quote": ("t",)},
    {"format": "binary", "delimiter": ","},
    {"format": "binary", "null": "x"},
    {"format": "binary", "header": "true"},
    {"format": "csv", "quote": "ab"},
    {"format": "csv", "escape": ""},
    {"format": "csv", "quote": ","},
    {"format": "csv", "null": 'a"'},
    {"format": "csv", "null": ","},
    {"format": "csv", "force_quote": ("missing",)},
    {"force_null": ("t",), "format": "csv"},
    {"force_not_null": ("t",), "format": "csv"},
]


@pytest.fixture(scope="module")
def postgres(postgres_uri: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        connection.execute("CREATE TEMP TABLE source (n integer, t text)")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO source VALUES (%s, %s)", list(enumerate(TEXTS)))
        yield connection


def batch() -> pa.RecordBatch:
    numbers = range(len(TEXTS))
    values = [None if n % 3 == 2 else -n for n in numbers]
    times = pa.array([AT + n * 500_000 for n in numbers], pa.timestamp("us"))
    return pa.record_batch([pa.array(TEXTS), pa.array(values, pa.int32()), times], schema=SCHEMA)


def of_postgres(connection: psycopg.Connection[Any], options: Options, columns: str = "*") -> list[bytes]:
    """The CopyData messages. Raises psycopg's error."""
    sql = f"""SELECT {columns} FROM (SELECT t, CASE WHEN n % 3 <> 2 THEN -n END AS "Na,me",
        timestamp '2020-01-01' + n * interval '0.5 s' AS at FROM source ORDER BY n) AS q"""
    with connection.cursor() as cursor, cursor.copy(f"COPY ({sql}) TO STDOUT {_written(options)}") as copy:
        return [bytes(message) for message in copy]


def _written(options: Options) -> str:
    items = []
    for name, value in options.items():
        if value == ("*",):
            items.append(f"{name} *")
        elif isinstance(value, tuple):
            items.append(f"{name} ({', '.join(value)})")
        else:
            items.append(f"{name} {psycopg.sql.quote(value)}")
    return f"({', '.join(items)})" if items else ""


def of_ours(options: CopyOptions, batches: list[pa.RecordBatch]) -> list[bytes]:
    schema = batches[0].schema
    encoder = CopyEncoder(schema, [TYPES[SCHEMA.names.index(name)] for name in schema.names], options, Style())
    stream = encoder.header() + b"".join(buffer for each in batches for buffer in encoder.encode(each))
    return copy_messages(stream + encoder.trailer())


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_messages_are_those_of_postgres(postgres: psycopg.Connection[Any], options: Options) -> None:
    ours = read_copy_options(options)
    assert of_ours(ours, [batch()]) == of_postgres(postgres, options)
    one_by_one = [batch().slice(row, 1) for row in range(len(TEXTS))]
    assert of_ours(ours, [batch().slice(0, 0), *one_by_one]) == of_postgres(postgres, options)


@pytest.mark.parametrize("options", OPTIONS[:-1], ids=str)
def test_one_column_is_told_from_the_end_of_data(postgres: psycopg.Connection[Any], options: Options) -> None:
    if "force_quote" in options:
        options = {**options, "force_quote": ("t",)}
    assert of_ours(read_copy_options(options), [batch().select(["t"])]) == of_postgres(postgres, options, "t")


@pytest.mark.parametrize("format_", ["text", "csv", "binary"])
def test_nothing_is_copied_as_postgres_does(postgres: psycopg.Connection[Any], format_: str) -> None:
    options = {"format": format_}
    with postgres.cursor() as cursor, cursor.copy(f"COPY (SELECT 1 WHERE false) TO STDOUT {_written(options)}") as copy:
        theirs = [bytes(message) for message in copy]
    assert of_ours(read_copy_options(options), [batch().slice(0, 0)]) == theirs


@pytest.mark.parametrize("options", BAD, ids=str)
def test_bad_options_are_refused_as_postgres_does(postgres: psycopg.Connection[Any], options: Options) -> None:
    with pytest.raises(psycopg.Error) as theirs:
        of_postgres(postgres, options)
    with pytest.raises(Error) as ours:
        CopyEncoder(SCHEMA, TYPES, read_copy_options(options), Style())
    assert ours.value.sqlstate == theirs.value.sqlstate


def test_an_encoding_that_is_not_utf8_is_not_supported() -> None:
    with pytest.raises(Error, match="latin1") as caught:
        read_copy_options({"encoding": "latin1"})
    assert caught.value.sqlstate == "0A000"


def test_a_column_to_quote_must_be_there() -> None:
    with pytest.raises(ColumnNotFound):
        CopyEncoder(SCHEMA, TYPES, CopyOptions(format="csv", force_quote=("T",)), Style())


def test_more_rows_than_one_buffer_has_keep_their_order() -> None:
    rows = 2 * ROWS + 1
    table = pa.record_batch([pa.array(range(rows), pa.int32())], names=["n"])
    encoder = CopyEncoder(table.schema, [PgType(INT4, 4)], CopyOptions(), Style())
    buffers = list(encoder.encode(table))
    assert len(buffers) == 3
    assert copy_messages(b"".join(buffers)) == [b"%d\n" % n for n in range(rows)]
