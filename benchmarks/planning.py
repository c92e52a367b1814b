"""How long planning takes: TPC-H's 22 queries, from SQL text to the plan whose first request is about to be sent.

    python -m benchmarks.planning [--rounds 20] [--layout facts-in-postgres]

The tables lie in throw-away servers, as in the tests. Round one finds nothing cached and is shown apart: it reads the
sources' metadata.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from federation.engine import Engine
from tests.corpora import tpch
from tests.corpora.layouts import federated
from tests.servers import start_mariadb, start_postgres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--layout", choices=list(tpch.LAYOUTS), default="facts-in-postgres")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "tpch"
        tpch.generate(data, scale=0.01)
        layout, postgres, mariadb = tpch.LAYOUTS[options.layout], start_postgres(), start_mariadb()
        with federated(layout, tpch.tables(data), Path(folder), postgres, mariadb) as opened:
            cold = _round(opened.engine)
            report(options.layout, cold, [_round(opened.engine) for _ in range(options.rounds)])


def _round(engine: Engine) -> dict[str, float]:
    return {name: _milliseconds(engine, sql) for name, sql in tpch.QUERIES.items()}


def _milliseconds(engine: Engine, sql: str) -> float:
    start = time.perf_counter()
    planned = engine.plan(sql)
    elapsed = time.perf_counter() - start
    planned.plan.close()
    return elapsed * 1000


def report(layout: str, cold: dict[str, float], rounds: Sequence[dict[str, float]]) -> None:
    print(f"planning, TPC-H, layout {layout}, {len(rounds)} rounds, Python {platform.python_version()}\n")
    print("query  median ms  p95 ms  first ms")
    for name in tpch.QUERIES:
        times = [each[name] for each in rounds]
        print(f"{name}    {statistics.median(times):9.2f} {_p95(times):7.2f} {cold[name]:9.2f}")
    every = [value for each in rounds for value in each.values()]
    print(f"all    {statistics.median(every):9.2f} {_p95(every):7.2f} {max(cold.values()):9.2f}")


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


if __name__ == "__main__":
    main()
