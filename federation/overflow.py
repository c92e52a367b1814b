"""What waits on disk because there is no room for it in memory: a queue of batches, and whole tables."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from adapters.errors import OutOfMemory


class Overflow:
    """A queue in a file that has no name, so that nothing is left of it however the process ends. Not thread-safe."""

    def __init__(self, folder: str | None) -> None:
        self._folder = folder
        self._file: int | None = None
        self._end = 0
        self._waiting: deque[tuple[int, int]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def append(self, batch: pa.RecordBatch) -> None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:  # each by itself: dictionaries may differ
            writer.write_batch(batch)
        content = memoryview(sink.getvalue())
        with _on_disk():
            if self._file is None:
                with tempfile.TemporaryFile(dir=self._folder) as file:
                    self._file = os.dup(file.fileno())
            written = 0
            while written < len(content):
                written += os.pwrite(self._file, content[written:], self._end + written)
        self._waiting.append((self._end, len(content)))
        self._end += len(content)

    def pop(self) -> pa.RecordBatch:
        assert self._file is not None
        start, size = self._waiting.popleft()
        content = os.pread(self._file, size, start)
        if not self._waiting:
            self.clear()
        return pa.ipc.open_stream(content).read_next_batch()

    def clear(self) -> None:
        """Forget what waits, and give the disk space back."""
        self._waiting.clear()
        self._end = 0
        if self._file is not None:
            os.close(self._file)
            self._file = None


def table_on_disk(schema: pa.Schema, batches: Iterable[pa.RecordBatch], folder: str | None) -> pa.Table:
    """The batches as a table whose memory is a file that has no name any more. Raises OutOfMemory."""
    with _on_disk():
        handle, name = tempfile.mkstemp(dir=folder)
        os.close(handle)
    try:
        with _on_disk():
            writer = pa.ipc.new_stream(name, schema)
        for batch in batches:
            with _on_disk():
                writer.write_batch(batch)
        with _on_disk():
            writer.close()
        return pa.ipc.open_stream(pa.memory_map(name)).read_all()
    finally:
        Path(name).unlink()


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise OutOfMemory(
            f"a result that waits for its reader cannot be put on disk: {exc.strerror}",
            hint="free space in the spill folder, read results side by side, or raise limits.concurrency",
        ) from exc
