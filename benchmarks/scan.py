"""A scan of TPC-H's lineitem on PostgreSQL to Arrow: seven columns, three of them numerics, every batch thrown away.

    python -m benchmarks.scan [--scale 1] [--uri postgresql://…/db] [--repeat 3] [--direct]

Compares the federation's engine (with --direct its adapter alone, two threads), plain ADBC, and DuckDB's own postgres
extension. Each runs in a process of its own, in turns; the rows per second are of its fastest run, the memory is the
peak of its process. Without --uri a throw-away server is started; a server that is given keeps the table for the next
time. The extension goes into a second virtual environment, made at the first run.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

COLUMNS = ("l_orderkey", "l_partkey", "l_suppkey", "l_quantity", "l_extendedprice", "l_discount", "l_shipdate")
SQL = f"SELECT {', '.join(COLUMNS)} FROM lineitem"
TABLE = """
CREATE TABLE lineitem (
  l_orderkey bigint NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT NULL, l_linenumber integer NOT NULL,
  l_quantity numeric(15, 2) NOT NULL, l_extendedprice numeric(15, 2) NOT NULL, l_discount numeric(15, 2) NOT NULL,
  l_tax numeric(15, 2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL,
  l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL,
  l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL);
"""


def engine(uri: str) -> Callable[[], int]:
    from federation.engine import Engine

    with tempfile.TemporaryDirectory() as folder:
        catalog = Path(folder) / "federation.toml"
        catalog.write_text(f'[sources.pg]\nadapter = "postgres"\nuri = {json.dumps(uri)}\n')
        opened = Engine.open(catalog)

    def scan() -> int:
        with opened.query(SQL.replace("lineitem", "pg.lineitem")) as result:
            return sum(batch.num_rows for batch in result.batches())

    return scan


def adapter(uri: str) -> Callable[[], int]:
    from adapters.base import CancelToken, ScanRequest, TableName
    from adapters.postgres import PostgresAdapter

    source = PostgresAdapter("pg", {"uri": uri})

    def scan() -> int:
        planned = source.plan_scan(ScanRequest(TableName("public", "lineitem"), COLUMNS))
        todo = deque(planned.partitions)
        rows: list[int] = []

        def work() -> None:
            with suppress(IndexError):
                while True:
                    rows.extend(batch.num_rows for batch in source.read(todo.popleft(), CancelToken()))

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        planned.close()
        return sum(rows)

    return scan


def plain_adbc(uri: str) -> Callable[[], int]:
    from adbc_driver_postgresql import dbapi

    connection = dbapi.connect(uri)

    def scan() -> int:
        with connection.cursor() as cursor:
            cursor.execute(SQL)
            rows: int = sum(batch.num_rows for batch in cursor.fetch_record_batch())
        connection.close()
        return rows

    return scan


def extension(uri: str) -> Callable[[], int]:
    import duckdb
    from duckdb_extensions import import_extension

    connection = duckdb.connect()
    import_extension("postgres_scanner", con=connection)
    connection.sql("LOAD postgres_scanner")
    connection.sql(f"ATTACH '{uri}' AS pg (TYPE postgres, READ_ONLY)")

    def scan() -> int:
        reader = connection.sql(SQL.replace("lineitem", "pg.public.lineitem")).to_arrow_reader()
        rows: int = sum(batch.num_rows for batch in reader)
        return rows

    return scan


METHODS: dict[str, Callable[[str], Callable[[], int]]] = {
    "federation": engine,
    "adapter": adapter,
    "ADBC": plain_adbc,
    "extension": extension,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--uri")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--only", choices=list(METHODS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        _measure(METHODS[options.only], options.uri)
        return
    # Not at the top: the other environment, which runs this file alone, has none of it.
    from benchmarks.environment import WORK, peers_python
    from tests.servers import start_postgres

    options.work = options.work or WORK
    other = peers_python(options.work)
    if options.uri:
        compare(options.uri, other, options)
        return

    server = start_postgres()
    try:
        compare(server.uri, other, options)
    finally:
        server.stop()


def compare(uri: str, other: str, options: argparse.Namespace) -> None:
    fill(uri, options.scale, options.work)
    names = ["adapter" if options.direct else "federation", "ADBC", "extension"]
    best: dict[str, dict[str, float]] = {}
    for _ in range(options.repeat):
        for name in names:
            python = other if name == "extension" else sys.executable
            command = [python, "-P", str(Path(__file__).resolve()), "--only", name, "--uri", uri]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            run: dict[str, float] = json.loads(done.stdout)
            if name not in best or run["seconds"] < best[name]["seconds"]:
                best[name] = run
    print(f"lineitem at scale {options.scale:g}, {len(COLUMNS)} columns, Python {platform.python_version()}\n")
    print("method      rows        seconds  rows/s      peak MB")
    for name, run in best.items():
        speed = run["rows"] / run["seconds"]
        print(f"{name:<11} {run['rows']:<11.0f} {run['seconds']:7.2f}  {speed:<10.0f} {run['megabytes']:8.0f}")


def _measure(method: Callable[[str], Callable[[], int]], uri: str) -> None:
    """The scan alone, with its planning; the process has started and the source is known."""
    scan = method(uri)
    start = time.perf_counter()
    rows = scan()
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    print(json.dumps({"rows": rows, "seconds": seconds, "megabytes": int(peak.split()[1]) / 1024}))


def fill(uri: str, scale: float, work: Path) -> None:
    """Create and load lineitem, unless the database has it."""
    if _psql(uri, ["SELECT to_regclass('lineitem') IS NOT NULL"]) == "t":
        return
    data = work / f"scale-{scale:g}"
    if not (data / "lineitem.csv").exists():
        generator = Path(sys.executable).parent / "tpchgen-cli"
        subprocess.run(
            [generator, "csv", "--scale-factor", f"{scale:g}", "--tables=lineitem", "--output-dir", data],
            check=True,
            stdout=subprocess.DEVNULL,
        )
    copy = f"\\copy lineitem FROM '{data / 'lineitem.csv'}' (FORMAT csv, HEADER)"
    _psql(uri, [TABLE, copy, "VACUUM ANALYZE lineitem"])


def _psql(uri: str, commands: Iterable[str]) -> str:
    arguments = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", uri]
    for command in commands:
        arguments += ["-c", command]
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


if __name__ == "__main__":
    main()
