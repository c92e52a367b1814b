"""Batches that wait on disk."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.errors import OutOfMemory
from federation.overflow import Overflow


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


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
    before = open_files()
    overflow = Overflow(str(tmp_path))
    for number in range(3):
        overflow.append(pa.record_batch({"n": [number]}))
    assert not list(tmp_path.iterdir())
    assert open_files() == before + 1
    overflow.clear()
    assert open_files() == before
    assert not overflow


def test_no_disk_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(OutOfMemory, match="cannot be put on disk") as caught:
        Overflow(os.fspath(tmp_path / "gone")).append(pa.record_batch({"n": [1]}))
    assert caught.value.hint
