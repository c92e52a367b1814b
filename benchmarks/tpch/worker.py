"""One query on one system, in a process of its own: connect, read metadata, wait for the word, run, say what it cost.

It is started with a task as JSON, prints `ready`, waits for a line, runs the query to its last row as Arrow, writes
the answer, and prints the cost as JSON. DuckDB with extensions runs in another environment, so this file imports what
a system needs when that system is asked for.
"""

from __future__ import annotations

import atexit
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# What a system makes of a task: a function that runs the query, to the table and the rows that the sources sent.
Run = Callable[[str], tuple[Any, int | None]]


def federation(task: dict[str, Any]) -> Run:
    engine = open_engine(task)
    for tables in task["tables"].values():
        for table in tables:
            engine.describe(f"SELECT * FROM {table}")

    def run(sql: str) -> tuple[Any, int | None]:
        with engine.query(sql) as result:
            return result.read_all(), sum(each.rows for each in result.progress())

    return run


def federation_cached(task: dict[str, Any]) -> Run:
    """As `federation`, with a cache that was empty before the query ran once."""
    folder = tempfile.mkdtemp(prefix="federation-cache-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = federation({**task, "cache": folder})
    run(task["sql"])
    return run


def open_engine(task: dict[str, Any]) -> Any:
    """An engine over a task's sources."""
    from federation.engine import Engine

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "federation.toml"
        path.write_text(_catalog(task))
        return Engine.open(path)


def _catalog(task: dict[str, Any]) -> str:
    settings = {"search_path": list(task["tables"]), "metadata_ttl": "10m"}
    settings |= {"cache_directory": task["cache"]} if "cache" in task else {}
    lines = ["[settings]", *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]
    for source in task["tables"]:
        where = {"uri": task["uris"].get(source)} if source in task["uris"] else {"path": task["paths"][source]}
        entry = {"adapter": task["kinds"][source], **where}
        lines += [f"[sources.{source}]", *(f"{key} = {json.dumps(value)}" for key, value in entry.items())]
        lines += ['cache = { ttl = "1d" }'] if "cache" in task else []
    return "\n".join(lines)


def duckdb(task: dict[str, Any]) -> Run:
    import duckdb
    import pyarrow  # noqa: F401  DuckDB would import it within the time that is measured
    from duckdb_extensions import import_extension

    connection = duckdb.connect()
    for source, tables in task["tables"].items():
        kind = task["kinds"][source]
        if kind != "files":
            import_extension(f"{kind}_scanner", con=connection)
            connection.execute(f"LOAD {kind}_scanner")
            connection.execute(f"ATTACH '{_attached(task, source)}' AS {source} (TYPE {kind}, READ_ONLY)")
        for table in tables:
            schema = {"postgres": "public", "sqlite": "main", "mysql": task["layout"]}.get(kind)
            place = (
                f"{source}.{schema}.{table}" if schema else f"'{Path(task['paths'][source]).parent}/{table}.parquet'"
            )
            connection.execute(f"CREATE VIEW {table} AS FROM {place}")

    def run(sql: str) -> tuple[Any, int | None]:
        return connection.sql(sql).to_arrow_reader().read_all(), None

    return run


def _attached(task: dict[str, Any], source: str) -> str:
    if task["kinds"][source] != "mysql":
        place: str = task["uris"].get(source) or task["paths"][source]
        return place
    parts = urlsplit(task["uris"][source])
    words = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
    return " ".join(f"{key}={value}" for key, value in {**words, "database": parts.path[1:]}.items())


def postgres(task: dict[str, Any]) -> Run:
    """The server alone, which holds every table."""
    return _adbc(task["uris"]["a"], [])


def postgres_fdw(task: dict[str, Any]) -> Run:
    """A second server that holds nothing, with the tables of the first one as foreign tables."""
    parts = urlsplit(task["uris"]["a"])
    where = f"host '{parts.hostname}', port '{parts.port}', dbname '{parts.path[1:]}'"
    return _adbc(
        task["mediator"],
        [
            "CREATE EXTENSION IF NOT EXISTS postgres_fdw",
            "DROP SERVER IF EXISTS a CASCADE",
            "CREATE SERVER a FOREIGN DATA WRAPPER postgres_fdw"
            f" OPTIONS ({where}, use_remote_estimate 'true', fetch_size '10000')",
            f"CREATE USER MAPPING FOR CURRENT_USER SERVER a OPTIONS (user '{parts.username}',"
            f" password '{parts.password}')",
            "IMPORT FOREIGN SCHEMA public FROM SERVER a INTO public",
            "SELECT FROM orders LIMIT 1",
        ],
    )


def _adbc(uri: str, prepare: list[str]) -> Run:
    from adbc_driver_postgresql import dbapi

    connection = dbapi.connect(uri, autocommit=True)
    cursor = connection.cursor()
    for statement in [*prepare, "SELECT 1"]:
        cursor.execute(statement)

    def run(sql: str) -> tuple[Any, int | None]:
        cursor.execute(sql)
        return cursor.fetch_arrow_table(), None

    return run


SYSTEMS: dict[str, Callable[[dict[str, Any]], Run]] = {
    "federation": federation,
    "federation_cached": federation_cached,
    "duckdb": duckdb,
    "postgres": postgres,
    "postgres_fdw": postgres_fdw,
}


def explain(task: dict[str, Any]) -> str:
    """What Federation does for a query, and what it cost."""
    with open_engine(task) as engine:
        return str(engine.explain(task["sql"], analyze=True).text())


def main() -> None:
    task = json.loads(sys.argv[1])
    if task["system"] == "explain":
        print(explain(task))
        return
    try:
        run = SYSTEMS[task["system"]](task)
        print("ready", flush=True)
        sys.stdin.readline()
        start = time.perf_counter()
        table, fetched = run(task["sql"])
        seconds = time.perf_counter() - start
        peak = _peak_mib()
        _write(table, task["answer"])
    except Exception as exc:  # whatever a system raises is its result
        print(json.dumps({"error": f"{type(exc).__name__}: {exc}"[:1000]}), flush=True)
        return
    print(json.dumps({"seconds": seconds, "rows": fetched, "peak_mib": peak}), flush=True)


def _write(table: Any, path: str) -> None:
    import pyarrow as pa

    with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
