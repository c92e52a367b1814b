"""The results of statements as files: Arrow IPC, written while the query runs, read as often as wanted.

A file gets its name when it is complete, so that what a crash leaves is never taken for a result.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path

import pyarrow as pa

from adapters.errors import OperationalError
from federation.http.errors import ResultTooLarge
from federation.http.formats import arrow_parts

PARTIAL = ".partial"
LOOK_BYTES = 16 << 20
OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


class Results:
    """`most` bytes for all of them together."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most
        folder.mkdir(mode=0o700, exist_ok=True)

    def path(self, statement_id: str) -> Path:
        return self._folder / f"{statement_id}.arrow"

    def write(self, statement_id: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> tuple[int, list[int]]:
        """The bytes of the file, and the number of rows before each of its batches and in all of them. Raises
        ResultTooLarge, or what the batches raise; then there is no file."""
        final = self.path(statement_id)
        partial = final.with_suffix(PARTIAL)
        rows: list[int] = []
        next_look = 0
        try:
            with partial.open("wb") as file, pa.ipc.new_file(pa.PythonFile(file), schema, options=OPTIONS) as writer:
                for batch in batches:
                    for part in arrow_parts(batch):
                        writer.write_batch(part)
                        rows.append(part.num_rows)
                    if file.tell() >= next_look:
                        next_look = file.tell() + LOOK_BYTES
                        if self.used() > self._most:
                            raise _no_room()
            size = partial.stat().st_size
            partial.replace(final)
        except OSError as exc:
            if exc.errno == errno.ENOSPC:
                raise _no_room() from exc
            raise OperationalError("the result could not be written") from exc
        finally:
            partial.unlink(missing_ok=True)
        return size, list(accumulate(rows, initial=0))

    def read(self, statement_id: str, starts: list[int], offset: int, limit: int | None) -> Iterator[pa.RecordBatch]:
        """`limit` rows from the row `offset` on. A result that is deleted meanwhile is still read to its end."""
        end = starts[-1] if limit is None else min(starts[-1], offset + limit)
        if offset >= end:
            return
        with pa.memory_map(str(self.path(statement_id))) as file:
            reader = pa.ipc.open_file(file)
            for number in range(bisect.bisect_right(starts, offset) - 1, reader.num_record_batches):
                if starts[number] >= end:
                    return
                batch = reader.get_batch(number)
                first = max(0, offset - starts[number])
                yield batch.slice(first, min(batch.num_rows, end - starts[number]) - first)

    def schema(self, statement_id: str) -> pa.Schema:
        with pa.memory_map(str(self.path(statement_id))) as file:
            return pa.ipc.open_file(file).schema

    def delete(self, statement_id: str) -> None:
        self.path(statement_id).unlink(missing_ok=True)

    def delete_partial(self, statement_id: str) -> None:
        """What a process that has died had written of it."""
        self.path(statement_id).with_suffix(PARTIAL).unlink(missing_ok=True)

    def used(self) -> int:
        """By all results, those that are being written too."""
        total = 0
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # just deleted
                total += path.stat().st_size
        return total

    def keep_only(self, statement_ids: set[str]) -> None:
        """Remove what no statement owns, such as the parts that a crash left."""
        for path in self._folder.iterdir():
            if path.suffix == PARTIAL or path.stem not in statement_ids:
                path.unlink(missing_ok=True)


def _no_room() -> ResultTooLarge:
    return ResultTooLarge("there is no room for the result", hint="delete statements, or ask for fewer rows")
