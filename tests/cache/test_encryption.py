"""The folder with a key: nobody reads in it who has none, and what was changed in it is not given."""

from __future__ import annotations

import base64
import os
import sqlite3
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.errors import CacheDamaged
from cache.index import open_index
from cache.payload import JOINED_ROWS
from cache.sealing import CHUNK, Seal
from cache.store import Store
from federation.engine import Engine
from tests.cache.test_store import ROWS, batch, begin, cut, empty, files, flip, grow, keep, key, rows_of
from tests.cache.world import ask, states
from tests.faults.world import catalog_of

SEAL = Seal(bytes(range(32)))
LARGE = 80_000  # rows, of some chunks


# --- what was changed -------------------------------------------------------------------------------------------------


def exchange(path: Path) -> None:
    """Two chunks change places."""
    data, size = path.read_bytes(), CHUNK + 16
    first, second = data[32 : 32 + size], data[32 + size : 32 + 2 * size]
    path.write_bytes(data[:32] + second + first + data[32 + 2 * size :])


def leave_out(path: Path) -> None:
    """The last chunk, and nothing else."""
    size = path.stat().st_size - 32
    os.truncate(path, 32 + size // (CHUNK + 16) * (CHUNK + 16))


def other_salt(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(32))


DAMAGES = [cut, grow, flip, empty, exchange, leave_out, other_salt, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("noticed", [True, False])
def test_what_was_changed_is_not_given(tmp_path: Path, damage: Callable[[Path], None], noticed: bool) -> None:
    """Of a file that looks untouched, which no accident makes, it is noticed while it is read."""
    store = Store(tmp_path, seal=SEAL)
    keep(store, "q", rows=LARGE)
    (path,) = files(tmp_path)
    before = path.stat()
    assert before.st_size > 4 * CHUNK
    damage(path)
    if path.exists() and not noticed:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    try:
        assert rows_of(store, "q") is None
    except CacheDamaged:
        assert not noticed
    assert store.look(key("q")) is None
    assert files(tmp_path) == []
    keep(store, "q")
    assert rows_of(store, "q") == ROWS
    store.close()


def test_a_file_in_the_place_of_another_is_not_given(tmp_path: Path) -> None:
    store = Store(tmp_path, seal=SEAL)
    for name in "ab":
        keep(store, name)
    first, second = files(tmp_path)
    times = first.stat()
    first.write_bytes(second.read_bytes())
    os.utime(first, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert sorted(str(rows_of(store, name)) for name in "ab") == ["1000", "None"]
    store.close()


def test_values_of_the_index_stay_under_their_names(tmp_path: Path) -> None:
    index = open_index(tmp_path, most_bytes=None, seconds=1.0, seal=SEAL)
    index.set("one", "text")
    index.set("two", 2)
    index.add("two", 3)
    index.incr("three", 1.5)
    index.incr("three", 1.5)
    assert [index.get(each) for each in ("one", "two", "three", "four")] == ["text", 2, 3.0, None]
    assert sorted(index.iterkeys()) == ["one", "three", "two"]
    with sqlite3.connect(tmp_path / "cache.db") as raw:
        raw.execute("INSERT OR REPLACE INTO Cache(key, raw, value, mode) VALUES ('plain', 1, 'text', 1)")
        raw.execute("UPDATE Cache SET value = (SELECT value FROM Cache WHERE rowid = 2) WHERE rowid = 1")
    raw.close()
    with pytest.raises(ValueError, match="with this key"):
        index.get("one")
    assert sorted(index.iterkeys()) == ["one", "three", "two"]
    assert index.get("plain") is None
    assert "one" in index and "plain" not in index
    index.delete("one")
    assert index.get("one", 7) == 7
    index.close()


def test_an_entry_that_was_changed_is_a_miss(tmp_path: Path) -> None:
    store = Store(tmp_path, seal=SEAL)
    for name in "ab":
        keep(store, name)
    one, other = (SEAL.seal_name(f"entry {key(name).digest}") for name in "ab")
    with sqlite3.connect(next(tmp_path.rglob("cache.db"))) as raw:
        raw.execute("UPDATE Cache SET value = (SELECT value FROM Cache WHERE key = ?) WHERE key = ?", (one, other))
    raw.close()
    assert (rows_of(store, "a"), rows_of(store, "b")) == (ROWS, None)
    keep(store, "b")
    assert rows_of(store, "b") == ROWS
    store.close()


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seals", [(SEAL, Seal(b"k" * 32)), (SEAL, None), (None, SEAL)], ids=["other", "none", "new"])
def test_with_another_key_nothing_is_there_and_soon_gone(
    tmp_path: Path, seals: tuple[Seal | None, Seal | None]
) -> None:
    first = Store(tmp_path, seal=seals[0])
    keep(first, "q")
    second = Store(tmp_path, seal=seals[1])
    assert rows_of(second, "q") is None
    keep(second, "q", rows=7)
    assert (rows_of(first, "q"), rows_of(second, "q")) == (ROWS, 7)
    first.close()
    second.close()
    again = Store(tmp_path, seal=seals[1])
    assert rows_of(again, "q") == 7
    assert len(files(tmp_path)) == 1
    again.close()


def test_two_stores_with_one_key_share(tmp_path: Path) -> None:
    first, second = Store(tmp_path, seal=SEAL), Store(tmp_path, seal=Seal(bytes(range(32))))
    keep(first, "q")
    assert rows_of(second, "q") == ROWS
    assert first.salt == second.salt
    assert second.invalidate({"crm"}, set()) == 1
    assert rows_of(first, "q") is None
    first.close()
    second.close()


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_was_sealed_is_opened(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    sealing = SEAL.seal_file("name")
    path = tmp_path / "sealed"
    path.write_bytes(b"".join([*sealing.add(data[:5]), *sealing.add(data[5:]), sealing.end()]))
    with path.open("rb") as file:
        chunks = list(SEAL.open_file(file.fileno(), "name", path.stat().st_size))
        assert b"".join(chunks) == data
        assert max(map(len, chunks)) <= CHUNK
        with pytest.raises(ValueError, match="with this key"):
            list(SEAL.open_file(file.fileno(), "another", path.stat().st_size))


def test_reading_holds_no_more_than_a_batch(tmp_path: Path) -> None:
    store = Store(tmp_path, seal=SEAL)
    recording, rows = begin(store, key("q")), batch(JOINED_ROWS)
    for _ in range(10):
        recording.append(rows)
    recording.commit(1.0)
    entry = store.look(key("q"))
    assert entry is not None and entry.bytes > 20 << 20
    tracemalloc.start()
    reader = store.open(entry)
    assert reader is not None
    allocated = pa.total_allocated_bytes()
    assert sum(each.num_rows for each in reader) == 10 * JOINED_ROWS
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most + pa.total_allocated_bytes() - allocated < entry.bytes / 3
    store.close()


# --- through the engine -----------------------------------------------------------------------------------------------

CATALOG = """
[settings]
cache_directory = "kept"
cache_encryption_key = "${{env:FEDERATION_TEST_KEY}}"

[sources.ledger]
adapter = "sqlite"
path = "{path}"
cache = {{ ttl = "1h" }}
"""
ENTRIES = "SELECT id, owner, balance, since FROM ledger.entries"
SECRETS = ("Ermintrude", "Zebedee", "owner", "balance", "entries", "ledger", "Dougal", "314159", "2031-07-09", "Arrow")


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with sqlite3.connect(tmp_path / "ledger.db") as made:
        made.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER, since TEXT) STRICT")
        rows = [(n, f"{SECRETS[n % 2]} {n}", 314159 + n, "2031-07-09") for n in range(1, 3001)]
        made.executemany("INSERT INTO entries VALUES (?, ?, ?, ?)", rows)
    made.close()
    monkeypatch.setenv("FEDERATION_TEST_KEY", base64.b64encode(os.urandom(32)).decode())
    return catalog_of(tmp_path, CATALOG.format(path=tmp_path / "ledger.db"))


def test_nothing_of_values_is_in_any_file(catalog: Path, tmp_path: Path) -> None:
    narrower = f"{ENTRIES} WHERE balance BETWEEN 314159 AND 314169 AND owner <> 'Dougal' AND since = '2031-07-09'"
    with Engine.open(catalog) as engine:
        first = ask(engine, f"{ENTRIES} WHERE owner <> 'Dougal'")
        assert len(first) == 3000
        assert len(ask(engine, narrower)) == 10
        assert states(engine, narrower) == ["fresh"]
        assert ask(
            engine, f"SELECT owner, count(*) AS n FROM ledger.entries WHERE balance = {314159 + 7} GROUP BY owner"
        )
        assert engine.invalidate("ledger.entries") > 0
        assert ask(engine, narrower)
        assert engine.cache is not None and any(each.region for each in engine.cache.store.entries())
        found = [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
        assert {".arrow", ".db"} <= {path.suffix for path in found}
        for path in found:
            data = path.read_bytes()
            for secret in SECRETS:
                for written in (secret.encode(), secret.lower().encode(), secret.encode("utf-16-le")):
                    assert written not in data, (path.name, secret)
            assert (314159).to_bytes(8, "little") not in data
            assert oct(path.stat().st_mode & 0o777) == "0o600"


def test_without_the_key_the_source_is_asked(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Engine.open(catalog) as engine:
        assert states(engine, ENTRIES) == ["live"]
        assert states(engine, ENTRIES) == ["fresh"]
    monkeypatch.setenv("FEDERATION_TEST_KEY", "00" * 32)
    with Engine.open(catalog) as engine:
        assert states(engine, ENTRIES) == ["live"]
        assert len(ask(engine, f"{ENTRIES} WHERE id < 10")) == 9
    catalog.write_text("\n".join(line for line in catalog.read_text().splitlines() if "encryption_key" not in line))
    with Engine.open(catalog) as engine:
        assert states(engine, ENTRIES) == ["live"]
        assert states(engine, ENTRIES) == ["fresh"]


PICKED = f"{ENTRIES} WHERE balance > 0"


@pytest.mark.parametrize("sql", [ENTRIES, PICKED, f"SELECT max(owner) FROM ({ENTRIES}), range(2)"])
def test_a_file_that_breaks_while_it_is_read_is_an_error_once(catalog: Path, tmp_path: Path, sql: str) -> None:
    """Whoever reads it: the caller, DuckDB that picks rows out of it, DuckDB that computes with them. It may be noticed
    before there is a row: then the source is asked."""
    more = f"json_each('[{', '.join(map(str, range(1, 80)))}]') AS n"
    with sqlite3.connect(tmp_path / "ledger.db") as made:
        made.execute(
            f"INSERT INTO entries SELECT entries.id + 3000 * value, owner, balance, since FROM entries, {more}"
        )
    made.close()
    with Engine.open(catalog) as engine:
        expected = [ask(engine, each) for each in (ENTRIES, sql)][1]
        (path,) = files(tmp_path / "kept", ".arrow")
        times = path.stat()
        with path.open("r+b") as file:
            file.seek(-20, os.SEEK_END)
            file.write(b"\0" * 20)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        try:
            assert sorted(ask(engine, sql)) == sorted(expected)
            assert sql != ENTRIES
        except CacheDamaged as exc:
            assert exc.source == "ledger"
        assert sorted(ask(engine, sql)) == sorted(expected)
