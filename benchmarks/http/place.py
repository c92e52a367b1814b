"""The same table as a Parquet file and in PostgreSQL, and a server over both."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tests.http.running import Running, start_server
from tests.servers import start_postgres

COLUMNS = "id, x, name, day, amount"
TABLE = """
    CREATE TABLE numbers (
        id bigint PRIMARY KEY, x double precision NOT NULL, name text NOT NULL, day date NOT NULL,
        amount numeric(12, 2) NOT NULL
    );
"""
ROWS = """
    SELECT i::BIGINT AS id, i * 1.5::DOUBLE AS x, 'name ' || i AS name, DATE '2020-01-01' + (i % 1000)::INT AS day,
           (i * 0.01)::DECIMAL(12, 2) AS amount
    FROM range({rows}) t(i)
"""
CATALOG = """
[sources.f]
adapter = "files"
path = {file}

[sources.pg]
adapter = "postgres"
uri = {uri}

[sources.kept]
adapter = "postgres"
uri = {uri}
cache = {{ ttl = "1h" }}
"""


@dataclass(frozen=True)
class Place:
    rows: int
    file: Path
    catalog: Path
    postgres: str
    server: Running

    @contextmanager
    def with_workers(self, workers: int) -> Iterator[dict[int, Running]]:
        """The server, and beside it one of so many processes, by their number."""
        if workers == 1:
            yield {1: self.server}
            return
        with start_server(self.catalog.parent, "--workers", str(workers), state=self.catalog.parent / "more") as more:
            yield {1: self.server, workers: more}


def seconds_of(server: Running) -> float:
    """Of processors, that the server has used, with all its processes."""
    return sum(map(seconds_of_process, server.pids()))


def seconds_of_process(pid: int) -> float:
    """By Linux's clock of another process, for /proc counts in hundredths of a second."""
    return time.clock_gettime(~pid << 3 | 2)


@contextmanager
def prepared(folder: Path, rows: int) -> Iterator[Place]:
    """In a folder that may be removed afterwards."""
    file, text = folder / "numbers.parquet", folder / "numbers.csv"
    duckdb.sql(f"COPY ({ROWS.format(rows=rows)}) TO '{file}'")
    duckdb.sql(f"COPY (FROM '{file}') TO '{text}' (HEADER false)")
    postgres = start_postgres()
    try:
        postgres.run(f"{TABLE}\\copy numbers FROM '{text}' (FORMAT csv)\nVACUUM ANALYZE numbers;")
        text.unlink()
        catalog = folder / "federation.toml"
        catalog.write_text(CATALOG.format(file=json.dumps(str(file)), uri=json.dumps(postgres.uri)))
        with start_server(folder) as server:
            yield Place(rows, file, catalog, postgres.uri, server)
    finally:
        postgres.stop()
