"""The rows of a streaming result, handed out in the sizes that a cursor asks for, never held as a whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from federation.values import python_values

Row = tuple[Any, ...]
ROWS_AT_ONCE = 1024  # converted to Python together: enough to be fast, few enough for fetchone


class RowStream:
    """`handed_out` counts rows; `ended` tells that there are no more. A failure is final: it is raised again by every
    later call, so that a broken result cannot look like a short one. `pulling` is held while the engine works."""

    def __init__(self, batches: Iterator[pa.RecordBatch], names: Sequence[str], types: Sequence[str]) -> None:
        self.handed_out = 0
        self.ended = False
        self.pulling = threading.RLock()
        self._batches = batches
        self._columns = list(zip(names, types, strict=True))
        self._batch: pa.RecordBatch | None = None
        self._position = 0  # in the batch: the first row that is not handed out
        self._converted: list[Row] = []
        self._next = 0  # in what is converted: the row at the position
        self._failure: Exception | None = None

    def take(self, count: int) -> list[Row]:
        """Up to `count` rows, fewer only at the end."""
        rows: list[Row] = []
        while len(rows) < count and self._fill():
            part = self._converted[self._next : self._next + count - len(rows)]
            rows += part
            self._next += len(part)
            self._position += len(part)
        self.handed_out += len(rows)
        return rows

    def rest(self) -> Iterator[pa.RecordBatch]:
        """What is not handed out yet, as Arrow."""
        while self._advance():
            assert self._batch is not None
            batch = self._batch.slice(self._position)
            self._position = self._batch.num_rows
            self._converted, self._next = [], 0
            self.handed_out += batch.num_rows
            yield batch

    def _fill(self) -> bool:
        """Have at least one converted row at hand, if there is one."""
        if self._next < len(self._converted):
            return True
        if not self._advance():
            return False
        assert self._batch is not None
        part = self._batch.slice(self._position, ROWS_AT_ONCE)
        values = [python_values(part.column(i), *column) for i, column in enumerate(self._columns)]
        self._converted = list(zip(*values, strict=True))
        self._next = 0
        return True

    def _advance(self) -> bool:
        """Have a batch with a row that is not handed out; False at the end."""
        if self._failure is not None:
            raise self._failure
        while self._batch is None or self._position == self._batch.num_rows:
            try:
                with self.pulling:
                    self._batch = next(self._batches, None)
            except Exception as exc:
                self._failure = exc
                raise
            self._position = 0
            if self._batch is None:
                self.ended = True
                return False
        return True
