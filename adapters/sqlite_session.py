"""A connection to an SQLite file: a process of its own, which a cancel ends, whatever its statement is doing.

A statement could be interrupted in this process as well. But each row would cost a hand-over of Python's global lock:
beside any other busy thread, reading takes several times as long. And the locks on a file belong to a process, so that
a second copy of SQLite beside that of `adapters.sqlite_scan` would drop those of its readers.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import apsw
import pyarrow as pa

from adapters import sqlite_worker
from adapters.base import CancelToken
from adapters.sqlite_types import Array
from adapters.sqlite_worker import Buffers, read_frame, write_frame

Batches: TypeAlias = Generator[pa.RecordBatch, None, None]
Identity: TypeAlias = tuple[int, int]  # device and inode
_KINDS = {pa.int64(): "q", pa.float64(): "d", pa.string(): "s", pa.binary(): "b"}
ENDED = "Ended"  # of the process, not by a cancel
_PIPE_BYTES = 1 << 20  # several frames, or the process would wait for the reader of each, on a busy machine for long
_PACKAGES = str(Path(apsw.__file__).parent.parent)
_WORKER = str(Path(sqlite_worker.__file__))


def _array(kind: pa.DataType, rows: int, buffers: Buffers) -> Array:
    there, *values = (None if each is None else pa.py_buffer(each) for each in buffers)
    if there is not None:
        flags: Array = pa.Array.from_buffers(pa.uint8(), rows, [None, there])
        there = flags.cast(pa.bool_()).buffers()[1]
    return pa.Array.from_buffers(kind, rows, [there, *values])


def _has_rows(frame: Any) -> bool:
    return isinstance(frame, list) and bool(frame)


class Failure(Exception):
    """What SQLite says of a statement. `kind` is the name of APSW's exception, `ENDED`, or empty where the
    driver does not tell; `text` is bytes that are not UTF-8."""

    def __init__(self, kind: str, message: str, text: bytes | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.text = text


class StatementFailure(Failure):
    """Of the statement itself, such as a name that is not there."""


class Session:
    """Runs one statement at a time. It is `broken` after a cancel, and when an answer was not read to its end; but not
    in a transaction, where such a statement is interrupted and its answer skipped."""

    def __init__(self, path: Path, file: Identity) -> None:
        self.file = file
        self._complete = True
        self._in_transaction = False
        self._writing = threading.Lock()
        # In a session of its own, or the Ctrl-C of a terminal would end it together with its query.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _WORKER, _PACKAGES, f"{path.as_uri()}?mode=ro"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with suppress(AttributeError, OSError):  # unknown to this system, or not allowed
            fcntl.fcntl(cast(BinaryIO, self._process.stdout), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    @property
    def broken(self) -> bool:
        return not self._complete or self._process.poll() is not None

    def begin(self, cancel: CancelToken) -> bool:
        """Have all that follows read one state of the file, until `rollback`; False where nobody could write to the
        file meanwhile, as without a write-ahead log."""
        ((mode,),) = self.rows("PRAGMA journal_mode", cancel)
        if mode != "wal":
            return False
        self.rows("BEGIN", cancel)
        self.rows("SELECT count(*) FROM sqlite_schema", cancel)  # the state is that of the first read
        self._in_transaction = True
        return True

    def rollback(self) -> None:
        self._in_transaction = False
        self.rows("ROLLBACK")

    def rows(self, sql: str, cancel: CancelToken | None = None) -> list[tuple[Any, ...]]:
        return list(chain.from_iterable(self._answer(sql, None, cancel or CancelToken())))

    def batches(self, sql: str, types: Sequence[pa.DataType], cancel: CancelToken) -> Batches:
        names = [str(place) for place in range(len(types))]
        kinds = "".join(_KINDS[kind] for kind in types)
        with closing(self._answer(sql, kinds, cancel)) as answer:
            for rows, *columns in answer:
                arrays = [_array(kind, rows, buffers) for kind, buffers in zip(types, columns, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, names)

    def _answer(self, sql: str, kinds: str | None, cancel: CancelToken) -> Generator[list[Any], None, None]:
        source, target = cast(BinaryIO, self._process.stdout), cast(BinaryIO, self._process.stdin)
        self._complete = False
        frame: Any = None
        unregister = cancel.register(self._interrupt if self._in_transaction else self._process.kill)
        try:
            with self._cancelled_by(cancel):
                with self._writing:
                    write_frame(target, (sql, kinds))
                frame = read_frame(source)
            while _has_rows(frame):
                yield frame
                with self._cancelled_by(cancel):
                    frame = read_frame(source)
        finally:
            unregister()
            if self._in_transaction:
                self._skip(source, frame)
        cancel.check()
        self._complete = True
        if frame:
            kind, message, text = frame
            raise (StatementFailure if kind == "SQLError" else Failure)(kind, message, text)

    def _interrupt(self) -> None:
        with self._writing, suppress(OSError):
            write_frame(cast(BinaryIO, self._process.stdin), None)

    def _skip(self, source: BinaryIO, frame: Any) -> None:
        """What is left of the answer after that frame, None before the first."""
        with suppress(EOFError, OSError):
            if frame is None or _has_rows(frame):
                self._interrupt()
            while frame is None or _has_rows(frame):
                frame = read_frame(source)
            self._complete = True

    def close(self) -> None:
        """At once, whatever it is doing."""
        self._process.kill()
        with suppress(BrokenPipeError), self._process:
            pass

    @contextmanager
    def _cancelled_by(self, cancel: CancelToken) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as exc:
            cancel.check()
            raise Failure(ENDED, f"its process ended with code {self._process.wait()}") from exc
        cancel.check()  # there may be frames that it had sent before
