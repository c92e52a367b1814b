"""Arrow IPC streams and Parquet files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from adapters.errors import NotSupportedError
from federation.writers import Sink
from federation.writers.text import unique_names

ROW_GROUP_ROWS = 122_880  # as DuckDB writes them
ROW_GROUP_BYTES = 64 << 20


class ArrowWriter:
    """The IPC stream format, readable while it is written."""

    def __init__(self, out: Sink, schema: pa.Schema) -> None:
        self._sink = _Sink(out)
        with self._sink.accepting():
            self._writer = pa.ipc.new_stream(cast(Any, self._sink), schema)

    def write(self, batch: pa.RecordBatch) -> None:
        with self._sink.accepting():
            self._writer.write_batch(batch)

    def end(self) -> None:
        with self._sink.accepting():
            self._writer.close()


class ParquetWriter:
    """Row groups of a useful size, whatever the size of the batches."""

    def __init__(self, out: Sink, schema: pa.Schema) -> None:
        for field in schema:
            _check_type(field.name, field.type)
        self._schema = pa.schema(
            [field.with_name(name) for field, name in zip(schema, unique_names(schema.names), strict=True)]
        )
        self._sink = _Sink(out)
        with self._sink.accepting():
            self._writer = pq.ParquetWriter(cast(Any, self._sink), self._schema)
        self._waiting: list[pa.RecordBatch] = []

    def write(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch.rename_columns(self._schema.names))
        if (
            sum(waiting.num_rows for waiting in self._waiting) >= ROW_GROUP_ROWS
            or sum(waiting.nbytes for waiting in self._waiting) >= ROW_GROUP_BYTES
        ):
            self._flush()

    def end(self) -> None:
        if self._waiting:
            self._flush()
        with self._sink.accepting():
            self._writer.close()

    def _flush(self) -> None:
        with self._sink.accepting():
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting = []


def _check_type(name: str, kind: Any) -> None:
    if pa.types.is_interval(kind):
        column = exp.to_identifier(name, quoted=True).sql(dialect="duckdb")
        raise NotSupportedError(
            f"Parquet has no type for the INTERVAL in column {column}", hint=f"CAST({column} AS VARCHAR)"
        )
    if pa.types.is_nested(kind):
        for i in range(kind.num_fields):
            _check_type(name, kind.field(i).type)


class _Sink:
    """A stream that may be a pipe, for writers that ask where they are.

    It takes bytes only while one of our methods runs: a writer that is dropped in the middle of a result completes
    its file, and a result that failed would look like a short one.
    """

    closed = False

    def __init__(self, out: Sink) -> None:
        self._out = out
        self._written = 0
        self._accepts = False

    @contextlib.contextmanager
    def accepting(self) -> Iterator[None]:
        self._accepts = True
        try:
            yield
        finally:
            self._accepts = False

    def write(self, data: bytes) -> int:
        if self._accepts:
            self._out.write(data)
            self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        if self._accepts:
            self._out.flush()

    def close(self) -> None:
        """The stream belongs to whoever opened it."""
