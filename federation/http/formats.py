"""The formats of an answer, and how each shows that it is not whole.

Whatever the format, a failure after the first byte breaks the connection: the last chunk of the response never comes,
which every HTTP client reports. Beyond that:

* JSON is left without its end, after an `error` member; a whole one ends with `"complete": true`.
* NDJSON gets a last line with the one member `error`, and no newline after it.
* Arrow misses its end-of-stream marker, Parquet its footer.
* CSV has no end of its own: there the connection is all there is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute

from federation.http.negotiation import preferred
from federation.http.problems import HttpProblem
from federation.text import FEW_VALUES, json_text, json_texts
from federation.writers import Sink, Writer
from federation.writers.arrow import ArrowWriter, ParquetWriter
from federation.writers.text import CsvWriter, NdjsonWriter, slices

pc: Any = pyarrow.compute
TYPE_KEY = "federation.type"
ARROW_BYTES = 1 << 20  # of one record batch, so that a reader that is slow does not hold more


class ResultWriter(Writer, Protocol):
    """A writer that can also say in its own format what failed."""

    def fail(self, problem: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class About:
    """What a document says beside the rows. `stats` is asked for at the end."""

    query_id: str
    types: Sequence[str]
    stats: Callable[[], Mapping[str, Any]]


class _Json:
    """One document: columns, rows as arrays, stats, and `complete` as the last word."""

    def __init__(self, out: Sink, schema: pa.Schema, about: About) -> None:
        self._out = out
        self._about = about
        columns = result_columns(schema, about.types)
        self._text(f'{{"query_id": {_dumps(about.query_id)},\n"columns": {_dumps(columns)},\n"rows": [')
        self._lead = "\n"

    def write(self, batch: pa.RecordBatch) -> None:
        for part in slices(batch):
            self._text(self._lead + ",\n".join(_json_rows(part)))
            self._lead = ",\n"

    def end(self) -> None:
        self._text(f'\n],\n"stats": {_dumps(self._about.stats())},\n"complete": true}}\n')

    def fail(self, problem: Mapping[str, Any]) -> None:
        self._text(f'\n],\n"error": {_dumps(problem)},\n"complete": false')

    def _text(self, text: str) -> None:
        self._out.write(text.encode())


class _Ndjson(NdjsonWriter):
    def __init__(self, out: Sink, schema: pa.Schema, about: About) -> None:  # noqa: ARG002 -- rows are all it has
        super().__init__(out, schema)

    def fail(self, problem: Mapping[str, Any]) -> None:
        self._out.write(_dumps({"error": problem}).encode())


class _Silent:
    """For formats that have no place for a failure: it shows by what is missing."""

    def __init__(self, writer: Writer) -> None:
        self.write = writer.write
        self.end = writer.end

    def fail(self, problem: Mapping[str, Any]) -> None:
        """Nothing can be said."""


def _json_rows(batch: pa.RecordBatch) -> list[str]:
    if batch.num_rows <= FEW_VALUES:
        return [f"[{', '.join(values)}]" for values in zip(*map(json_texts, batch.columns), strict=True)]
    values = pc.binary_join_element_wise(*map(json_text, batch.columns), ", ")
    rows: list[str] = pc.binary_join_element_wise("[", values, "]", "").to_pylist()
    return rows


def result_columns(schema: pa.Schema, types: Sequence[str]) -> list[dict[str, str]]:
    """As `models.ResultColumn`; `types` are DuckDB's."""
    return [
        {"name": field.name, "type": kind, "arrow_type": str(field.type)}
        for field, kind in zip(schema, types, strict=True)
    ]


def with_types(schema: pa.Schema, types: Sequence[str]) -> pa.Schema:
    """DuckDB's name of each type goes into the metadata of its field: Arrow's alone do not tell all of them apart."""
    return pa.schema([f.with_metadata({TYPE_KEY: kind}) for f, kind in zip(schema, types, strict=True)])


@dataclass(frozen=True, slots=True)
class Format:
    media_type: str
    charset: bool
    compressible: bool
    make: Callable[[Sink, pa.Schema, About], ResultWriter]
    parts: Callable[[pa.RecordBatch], Iterator[pa.RecordBatch]]

    @property
    def content_type(self) -> str:
        return f"{self.media_type}; charset=utf-8" if self.charset else self.media_type


def arrow_parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch in parts of a bounded size, without a copy."""
    step = max(1, batch.num_rows * ARROW_BYTES // max(ARROW_BYTES, batch.nbytes))
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


JSON = Format("application/json", False, True, _Json, slices)
NDJSON = Format("application/x-ndjson", False, True, _Ndjson, slices)
CSV = Format("text/csv", True, True, lambda out, schema, _: _Silent(CsvWriter(out, schema)), slices)
ARROW = Format(
    "application/vnd.apache.arrow.stream",
    False,
    True,
    lambda out, schema, about: _Silent(ArrowWriter(out, with_types(schema, about.types))),
    arrow_parts,
)
PARQUET = Format(
    "application/vnd.apache.parquet",
    False,
    False,
    lambda out, schema, _: _Silent(ParquetWriter(out, schema)),
    arrow_parts,
)
FORMATS = {each.media_type: each for each in (JSON, NDJSON, CSV, ARROW, PARQUET)}


@lru_cache(256)
def negotiate(accept: str | None) -> Format:
    """The format that Accept asks for, JSON without one. Raises HttpProblem 406."""
    found = preferred(accept, list(FORMATS))
    if found is None:
        raise HttpProblem(406, "none of the formats that Accept names is known", hint=f"known: {', '.join(FORMATS)}")
    return FORMATS[found]


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
