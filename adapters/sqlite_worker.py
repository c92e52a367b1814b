"""The process behind one connection to an SQLite file: it runs statements for `adapters.sqlite_session`.

Started as a script with the folder of the package apsw and the URI of the file, so that it imports nothing else and is
there in some tens of milliseconds. It reads statements from its standard input and writes their answers to its
standard output, in frames: eight bytes of length, and a value in the format of the module marshal.

- A statement is a tuple (SQL, whether values are to come flat).
- A list holds some rows as tuples, or flat, value after value, which is faster. An empty one ends the answer.
- A tuple (name of the exception, message, the text that is not UTF-8 or None) says that the statement failed.

It ends when its input does, whatever it is doing: then nobody is left to read the answer.
"""

from __future__ import annotations

import marshal
import os
import sys
from itertools import chain, islice
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

_LENGTH = 8
_VERSION = 2  # of marshal's format: later ones look for objects that occur twice
_FIRST_ROWS = 64
_MOST_ROWS = 4096
_FRAME_BYTES = 16 << 20
_LOCK_MILLISECONDS = 5000


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


def _answer(connection: Any, sql: str, flat: bool, out: BinaryIO) -> None:
    """Rows that are long come in smaller frames."""
    cursor = connection.execute(sql)
    rows = _FIRST_ROWS
    while found := list(chain.from_iterable(islice(cursor, rows)) if flat else islice(cursor, rows)):
        size = write_frame(out, found)
        rows = max(1, min(_MOST_ROWS, _FRAME_BYTES * rows // size))


def _serve(uri: str, statements: SimpleQueue[tuple[str, bool]], out: BinaryIO) -> None:
    import apsw

    connection = None
    while True:
        sql, flat = statements.get()
        try:
            if connection is None:
                connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
                connection.set_busy_timeout(_LOCK_MILLISECONDS)
            _answer(connection, sql, flat, out)
            write_frame(out, [])
        except (apsw.Error, UnicodeDecodeError, MemoryError) as exc:
            text = exc.object if isinstance(exc, UnicodeDecodeError) else None
            write_frame(out, (type(exc).__name__, str(exc), text))


def _listen(source: BinaryIO, statements: SimpleQueue[tuple[str, bool]]) -> None:
    try:
        while True:
            statements.put(read_frame(source))
    finally:
        os._exit(0)


if __name__ == "__main__":
    folder, uri = sys.argv[1:]
    sys.path.append(folder)
    asked: SimpleQueue[tuple[str, bool]] = SimpleQueue()
    Thread(target=_listen, args=(sys.stdin.buffer, asked), daemon=True).start()
    _serve(uri, asked, sys.stdout.buffer)
