"""Arrow's IPC stream format without I/O: bytes go in as they come, record batches come out.

pyarrow's own reader blocks for bytes and takes a stream without its end for a whole one. Here it only gets bytes that
are there, and the frames around its messages are read to know when, and whether the end was said.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Any, cast

import pyarrow as pa

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
        self._bytes = _Bytes()  # that have come
        self._whole = _Bytes()  # whole messages, for the reader
        self._reader: pa.RecordBatchReader | None = None
        self._metadata = 0  # size of the metadata that come next, 0 for a frame
        self._kind = 0
        self._body = -1  # size of the body that comes next, -1 for none

    def feed(self, data: bytes) -> list[pa.RecordBatch]:
        """The batches that are whole now. Raises BrokenStream."""
        self._bytes.write(data)
        batches = []
        try:
            while not self.ended and (part := self._next()) is not None:
                self._whole.write(part)
                if self._body < 0 and not self._metadata and self._kind:
                    batches += self._message()
        except (pa.ArrowException, struct.error, IndexError, OSError, ValueError) as exc:
            raise BrokenStream(str(exc)) from exc
        return batches

    def _next(self) -> bytes | None:
        """The next part of a message: its frame, its metadata or its body."""
        if self._body >= 0:
            part = self._bytes.take(self._body)
            self._body = -1 if part is not None else self._body
        elif self._metadata:
            part = self._bytes.take(self._metadata)
            if part is not None:
                self._metadata = 0
                self._kind, self._body = _header(part)
        else:
            part = self._bytes.take(8)
            if part is not None:
                self._frame(part)
        return part

    def _frame(self, part: bytes) -> None:
        mark, size = struct.unpack("<Ii", part)
        if mark != CONTINUATION or not 0 <= size <= MOST_METADATA:
            raise BrokenStream("there is no Arrow message where one should be")
        self._metadata, self._kind = size, 0
        self.ended = size == 0

    def _message(self) -> list[pa.RecordBatch]:
        kind, self._kind = self._kind, 0
        if self._reader is None:
            self._reader = pa.ipc.open_stream(cast(Any, self._whole))
            self._describe(self._reader.schema)
            return []
        if kind != RECORD_BATCH:
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


def _header(metadata: bytes) -> tuple[int, int]:
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
        self._parts: deque[bytes] = deque()
        self._size = 0

    def write(self, data: bytes) -> None:
        if data:
            self._parts.append(data)
            self._size += len(data)

    def take(self, size: int) -> bytes | None:
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

    def read(self, size: int) -> bytes:
        return self.take(min(size, self._size)) or b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is behind it."""
