"""What the fragment cache costs and saves: in one run, so that the ratios hold on a loaded machine.

    python -m benchmarks.cache [--rows 6000000] [--rounds 30]

1. A table of PostgreSQL is read with the cache on, which fills it, and with the cache off. Then it is read from the
   cache, in a process of its own: how long until the rows are there, and what they take of its memory.
2. A row of it is looked up by its key, in turns: at the source without a cache, and in the table that the cache has.
3. A row is looked up by its key, in turns: at the source without a cache, and from the cache. What a hit adds to
   planning is the time of the second without that of planning alone. Beside it is what the cache itself takes: to look
   an entry up and map its file.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from federation.engine import Engine
from tests.servers import run_sql, start_postgres

TABLE = """
CREATE TABLE facts AS SELECT i AS id, i % 1000 AS k, i / 8.0::double precision AS amount, 'name ' || i % 5000 AS name
FROM generate_series(1, {rows}) AS i;
ALTER TABLE facts ADD PRIMARY KEY (id); ANALYZE facts;
"""
ALL = "SELECT id, k, amount, name FROM pg.facts"
POINT = "SELECT id, k, amount, name FROM pg.facts WHERE id = {}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        print(json.dumps(read(options.read)))
        return
    server = start_postgres()
    with tempfile.TemporaryDirectory() as folder:
        run_sql(server.uri, TABLE.format(rows=options.rows))
        whole(options.rows, _catalogs(Path(folder), "whole", server.uri))
        contained(options.rows, _catalogs(Path(folder), "whole", server.uri), options.rounds)
        point(_catalogs(Path(folder), "point", server.uri), options.rounds)


def _catalogs(folder: Path, name: str, uri: str) -> dict[str, Path]:
    """With a cache of that name, and without one."""
    made = {}
    for switch, policy in (("off", ""), ("on", 'cache = { ttl = "1h" }')):
        path = made[switch] = folder / f"{name}-{switch}.toml"
        settings = f'[settings]\ncache_directory = "{folder / name}"\n'
        path.write_text(f'{settings}[sources.pg]\nadapter = "postgres"\nuri = "{uri}"\n{policy}\n')
    return made


def whole(rows: int, catalogs: Mapping[str, Path]) -> None:
    """A large table, read once to fill the cache, then by processes of their own."""
    seconds = {}
    for name in ("off", "on", "off"):
        with Engine.open(catalogs[name]) as engine:
            seconds[name] = _timed(lambda engine=engine: _count(engine, ALL))  # type: ignore[misc]
    print(f"{rows:,} rows from the source: {seconds['off']:.2f} s; kept as well: {seconds['on']:.2f} s")
    for name, catalog in catalogs.items():
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.cache", "--read", str(catalog)],
            capture_output=True,
            check=True,
            text=True,
        )
        found = json.loads(done.stdout)
        print(
            f"cache {name}: all rows there after {found['there'] * 1000:.1f} ms ({found['first'] * 1000:.1f} ms to the"
            f" first), {found['bytes'] >> 20} MiB; copied {found['copied'] >> 20} MiB; private memory grew by"
            f" {found['private'] >> 20} MiB; summed in DuckDB in {found['summed'] * 1000:.0f} ms"
        )


def read(catalog: Path) -> dict[str, Any]:
    """All rows as Arrow, held at once; seconds and bytes."""
    with Engine.open(catalog) as engine:
        engine.plan(ALL).plan.close()  # the metadata of the table are known
        before, allocated = _private(), pa.total_allocated_bytes()
        start = time.perf_counter()
        with engine.query(ALL) as result:
            batches, first = [], 0.0
            for batch in result.batches():
                first = first or time.perf_counter() - start
                batches.append(batch)
            there = time.perf_counter() - start
        found = {
            "first": first,
            "there": there,
            "bytes": sum(batch.nbytes for batch in batches),
            "copied": pa.total_allocated_bytes() - allocated,
            "private": _private() - before,
        }
        del batches
        summed = f"SELECT count(*), sum(k), sum(amount), max(name) FROM ({ALL}) AS f"
        found["summed"] = _timed(lambda: _count(engine, summed, {"disable": ["query_pushdown", "aggregate_pushdown"]}))
        return found


def contained(rows: int, catalogs: Mapping[str, Path], rounds: int) -> None:
    """Rows by their keys, out of all that the cache has."""
    times: dict[str, list[float]] = {name: [] for name in catalogs}
    with Engine.open(catalogs["off"]) as off, Engine.open(catalogs["on"]) as on:
        _count(on, ALL)
        for number in range(rounds + 1):
            sql = POINT.format(1 + number * 7919 % rows)
            for name, engine in (("off", off), ("on", on)):
                times[name].append(_timed(lambda engine=engine, sql=sql: _count(engine, sql)))  # type: ignore[misc]
    middle = {name: statistics.median(each[1:]) * 1000 for name, each in times.items()}
    print(f"a row of {rows:,}: from the source {middle['off']:.2f} ms, out of what is cached {middle['on']:.2f} ms")


def point(catalogs: Mapping[str, Path], rounds: int) -> None:
    """One row by its key."""
    times: dict[str, list[float]] = {"source": [], "cache": [], "planning": [], "entry": []}
    with Engine.open(catalogs["off"]) as off, Engine.open(catalogs["on"]) as on:
        tasks: dict[str, Callable[[str], object]] = {
            "source": lambda sql: _count(off, sql),
            "cache": lambda sql: _count(on, sql),
            "planning": lambda sql: on.plan(sql).plan.close(),
            "entry": lambda _: on.cache and on.cache.store.open(next(on.cache.store.entries())),
        }
        for number in range(5):
            _count(on, POINT.format(number + 1))
        for number in range(rounds):
            for name, task in tasks.items():
                times[name].append(_timed(lambda task=task, n=number: task(POINT.format(n % 5 + 1))))  # type: ignore[misc]
    middle = {name: statistics.median(each) * 1000 for name, each in times.items()}
    print(
        f"one row: from the source {middle['source']:.2f} ms, from the cache {middle['cache']:.2f} ms;"
        f" planning alone {middle['planning']:.2f} ms, the entry alone {middle['entry']:.2f} ms"
    )


def _count(engine: Engine, sql: str, options: dict[str, Any] | None = None) -> int:
    with engine.query(sql, options=options) as result:
        return sum(batch.num_rows for batch in result.batches())


def _timed(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def _private() -> int:
    """Bytes of memory that are the process's own, files that are mapped not among them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    return 0


if __name__ == "__main__":
    main()
