"""What the cache spares the sources of a dashboard in which people drill down: a trace of queries, once without a
cache, once with fragments that are found again only if the same is asked, once with those that hold what is asked.

    python -m benchmarks.dashboard [--queries 200] [--rows 500000] [--seed 1] [--show]

The facts lie in PostgreSQL, the products in SQLite, in throw-away servers. Nobody writes; every answer is compared with
that of the same query without a cache.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import random
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from federation.engine import Engine
from federation.progress import State
from federation.result import Result
from tests.servers import Server, start_postgres

FIRST_DAY, DAYS = datetime.date(2024, 1, 1), 731
REGIONS = ("north", "south", "east", "west")
STATUSES = ("open", "paid", "shipped", "returned")
CHANNELS = ("web", "shop", "phone")
PRODUCTS, CATEGORIES = 200, 12
MODES: Mapping[str, tuple[bool, tuple[str, ...]]] = {
    "no cache": (False, ()),
    "exact match": (True, ("containment",)),
    "containment": (True, ()),
}


# --- the trace --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """What a person looks at: a period and the filters that are set. Every widget shows these rows."""

    first: datetime.date
    last: datetime.date
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: int | None = None  # amount

    def where(self) -> str:
        parts = [f"o.day BETWEEN DATE '{self.first}' AND DATE '{self.last}'"]
        for column, values in self.filters.items():
            names = ", ".join(f"'{each}'" for each in values)
            parts.append(f"o.{column} = {names}" if len(values) == 1 else f"o.{column} IN ({names})")
        if self.least is not None:
            parts.append(f"o.amount >= {self.least}")
        return " AND ".join(parts)


def trace(queries: int, seed: int) -> list[str]:
    """So many statements, of people one after the other. Each opens the dashboard on a period, with the list of its
    orders, and looks closer step by step; what another has looked at before is opened again now and then."""
    rng = random.Random(seed)
    made: list[str] = []
    opened: list[View] = []
    while len(made) < queries:
        view = rng.choice(opened) if opened and rng.random() < 0.3 else _opening(rng)
        opened.append(view)
        made.append(_orders(view))
        for _ in range(rng.randrange(3, 8)):
            steps = [view, *([_closer(rng, view)] * 3)]
            view = rng.choice(steps)
            made += rng.sample(_widgets(view), rng.randrange(1, 4))
    return made[:queries]


def _opening(rng: random.Random) -> View:
    """A month or a quarter, of all regions or of one's own."""
    month = rng.randrange(24)
    months = rng.choice((1, 1, 3))
    first = datetime.date(2024 + month // 12, month % 12 + 1, 1)
    end = month + months
    last = datetime.date(2024 + end // 12, end % 12 + 1, 1) - datetime.timedelta(days=1)
    return View(first, last, {} if rng.random() < 0.6 else {"region": (rng.choice(REGIONS),)})


def _closer(rng: random.Random, view: View) -> View:
    """One filter more, or a shorter period."""
    choices = {"region": REGIONS, "status": STATUSES, "channel": CHANNELS}
    free = [each for each in choices if each not in view.filters]
    step = rng.choice(["period", "amount", *free, *free])
    if step == "period":
        days = (view.last - view.first).days
        start = view.first + datetime.timedelta(days=rng.randrange(days // 2 + 1))
        return replace(view, first=start, last=start + datetime.timedelta(days=max(days // 3, 1)))
    if step == "amount":
        return replace(view, least=max(view.least or 0, rng.choice((100, 250, 500))))
    values = tuple(sorted(rng.sample(choices[step], rng.choice((1, 1, 2)))))
    return replace(view, filters={**view.filters, step: values})


def _orders(view: View) -> str:
    """The list that people scroll in."""
    return (
        "SELECT o.id, o.day, o.region, o.status, o.channel, o.product, o.quantity, o.amount"
        f" FROM pg.orders o WHERE {view.where()}"
    )


def _widgets(view: View) -> list[str]:
    where = view.where()
    return [
        _orders(view),
        f"SELECT count(*) AS orders, sum(o.amount) AS amount FROM pg.orders o WHERE {where}",
        f"SELECT o.day, sum(o.amount) AS amount FROM pg.orders o WHERE {where} GROUP BY o.day ORDER BY o.day",
        f"SELECT o.region, o.status, count(*) AS n FROM pg.orders o WHERE {where} GROUP BY o.region, o.status",
        f"SELECT o.id, o.day, o.amount FROM pg.orders o WHERE {where} ORDER BY o.amount DESC, o.id LIMIT 20",
        "SELECT p.category, sum(o.amount) AS amount FROM pg.orders o JOIN lite.products p ON p.id = o.product"
        f" WHERE {where} GROUP BY p.category ORDER BY amount DESC",
    ]


# --- running it -------------------------------------------------------------------------------------------------------


@dataclass
class Cost:
    """`picked` are the fragments that were picked out of others."""

    requests: int = 0
    rows: int = 0
    seconds: float = 0.0
    same: int = 0
    picked: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print the statements instead")
    options = parser.parse_args()
    statements = trace(options.queries, options.seed)
    if options.show:
        print(";\n".join(statements))
        return
    with tempfile.TemporaryDirectory() as folder:
        postgres = start_postgres()
        try:
            fill(postgres, Path(folder), options.rows)
            answers: list[list[Any]] = [[] for _ in statements]
            report({mode: run(mode, postgres, Path(folder), statements, answers) for mode in MODES}, len(statements))
        finally:
            postgres.stop()


def fill(postgres: Server, folder: Path, rows: int) -> None:
    """Orders spread over two years, amounts with a long tail."""
    postgres.run(
        f"""
        CREATE TABLE orders AS SELECT i AS id, date '{FIRST_DAY}' + (i * 7919 % {DAYS})::int AS day,
            ('{{{",".join(REGIONS)}}}'::text[])[1 + i * 31 % {len(REGIONS)}] AS region,
            ('{{{",".join(STATUSES)}}}'::text[])[1 + i / 5 % {len(STATUSES)}] AS status,
            ('{{{",".join(CHANNELS)}}}'::text[])[1 + i * 17 / 3 % {len(CHANNELS)}] AS channel,
            (1 + i * 104729 % {PRODUCTS})::int AS product, (1 + i % 9)::int AS quantity,
            (5 + 1000 * power((i * 48271 % 2147483647) / 2147483647.0, 4))::numeric(10, 2) AS amount
            FROM generate_series(1, {rows}::bigint) i;
        ALTER TABLE orders ADD PRIMARY KEY (id);
        CREATE INDEX ON orders (day);
        ANALYZE orders;
        """
    )
    with sqlite3.connect(folder / "products.db") as lite:
        lite.execute("CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT, category TEXT) STRICT")
        products = ((n, f"product {n}", f"category {n % CATEGORIES}") for n in range(1, PRODUCTS + 1))
        lite.executemany("INSERT INTO products VALUES (?, ?, ?)", products)
    lite.close()


def run(mode: str, postgres: Server, folder: Path, statements: list[str], answers: list[list[Any]]) -> Cost:
    """`answers` has those of the modes before."""
    cached, disabled = MODES[mode]
    policy = 'cache = { ttl = "1d" }' if cached else ""
    catalog = folder / f"{mode.replace(' ', '-')}.toml"
    catalog.write_text(
        f'[settings]\ncache_directory = "{catalog.with_suffix(".cache")}"\nmetadata_ttl = "1d"\n'
        f'[sources.pg]\nadapter = "postgres"\nuri = "{postgres.uri}"\n{policy}\n'
        f'[sources.lite]\nadapter = "sqlite"\npath = "{folder / "products.db"}"\n{policy}\n'
    )
    cost = Cost()
    with Engine.open(catalog) as engine:
        for sql in ("SELECT count(*) FROM pg.orders", "SELECT count(*) FROM lite.products"):
            engine.describe(sql)
        for sql, known in zip(statements, answers, strict=True):
            start = time.perf_counter()
            with engine.query(sql, options={"disable": disabled}) as result:
                rows = result.read_all()
                cost.seconds += time.perf_counter() - start
                _count(cost, result)
            answer = sorted(zip(*(column.to_pylist() for column in rows.columns), strict=True))
            if known and known != [answer]:
                raise AssertionError(f"{mode}: another answer to {sql}")
            known[:] = [answer]
    return cost


def _count(cost: Cost, result: Result) -> None:
    stats, freshness = result._execution.stats(), result._execution.freshness()
    cost.requests += sum(each.requests for each in stats.values())
    cost.rows += sum(each.rows for each in stats.values() if each.requests)
    cost.picked += sum(bool(each.query) for each in freshness.values())
    cost.same += sum(each.state is State.FRESH and not each.query for each in freshness.values())


def report(costs: Mapping[str, Cost], queries: int) -> None:
    print(f"{queries} queries, Python {platform.python_version()}\n")
    print("                requests  of exact  rows fetched  same  picked  seconds  of exact")
    exact = costs["exact match"]
    for mode, each in costs.items():
        requests, seconds = each.requests / exact.requests, each.seconds / exact.seconds
        print(
            f"{mode:15} {each.requests:8}  {requests:8.2f}  {each.rows:12}  {each.same:4}  {each.picked:6}"
            f"  {each.seconds:7.2f}  {seconds:8.2f}"
        )


if __name__ == "__main__":
    main()
