"""CSV (RFC 4180), JSON and NDJSON, a few thousand rows at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute

from federation.text import json_text, to_text
from federation.writers import Sink

pc: Any = pyarrow.compute
ROWS_AT_ONCE = 4096  # keeps a column of text far below Arrow's 2 GB per array
NEEDS_QUOTES = r'^$|[",\r\n]|^\s|\s$'


def slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, ROWS_AT_ONCE):
        yield batch.slice(start, ROWS_AT_ONCE)


def unique_names(names: Sequence[str]) -> list[str]:
    """For formats in which two columns of one name would hide each other: id, id_1, …"""
    unique: list[str] = []
    taken = set(names)
    for name in names:
        candidate, number = name, 0
        while candidate in unique or (number and candidate in taken):
            number += 1
            candidate = f"{name}_{number}"
        unique.append(candidate)
    return unique


class CsvWriter:
    """A header and CRLF lines. NULL is an empty field, the empty string is `""`."""

    def __init__(self, out: Sink, schema: pa.Schema) -> None:
        self._out = out
        self._out.write((",".join(_csv(pa.array(schema.names, pa.string())).to_pylist()) + "\r\n").encode())

    def write(self, batch: pa.RecordBatch) -> None:
        for part in slices(batch):
            columns = [
                _plain(column) if _never_quoted(column.type) else _csv(to_text(column)) for column in part.columns
            ]
            lines = pc.binary_join_element_wise(*columns, ",").to_pylist()
            self._out.write("\r\n".join([*lines, ""]).encode())

    def end(self) -> None:
        """A CSV file has no end of its own."""


def _never_quoted(kind: pa.DataType) -> bool:
    kinds = pa.types
    return kinds.is_primitive(kind) or kinds.is_decimal(kind)


def _plain(column: Any) -> Any:
    return to_text(column).fill_null("")


def _csv(texts: Any) -> Any:
    needed = pc.match_substring_regex(texts, NEEDS_QUOTES)
    if not pc.any(needed).as_py():
        return texts.fill_null("")
    quoted = pc.binary_join_element_wise('"', pc.replace_substring(texts, '"', '""'), '"', "")
    return pc.if_else(needed, quoted, texts).fill_null("")


class NdjsonWriter:
    """One object per line."""

    def __init__(self, out: Sink, schema: pa.Schema) -> None:
        self._out = out
        names = [json.dumps(name, ensure_ascii=False) for name in unique_names(schema.names)]
        self._heads = [f"{'{' if i == 0 else ', '}{name}: " for i, name in enumerate(names)]

    def write(self, batch: pa.RecordBatch) -> None:
        for part in slices(batch):
            self._out.write("\n".join([*self._objects(part), ""]).encode())

    def end(self) -> None:
        """NDJSON has no end of its own."""

    def _objects(self, batch: pa.RecordBatch) -> list[str]:
        pieces: list[Any] = []
        for head, column in zip(self._heads, batch.columns, strict=True):
            pieces += [head, json_text(column)]
        objects: list[str] = pc.binary_join_element_wise(*pieces, "}", "").to_pylist()
        return objects


class JsonWriter(NdjsonWriter):
    """One array of objects, which a failed result leaves open."""

    def __init__(self, out: Sink, schema: pa.Schema) -> None:
        super().__init__(out, schema)
        self._lead = "[\n"

    def write(self, batch: pa.RecordBatch) -> None:
        for part in slices(batch):
            self._out.write((self._lead + ",\n".join(self._objects(part))).encode())
            self._lead = ",\n"

    def end(self) -> None:
        self._out.write(b"[]\n" if self._lead == "[\n" else b"\n]\n")
