"""Random sequences of queries, writes at the source, steps of the clock, failures, lost files and restarts: every
answer was true at the source at one moment within the staleness that the catalog promises; also where the source shows
that it has not changed.
"""

from __future__ import annotations

import json
import math
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pytest

from adapters.duck import Duck
from adapters.errors import Error
from adapters.files_version import version_of
from federation.caching import FragmentCache
from federation.engine import Engine
from federation.progress import State
from tests.cache.world import Clock, engine_of
from tests.faults.proxy import Proxy
from tests.faults.world import source
from tests.servers import Server, run_sql
from tests.waiting import eventually

TTL, REVALIDATE, ON_ERROR = 10, 15, 60
POLICY = {"ttl": f"{TTL}s", "stale_while_revalidate": f"{REVALIDATE}s", "stale_if_error": f"{ON_ERROR}s"}
TYPES: dict[str, pa.DataType] = {"id": pa.int64(), "kind": pa.string(), "n": pa.int64(), "amount": pa.float64()}
SCHEMA = pa.schema(TYPES)
COLUMNS = "id bigint PRIMARY KEY, kind text, n bigint, amount double precision"
STRICT = "id INTEGER PRIMARY KEY, kind TEXT, n INTEGER, amount REAL"
Row = tuple[Any, ...]


class Things(Protocol):
    """A table `things` at a real source. Down, it cannot be reached."""

    section: str
    can_fail: bool
    promised: float  # how old rows may be while it can be reached

    def replace(self, rows: list[Row], deleted: list[int]) -> None: ...

    def rows(self) -> list[Row]: ...

    def fail(self, *, down: bool) -> None: ...


class SqliteThings:
    """With a number that every write raises."""

    can_fail = False
    promised: float = TTL + REVALIDATE

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.execute(f"CREATE TABLE things ({STRICT}) STRICT")
        self._connection.execute("CREATE TABLE written (times INTEGER)")
        self._connection.execute("INSERT INTO written VALUES (0)")
        self._connection.commit()
        self.section = source("src", "sqlite", path=str(path), cache=POLICY)

    def replace(self, rows: list[Row], deleted: list[int]) -> None:
        self._connection.execute("UPDATE written SET times = times + 1")
        self._connection.executemany("INSERT OR REPLACE INTO things VALUES (?, ?, ?, ?)", rows)
        self._connection.executemany("DELETE FROM things WHERE id = ?", [(each,) for each in deleted])
        self._connection.commit()

    def rows(self) -> list[Row]:
        return self._connection.execute("SELECT id, kind, n, amount FROM things").fetchall()

    def fail(self, *, down: bool) -> None:
        assert not down, "nothing stands between it and who reads"

    def close(self) -> None:
        self._connection.close()


class FileThings:
    """Rows in three Arrow files, of which two come and go."""

    can_fail = False
    promised = -math.inf  # the times of files are looked at each time: nothing is older than the last write

    def __init__(self, folder: Path, rng: random.Random) -> None:
        folder.mkdir()
        self._folder, self._rng = folder, rng
        self._rows: dict[int, Row] = {}
        self._write(0)
        tables = {"things": {"path": str(folder / "*.arrow")}}
        self.section = source("src", "files", path=str(folder), tables=tables, cache=POLICY)

    def replace(self, rows: list[Row], deleted: list[int]) -> None:
        for key in deleted:
            self._rows.pop(key, None)
        self._rows |= {row[0]: row for row in rows}
        for number in {row % 3 for row in (*deleted, *(row[0] for row in rows))}:
            self._write(number)
        if self._rng.random() < 0.7:
            eventually(lambda: version_of(sorted(self._folder.glob("*.arrow"))))

    def rows(self) -> list[Row]:
        return list(self._rows.values())

    def fail(self, *, down: bool) -> None:
        assert not down, "nothing stands between it and who reads"

    def _write(self, number: int) -> None:
        path = self._folder / f"{number}.arrow"
        rows = [row for key, row in self._rows.items() if key % 3 == number]
        if number and not rows:
            path.unlink(missing_ok=True)
            return
        columns = list(zip(*rows, strict=True)) or [()] * len(SCHEMA)
        arrays = [pa.array(each, type_) for each, type_ in zip(columns, SCHEMA.types, strict=True)]
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            writer.write_table(pa.table(arrays, schema=SCHEMA))


