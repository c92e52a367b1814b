"""The PostgreSQL face beside a PostgreSQL that holds the same table: rows, latency, memory.

    python -m benchmarks.pgwire [--rows 1000000] [--many 30] [--repeat 3] [--only rows|latency|memory] [--way NAME]
        [-o FILE]

Starts both of its own. They take turns, and a way to fetch rows is judged by its quickest turn: compare the ratios of
one run. Memory is watched while the table comes `--many` times.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.environment import WORK
from benchmarks.pgwire import latency, memory, rows
from benchmarks.pgwire.place import prepared
from benchmarks.pgwire.report import Figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--many", type=int, default=30)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=("rows", "latency", "memory"))
    parser.add_argument("--way", default="", help="the ways to fetch rows whose names begin so")
    parser.add_argument(
        "-o", type=Path, default=WORK / "pgwire.json", help="the figures as JSON (default: %(default)s)"
    )
    options = parser.parse_args()
    wanted = {options.only} if options.only else {"rows", "latency", "memory"}
    figures = Figures(options.rows)
    with tempfile.TemporaryDirectory() as folder, prepared(Path(folder), options.rows, options.many) as here:
        if "rows" in wanted:
            figures.transfers = rows.measure(here, options.repeat, rows.chosen(options.way))
        if "latency" in wanted:
            figures.latencies = latency.measure(here)
        if "memory" in wanted:
            figures.memories = memory.measure(here)
    options.o.parent.mkdir(parents=True, exist_ok=True)
    options.o.write_text(json.dumps(figures.document(), indent=1))
    print(figures.markdown())


if __name__ == "__main__":
    main()
