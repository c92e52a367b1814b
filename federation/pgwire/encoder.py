"""DataRow messages from Arrow batches: no Python for each row.

`columns` encodes the values of each column, `segments` puts the columns together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from adapters.errors import OperationalError
from federation.pgwire.encoding.columns import column_encoders
from federation.pgwire.encoding.segments import (
    Encode,
    Matrix,
    Numbers,
    Part,
    length_word,
    lengths,
    prefixed,
    stream,
)
from federation.pgwire.style import Style
from federation.pgwire.types import PgType

ROWS = 16_384  # of a buffer, fewer where rows are wide
BYTES = 16 << 20  # of a buffer's values in Arrow, unless one row has more
MOST_ROW_BYTES = (1 << 30) - 1  # PostgreSQL's own limit for what it sends
_TOO_LONG = f"a row has more than {MOST_ROW_BYTES} bytes"
_HINT = "select fewer or smaller columns"


class RowTooLong(OperationalError, sqlstate="54000"):
    """A row is longer than a message may be."""


class RowEncoder:
    """Rows as DataRow messages. `formats` are the protocol's codes: none (text), one for all columns, or one each."""

    def __init__(self, schema: pa.Schema, types: Sequence[PgType], formats: Sequence[int], style: Style) -> None:
        self._columns = column_encoders(schema, types, formats, style)

    def encode(self, batch: pa.RecordBatch) -> Iterator[memoryview]:
        """The messages of a batch, in buffers that hold whole ones, each made when it is asked for. Raises RowTooLong,
        and DataError for a value that its type in PostgreSQL cannot hold."""
        for part in slices(batch):
            yield binary_rows(b"D", self._columns, part)


def slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Parts that are small enough for one buffer each, by their values in Arrow."""
    for start in range(0, batch.num_rows, ROWS):
        yield from _halves(batch.slice(start, ROWS))


def _halves(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    half, size = batch.num_rows // 2, batch.nbytes
    if half == 0 and size > MOST_ROW_BYTES:
        raise RowTooLong(_TOO_LONG, hint=_HINT)
    if half == 0 or size <= BYTES:
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
        length, values = prefixed(encode(array))
        total = total + 4 + lengths(values)
        parts += [length, values]
    count = len(encoders).to_bytes(2, "big")
    return stream([tag, message_length(total), count, *parts], rows)


def message_length(total: Numbers | int) -> Matrix | bytes:
    """The length word of messages. Raises RowTooLong."""
    if np.max(total) > MOST_ROW_BYTES:
        raise RowTooLong(_TOO_LONG, hint=_HINT)
    return length_word(total)
