"""A MySQL result set from the socket into Arrow, in bulk.

The text protocol sends a row as one packet: a header of four bytes (length, sequence number), then every value as a
length and that many bytes of text. The only work per row here is the hop from header to header; everything per value
is done for a whole column at once by numpy and Arrow, outside the interpreter. Values arrive as the server prints
them, so nothing is rounded or guessed before `adapters.mysql_types` reads the text as the type that was asked for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from struct import Struct
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

CHUNK_BYTES = 1 << 20
MAX_BYTES = (1 << 31) - 1  # Arrow's offsets are of 32 bits; a server sends no row of more than half of this
CHUNK_SECONDS = 0.05  # a slow result is handed on after this time, however little has come

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]

_READ_BYTES = 1 << 18
_HEADER = Struct("<I")
_HEADER_BYTES = 4
_MORE_FOLLOWS = 0xFFFFFF  # a packet of this length is continued in the next one
_NULL, _TWO_BYTES, _THREE_BYTES, _EIGHT_BYTES, _ERROR = 0xFB, 0xFC, 0xFD, 0xFE, 0xFF
_END_OF_ROWS, _END_MAX_BYTES = 0xFE, 9


class ByteStream(Protocol):
    def read1(self, size: int, /) -> bytes:
        """What is there, at least one byte; none at the end of the stream."""


class StreamBroken(Exception):
    """The stream ended, or what it says is not a result set."""


class ServerReported(Exception):
    """The server ended the result with this error packet."""

    def __init__(self, packet: bytes) -> None:
        super().__init__("the server ended the result with an error")
        self.packet = packet

    @property
    def code(self) -> int:
        return int.from_bytes(self.packet[1:3], "little")

    @property
    def message(self) -> str:
        text = self.packet[9:] if self.packet[3:4] == b"#" else self.packet[3:]
        return text.decode("utf-8", "replace")


class RowStream:
    """The rows of one result set, whose column definitions have been read already."""

    def __init__(self, stream: ByteStream, width: int) -> None:
        self._stream = stream
        self._width = width
        self._buffer: Bytes = np.empty(CHUNK_BYTES, np.uint8)
        self._filled = 0
        self._walked = 0  # where the first packet begins that is not complete yet
        self.finished = False  # the server has said that there are no more rows

    def __iter__(self) -> Iterator[list[pa.Array[Any]]]:
        """Chunks of rows: for each column a binary array of the text that the server sent. No chunk is empty."""
        while not self.finished:
            starts, ends = self._fill()
            if starts:
                yield _columns(self._buffer, starts, ends, self._width)
            rest = self._buffer[self._walked : self._filled].copy()
            self._buffer[: len(rest)] = rest
            self._filled, self._walked = len(rest), 0

    def _fill(self) -> tuple[list[int], list[int]]:
        """Read until the chunk is full, has the end of the rows, or has waited long enough with at least one row."""
        starts: list[int] = []
        ends: list[int] = []
        deadline: float | None = None
        while True:
            if self._filled == len(self._buffer):
                if starts:
                    return starts, ends
                self._grow()
            come = self._stream.read1(min(_READ_BYTES, len(self._buffer) - self._filled))
            if not come:
                raise StreamBroken("the connection ended before the result did")
            self._buffer[self._filled : self._filled + len(come)] = np.frombuffer(come, np.uint8)
            self._filled += len(come)
            self._walk(starts, ends)
            now = time.monotonic()
            deadline = deadline or now + CHUNK_SECONDS
            if self.finished or (starts and now > deadline):
                return starts, ends

    def _grow(self) -> None:
        """Room for a row that is longer than a chunk."""
        size = min(2 * len(self._buffer), MAX_BYTES)
        if size == len(self._buffer):
            raise StreamBroken("a row is too long")
        buffer = np.empty(size, np.uint8)
        buffer[: self._filled] = self._buffer[: self._filled]
        self._buffer = buffer

    def _walk(self, starts: list[int], ends: list[int]) -> None:
        """From header to header over what has come; only whole rows count."""
        data = self._buffer.data
        position = self._walked
        unpack = _HEADER.unpack_from
        while position + _HEADER_BYTES < self._filled:
            length = unpack(data, position)[0] & 0xFFFFFF
            start = position + _HEADER_BYTES
            end = self._join(start) if length == _MORE_FOLLOWS else start + length
            if end is None or end > self._filled:
                break
            first = data[start]
            position = end
            if first >= _END_OF_ROWS and (first == _ERROR or length < _END_MAX_BYTES):
                self.finished = True
                if first == _ERROR:
                    raise ServerReported(bytes(data[start:end]))
                break
            starts.append(start)
            ends.append(end)
        self._walked = position

    def _join(self, start: int) -> int | None:
        """Where the row ends that begins here and fills several packets: the headers between them are taken out, once
        the last packet is here. None before that."""
        data = self._buffer.data
        seams: list[int] = []
        length, at = _MORE_FOLLOWS, start
        while length == _MORE_FOLLOWS:
            at += length
            if at + _HEADER_BYTES > self._filled:
                return None
            seams.append(at)
            length = _HEADER.unpack_from(data, at)[0] & 0xFFFFFF
            at += _HEADER_BYTES
        if at + length > self._filled:
            return None
        for seam in reversed(seams):
            self._buffer[seam : self._filled - _HEADER_BYTES] = self._buffer[seam + _HEADER_BYTES : self._filled].copy()
            self._filled -= _HEADER_BYTES
        return at + length - _HEADER_BYTES * len(seams)


def _columns(octets: Bytes, starts: list[int], ends: list[int], width: int) -> list[pa.Array[Any]]:
    buffer = pa.py_buffer(octets.data)
    at: Positions = np.array(starts, np.int64)
    columns = []
    for _ in range(width):
        at, column = _column(octets, buffer, at)
        columns.append(column)
    if not np.array_equal(at, np.array(ends, np.int64)):
        raise StreamBroken("a row is not as long as its packet says")
    return columns


def _column(octets: Bytes, buffer: pa.Buffer, at: Positions) -> tuple[Positions, pa.Array[Any]]:
    first = octets[at]
    lengths: Positions = first.astype(np.int64)
    begin: Positions = at + 1
    null: npt.NDArray[np.bool_] | None = None
    if first.max() >= _NULL:
        null = first == _NULL
        lengths[null] = 0
        for marker, size in ((_TWO_BYTES, 2), (_THREE_BYTES, 3), (_EIGHT_BYTES, 8)):
            long = first == marker
            if long.any():
                where = begin[long]
                value = np.zeros(len(where), np.int64)
                for byte in range(size):
                    value |= octets[where + byte].astype(np.int64) << (8 * byte)
                lengths[long] = value
                begin[long] += size
    end = begin + lengths
    offsets = np.empty(2 * len(at) + 1, np.int32)
    offsets[0:-1:2] = begin
    offsets[1::2] = end
    offsets[-1] = offsets[-2]
    pieces = pa.Array.from_buffers(pa.binary(), 2 * len(at), [None, pa.py_buffer(offsets.data), buffer])
    every_other: pa.Array[Any] = pa.array(np.arange(0, 2 * len(at), 2, dtype=np.int32), mask=null)
    return end, pieces.take(every_other)
