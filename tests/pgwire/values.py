"""The same value from a real PostgreSQL and from our encoder, as the bytes of a DataRow."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import pq

from federation.pgwire.encoder import RowEncoder
from federation.pgwire.style import Style
from federation.pgwire.types import PgType

Row = tuple[bytes | None, ...]


def of_postgres(connection: psycopg.Connection[Any], sql: str, format_: int) -> tuple[list[PgType], list[Row]]:
    """What the server sends in one format: the types of its RowDescription and the rows."""
    result = connection.pgconn.exec_params(sql.encode(), None, result_format=format_)
    assert result.status == pq.ExecStatus.TUPLES_OK, result.error_message
    columns = range(result.nfields)
    types = [PgType(result.ftype(c), result.fsize(c), result.fmod(c)) for c in columns]
    return types, [tuple(result.get_value(row, c) for c in columns) for row in range(result.ntuples)]


def encoded(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, types: Sequence[PgType], format_: int, style: Style
) -> list[Row]:
    encoder = RowEncoder(schema, types, [format_], style)
    return [row for batch in batches for buffer in encoder.encode(batch) for row in data_rows(bytes(buffer))]


def of_array(array: Any, type_: PgType, format_: int, style: Style) -> list[bytes | None]:
    """One column, also from a slice of it that does not start where its buffers do."""
    schema = pa.schema([pa.field("v", array.type)])
    padded = pa.concat_arrays([array.slice(0, min(3, len(array))), array, array.slice(0, 1)])
    cut = pa.record_batch([padded.slice(min(3, len(array)), len(array))], schema=schema)
    whole = pa.record_batch([array], schema=schema)
    rows, again = (encoded([batch], schema, [type_], format_, style) for batch in (whole, cut))
    assert rows == again
    return [row[0] for row in rows]


def data_rows(stream: bytes) -> list[Row]:
    """The values of DataRow messages; every length is checked."""
    rows, at = [], 0
    while at < len(stream):
        tag, size, count = struct.unpack_from(">cih", stream, at)
        assert tag == b"D"
        end, at = at + 1 + size, at + 7
        row: list[bytes | None] = []
        for _ in range(count):
            (length,) = struct.unpack_from(">i", stream, at)
            at += 4
            row.append(None if length < 0 else stream[at : at + length])
            at += max(length, 0)
        assert at == end
        rows.append(tuple(row))
    return rows


def copy_messages(stream: bytes) -> list[bytes]:
    """What is in each CopyData message."""
    found, at = [], 0
    while at < len(stream):
        assert stream[at : at + 1] == b"d"
        end = at + 1 + int.from_bytes(stream[at + 1 : at + 5], "big")
        found.append(stream[at + 5 : end])
        at = end
    assert at == len(stream)
    return found