class PostgresThings:
    can_fail = True
    promised: float = TTL + REVALIDATE

    def __init__(self, server: Server) -> None:
        self._uri = server.create_database("history")
        self._proxy = Proxy(self._uri)
        run_sql(self._uri, f"CREATE TABLE things ({COLUMNS});")
        self.section = source("src", "postgres", uri=self._proxy.uri, cache=POLICY)

    def replace(self, rows: list[Row], deleted: list[int]) -> None:
        ids = ", ".join(str(each) for each in [-1, *deleted, *(row[0] for row in rows)])
        values = ", ".join(f"({', '.join(_literal(each) for each in row)})" for row in rows)
        insert = f"INSERT INTO things VALUES {values};" if rows else ""
        run_sql(self._uri, f"BEGIN; DELETE FROM things WHERE id IN ({ids}); {insert} COMMIT;")

    def rows(self) -> list[Row]:
        lines = run_sql(self._uri, "SELECT json_build_array(id, kind, n, amount) FROM things").splitlines()
        return [tuple(json.loads(line)) for line in lines]

    def fail(self, *, down: bool) -> None:
        if down:
            self._proxy.stop()
        else:
            self._proxy.restore()

    def close(self) -> None:
        self._proxy.stop()


def _literal(value: Any) -> str:
    return "NULL" if value is None else f"'{value}'"


class History:
    """What was in the table since when."""

    def __init__(self, things: Things, clock: Clock) -> None:
        self.things = things
        self.clock = clock
        self.down = False
        self._states: list[tuple[float, pa.Table]] = []
        self._note()

    def write(self, rng: random.Random) -> None:
        rows = {row[0]: row for row in (random_row(rng) for _ in range(rng.choice((1, 1, 5, 30))))}
        deleted = [each for each in rows if rng.random() < 0.3]
        self.things.replace([row for key, row in rows.items() if key not in deleted], deleted)
        self._note()

    def held(self, first: float, last: float) -> list[pa.Table]:
        """What the source held at some moment between the two: several states, where it was written to at one."""
        before = max(place for place, (start, _) in enumerate(self._states) if start < first or place == 0)
        return [table for start, table in self._states[before:] if start <= last]

    def _note(self) -> None:
        columns = list(zip(*self.things.rows(), strict=True)) or [()] * len(SCHEMA)
        arrays = [pa.array(each, type_) for each, type_ in zip(columns, SCHEMA.types, strict=True)]
        self._states.append((self.clock.now, pa.table(arrays, schema=SCHEMA)))


def random_row(rng: random.Random) -> Row:
    kind, amount = rng.choice(["a", "b", "c", "", None]), rng.choice([None, 0.0, -0.0, 1.5, 2.5, -1.0])
    return rng.randrange(60), kind, rng.choice([None, *range(8)]), amount


