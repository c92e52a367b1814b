"""A connection to an SQLite file through ADBC, for scans of whole tables.

It reads a table in less than half the processor time that `adapters.sqlite_session` takes, but its driver has no
cancel. So it gets only statements whose every batch comes at once: between two of them a cancel ends the statement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import adbc_driver_manager
import pyarrow as pa
from adbc_driver_sqlite import StatementOptions, dbapi
from sqlglot import exp

from adapters.base import CancelToken
from adapters.sqlite_session import Batches, Failure, Identity

T = TypeVar("T")
_BATCH_ROWS = "4096"
_LOCK_MILLISECONDS = 5000
_FIRST_VALUES = {pa.int64(): "0", pa.float64(): "0.0", pa.string(): "''", pa.binary(): "x''"}


def scanned_table(query: exp.Query) -> exp.Table | None:
    """The one table that the query reads row by row, leaving none out; None for every other query."""
    source = query.args.get("from_")
    table = source.this if source else None
    if not isinstance(query, exp.Select) or not isinstance(table, exp.Table):
        return None
    only = _given(query) <= {"expressions", "from_", "limit"} and _given(table) <= {"this", "db", "alias"}
    plain = all(isinstance(each.unalias(), exp.Column | exp.Literal) for each in query.expressions)
    return table if only and plain else None


def _given(node: exp.Expr) -> set[str]:
    return {key for key, value in node.args.items() if value}


class Scanner:
    """Runs one statement at a time. It is `broken` after a failure, and while a call runs that a cancel left behind."""

    def __init__(self, path: Path, file: Identity) -> None:
        self.file = file
        self.broken = False
        self._left: Future[Any] | None = None
        try:
            # Autocommit: a kept connection would otherwise go on reading the state of its first query.
            self._connection = dbapi.connect(f"{path.as_uri()}?mode=ro", autocommit=True)
            with self._connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {_LOCK_MILLISECONDS}")
        except (adbc_driver_manager.Error, OSError) as exc:
            raise Failure("", str(exc).partition("\n")[0]) from exc

    def batches(self, sql: str, types: Sequence[pa.DataType], cancel: CancelToken) -> Batches:
        """Batches of those types. The driver takes them from the first values that it sees, so that a row of the right
        ones goes before the others."""
        first = ", ".join(_FIRST_VALUES[kind] for kind in types)
        cursor = self._connection.cursor()

        def begin() -> tuple[pa.RecordBatchReader, pa.RecordBatch]:
            cursor.adbc_statement.set_options(**{StatementOptions.BATCH_ROWS.value: _BATCH_ROWS})
            cursor.execute(f"SELECT {first} UNION ALL {sql}")
            reader = cursor.fetch_record_batch()
            return reader, reader.read_next_batch()

        try:
            reader, batch = self._freed_by(cancel, begin)
            yield batch.slice(1)
            while (following := self._freed_by(cancel, lambda: next(reader, None))) is not None:
                yield following
        except (adbc_driver_manager.Error, OSError, pa.ArrowException) as exc:
            self.broken = True
            raise Failure("", str(exc).partition("\n")[0]) from exc  # the whole query follows
        finally:
            self._when_idle(cursor.close)

    def close(self) -> None:
        self._when_idle(self._connection.close)

    def _when_idle(self, call: Callable[[], object]) -> None:
        if self._left is None:
            call()
        else:
            self._left.add_done_callback(lambda _: call())

    def _freed_by(self, cancel: CancelToken, call: Callable[[], T]) -> T:
        """What `call` returns, or the cancel's error at once: it may be waiting for a lock, or for the disk."""
        future: Future[T] = Future()
        ended = threading.Event()

        def run() -> None:
            try:
                result = call()
            except BaseException as exc:
                future.set_exception(exc)
            else:
                future.set_result(result)
            ended.set()

        cancel.check()
        threading.Thread(target=run, name="sqlite-scan", daemon=True).start()
        unregister = cancel.register(ended.set)
        try:
            ended.wait()
            cancel.check()
        finally:
            unregister()
            if not future.done():  # cancelled, or interrupted from the keyboard
                self.broken = True
                self._left = future
        return future.result()
