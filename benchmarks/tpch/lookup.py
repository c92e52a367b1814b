"""What planning adds to a point lookup: the engine against the bare driver, in turns, over one open connection each."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from adbc_driver_postgresql import dbapi

from benchmarks.tpch.worker import open_engine

COLUMNS = "c_custkey, c_name, c_acctbal"
ROUNDS = 200
WARM = 10  # not counted


def measure_lookup(task: dict[str, Any], source: str, customers: int) -> dict[str, float]:
    """Medians in milliseconds: `driver`, `federation`, and `overhead`, that of their differences. A row of customer by
    its key, which differs from round to round; `source` is the PostgreSQL that holds the table."""
    rounds = []
    with (
        open_engine(task) as engine,
        dbapi.connect(task["uris"][source], autocommit=True) as connection,
        connection.cursor() as cursor,
    ):

        def driver(sql: str) -> list[Any]:
            cursor.execute(sql)
            found: list[Any] = cursor.fetch_arrow_table().column(0).to_pylist()
            return found

        def federated(sql: str) -> list[Any]:
            with engine.query(sql) as result:
                found: list[Any] = result.read_all().column(0).to_pylist()
                return found

        chosen = random.Random(1)
        for _ in range(WARM + ROUNDS):
            key = chosen.randint(1, customers)
            sql = f"SELECT {COLUMNS} FROM customer WHERE c_custkey = {key}"
            rounds.append((_milliseconds(driver, sql, key), _milliseconds(federated, sql, key)))
    del rounds[:WARM]
    return {
        "driver": statistics.median(one for one, _ in rounds),
        "federation": statistics.median(other for _, other in rounds),
        "overhead": statistics.median(other - one for one, other in rounds),
    }


def _milliseconds(look: Callable[[str], list[Any]], sql: str, key: int) -> float:
    start = time.perf_counter()
    found = look(sql)
    elapsed = time.perf_counter() - start
    if found != [key]:
        raise AssertionError(f"the lookup of {key} found {found}")
    return elapsed * 1000