def random_query(rng: random.Random, table: str) -> str:
    """Over few columns and values, so that many ask for more or less of the same."""
    conditions = {
        "n": [f"n {rng.choice(['<', '<=', '>', '>=', '=', '<>'])} {rng.randrange(8)}", "n IS NULL", "n IS NOT NULL"],
        "set": [f"n IN ({', '.join(str(each) for each in rng.sample(range(8), rng.randrange(1, 5)))})"],
        "kind": ["kind = 'a'", "kind IN ('a', 'b')", "kind > ''", "kind IS NULL"],
        "amount": ["amount >= 1.5::DOUBLE", "amount = 0.0::DOUBLE", "amount < 2.0::DOUBLE"],
        "other": ["length(kind) = 1", "n % 2 = 1", "id < 40"],
    }
    chosen = rng.sample(list(conditions), rng.choices([0, 1, 2, 3], [3, 4, 3, 1])[0])
    where = " AND ".join(rng.choice(conditions[each]) for each in chosen) or "true"
    start = f"FROM {table} WHERE {where}"
    return rng.choice(
        [
            f"SELECT id, kind, n, amount {start}",
            f"SELECT id, kind, n, amount {start}",
            f"SELECT id, n {start}",
            f"SELECT id, amount {start} ORDER BY id DESC LIMIT {rng.randrange(1, 9)}",
            f"SELECT kind, n, count(*) AS c, max(id) AS m {start} GROUP BY kind, n",
            f"SELECT kind, count(*) AS c {start} GROUP BY kind",
            f"SELECT count(*) AS c, sum(n) AS s {start}",
        ]
    )


@pytest.fixture
def sqlite_things(tmp_path: Path) -> Iterator[SqliteThings]:
    made = SqliteThings(tmp_path / "things.db")
    yield made
    made.close()


@pytest.fixture
def postgres_things(postgres_server: Server) -> Iterator[PostgresThings]:
    made = PostgresThings(postgres_server)
    yield made
    made.close()


HISTORIES = 8  # at most: what is renewed beside those who read may lose every race of a whole history
SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 30))]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_answer_was_true_at_sqlite(seed: int, tmp_path: Path, sqlite_things: SqliteThings, duck: Duck) -> None:
    assert run(random.Random(f"history {seed}"), tmp_path, sqlite_things, duck) > 0  # or containment was not tried


@pytest.mark.parametrize("seed", [2, *SEEDS[2:]])
def test_every_answer_was_true_at_postgres(
    seed: int, tmp_path: Path, postgres_things: PostgresThings, duck: Duck
) -> None:
    run(random.Random(f"down {seed}"), tmp_path, postgres_things, duck)  # which may be down most of the time


