"""Random sequences of writes, refreshes in parts and whole, failures, steps of the clock and queries: every answer was
true at the source at one moment within what the catalog promises.
"""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.base import CancelToken, Partition
from adapters.duck import Duck
from adapters.errors import SourceUnavailable
from federation.engine import Engine
from federation.warming import Warmer
from tests.cache.test_history import REVALIDATE, TTL, History, Row, query
from tests.cache.world import Clock, engine_of
from tests.faults.world import source

POLICY = {"ttl": "10s", "stale_while_revalidate": "15s", "stale_if_error": "60s"}
SEEDS = [1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 30))]
ADDED = 'cache = { refresh = "every 4s", cursor = "at", full = "every 40s" }'
CHANGED = 'cache = { refresh = "every 4s", cursor = "at", key = ["id"], full = "every 40s" }'
VERSION = 'version_sql = "SELECT times FROM written", '


class Dated:
    """As tests.cache.test_history.Things: rows have a cursor that rises with most writes, and is lost with some. Those
    that are only `added` have new ids."""

    can_fail = True
    promised: float = TTL + REVALIDATE

    def __init__(self, path: Path, rng: random.Random, *, added: bool) -> None:
        self.section = source("src", "sqlite", path=str(path), cache=POLICY)
        self.down = False
        self._rng = rng
        self._added = added
        self._at = 0
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute(
            "CREATE TABLE things (id INTEGER PRIMARY KEY, kind TEXT, n INTEGER, amount REAL, at INTEGER) STRICT"
        )
        self._connection.execute("CREATE TABLE written (times INTEGER)")
        self._connection.execute("INSERT INTO written VALUES (0)")

    def replace(self, rows: list[Row], deleted: list[int]) -> None:  # noqa: ARG002 - see below
        """Nothing is deleted."""
        self._at += self._rng.choice((0, 1, 1, 5))
        self._connection.execute("BEGIN")
        self._connection.execute("UPDATE written SET times = times + 1")
        for number, kind, n, amount in rows:
            at = self._at if self._rng.random() < 0.9 else None
            key = None if self._added else number
            self._connection.execute("INSERT OR REPLACE INTO things VALUES (?, ?, ?, ?, ?)", (key, kind, n, amount, at))
        self._connection.execute("COMMIT")

    def rows(self) -> list[Row]:
        return self._connection.execute("SELECT id, kind, n, amount FROM things").fetchall()

    def fail(self, *, down: bool) -> None:
        self.down = down

    def close(self) -> None:
        self._connection.close()

    def watch(self, engine: Engine) -> None:
        adapter = engine.catalog.sources["src"].adapter
        read = adapter.read

        def failing(partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
            if self.down:
                raise SourceUnavailable("it is down", source="src")
            return read(partition, cancel)

        adapter.read = failing  # type: ignore[method-assign]


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_answer_was_true(seed: int, added: bool, tmp_path: Path, duck: Duck) -> None:
    rng, clock = random.Random(f"warm {seed} {added}"), Clock()
    things = Dated(tmp_path / "things.db", rng, added=added)
    history = History(things, clock)
    history.write(rng)
    keys = ADDED if added else CHANGED
    keys = keys.replace("refresh", f"{VERSION}refresh") if seed % 2 == 0 else keys
    note = f'[tables."src.things"]\n{keys}\n'
    text = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\nmetadata_ttl = "1h"\n{things.section}{note}'
    picked = refreshed = 0
    for _ in range(2):  # engines, one after the other, over the same cache
        with engine_of(tmp_path, clock, text) as engine:
            things.watch(engine)
            warmer = Warmer(engine)
            for _ in range(50):
                step = rng.random()
                if step < 0.25:
                    history.write(rng)
                elif step < 0.45:
                    clock.now += rng.choice((1, 2, 4, 11))
                elif step < 0.7:
                    refreshed += any([warmer.refresh(each) for each in engine.pins])  # noqa: C419 - all of them
                elif step < 0.75:
                    history.down = not history.down
                    things.fail(down=history.down)
                else:
                    picked += query(rng, engine, history, duck)
    things.close()
    if seed in SEEDS:  # in others the source may be down most of the time
        assert picked > 0
        assert refreshed > 3
