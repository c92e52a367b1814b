"""Arrow IPC streams and Parquet files."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from adapters.errors import NotSupportedError
from federation.cli.destination import Output
from federation.cli.text_writers import unique_names

ROW_GROUP_ROWS = 122_880  # as DuckDB writes them
ROW_GROUP_BYTES = 64 << 20


class ArrowWriter:
    """The IPC stream format, readable while it is written."""

    def __init__(self, out: Output, schema: pa.Schema) -> None:
        self._writer = pa.ipc.new_stream(_counting(out), schema)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def end(self) -> None:
        self._writer.close()


class ParquetWriter:
    """Row groups of a useful size, whatever the size of the batches."""

    def __init__(self, out: Output, schema: pa.Schema) -> None:
        for field in schema:
            _check_type(field.name, field.type)
        self._schema = pa.schema(
            [field.with_name(name) for field, name in zip(schema, unique_names(schema.names), strict=True)]
        )
        self._writer = pq.ParquetWriter(_counting(out), self._schema)
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
        self._writer.close()

    def _flush(self) -> None:
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


class _Counting:
    """A stream that may be a pipe, for writers that ask where they are."""

    closed = False

    def __init__(self, out: Output) -> None:
        self._out = out
        self._written = 0

    def write(self, data: bytes) -> int:
        self._out.write(data)
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        self._out.flush()

    def close(self) -> None:
        """The stream belongs to whoever opened it."""


def _counting(out: Output) -> Any:
    return _Counting(out)
