"""The rows of a streaming result, handed out in the sizes that a cursor asks for, never held as a whole."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pyarrow as pa

from adapters.errors import QueryCancelled
from federation.statement import AsyncStatement, Statement
from federation.values import python_values

Row = tuple[Any, ...]
FEWEST_ROWS, MOST_ROWS = 1024, 8192  # converted to Python together: few enough for fetchone, enough for fetchall


class Window:
    """The batch that is being handed out. `handed_out` counts rows, `ended` tells that there are no more."""

    def __init__(self, names: Sequence[str], types: Sequence[str]) -> None:
        self.handed_out = 0
        self.ended = False
        self._columns = list(zip(names, types, strict=True))
        self._batch: pa.RecordBatch | None = None
        self._position = 0  # in the batch: the first row that is not handed out
        self._converted: list[Row] = []
        self._next = 0  # in what is converted: the row at the position

    @property
    def empty(self) -> bool:
        return self._batch is None or self._position == self._batch.num_rows

    def show(self, batch: pa.RecordBatch | None) -> None:
        """The next batch, once this one is empty; None at the end."""
        self._batch, self._position = batch, 0
        self.ended = batch is None

    def rows(self, count: int) -> list[Row]:
        """Up to `count` rows of the batch."""
        rows: list[Row] = []
        while len(rows) < count and self._convert(count - len(rows)):
            part = self._converted[self._next : self._next + count - len(rows)]
            rows += part
            self._next += len(part)
            self._position += len(part)
        self.handed_out += len(rows)
        return rows

    def rest(self) -> pa.RecordBatch:
        """What is left of the batch."""
        assert self._batch is not None
        batch = self._batch.slice(self._position)
        self._position = self._batch.num_rows
        self._converted, self._next = [], 0
        self.handed_out += batch.num_rows
        return batch

    def _convert(self, wanted: int) -> bool:
        """Have at least one converted row at hand, if there is one."""
        if self._next < len(self._converted):
            return True
        if self.empty:
            return False
        assert self._batch is not None
        part = self._batch.slice(self._position, max(FEWEST_ROWS, min(wanted, MOST_ROWS)))
        values = [python_values(part.column(i), *column) for i, column in enumerate(self._columns)]
        self._converted = list(zip(*values, strict=True))
        self._next = 0
        return True


class RowStream:
    """A failure is final: it is raised again by every later call, so that a broken result cannot look like a short
    one. `pulling` is held while a batch is waited for."""

    def __init__(self, statement: Statement) -> None:
        self.schema = statement.schema
        self.types = statement.types
        self.window = Window(self.schema.names, self.types)
        self.pulling = threading.RLock()
        self._batches = statement.batches()
        self._failure: Exception | None = None

    def take(self, count: int) -> list[Row]:
        """Up to `count` rows, fewer only at the end."""
        rows: list[Row] = []
        while len(rows) < count and self._advance():
            rows += self.window.rows(count - len(rows))
        return rows

    def rest(self) -> Iterator[pa.RecordBatch]:
        """What is not handed out yet, as Arrow."""
        while self._advance():
            yield self.window.rest()

    def reader(self) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(self.schema, self.rest())

    def table(self) -> pa.Table:
        return pa.Table.from_batches(self.rest(), self.schema)

    def _advance(self) -> bool:
        """Have a row that is not handed out; False at the end."""
        if self._failure is not None:
            raise self._failure
        while self.window.empty:
            try:
                with self.pulling:
                    batch = next(self._batches, None)
            except BaseException as exc:
                self._failure = _final(exc)
                raise
            self.window.show(batch)
            if batch is None:
                return False
        return True


class AsyncRowStream:
    """As RowStream, for one task at a time."""

    def __init__(self, statement: AsyncStatement) -> None:
        self.schema = statement.schema
        self.types = statement.types
        self.window = Window(self.schema.names, self.types)
        self._batches: AsyncIterator[pa.RecordBatch] = statement.batches()
        self._failure: Exception | None = None

    async def take(self, count: int) -> list[Row]:
        rows: list[Row] = []
        while len(rows) < count and await self._advance():
            rows += self.window.rows(count - len(rows))
        return rows

    async def rest(self) -> AsyncIterator[pa.RecordBatch]:
        while await self._advance():
            yield self.window.rest()

    async def table(self) -> pa.Table:
        return pa.Table.from_batches([batch async for batch in self.rest()], self.schema)

    async def _advance(self) -> bool:
        if self._failure is not None:
            raise self._failure
        while self.window.empty:
            try:
                batch = await anext(self._batches, None)
            except BaseException as exc:
                self._failure = _final(exc)
                raise
            self.window.show(batch)
            if batch is None:
                return False
        return True


def _final(failure: BaseException) -> Exception:
    """What later calls raise: an interrupted stream would look like one that has ended."""
    return failure if isinstance(failure, Exception) else QueryCancelled("the fetch was interrupted")
