"""What earlier reads have shown: averages, links, the file and everything that may be wrong with it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from cache import learned as module
from cache.index import open_index
from cache.learned import Learned, Link, Observed
from tests.waiting import SECONDS, eventually

MB = 1 << 20
Opener = Callable[..., Learned]


def near(number: float) -> Any:
    """In the place of a number."""
    return pytest.approx(number)


def be_patient(patch: pytest.MonkeyPatch) -> None:
    """A query waits for the file for a moment only; here that may take what it takes."""
    for name in ("_FIRST_LOOK_SECONDS", "_LOOK_SECONDS", "_LOCK_SECONDS", "_CLOSE_SECONDS"):
        patch.setattr(module, name, SECONDS)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    be_patient(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "learned"


@pytest.fixture
def opened(folder: Path) -> Iterator[Opener]:
    made: list[Learned] = []

    def open_one(path: Path | None = folder, **options: int) -> Learned:
        made.append(Learned(path, **options))
        return made[-1]

    yield open_one
    for each in made:
        each.close()


def read(learned: Learned, shape: str, rows: int, source: str = "pg", size: int = 100_000) -> None:
    learned.record(source, shape, rows, size, 1, 0.001, 0.01)


# --- a file that is no use


def spoiled(folder: Path, content: bytes) -> None:
    folder.mkdir()
    (folder / "cache.db").write_bytes(content)


@pytest.mark.parametrize(
    "content", [b"this is no database, and long enough to be sure of it" * 200, b"SQLite format 3\0"]
)
def test_a_broken_file_is_no_learning_and_said_once(
    folder: Path, opened: Opener, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    spoiled(folder, content)
    learned = opened()
    with caplog.at_level(logging.WARNING):
        assert learned.fragment("pg", "a") is None
        for rows in range(20):
            read(learned, "a", rows)
        assert learned.fragment("pg", "b") is None
        assert learned.link("pg") is None
        assert learned.fragment("pg", "a") is not None
        learned.close()
    assert len(caplog.records) == 1


def test_who_asks_while_a_broken_file_is_opened_does_not_wait(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    def open_slowly(*_: Any, **__: Any) -> NoReturn:
        asked.wait(SECONDS)
        raise sqlite3.DatabaseError("file is not a database")

    monkeypatch.setattr(module, "open_index", open_slowly)
    learned = opened()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(learned.fragment, "pg", "a")
        eventually(lambda: learned._shelf is not None and not learned._shelf._tasks.empty())
        asked.set()
        assert answer.result(SECONDS / 2) is None


def test_a_file_that_breaks_while_it_is_used(folder: Path, opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    learned = opened()
    read(learned, "a", 1)
    learned.close()
    database = folder / "cache.db"
    content = bytearray(database.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    database.write_bytes(content)
    learned = opened()
    with caplog.at_level(logging.WARNING):
        for number in range(20):
            read(learned, f"shape {number}", number)
            assert learned.fragment("pg", f"other {number}") is None
        learned.close()
    assert len(caplog.records) == 1


def test_a_folder_that_cannot_be_made(tmp_path: Path, opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    learned = opened(tmp_path / "file" / "learned")
    read(learned, "a", 7)
    assert learned.fragment("pg", "a") == Observed(7, 100_000, 0.01)
    assert learned.fragment("pg", "b") is None
    learned.close()
    assert len(caplog.records) == 1


def test_a_locked_file_holds_nobody_up(
    folder: Path, opened: Opener, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = opened()
    read(before, "before", 5)
    before.close()
    monkeypatch.undo()
    holder = sqlite3.connect(folder / "cache.db", isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    learned = opened()
    assert learned.fragment("pg", "before") is None
    for number in range(2000):
        read(learned, f"shape {number}", number)
        assert learned.fragment("pg", f"other {number}") is None
    assert learned.fragment("pg", "shape 7") is not None
    assert time.monotonic() - begun < 30  # to wait for each would take minutes
    learned.close()
    assert time.monotonic() - begun < 40
    holder.rollback()
    holder.close()
    be_patient(monkeypatch)
    assert opened().fragment("pg", "before") == Observed(5, 100_000, 0.01)
    assert len(caplog.records) <= 1


def test_a_lock_while_it_is_used_passes(folder: Path, opened: Opener) -> None:
    learned = opened()
    read(learned, "a", 1)
    assert learned.fragment("pg", "unknown") is None
    holder = sqlite3.connect(folder / "cache.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    read(learned, "lost or late", 2)
    time.sleep(0.2)
    holder.rollback()
    holder.close()
    read(learned, "b", 3)
    learned.close()
    again = opened()
    assert again.fragment("pg", "a") is not None
    assert again.fragment("pg", "b") is not None


def test_what_others_wrote_into_the_file_is_never_run(folder: Path, opened: Opener) -> None:
    learned = opened()
    read(learned, "a", 1)
    learned.close()
    database = sqlite3.connect(folder / "cache.db")
    database.execute("UPDATE Cache SET mode = 4, value = ?", (pickle.dumps(Trap(folder / "sprung")),))
    database.commit()
    database.close()
    assert opened().fragment("pg", "a") is None
    assert not (folder / "sprung").exists()


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("value", [b"short", b"\xff" * 24, "text", 7])
def test_values_that_are_not_ours(folder: Path, opened: Opener, value: object) -> None:
    learned = opened()
    read(learned, "a", 1)
    learned.close()
    index = open_index(folder, most_bytes=MB, seconds=1)
    for key in list(index.iterkeys()):
        index.set(key, value)
    index.close()
    learned = opened()
    assert learned.fragment("pg", "a") is None
    read(learned, "a", 3)
    learned.close()
    assert opened().fragment("pg", "a") == Observed(3, 100_000, 0.01)


# --- averages


def test_nothing_is_known_at_first(opened: Opener) -> None:
    for learned in (opened(), opened(None)):
        assert learned.fragment("pg", "a") is None
        assert learned.link("pg") is None


@pytest.mark.parametrize("kept", [True, False])
def test_the_newest_read_weighs_most(opened: Opener, folder: Path, kept: bool) -> None:
    learned = opened(folder if kept else None)
    for rows in (1000, 1000, 1000, 2000):
        read(learned, "a", rows)
    found = learned.fragment("pg", "a")
    assert found is not None and 1500 < found.rows < 2000
    for _ in range(10):
        read(learned, "a", 10)
    found = learned.fragment("pg", "a")
    assert found is not None and found.rows == pytest.approx(10, rel=0.05)
    assert found.bytes == pytest.approx(100_000)
    assert found.seconds == pytest.approx(0.01)


def test_shapes_and_sources_are_apart(opened: Opener) -> None:
    learned = opened()
    read(learned, "a", 1)
    read(learned, "a", 2, source="my")
    read(learned, "b", 3)
    read(learned, "", 4)
    read(learned, "\ud800" + "x" * 1_000_000, 5)
    names = [("pg", "a"), ("my", "a"), ("pg", "b"), ("pg", ""), ("pg", "\ud800" + "x" * 1_000_000)]
    found = [learned.fragment(*each) for each in names]
    assert [each.rows for each in found if each] == [1, 2, 3, 4, 5]
    assert learned.fragment("p", "ga") is None


# --- links


def test_a_link_is_learned_from_large_reads_and_from_small_ones(opened: Opener) -> None:
    learned = opened()
    learned.record("pg", "small", 1, 100, 1, 0.020, 0.021)
    assert learned.link("pg") == Link(None, 0.020)
    learned.record("pg", "neither", 1000, 500_000, 1, 0.9, 1)
    assert learned.link("pg") == Link(None, 0.020)
    learned.record("pg", "large", 10**6, 100 * MB, 1, 0.5, 1.020)
    assert learned.link("pg") == Link(near(100 * MB), 0.020)
    assert learned.link("my") is None


def test_a_busy_source_hardly_changes_its_link(opened: Opener) -> None:
    learned = opened()
    for _ in range(5):
        learned.record("pg", "small", 1, 100, 1, 0.001, 0.001)
        learned.record("pg", "large", 10**6, 100 * MB, 1, 0.1, 1.0)
    learned.record("pg", "aggregate", 1, 100, 1, 1.0, 1.0)
    learned.record("pg", "read slowly", 10**6, 100 * MB, 1, 0.1, 60.0)
    link = learned.link("pg")
    assert link is not None and link.latency is not None and link.bytes_per_second is not None
    assert link.latency < 0.06
    assert link.bytes_per_second > 90 * MB
    for _ in range(200):
        learned.record("pg", "large", 10**6, 10 * MB, 1, 0.1, 10.0)
    link = learned.link("pg")
    assert link is not None and link.bytes_per_second == pytest.approx(MB, rel=0.1)


def test_the_latency_of_many_requests_is_that_of_one(opened: Opener) -> None:
    learned = opened()
    learned.record("api", "pages", 50, 5000, 10, None, 2.0)
    assert learned.link("api") == Link(None, near(0.2))
    learned.record("odd", "none", 0, 0, 0, None, 0.0)
    assert learned.link("odd") == Link(None, 0.0)
    learned.record("odd", "at once", 10, 2 * MB, 1, 0.0, 0.0)
    assert learned.link("odd") is not None


# --- the file


def test_it_survives_a_restart(opened: Opener) -> None:
    learned = opened()
    for rows in (1000, 2000):
        read(learned, "a", rows, size=100)
    before = learned.fragment("pg", "a"), learned.link("pg")
    learned.close()
    learned.close()
    again = opened()
    assert (again.fragment("pg", "a"), again.link("pg")) == before
    read(again, "a", 3000)
    found = again.fragment("pg", "a")
    assert found is not None and found.rows > 2000


def test_a_closed_one_learns_in_memory(opened: Opener) -> None:
    learned = opened()
    learned.close()
    read(learned, "a", 1)
    assert learned.fragment("pg", "a") is not None
    assert learned.fragment("pg", "b") is None


def test_only_hashes_are_stored(folder: Path, opened: Opener) -> None:
    learned = opened()
    read(learned, "SELECT a FROM secret_table", 1, source="secret_source")
    learned.close()
    assert not [path for path in folder.iterdir() if b"secret" in path.read_bytes()]
    assert folder.stat().st_mode & 0o077 == 0


def test_it_is_bounded(folder: Path, opened: Opener) -> None:
    learned = opened(most_bytes=200_000)
    for number in range(3000):
        read(learned, f"shape {number}", number)
        if number % 100 == 0:  # the file takes only so much at once: what is asked for comes after that
            learned.fragment("pg", "unknown")
    learned.close()
    assert sum(path.stat().st_size for path in folder.iterdir() if path.suffix == ".db") < 300_000
    again = opened(most_bytes=200_000)
    assert again.fragment("pg", "shape 2999") is not None
    assert again.fragment("pg", "shape 0") is None


def test_many_threads(opened: Opener) -> None:
    learned = opened()

    def work(number: int) -> None:
        for shape in range(30):
            read(learned, f"shape {shape}", number)
            assert learned.fragment("pg", f"shape {shape}") is not None
            learned.link("pg")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    learned.close()
    again = opened()
    assert all(again.fragment("pg", f"shape {shape}") for shape in range(30))


def _other_process(folder: Path, number: int) -> None:
    be_patient(pytest.MonkeyPatch())
    learned = Learned(folder)
    for turn in range(50):
        learned.record(f"source {number}", f"shape {turn}", turn, 100_000, 1, 0.001, 0.01)
        learned.record("shared", "shape", 10 * (number + 1), 100_000, 1, 0.001, 0.01)
    learned.close()


def test_several_processes_share_the_file(folder: Path, opened: Opener) -> None:
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_other_process, args=(folder, number)) for number in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
        assert other.exitcode == 0
    learned = opened()
    for number in range(2):
        assert [learned.fragment(f"source {number}", f"shape {turn}") for turn in range(50)] == [
            Observed(turn, 100_000, 0.01) for turn in range(50)
        ]
    shared = learned.fragment("shared", "shape")
    assert shared is not None and 10 <= shared.rows <= 20


def test_what_another_process_has_learned_is_seen(folder: Path, opened: Opener) -> None:
    learned = opened()
    assert learned.fragment("source 1", "shape 7") is None
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=_other_process, args=(folder, 1))
    other.start()
    other.join(60)
    assert learned.fragment("source 1", "shape 7") == Observed(7, 100_000, 0.01)


def test_recording_takes_no_time_of_a_query(opened: Opener) -> None:
    """As little as in memory, give or take: the file is not waited for."""

    def seconds(learned: Learned) -> float:
        begun = time.perf_counter()
        for number in range(200):
            read(learned, f"shape {number}", number)
        return time.perf_counter() - begun

    kept, memory = opened(), opened(None)
    kept.fragment("pg", "opened")
    ratios = [seconds(kept) / seconds(memory) for _ in range(5)]
    assert min(ratios) < 20
