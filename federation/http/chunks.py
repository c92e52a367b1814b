"""An answer as chunks of bytes, made in the threads of `workers` one at a time, as fast as they are taken."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from federation.http.compression import Coding
from federation.http.formats import About, Format
from federation.http.problems import problem

CHUNK_BYTES = 256 << 10
LONGEST_WAIT = 0.02  # seconds that a row waits for others in its chunk


@dataclass(frozen=True, slots=True)
class Chunk:
    data: bytes
    last: bool


class Buffer:
    """What the writer has written since the last chunk."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self._parts.append(data)
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Chunks are cut by size and time."""

    def take(self) -> bytes:
        taken, self._parts, self.size = b"".join(self._parts), [], 0
        return taken


def encode(
    schema: pa.Schema, batches: Iterable[pa.RecordBatch], form: Format, coding: Coding, about: About
) -> Iterator[Chunk]:
    """The chunks. A failure of `batches` after the first chunk is written in the format's own way, as a chunk that is
    not the last, and raised then."""
    out = Buffer()
    writer = form.make(out, schema, about)
    sent = False
    since = time.monotonic()
    try:
        for batch in batches:
            for part in form.parts(batch):
                writer.write(part)
                if out.size >= CHUNK_BYTES or (out.size and time.monotonic() - since > LONGEST_WAIT):
                    yield Chunk(coding.take(out.take()), False)
                    sent, since = True, time.monotonic()
        writer.end()
    except Exception as exc:
        if sent:
            writer.fail(problem(exc, about.query_id))
            yield Chunk(coding.take(out.take()), False)
        raise
    yield Chunk(coding.take(out.take()) + coding.end(), True)
