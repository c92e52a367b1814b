"""Batches that wait on disk."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.errors import OutOfMemory
from federation.overflow import Overflow, table_on_disk


def open_files(folder: Path) -> list[Path]:
    """Those in the folder that are open, though they have no name there any more."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # of another thread, which has just closed it
            found.append(each.readlink())
    return [each for each in found if each.is_relative_to(folder)]


def test_order_types_and_rows_are_kept(tmp_path: Path) -> None:
    overflow = Overflow(str(tmp_path))
    words = pa.array(["a", "b", "a"]).dictionary_encode()
    batches = [
        pa.record_batch({"w": words, "n": pa.array([1, None, 3], pa.decimal64(9, 2))}),
        pa.record_batch({"w": pa.array(["c", None]).dictionary_encode(), "n": pa.array([4, 5], pa.decimal64(9, 2))}),
        pa.record_batch({"x": pa.array([1, 2, 3])}).select([]),
        pa.record_batch({"u": pa.array([b"0123456789abcdef"], pa.uuid())}).slice(0, 1),
    ]
    for batch in batches:
        overflow.append(batch)
    assert overflow.pop().equals(batches[0])
    overflow.append(batches[0])
    assert [overflow.pop() for _ in range(len(overflow))] == [*batches[1:], batches[0]]
    assert not overflow


def test_nothing_is_left_on_disk(tmp_path: Path) -> None:
    overflow = Overflow(str(tmp_path))
    for number in range(3):
        overflow.append(pa.record_batch({"n": [number]}))
    assert not list(tmp_path.iterdir())
    assert len(open_files(tmp_path)) == 1
    overflow.clear()
    assert not open_files(tmp_path)
    assert not overflow


def test_no_disk_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(OutOfMemory, match="cannot be put on disk") as caught:
        Overflow(os.fspath(tmp_path / "gone")).append(pa.record_batch({"n": [1]}))
    assert caught.value.hint


def test_a_table_on_disk(tmp_path: Path) -> None:
    words = [pa.array(each, pa.string()).dictionary_encode() for each in (["a", "b", "a"], ["c"], [])]
    batches = [pa.record_batch({"w": each, "n": pa.array(range(len(each)), pa.decimal64(9, 2))}) for each in words]
    made = table_on_disk(batches[0].schema, iter(batches), str(tmp_path))
    assert made.to_pydict() == pa.Table.from_batches(batches).to_pydict()
    assert not table_on_disk(pa.schema([("n", pa.int64())]), [], str(tmp_path)).num_rows
    assert not list(tmp_path.iterdir())
    assert not open_files(tmp_path)


def test_a_table_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"n": [1]})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        table_on_disk(pa.schema([("n", pa.int64())]), batches(), str(tmp_path))
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutOfMemory, match="cannot be put on disk"):
        table_on_disk(pa.schema([]), [], str(tmp_path / "gone"))
