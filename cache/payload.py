"""The rows of one fragment in one file: an Arrow IPC stream, as long as the index says, and sealed if need be.

A file is written under a name of its own and renamed when it is whole. It never changes after that, so that whoever has
mapped it into memory, or opened it, reads on, even when it has been removed.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import IOBase
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from adapters.errors import Error
from cache.pruning import written_ranges

if TYPE_CHECKING:
    from cache.sealing import Seal

JOINED_ROWS = 65_536  # smaller batches are put together
JOINED_BYTES = 4 << 20
_CHECKED_BYTES = 8 << 20  # at once
_OPTIONS = pa.ipc.IpcReadOptions(ensure_alignment=pa.ipc.Alignment.DataTypeSpecific)  # type: ignore[attr-defined, call-arg]


@dataclass(frozen=True, slots=True)
class Written:
    """What a file is known by. `modified` is in nanoseconds."""

    bytes: int
    checksum: int
    modified: int


class TooLarge(Exception):
    """The fragment takes more than may be kept."""


@dataclass(slots=True)
class _Waiting:
    batches: list[pa.RecordBatch] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0


class PayloadWriter:
    """Thread-safe. Everything raises OSError when the disk has no room, and TooLarge beyond `most_bytes`."""

    def __init__(self, path: Path, schema: pa.Schema, most_bytes: int, seal: Seal | None = None) -> None:
        self.path = path
        self.rows = 0
        self._lock = threading.Lock()
        self._waiting: dict[int, _Waiting] = {}
        # Batches may differ in their dictionaries, which joining would have to bring together.
        self._joins = len(schema) > 0 and not any(pa.types.is_dictionary(type_) for type_ in schema.types)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._sink = (
            _Sink(descriptor, most_bytes) if seal is None else _SealedSink(descriptor, most_bytes, seal, path.stem)
        )
        self._stream = pa.ipc.new_stream(pa.PythonFile(cast(IOBase, self._sink), mode="w"), schema)

    def append(self, batch: pa.RecordBatch) -> None:
        with self._lock:
            if not self._sink.open:
                return  # another thread has discarded it
            self.rows += batch.num_rows
            # What comes in one thread lies together at the source, and its values often do too.
            waiting = self._waiting.setdefault(threading.get_ident(), _Waiting())
            waiting.batches.append(batch)
            waiting.rows += batch.num_rows
            waiting.bytes += batch.nbytes
            if not self._joins or waiting.rows >= JOINED_ROWS or waiting.bytes >= JOINED_BYTES:
                self._flush(waiting.batches)
                del self._waiting[threading.get_ident()]

    def finish(self) -> Written:
        """The file is whole."""
        with self._lock:
            for waiting in self._waiting.values():
                self._flush(waiting.batches)
            self._stream.close()
            self._sink.finish()
            modified = os.fstat(self._sink.descriptor).st_mtime_ns
            self._sink.end()
            return Written(self._sink.bytes, self._sink.checksum, modified)

    def discard(self) -> None:
        """Nothing is left of it. Idempotent; a file that is finished is not touched."""
        with self._lock:
            self._waiting.clear()
            if self._sink.end():
                self.path.unlink(missing_ok=True)

    def _flush(self, batches: list[pa.RecordBatch]) -> None:
        if len(batches) > 1:
            batches = pa.Table.from_batches(batches).combine_chunks().to_batches()
        for batch in batches:
            self._stream.write_batch(batch, custom_metadata=written_ranges(batch))


class _Sink:
    """What Arrow writes to."""

    closed = False

    def __init__(self, descriptor: int, most_bytes: int) -> None:
        self.descriptor = descriptor
        self.bytes = 0
        self.checksum = 0
        self._most_bytes = most_bytes
        self.open = True

    def write(self, data: bytes) -> int:
        self._put(data)
        return len(data)

    def finish(self) -> None:
        """There is no more."""

    def _put(self, data: bytes) -> None:
        if self.bytes + len(data) > self._most_bytes:
            raise TooLarge(f"it has more than {self._most_bytes} bytes")
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]
        self.checksum = zlib.crc32(data, self.checksum)
        self.bytes += len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """`end` does it."""

    def end(self) -> bool:
        """Close the file; whether it was open."""
        if not self.open:
            return False
        self.open = False
        os.close(self.descriptor)
        return True


class _SealedSink(_Sink):
    def __init__(self, descriptor: int, most_bytes: int, seal: Seal, name: str) -> None:
        super().__init__(descriptor, most_bytes)
        self._chunks = seal.seal_file(name)

    def write(self, data: bytes) -> int:
        for sealed in self._chunks.add(data):
            self._put(sealed)
        return len(data)

    def finish(self) -> None:
        self._put(self._chunks.end())


class _Opened:
    """What Arrow reads from: a sealed file. Raises what `fail` gives for one that is not what was written."""

    closed = False

    def __init__(self, descriptor: int, chunks: Iterator[bytes], fail: Callable[[], Error]) -> None:
        self._descriptor = descriptor
        self._chunks = chunks
        self._chunk = memoryview(b"")
        self._fail = fail

    def __del__(self) -> None:
        os.close(self._descriptor)

    def read(self, size: int) -> memoryview:
        if size <= len(self._chunk):
            return self._take(size)
        read = bytearray(size)
        at = 0
        while at < size and (self._chunk or self._advance()):
            part = self._take(size - at)
            read[at : at + len(part)] = part
            at += len(part)
        return memoryview(read)[:at]

    def _take(self, most: int) -> memoryview:
        taken, self._chunk = self._chunk[:most], self._chunk[most:]
        return taken

    def _advance(self) -> bool:
        try:
            self._chunk = memoryview(next(self._chunks, b""))
        except (OSError, ValueError) as exc:
            raise self._fail() from exc
        return len(self._chunk) > 0


def open_payload(
    path: Path, written: Written, *, trusted: bool, seal: Seal | None, fail: Callable[[], Error]
) -> pa.RecordBatchReader | None:
    """The batches, mapped into memory, or those of a sealed file, which raise what `fail` gives if it is found to be
    another. None for a file that is not what was written. All of its bytes are looked at before, unless the file is
    `trusted`. Raises OSError for one that is gone."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        trusted = trusted and found.st_mtime_ns == written.modified
        if found.st_size != written.bytes:
            return None
        os.utime(descriptor, ns=(time.time_ns(), found.st_mtime_ns))  # the last use, which eviction goes by
        if seal is not None:
            return _open_sealed(os.dup(descriptor), path.stem, written, seal, trusted, fail)
        if not trusted and _checksum(descriptor) != written.checksum:
            return None
        mapped = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    try:
        return pa.ipc.open_stream(pa.py_buffer(mapped), options=_OPTIONS)
    except pa.ArrowException:
        return None


def _open_sealed(
    descriptor: int, name: str, written: Written, seal: Seal, trusted: bool, fail: Callable[[], Error]
) -> pa.RecordBatchReader | None:
    """Closes the descriptor with the last batch."""
    chunks = seal.open_file(descriptor, name, written.bytes)
    opened = _Opened(descriptor, iter(chunks), fail)
    try:
        if not trusted:
            for _ in chunks:
                pass
        return pa.ipc.open_stream(pa.PythonFile(cast(IOBase, opened), mode="r"), options=_OPTIONS)
    except (ValueError, Error):  # Arrow's are among them
        return None


def _checksum(descriptor: int) -> int:
    checksum, at = 0, 0
    while data := os.pread(descriptor, _CHECKED_BYTES, at):
        checksum = zlib.crc32(data, checksum)
        at += len(data)
    return checksum
