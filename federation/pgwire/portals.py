"""Portals: statements with their parameters, whose rows are taken part by part. A SQL cursor is one as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
from sqlglot import exp

from adapters.base import CancelToken
from adapters.errors import ProgrammingError
from federation.pgwire.answers import Answer, Columns, KeptAnswer
from federation.pgwire.dialect.statements import Execute, Fetch, Parsed, Query
from federation.pgwire.encoder import ROWS

FIRST_ROWS = 2048  # are there soon


class NotForward(ProgrammingError, sqlstate="55000"):
    """A cursor was asked for rows before its place."""


class PortalFailed(ProgrammingError, sqlstate="55000"):
    """The portal cannot be run: a part of it has failed."""


class Portal:
    """`open` starts the statement, once, when its columns or rows are asked for first.

    `values` are those of its parameters, `formats` as Bind has them. `held`: it outlives the transaction. `text` is
    what the client wrote.
    """

    def __init__(
        self,
        parsed: Parsed,
        open_answer: Callable[[CancelToken], Answer],
        formats: Sequence[int] = (),
        *,
        values: Sequence[exp.Expr] = (),
        held: bool = False,
        text: str = "",
    ) -> None:
        self.parsed = parsed
        self.values = values
        self.formats = formats
        self.held = held
        self.text = text
        self.cancel = CancelToken()
        self.position = 0  # rows that were taken
        self._open_answer = open_answer
        self._answer: Answer | None = None
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._rest: pa.RecordBatch | None = None
        self._failed = False

    def columns(self) -> Columns:
        """Raises what is wrong with the statement."""
        return self._opened().columns

    def tag(self, rows: int) -> str:
        """What CommandComplete says of so many rows."""
        match self.parsed:
            case Query() | Execute():
                return f"SELECT {rows}"
            case Fetch():
                return f"FETCH {rows}"
        return self.parsed.tag

    def take(self, most: int | None) -> Iterator[pa.RecordBatch]:
        """The next rows, up to so many, in batches. A portal whose rows were not all taken by whoever asked for them
        has lost some, and raises PortalFailed from then on."""
        if self._failed:
            raise PortalFailed("the cursor has failed", hint="declare it anew")
        self._failed = True
        self._opened()
        left = most
        while (left is None or left > 0) and (batch := self._next()) is not None:
            rows = ROWS if self.position else FIRST_ROWS
            part = batch.slice(0, rows if left is None else min(left, rows))
            self._rest = batch.slice(part.num_rows) if part.num_rows < batch.num_rows else None
            if left is not None:
                left -= part.num_rows
            self.position += part.num_rows
            yield part
        self._failed = False

    def take_kept(self) -> KeptAnswer | None:
        """All rows at once, if they are there already and none was taken yet."""
        answer = self._opened()
        if not isinstance(answer, KeptAnswer) or self.position or self._failed:
            return None
        self.position = answer.rows
        self._batches = iter(())
        return answer

    def _opened(self) -> Answer:
        if self._answer is None:
            self._answer = self._open_answer(self.cancel)
            self._batches = self._answer.batches()
        return self._answer

    def _next(self) -> pa.RecordBatch | None:
        if self._rest is not None:
            return self._rest
        return next((batch for batch in self._batches if batch.num_rows), None)

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()
