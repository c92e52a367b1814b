"""Arrow's IPC stream format without I/O: bytes go in, record batches come out.

pyarrow's own reader blocks for bytes and takes a stream without its end for a whole one. Here it only gets bytes that
are there, and the frames around its messages are read to know when, and whether the end was said. Who can wait for
bytes reads each part of a message to where it stays (`part`, `take`), others hand on what has come (`feed`).
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Any, Literal, TypeAlias, cast

import pyarrow as pa

Part: TypeAlias = "bytes | pa.Buffer"

FRAME_BYTES = 8
CONTINUATION = 0xFFFFFFFF
RECORD_BATCH = 3  # the header_type of a message, in Message.fbs
TYPE_KEY = b"federation.type"  # of a field's metadata: the DuckDB name of its type
MOST_METADATA = 256 << 20


class BrokenStream(Exception):
    """The bytes are no Arrow stream."""


class ArrowDecoder:
    """`schema` is known after the first message; `ended` tells that the end was said."""

    def __init__(self) -> None:
        self.schema: pa.Schema | None = None
        self.types: tuple[str, ...] = ()
        self.ended = False
        self.wanted = FRAME_BYTES  # the size of the part of a message that comes next
        self._bytes = _Bytes()  # that have come, but are no part yet
        self._whole = _Bytes()  # parts, for the reader
        self._reader: pa.RecordBatchReader | None = None
        self._next: Literal["frame", "metadata", "body"] = "frame"
        self._kind = 0

    def part(self) -> pa.Buffer:
        """Room for the next part."""
        try:
            return pa.allocate_buffer(self.wanted)
        except (pa.ArrowException, ValueError) as exc:
            raise BrokenStream(str(exc)) from exc

    def feed(self, data: bytes) -> list[pa.RecordBatch]:
        """The batches that are whole now. Raises BrokenStream."""
        self._bytes.write(data)
        batches = []
        while not self.ended and (part := self._bytes.take(self.wanted)) is not None:
            batches += self.take(part)
        return batches

    def take(self, part: Part) -> list[pa.RecordBatch]:
        """The batch that is whole with the next part. Raises BrokenStream."""
        self._whole.write(part)
        try:
            if self._next == "frame":
                self._frame(part)
            elif self._next == "metadata":
                self._kind, self.wanted = _header(part)
                self._next = "body"
            else:
                self.wanted = 0
            if self._next == "body" and not self.wanted:
                self._next, self.wanted = "frame", FRAME_BYTES
                return self._message()
            return []
        except (pa.ArrowException, struct.error, IndexError, OSError, ValueError) as exc:
            raise BrokenStream(str(exc)) from exc

    def _frame(self, part: Part) -> None:
        mark, size = struct.unpack("<Ii", part)
        if mark != CONTINUATION or not 0 <= size <= MOST_METADATA:
            raise BrokenStream("there is no Arrow message where one should be")
        self.ended = size == 0
        self.wanted, self._next = size, "metadata"

    def _message(self) -> list[pa.RecordBatch]:
        if self._reader is None:
            self._reader = pa.ipc.open_stream(cast(Any, self._whole))
            self._describe(self._reader.schema)
            return []
        if self._kind != RECORD_BATCH:
            return []  # dictionaries: the reader takes them with the next batch
        assert self.schema is not None
        batch = self._reader.read_next_batch()
        return [pa.RecordBatch.from_arrays(batch.columns, schema=self.schema)]

    def _describe(self, schema: pa.Schema) -> None:
        """The schema as the engine has it; the names of the types travel in the metadata of its fields."""
        self.types = tuple((field.metadata or {})[TYPE_KEY].decode() if _has_type(field) else "" for field in schema)
        if not all(self.types):
            raise BrokenStream("the columns do not say their SQL types")
        self.schema = pa.schema([field.remove_metadata() for field in schema])


def _has_type(field: Any) -> bool:
    return field.metadata is not None and TYPE_KEY in field.metadata


def _header(metadata: Part) -> tuple[int, int]:
    """The kind of a message and the size of its body: fields 1 and 3 of a flatbuffer's root table. Before the table is
    how far back the places of its fields are listed."""
    (table,) = struct.unpack_from("<I", metadata)
    places = table - struct.unpack_from("<i", metadata, table)[0]
    (size,) = struct.unpack_from("<H", metadata, places)

    def field(number: int, form: str) -> int:
        at = 4 + 2 * number
        place = struct.unpack_from("<H", metadata, places + at)[0] if at < size else 0
        return int(struct.unpack_from(form, metadata, table + place)[0]) if place else 0

    kind, body = field(1, "B"), field(3, "<q")
    if body < 0:
        raise BrokenStream("an Arrow message has no size")
    return kind, body


class _Bytes:
    """A queue of bytes, and a file for pyarrow's reader. Parts are joined once, when they are taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: deque[Part] = deque()
        self._size = 0

    def write(self, data: Part) -> None:
        if len(data):
            self._parts.append(data)
            self._size += len(data)

    def take(self, size: int) -> Part | None:
        """Exactly so many bytes, None while they are not there."""
        if self._size < size:
            return None
        self._size -= size
        taken = []
        while size:
            part = self._parts.popleft()
            if len(part) > size:
                self._parts.appendleft(part[size:])
                part = part[:size]
            taken.append(part)
            size -= len(part)
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def read(self, size: int) -> Part:
        return self.take(min(size, self._size)) or b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is behind it."""
