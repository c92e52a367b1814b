"""The formats of a result, by name. Kept apart from the writers so that `--help` does not load Arrow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from federation.cli.destination import Output
    from federation.writers import Writer

BINARY_FORMATS = ("arrow", "parquet")
TEXT_FORMATS = ("table", "csv", "json", "ndjson")
FORMATS = TEXT_FORMATS + BINARY_FORMATS


@dataclass(frozen=True)
class Look:
    """How a table is shown: `width` is the terminal's, None to keep every value whole."""

    width: int | None = None
    colour: bool = False
    expanded: bool = False


def make_writer(name: str, out: Output, schema: pa.Schema, look: Look) -> Writer:
    if name == "table":
        from federation.cli.table import TableWriter

        return TableWriter(out, schema, look)
    if name in BINARY_FORMATS:
        from federation.writers.arrow import ArrowWriter, ParquetWriter

        return ArrowWriter(out, schema) if name == "arrow" else ParquetWriter(out, schema)
    from federation.writers.text import CsvWriter, JsonWriter, NdjsonWriter

    if name == "csv":
        return CsvWriter(out, schema)
    return JsonWriter(out, schema) if name == "json" else NdjsonWriter(out, schema)
