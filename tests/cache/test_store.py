"""The store itself: files that are not what was written, leftovers, room, and others who use the folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cache.keys import FragmentKey
from cache.recording import Recording
from cache.store import Store

COLUMNS: dict[str, pa.DataType] = {"n": pa.int64(), "text": pa.string(), "amount": pa.decimal128(18, 2)}
SCHEMA = pa.schema(COLUMNS)
ROWS = 1000


def key(request: str, source: str = "crm") -> FragmentKey:
    return FragmentKey(source, "someone", request, SCHEMA)


def batch(rows: int = ROWS) -> pa.RecordBatch:
    numbers = range(rows)
    columns: list[list[Any]] = [list(numbers), [f"text {n}" for n in numbers], [Decimal(n) / 100 for n in numbers]]
    return pa.record_batch([pa.array(c, t) for c, t in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)


def begin(store: Store, wanted: FragmentKey, most_bytes: int | None = None) -> Recording:
    recording = store.record(wanted, SCHEMA, (f"{wanted.source}.main.t",), most_bytes)
    assert recording is not None
    return recording


def keep(store: Store, request: str, rows: int = ROWS, seconds: float = 1.0, source: str = "crm") -> None:
    recording = begin(store, key(request, source))
    recording.append(batch(rows))
    recording.commit(seconds)


def rows_of(store: Store, request: str) -> int | None:
    entry = store.look(key(request))
    reader = store.open(entry) if entry is not None else None
    return reader.read_all().num_rows if reader is not None else None


def files(root: Path, *suffixes: str) -> list[Path]:
    return sorted(path for path in root.rglob("*.*") if path.suffix in (suffixes or (".arrow", ".part", ".lock")))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.close()


def test_what_was_committed_is_read_again(store: Store, tmp_path: Path) -> None:
    keep(store, "q")
    entry = store.look(key("q"))
    assert entry is not None
    assert (entry.rows, entry.seconds, entry.tables, entry.source) == (ROWS, 1.0, ("crm.main.t",), "crm")
    reader = store.open(entry)
    assert reader is not None
    assert reader.read_all().equals(pa.Table.from_batches([batch()]))
    assert [each.digest for each in store.entries()] == [entry.digest]
    assert store.look(key("another")) is None
    assert len(files(tmp_path)) == 1


def test_reading_maps_the_file_and_copies_nothing(store: Store) -> None:
    keep(store, "q", rows=200_000)
    entry = store.look(key("q"))
    assert entry is not None
    before = pa.total_allocated_bytes()
    reader = store.open(entry)
    assert reader is not None
    table = reader.read_all()
    assert table.nbytes > 4_000_000
    assert pa.total_allocated_bytes() - before < 100_000


def test_rows_that_are_being_read_stay_when_they_are_removed(store: Store, tmp_path: Path) -> None:
    keep(store, "q", rows=200_000)
    entry = store.look(key("q"))
    assert entry is not None
    reader = store.open(entry)
    store.remove(entry)
    assert files(tmp_path) == []
    assert reader is not None and reader.read_all().num_rows == 200_000
    assert rows_of(store, "q") is None


def test_dictionaries_that_change_from_batch_to_batch(store: Store) -> None:
    schema = pa.schema({"d": pa.dictionary(pa.int32(), pa.string())})
    wanted = FragmentKey("crm", "someone", "q", schema)
    recording = store.record(wanted, schema, ())
    assert recording is not None
    values = [["a", "b"], ["c", "a"], ["b"]]
    for each in values:
        recording.append(pa.record_batch([pa.array(each).dictionary_encode()], schema=schema))
    recording.commit(1.0)
    entry = store.look(wanted)
    assert entry is not None
    reader = store.open(entry)
    assert reader is not None
    assert [text for found in reader for text in found.column(0).to_pylist()] == ["a", "b", "c", "a", "b"]


def test_a_fragment_without_rows_and_one_without_columns(store: Store) -> None:
    begin(store, key("none")).commit(1.0)
    assert rows_of(store, "none") == 0
    empty = pa.schema([])
    wanted = FragmentKey("crm", "someone", "q", empty)
    recording = store.record(wanted, empty, ())
    assert recording is not None
    rows: Any = pa.array([{}] * 7, pa.struct([]))
    recording.append(pa.RecordBatch.from_struct_array(rows))
    recording.commit(1.0)
    entry = store.look(wanted)
    assert entry is not None and entry.rows == 7
    reader = store.open(entry)
    assert reader is not None and sum(each.num_rows for each in reader) == 7


# --- files that are not what was written ------------------------------------------------------------------------------


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 8)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\0" * 8)


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, grow, flip, empty, Path.unlink], ids=lambda each: each.__name__)
@pytest.mark.parametrize("again", [False, True], ids=["same process", "opened again"])
def test_a_damaged_file_is_a_miss(tmp_path: Path, damage: Callable[[Path], None], again: bool) -> None:
    store = Store(tmp_path)
    keep(store, "q")
    (path,) = files(tmp_path)
    damage(path)
    if again:
        store.close()
        store = Store(tmp_path)
    assert rows_of(store, "q") is None
    assert store.look(key("q")) is None
    assert files(tmp_path) == []
    keep(store, "q")
    assert rows_of(store, "q") == ROWS
    store.close()


def test_after_a_crash_of_the_machine_the_bytes_are_looked_at(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, "q")
    keep(store, "r")
    entry = store.look(key("q"))
    assert entry is not None
    (path,) = (each for each in files(tmp_path) if each.name == entry.file)
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert rows_of(store, "q") == ROWS  # nothing that happens to a process does that
    store.close()
    store = Store(tmp_path)
    store._boot = "another"
    assert rows_of(store, "q") is None
    assert rows_of(store, "r") == ROWS
    store.close()


@pytest.mark.parametrize(
    "content", [b"", b"no database", b"SQLite format 3\0" + b"\0" * 100], ids=["0", "text", "torn"]
)
def test_a_damaged_index_begins_anew(tmp_path: Path, content: bytes) -> None:
    store = Store(tmp_path)
    keep(store, "q")
    store.close()
    for path in tmp_path.rglob("cache.db*"):
        path.write_bytes(content) if path.suffix == ".db" else path.unlink()
    store = Store(tmp_path)
    assert rows_of(store, "q") is None
    assert files(tmp_path) == []
    keep(store, "q")
    assert rows_of(store, "q") == ROWS
    store.close()


def test_an_entry_that_says_nothing_is_a_miss(store: Store) -> None:
    keep(store, "q")
    assert store._index is not None
    for text in ("", "{}", '{"digest": 3}', b"bytes", 7):
        store._index.set("entry " + key("q").digest, text)
        assert store.look(key("q")) is None


def test_a_folder_that_cannot_be_used_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = Store(tmp_path / "file")
    keep(store, "q")
    assert rows_of(store, "q") is None
    assert list(store.entries()) == []
    store.close()
    store.close()


def test_a_folder_that_goes_away_keeps_nothing(store: Store, tmp_path: Path) -> None:
    keep(store, "q")
    for path in tmp_path.iterdir():
        shutil.rmtree(path)
    assert rows_of(store, "q") is None
    keep(store, "q")


# --- others who use the folder ----------------------------------------------------------------------------------------


def test_one_at_a_time_fetches_a_key(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path)
    recording = begin(store, key("q"))
    for each in (store, other):
        assert each.record(key("q"), SCHEMA, ()) is None
    begin(other, key("r")).abandon()
    recording.append(batch())
    assert other.look(key("q")) is None
    recording.commit(1.0)
    recording.abandon()
    assert rows_of(other, "q") == ROWS
    begin(other, key("q")).abandon()
    assert rows_of(store, "q") == ROWS
    other.close()


def test_a_newer_recording_replaces_the_older(store: Store, tmp_path: Path) -> None:
    keep(store, "q", rows=10)
    before = store.look(key("q"))
    keep(store, "q", rows=20)
    assert rows_of(store, "q") == 20
    assert len(files(tmp_path)) == 1
    assert before is not None and store.open(before) is None
    assert rows_of(store, "q") == 20


def test_leftovers_go_at_the_next_start_and_others_keep_theirs(store: Store, tmp_path: Path) -> None:
    keep(store, "q")
    (kept,) = files(tmp_path)
    folder, digest = kept.parent, key("dead").digest
    for name in (f"{digest}.0.part", f"{digest}.1.arrow", f"{digest}.lock", f"{key('q').digest}.0.arrow"):
        (folder / name).write_bytes(b"left behind")
    running = begin(store, key("running"))
    running.append(batch())
    Store(tmp_path).close()
    assert [path.suffix for path in files(tmp_path)].count(".part") == 1
    assert kept in files(tmp_path) and len(files(tmp_path)) == 3
    running.commit(1.0)
    assert (rows_of(store, "q"), rows_of(store, "running")) == (ROWS, ROWS)


def test_a_folder_of_another_version_is_cleared_when_nobody_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache.store.FORMAT", 0)
    older = Store(tmp_path)
    keep(older, "q")
    monkeypatch.undo()
    (tmp_path / "notes.txt").write_text("somebody's own")
    newer = Store(tmp_path)
    assert rows_of(newer, "q") is None
    assert rows_of(older, "q") == ROWS
    older.close()
    newer.close()
    Store(tmp_path).close()
    assert sorted(path.name for path in tmp_path.iterdir())[1:] == ["notes.txt"]
    assert files(tmp_path) == []


# --- room -------------------------------------------------------------------------------------------------------------


def size_of(tmp_path: Path) -> int:
    return sum(path.stat().st_size for path in files(tmp_path, ".arrow"))


def test_what_was_not_used_for_long_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path, most_bytes=200_000)
    for number in range(4):
        keep(store, str(number))
    paths = {each.digest: path for each in store.entries() for path in files(tmp_path) if path.name == each.file}
    for number, age in enumerate((100, 400, 300, 200)):
        path = paths[key(str(number)).digest]
        os.utime(path, (path.stat().st_atime - age, path.stat().st_mtime))
    assert rows_of(store, "1") == ROWS  # just used
    for number in range(4, 6):
        keep(store, str(number))
    assert size_of(tmp_path) <= 200_000
    found = [number for number in range(6) if rows_of(store, str(number))]
    assert found == [0, 1, 4, 5]
    store.close()


def test_what_was_expensive_stays_longer(tmp_path: Path) -> None:
    store = Store(tmp_path, most_bytes=150_000)
    keep(store, "slow", seconds=1000.0)
    for number in range(12):
        keep(store, str(number), seconds=0.01)
    assert rows_of(store, "slow") == ROWS
    assert rows_of(store, "0") is None
    assert size_of(tmp_path) <= 150_000
    store.close()


def test_a_source_has_a_limit_of_its_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in range(3):
        keep(store, f"other {number}", source="erp")
    for number in range(6):
        recording = begin(store, key(str(number)), most_bytes=100_000)
        recording.append(batch())
        recording.commit(1.0)
    sizes = {"crm": 0, "erp": 0}
    for entry in store.entries():
        sizes[entry.source] += entry.bytes
    assert 0 < sizes["crm"] <= 100_000 < sizes["erp"]
    store.close()


def test_what_is_too_large_is_given_up_while_it_comes(store: Store, tmp_path: Path) -> None:
    recording = begin(store, key("q"), most_bytes=100_000)
    for _ in range(200):
        recording.append(batch())
    assert not recording.writing
    assert files(tmp_path) == []
    begin(store, key("q")).abandon()
    recording.commit(1.0)
    assert rows_of(store, "q") is None


def test_sizes_are_counted_anew_at_the_start(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, "q")
    assert store._index is not None
    store._index.set("bytes ", 10**15)
    store.close()
    store = Store(tmp_path)
    keep(store, "r")
    assert (rows_of(store, "q"), rows_of(store, "r")) == (ROWS, ROWS)
    store.close()
