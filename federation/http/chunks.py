"""An answer as chunks, made in the threads of `workers` one at a time, as fast as they are taken.

A chunk is a list of buffers: the columns of Arrow go to the socket from where they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from federation.http.compression import Coding
from federation.http.formats import About, Format
from federation.http.problems import problem

FIRST_BYTES = 256 << 10  # of the first chunk, which somebody waits for
CHUNK_BYTES = 1 << 20  # of the others: each costs some 0.1 ms of Python
SMALL_BYTES = 16 << 10  # what is smaller is copied, for a buffer has its price too
LONGEST_WAIT = 0.02  # seconds that a row waits for others in its chunk


@dataclass(frozen=True, slots=True)
class Chunk:
    buffers: Sequence[bytes | memoryview]
    last: bool


class Buffer:
    """What the writer has written since the last chunk."""

    def __init__(self) -> None:
        self._large: list[bytes | memoryview] = []
        self._small = bytearray()  # what comes after them
        self.size = 0

    def write(self, data: bytes, /) -> int:
        """`data` may also be an Arrow buffer, which nobody changes any more."""
        if len(data) < SMALL_BYTES:
            self._small += data
        else:
            self._cut()
            self._large.append(memoryview(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Chunks are cut by size and time."""

    def take(self) -> list[bytes | memoryview]:
        self._cut()
        taken, self._large, self.size = self._large, [], 0
        return taken

    def _cut(self) -> None:
        if self._small:
            self._large.append(bytes(self._small))
            self._small.clear()


def encode(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], form: Format, coding: Coding, about: About
) -> Iterator[Chunk]:
    """The chunks. A failure of `batches` after the first chunk is written in the format's own way, as a chunk that is
    not the last, and raised then."""
    out = Buffer()
    writer = form.make(out, schema, about)
    enough = FIRST_BYTES
    sent = False
    since = time.monotonic()
    try:
        for batch in batches:
            for part in form.parts(batch):
                writer.write(part)
                if out.size >= enough or (out.size and time.monotonic() - since > LONGEST_WAIT):
                    yield Chunk(coding.take(out.take()), False)
                    sent, since, enough = True, time.monotonic(), CHUNK_BYTES
        writer.end()
    except Exception as exc:
        if sent:
            writer.fail(problem(exc, about.query_id))
            yield Chunk(coding.take(out.take()), False)
        raise
    yield Chunk([*coding.take(out.take()), coding.end()], True)
