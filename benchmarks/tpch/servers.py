"""The three servers: PostgreSQL twice and MariaDB, set up for a machine of 24 GB, with databases that are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.tpch.layouts import KINDS
from tests.servers import Server, run_sql, start_mariadb, start_postgres

_POSTGRES = {
    "max_parallel_workers_per_gather": "2",
    "effective_cache_size": "8GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "4GB",
    "random_page_cost": "2",  # everything is in memory; but at 1.1, query 14 looks up each of 200,000 parts
    "client_connection_check_interval": "1s",  # a query ends soon after the process that asked it was killed
}
_MARIADB = ("--innodb-buffer-pool-size=1G", "--query-cache-type=0", "--max-statement-time=600")
_WARM_POSTGRES = """CREATE EXTENSION IF NOT EXISTS pg_prewarm;
SELECT sum(pg_prewarm(oid::regclass)) FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i');
"""


def start(source: str, data: Path) -> Server:
    """One of `a`, `b` and `my`; `data` holds a folder for each."""
    if KINDS[source] == "mysql":
        return start_mariadb(data / source, _MARIADB)
    return start_postgres(data / source, {**_POSTGRES, "shared_buffers": "4GB" if source == "a" else "512MB"})


def database(server: Server, name: str) -> str:
    """The URI of another database of the server."""
    return server.uri.rsplit("/", 1)[0] + "/" + name


def warm(uri: str, tables: Iterable[str]) -> None:
    """Read the tables, so that no system finds them on disk and the next one in memory."""
    if uri.startswith("postgresql:"):
        run_sql(uri, _WARM_POSTGRES)
        return
    for table in tables:
        run_sql(uri, f"CHECKSUM TABLE {table}")


class Servers:
    """Those that run; `stop` ends them all."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._running: dict[str, Server] = {}

    def uris(self, layout: str, tables: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
        """The URIs of a layout's databases, by source, their tables in memory."""
        found = {}
        for source, names in tables.items():
            if KINDS[source] in ("postgres", "mysql"):
                found[source] = database(self.get(source), layout)
                warm(found[source], names)
        return found

    def get(self, source: str) -> Server:
        if source not in self._running:
            self._running[source] = start(source, self._data)
        return self._running[source]

    def stop(self) -> None:
        for server in self._running.values():
            server.stop()
        self._running.clear()
