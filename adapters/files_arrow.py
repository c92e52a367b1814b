"""Arrow IPC files and streams, which DuckDB does not read by itself: memory-mapped, column by column, without a copy
where they are not compressed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from adapters.base import CancelToken
from adapters.errors import DataError, SourceChanged, SourceUnavailable

MAGIC = b"ARROW1"


@dataclass(frozen=True, slots=True)
class ArrowRead:
    """Some columns of some files, one file after the other, up to a number of rows."""

    files: tuple[Path, ...]
    schema: pa.Schema
    limit: int | None = None


def arrow_schema(files: Sequence[Path]) -> pa.Schema:
    """The schema of all files, in the types that DuckDB takes. Every file must have it."""
    first: pa.Schema | None = None
    for path in files:
        with opened(path) as (schema, _):
            plain = pa.schema([pa.field(field.name, _plain(field.type)) for field in schema])
        if first is None:
            first = plain
        elif not plain.equals(first):
            raise DataError(f'"{path}" has other columns than "{files[0]}"', hint="declare a table for each of them")
    if first is None:
        raise SourceUnavailable("there is no file")
    names = first.names
    if len({name.casefold() for name in names}) != len(names):
        raise DataError(f'"{files[0]}" has two columns of one name', hint="rename one of them in the file")
    return first


def arrow_batches(job: ArrowRead, cancel: CancelToken) -> Iterator[pa.RecordBatch]:
    left = job.limit
    for path in job.files:
        for batch in _one_file(path, job.schema, cancel):
            kept = batch if left is None else batch.slice(0, left)
            if left is not None:
                left -= kept.num_rows
            yield kept
            if left == 0:
                return


def _one_file(path: Path, planned: pa.Schema, cancel: CancelToken) -> Iterator[pa.RecordBatch]:
    """The planned columns of one file."""
    with opened(path) as (schema, batches):
        here = {field.name: _plain(field.type) for field in schema}
        for field in planned:
            if here.get(field.name) != field.type:
                raise SourceChanged(f'the column "{field.name}" of "{path}" is no longer {field.type}')
        for batch in batches:
            cancel.check()
            kept = batch.select(planned.names)
            columns = [_decoded(column, field.type) for column, field in zip(kept.columns, planned, strict=True)]
            # Without a column, a new batch would have no rows either.
            yield pa.RecordBatch.from_arrays(columns, schema=planned) if columns else kept
        cancel.check()


@contextmanager
def opened(path: Path) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """The schema and the batches of a file, whichever of the two layouts it has."""
    try:
        with pa.memory_map(str(path)) as source:
            if source.read(len(MAGIC)) == MAGIC:
                reader: Any = pa.ipc.open_file(source)
                yield reader.schema, (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                source.seek(0)
                stream = pa.ipc.open_stream(source)
                yield stream.schema, iter(stream)
    except FileNotFoundError as exc:
        raise SourceUnavailable(f'the file "{path}" is gone') from exc
    except (pa.ArrowException, OSError, EOFError) as exc:
        raise DataError(f'"{path}" is not a whole Arrow file: {exc}', hint="write it again") from exc


def _plain(type_: Any) -> Any:
    """DuckDB reads a dictionary as its values and has no half floats."""
    if pa.types.is_dictionary(type_):
        return _plain(type_.value_type)
    return pa.float32() if pa.types.is_float16(type_) else type_


def _decoded(column: Any, type_: Any) -> Any:
    return column if column.type == type_ else pc.cast(column, type_)