@pytest.mark.parametrize("seed", SEEDS)
def test_every_answer_was_true_where_versions_renew_it(
    seed: int, tmp_path: Path, sqlite_things: SqliteThings, duck: Duck, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewed = 0
    inner = FragmentCache.confirm

    def confirm(*arguments: Any) -> Any:
        nonlocal renewed
        found = inner(*arguments)
        renewed += found is not None
        return found

    monkeypatch.setattr(FragmentCache, "confirm", confirm)
    sqlite_things.section += "[tables.'src.things']\ncache.version_sql = 'SELECT times FROM written'\n"
    for part in range(HISTORIES):
        folder = tmp_path / str(part)
        folder.mkdir()
        assert run(random.Random(f"versions {seed} {part}"), folder, sqlite_things, duck, writes=0.04) > 0
        if renewed:
            return
    raise AssertionError("nothing was renewed")


@pytest.mark.parametrize("seed", SEEDS)
def test_every_answer_is_true_of_files_now(seed: int, tmp_path: Path, duck: Duck) -> None:
    rng = random.Random(f"files {seed}")
    assert run(rng, tmp_path, FileThings(tmp_path / "data", rng), duck) > 0


def run(rng: random.Random, folder: Path, things: Things, duck: Duck, *, writes: float = 0.15) -> int:
    """How many answers were picked out of fragments that hold more."""
    clock, picked = Clock(), 0
    history = History(things, clock)
    history.write(rng)
    sealed = f'cache_encryption_key = "{rng.randbytes(32).hex()}"' if rng.random() < 0.3 else ""
    text = f'[settings]\ncache_directory = "{folder / "cache"}"\nmetadata_ttl = "1h"\n{sealed}\n{things.section}'
    for _ in range(3):  # engines, one after the other, over the same cache
        with engine_of(folder, clock, text) as engine:
            for _ in range(30):
                step = rng.random()
                if step < writes:
                    history.write(rng)
                elif step < 0.35:
                    clock.now += rng.choice((1, 4, 11, 30))
                elif step < 0.4:
                    lose(rng, engine, folder)
                elif step < 0.45 and things.can_fail:
                    history.down = not history.down
                    things.fail(down=history.down)
                else:
                    picked += query(rng, engine, history, duck)
    return picked


def query(rng: random.Random, engine: Engine, history: History, duck: Duck) -> bool:
    seed = rng.getrandbits(64)

    def sql(table: str) -> str:
        return random_query(random.Random(seed), table)

    try:
        with engine.query(sql("src.things")) as result:
            answer = rows_of(result.read_all())
            found = list(result._execution.freshness().values())
    except Error:
        assert history.down
        return False
    promised = TTL + ON_ERROR if history.down else history.things.promised
    now = history.clock.now
    assert true_at(duck, history.held(now - promised, now), sql, answer), (sql("things"), answer)
    for each in found:  # what is said of its age holds too
        assert each.state is State.LIVE or true_at(duck, history.held(each.as_of, each.as_of), sql, answer)
    return any(each.query for each in found)


def true_at(duck: Duck, states: list[pa.Table], sql: Callable[[str], str], answer: Counter[str]) -> bool:
    return any(
        rows_of(duck.run(duck.cursor(), sql("things"), {"things": state}).read_all()) == answer
        for state in reversed(states)
    )


def rows_of(table: pa.Table) -> Counter[str]:
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    return Counter(str(row).replace("-0.0", "0.0") for row in rows)


def lose(rng: random.Random, engine: Engine, folder: Path) -> None:
    """Fragments are evicted, or their files are gone."""
    assert engine.cache is not None
    if rng.random() < 0.5:
        for entry in engine.cache.store.entries():
            if rng.random() < 0.5:
                engine.cache.store.remove(entry)
    else:
        for path in sorted((folder / "cache").rglob("*.arrow")):
            if rng.random() < 0.5:
                path.unlink()


# --- two parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_each_row_of_two_parts_was_true(seed: int, tmp_path: Path, sqlite_things: SqliteThings) -> None:
    """Parts of two times are not what the source held at one; each row is what it held of that id at some moment."""
    rng, clock, united = random.Random(f"parts {seed}"), Clock(), 0
    history = History(sqlite_things, clock)
    history.write(rng)
    note = '[tables."src.things"]\ncache = { immutable = ["id"] }\n'
    text = f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n{sqlite_things.section}{note}'
    with engine_of(tmp_path, clock, text) as engine:
        for _ in range(60):
            step = rng.random()
            if step < 0.2:
                history.write(rng)
            elif step < 0.4:
                clock.now += rng.choice((1, 3, 9))
            else:
                united += query_parts(rng, engine, history)
    assert united > 2


def query_parts(rng: random.Random, engine: Engine, history: History) -> bool:
    low = rng.randrange(50)
    ids = rng.choice([range(low, low + rng.randrange(1, 30)), rng.sample(range(60), rng.randrange(1, 9))])
    condition = f"id BETWEEN {ids[0]} AND {ids[-1]}" if isinstance(ids, range) else f"id IN {(*ids, ids[0])}"
    with engine.query(f"SELECT id, kind, n, amount FROM src.things WHERE {condition}") as result:
        rows = {row["id"]: str(row) for row in result.read_all().to_pylist()}
        query = next(iter(result._execution.freshness().values())).query
    now = history.clock.now
    states = [{row["id"]: str(row) for row in table.to_pylist()} for table in history.held(now - TTL - REVALIDATE, now)]
    for each in ids:
        assert rows.get(each) in [state.get(each) for state in states], (condition, each)
    assert rows.keys() <= set(ids)
    return "UNION ALL" in query
