"""What a statement answers: rows of typed columns, from the engine, the system catalog or this session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import pyarrow as pa

from adapters.base import CancelToken
from adapters.errors import QueryCancelled
from federation.http.run import Run
from federation.pgwire import overlay
from federation.pgwire.encoder import RowEncoder
from federation.pgwire.style import Style
from federation.pgwire.types import TEXT, PgType, pg_types_of
from federation.progress import Freshness
from federation.result import Result

TEXT_TYPE = PgType(TEXT, -1)


class Columns(NamedTuple):
    """`origins`: the oid of the table or view that each is a column of, and its number there; 0 and 0 where it is
    none. Where they are left out, none is."""

    schema: pa.Schema
    types: Sequence[PgType]
    origins: Sequence[tuple[int, int]] = ()


class Answer(Protocol):
    """`batches` may be taken once; `close` frees what it holds, wherever the reading stands."""

    @property
    def columns(self) -> Columns: ...
    def batches(self) -> Iterator[pa.RecordBatch]: ...
    def close(self) -> None: ...


class EngineAnswer:
    """Of the federation's own engine: a run that has started. `on_rows` is told how old its rows are, after the last of
    them; `on_close` is called once it has ended."""

    def __init__(
        self,
        run: Run,
        result: Result,
        origins: Sequence[tuple[int, int]],
        on_close: Callable[[Run], None],
        on_rows: Callable[[Iterable[Freshness]], None],
    ) -> None:
        self.columns = Columns(result.schema, pg_types_of(result.schema, result.types), origins)
        self._run = run
        self._result = result
        self._on_close = on_close
        self._on_rows = on_rows

    def batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._run.batches(self._result)
            self._on_rows(self._result.freshness())
        except Exception as exc:
            self._run.end(exc)
            raise

    def close(self) -> None:
        self._run.end()
        self._on_close(self._run)


class OverlayAnswer:
    """Of PostgreSQL's catalog. `on_close` lets the engine go that it is about."""

    def __init__(self, answer: overlay.Answer, cancel: CancelToken, on_close: Callable[[], None]) -> None:
        self.columns = Columns(answer.schema, answer.types)
        self._answer = answer
        self._cancel = cancel
        self._on_close = on_close
        self._unwatch = cancel.register(answer.cancel)

    def batches(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._answer.batches()
        except QueryCancelled:
            self._cancel.check()  # which knows why
            raise

    def close(self) -> None:
        self._unwatch()
        self._answer.close()
        self._on_close()


class KeptAnswer:
    """Few rows that are there already, for any number of sessions."""

    def __init__(self, columns: Columns, batches: Sequence[pa.RecordBatch]) -> None:
        self.columns = columns
        self.rows = sum(batch.num_rows for batch in batches)
        self._batches = batches
        self._encoded: tuple[tuple[Sequence[int], Style], bytes] | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        return iter(self._batches)

    def messages(self, formats: Sequence[int], style: Style) -> bytes:
        """All rows as DataRows, as RowEncoder makes them; those of the last call are remembered."""
        encoded = self._encoded
        if encoded is None or encoded[0] != (formats, style):
            encoder = RowEncoder(self.columns.schema, self.columns.types, formats, style)
            made = b"".join(part for batch in self._batches for part in encoder.encode(batch))
            encoded = self._encoded = ((formats, style), made)
        return encoded[1]

    def close(self) -> None:
        pass


def text_answer(columns: Columns, rows: Iterable[Sequence[str | None]]) -> KeptAnswer:
    """Rows of text."""
    values = list(zip(*rows, strict=True)) or [()] * len(columns.schema)
    arrays = [pa.array(each, pa.string()) for each in values]
    return KeptAnswer(columns, [pa.RecordBatch.from_arrays(arrays, schema=columns.schema)])


def text_columns(*names: str) -> Columns:
    return Columns(pa.schema([pa.field(name, pa.string()) for name in names]), [TEXT_TYPE] * len(names))
