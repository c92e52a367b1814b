"""The process behind one connection to an SQLite file: it runs statements for `adapters.sqlite_session`.

Started as a script with the folder of the package apsw and the URI of the file, so that it imports nothing else and is
there in some tens of milliseconds. It reads statements from its standard input and writes their answers to its
standard output, in frames: eight bytes of length, and a value in the format of the module marshal.

- A statement is a tuple (SQL, kinds of its columns or None), with a letter for each kind: `q` for integers, `d` for
  doubles, `s` for text and `b` for bytes.
- A list holds some rows as tuples or, when kinds are given, the number of rows and their columns, each as the buffers
  of an Arrow array. An empty one ends the answer.
- A tuple (name of the exception, message, the text that is not UTF-8 or None) says that the statement failed.
- None in place of a statement interrupts the one before it, if its answer has not ended. The transaction goes on.

It ends when its input does, whatever it is doing: then nobody is left to read the answer.
"""

from __future__ import annotations

import marshal
import os
import sys
from array import array
from collections.abc import Iterable
from itertools import accumulate, chain, islice
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, BinaryIO, TypeAlias

Buffers: TypeAlias = tuple[bytes | None, ...]  # a byte for each row that says whether it is there; offsets; values
_EMPTY = {"q": 0, "d": 0.0, "s": "", "b": b""}
_LENGTH = 8
_VERSION = 2  # of marshal's format: later ones look for objects that occur twice
_FIRST_ROWS = 64
_MOST_ROWS = 2048  # more of them leave the processor's cache before they are sent
_FRAME_BYTES = 16 << 20
_LOCK_MILLISECONDS = 5000
_INTERRUPT_EVERY = 0.01  # seconds


def write_frame(stream: BinaryIO, value: Any) -> int:
    """Returns its size."""
    content = marshal.dumps(value, _VERSION)
    stream.write(len(content).to_bytes(_LENGTH, "little"))
    stream.write(content)
    stream.flush()
    return len(content)


def read_frame(stream: BinaryIO) -> Any:
    """EOFError where the stream ends, also in the middle of a frame."""
    size = int.from_bytes(_exactly(stream, _LENGTH), "little")
    return marshal.loads(_exactly(stream, size))


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _answer(connection: Any, sql: str, kinds: str | None, out: BinaryIO) -> None:
    """Rows that are long come in smaller frames."""
    cursor = connection.execute(sql)
    rows = _FIRST_ROWS
    while found := _columns(islice(cursor, rows), kinds) if kinds else list(islice(cursor, rows)):
        size = write_frame(out, found)
        rows = max(1, min(_MOST_ROWS, _FRAME_BYTES * rows // size))


def _columns(rows: Iterable[tuple[Any, ...]], kinds: str) -> list[Any]:
    """Empty without a row."""
    flat = list(chain.from_iterable(rows))
    width = len(kinds)
    columns = [_buffers(flat[place::width], kind) for place, kind in enumerate(kinds)]
    return [len(flat) // width, *columns] if flat else []


def _buffers(values: list[Any], kind: str) -> Buffers:
    """To look for NULLs would take longer than to try without: they are no numbers, and cannot be joined."""
    try:
        return None, *_present(values, kind)
    except TypeError:
        there = bytes(value is not None for value in values)
        empty = _EMPTY[kind]
        return there, *_present([empty if value is None else value for value in values], kind)


def _present(values: list[Any], kind: str) -> tuple[bytes, ...]:
    if kind in "qd":
        return (array(kind, values).tobytes(),)
    if kind == "s":
        text = "".join(values)
        joined = text.encode()
        if len(joined) > len(text):  # otherwise the lengths in characters are those in bytes
            values = [value.encode() for value in values]
    else:
        joined = b"".join(values)
    return array("i", accumulate(map(len, values), initial=0)).tobytes(), joined


class _Worker:
    def __init__(self, uri: str, out: BinaryIO) -> None:
        self._uri = uri
        self._out = out
        self._connection: Any = None
        self._statements: SimpleQueue[tuple[str, str | None]] = SimpleQueue()
        self._idle = Event()
        self._idle.set()

    def serve(self) -> None:
        import apsw

        while True:
            sql, kinds = self._statements.get()
            try:
                if self._connection is None:
                    opened = apsw.Connection(self._uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
                    opened.set_busy_timeout(_LOCK_MILLISECONDS)
                    self._connection = opened
                _answer(self._connection, sql, kinds, self._out)
                write_frame(self._out, [])
            except (apsw.Error, UnicodeDecodeError, MemoryError, OverflowError) as exc:
                text = exc.object if isinstance(exc, UnicodeDecodeError) else None
                write_frame(self._out, (type(exc).__name__, str(exc), text))
            self._idle.set()

    def listen(self, source: BinaryIO) -> None:
        try:
            while True:
                asked = read_frame(source)
                if asked is None:
                    self._interrupt()
                else:
                    self._idle.clear()
                    self._statements.put(asked)
        finally:
            os._exit(0)

    def _interrupt(self) -> None:
        """Again and again: SQLite forgets an interrupt that comes before the statement has begun."""
        while not self._idle.is_set():
            if self._connection is not None:
                self._connection.interrupt()
            self._idle.wait(_INTERRUPT_EVERY)


if __name__ == "__main__":
    folder, uri = sys.argv[1:]
    sys.path.append(folder)
    worker = _Worker(uri, sys.stdout.buffer)
    Thread(target=worker.listen, args=(sys.stdin.buffer,), daemon=True).start()
    worker.serve()
