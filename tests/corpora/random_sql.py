"""The random corpus: query K of seed N, the same on every machine, and its replay.

    python -m tests.corpora.random_sql --seed N --index K [--disable NAME]… [--force NAME] [--text]

loads the tables into throw-away servers, runs the query as the setting says (with pushdown on and off, unless one is
named) and in plain DuckDB, and prints what differs. Query K belongs to one layout. What DuckDB refuses is drawn again,
and so are queries on which it disagrees with itself, its optimizer on and off (it has bugs too), and most of those
without rows.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb

from adapters.errors import Error
from federation.planner.optimizations import Optimization
from tests.corpora.compare import Answer, difference
from tests.corpora.layouts import Federated, Layout, federated, plain_answer, plain_duckdb
from tests.corpora.random_data import LAYOUTS, tables
from tests.corpora.random_query import QueryGenerator
from tests.corpora.random_scope import Dice, Query
from tests.corpora.settings import ALL, FORCED, OFF, ON, Setting
from tests.servers import start_mariadb, start_postgres

SEED = 1
MOST_ROWS = 20_000
DRAWS = 50
KEEP_EMPTY = 0.4


def layout_of(index: int) -> Layout:
    return list(LAYOUTS.values())[index % len(LAYOUTS)]


def indexes_of(layout: str, count: int) -> range:
    """The queries of that layout among the first `count`."""
    return range(list(LAYOUTS).index(layout), count, len(LAYOUTS))


def draw(seed: int, index: int, plain: duckdb.DuckDBPyConnection) -> tuple[Query, Answer]:
    """Query K of seed N and DuckDB's answer to it."""
    rng = Dice(f"{seed}:{index}")
    for _ in range(DRAWS):
        query = QueryGenerator(rng).query()
        try:
            answer = plain_answer(plain, query.sql)
            agrees = difference(answer, unoptimized(plain, query.sql), query.ordered) is None
        except duckdb.Error:
            continue
        if agrees and len(answer.rows) <= MOST_ROWS and (answer.rows or rng.random() < KEEP_EMPTY):
            return query, answer
    raise AssertionError(f"no query among {DRAWS} draws of seed {seed}, index {index}")


def unoptimized(plain: duckdb.DuckDBPyConnection, sql: str) -> Answer:
    plain.execute("PRAGMA disable_optimizer")
    try:
        return plain_answer(plain, sql)
    finally:
        plain.execute("PRAGMA enable_optimizer")


def check(opened: Federated, seed: int, index: int, settings: Sequence[Setting] = (ON, OFF)) -> str | None:
    """What is wrong with query K, for a person to read, or None."""
    query, expected = draw(seed, index, opened.plain)
    for setting in settings:
        try:
            differs = difference(expected, opened.actual(query.sql, setting=setting), query.ordered)
        except Exception as exc:  # an untyped error is a finding as well
            differs = f"{type(exc).__name__}: {exc}"
        if differs:
            return "\n".join(
                (
                    f"python -m tests.corpora.random_sql --seed {seed} --index {index} {setting.arguments}",
                    f"layout {layout_of(index).name}: {differs}",
                    query.sql,
                    _explain(opened, query.sql, setting),
                )
            )
    return None


def _explain(opened: Federated, sql: str, setting: Setting) -> str:
    try:
        with setting.forced():
            return opened.engine.explain(sql, options=setting.options).text()
    except Error as exc:
        return f"(EXPLAIN fails: {exc})"


def main() -> None:
    parser = argparse.ArgumentParser(description="Replay a query of the random corpus.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--index", type=int, required=True)
    parser.add_argument("--disable", action="append", default=[], choices=[*Optimization, ALL])
    parser.add_argument("--force", choices=FORCED)
    parser.add_argument("--text", action="store_true", help="print the query and stop")
    arguments = parser.parse_args()
    layout = layout_of(arguments.index)
    if arguments.text:
        print(draw(arguments.seed, arguments.index, plain_duckdb(layout, tables()))[0].sql)
        return
    postgres, mariadb = start_postgres(), start_mariadb()
    with (
        tempfile.TemporaryDirectory() as folder,
        federated(layout, tables(), Path(folder), postgres, mariadb) as opened,
    ):
        named = arguments.disable or arguments.force
        settings = (Setting(tuple(arguments.disable), arguments.force),) if named else (ON, OFF)
        print(check(opened, arguments.seed, arguments.index, settings) or "no difference")


if __name__ == "__main__":
    main()
