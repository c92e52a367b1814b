"""DataRow messages from Arrow batches: no Python for each row.

`texts` and `binaries` write the values of a column, `arrays` those of arrays; `segments` puts the columns together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from adapters.errors import OperationalError
from federation.pgwire.binaries import send_binary
from federation.pgwire.segments import (
    Array,
    Column,
    Matrix,
    Numbers,
    Part,
    big_endian,
    data_of,
    join,
    lengths,
    null_mask,
)
from federation.pgwire.style import Style
from federation.pgwire.texts import write_text
from federation.pgwire.types import PgType

ROWS = 8192  # of a buffer, fewer where rows are wide
BYTES = 16 << 20  # of a buffer's values in Arrow, unless one row has more
MOST_ROW_BYTES = (1 << 30) - 1  # PostgreSQL's own limit for what it sends

Encode: TypeAlias = Callable[[Array], Column]


class RowTooLong(OperationalError, sqlstate="54000"):
    """A row is longer than a message may be."""


class RowEncoder:
    """Rows as DataRow messages. `formats` are the protocol's codes: none (text), one for all columns, or one each."""

    def __init__(self, schema: pa.Schema, types: Sequence[PgType], formats: Sequence[int], style: Style) -> None:
        self._columns = column_encoders(schema, types, formats, style)

    def encode(self, batch: pa.RecordBatch) -> list[memoryview]:
        """The messages of a batch, in buffers that hold whole ones. Raises RowTooLong."""
        return [binary_rows(b"D", self._columns, part) for part in slices(batch)]


def column_encoders(schema: pa.Schema, types: Sequence[PgType], formats: Sequence[int], style: Style) -> list[Encode]:
    """How each column is written. Raises NotSupportedError for a type that has no binary form."""
    each = [formats[0] if formats else 0] * len(types) if len(formats) <= 1 else list(formats)
    return [
        column_encoder(field.type, type_.oid, format_, style)
        for field, type_, format_ in zip(schema, types, each, strict=True)
    ]


def column_encoder(kind: pa.DataType, oid: int, format_: int, style: Style) -> Encode:
    if pa.types.is_dictionary(kind):
        inner = column_encoder(kind.value_type, oid, format_, style)
        return lambda array: inner(array.dictionary_decode())
    if format_:
        send = send_binary(oid, kind)
        return lambda array: Column(send(array), null_mask(array))
    write = write_text(oid)
    return lambda array: Column(write(array, style), null_mask(array))


def slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Parts that are small enough for one buffer each, by their values in Arrow."""
    for start in range(0, batch.num_rows, ROWS):
        yield from _halves(batch.slice(start, ROWS))


def _halves(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    half = batch.num_rows // 2
    if half == 0 or batch.nbytes <= BYTES:
        yield batch
        return
    yield from _halves(batch.slice(0, half))
    yield from _halves(batch.slice(half))


def binary_rows(tag: bytes, encoders: Sequence[Encode], batch: pa.RecordBatch) -> memoryview:
    """Each row as a message: its tag, its length, the number of columns; then each value behind its length, which is
    -1 for NULL."""
    rows = batch.num_rows
    total: Numbers | int = 6
    parts: list[Part] = []
    for encode, array in zip(encoders, batch.columns, strict=True):
        column = encode(array)
        values = column.filled()
        size = lengths(values)
        total = total + 4 + size
        parts += [_length(size, column.null), values]
    count = len(encoders).to_bytes(2, "big")
    return data_of(join([tag, message_length(total), count, *parts], rows))


def message_length(total: Numbers | int) -> Matrix | bytes:
    """The length word of messages. Raises RowTooLong."""
    if np.max(total) > MOST_ROW_BYTES:
        raise RowTooLong(f"a row has more than {MOST_ROW_BYTES} bytes", hint="select fewer or smaller columns")
    return total.to_bytes(4, "big") if isinstance(total, int) else big_endian(total, "i4")


def _length(size: Numbers | int, null: Numbers | None) -> Matrix | bytes:
    if null is None:
        return size.to_bytes(4, "big") if isinstance(size, int) else big_endian(size, "i4")
    return big_endian(np.where(null, -1, size), "i4")
