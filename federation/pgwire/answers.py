"""What a statement answers: rows of typed columns, from the engine, the system catalog or this session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from federation.engine import Result
from federation.pgwire.types import TEXT, PgType, pg_types_of

TEXT_TYPE = PgType(TEXT, -1)


class Columns(NamedTuple):
    schema: pa.Schema
    types: Sequence[PgType]


class Answer(Protocol):
    """`batches` may be taken once; `close` frees what it holds, wherever the reading stands."""

    @property
    def schema(self) -> pa.Schema: ...
    @property
    def types(self) -> Sequence[PgType]: ...
    def batches(self) -> Iterator[pa.RecordBatch]: ...
    def close(self) -> None: ...


class EngineAnswer:
    """Of the federation's own engine, which is leased until the end."""

    def __init__(self, result: Result, on_close: Callable[[], None]) -> None:
        self.schema = result.schema
        self.types = pg_types_of(result.schema, result.types)
        self.batches = result.batches
        self._result = result
        self._on_close = on_close

    def close(self) -> None:
        self._result.close()
        self._on_close()


class TextAnswer:
    """Rows of text that are there already."""

    def __init__(self, columns: Columns, rows: Iterable[Sequence[str | None]]) -> None:
        self.schema, self.types = columns
        self._rows = rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        values = list(zip(*self._rows, strict=True)) or [()] * len(self.schema)
        yield pa.RecordBatch.from_arrays([pa.array(each, pa.string()) for each in values], schema=self.schema)

    def close(self) -> None:
        pass


def text_columns(*names: str) -> Columns:
    return Columns(pa.schema([pa.field(name, pa.string()) for name in names]), [TEXT_TYPE] * len(names))
