"""SQL over HTTP: how fast rows come, how soon the first of them, and how many small queries a server bears.

    python -m benchmarks.http [--rows 1000000] [--repeat 5] [--seconds 5] [--only rows|small] [--workers 2]

Starts a server and a PostgreSQL of its own. All ways take turns, and a way is judged by its quickest turn: compare the
ratios of one run.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from pathlib import Path

from benchmarks.http import place, rows, small


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", choices=("rows", "small"))
    parser.add_argument("--workers", type=int, default=2, help="of a second server for the small queries; 1 for none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, place.prepared(Path(folder), options.rows) as here:
        print(f"{options.rows:,} rows of 5 columns, Python {platform.python_version()}")
        if options.only != "small":
            rows.report(rows.measure(here, options.repeat))
        if options.only != "rows":
            with here.with_workers(options.workers) as servers:
                small.report(small.measure(here, servers, options.seconds))


if __name__ == "__main__":
    main()
