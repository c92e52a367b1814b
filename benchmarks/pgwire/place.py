"""The same table in PostgreSQL and in a Parquet file, and a face over both."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from catalog.scram import Verifier
from tests.pgwire.running import start_face
from tests.servers import USER, Server, start_postgres

COLUMNS = "id, x, name, at, amount"
TABLE = """
    CREATE TABLE numbers (
        id int PRIMARY KEY, x double precision NOT NULL, name text NOT NULL, at timestamp NOT NULL,
        amount numeric(18, 2) NOT NULL
    );
"""
MANY = "CREATE VIEW many AS SELECT {columns} FROM numbers CROSS JOIN generate_series(1, {times})"
ROWS = """
    SELECT i::INTEGER AS id, random() * 1000 AS x, 'comment ' || i * 13 AS name,
           TIMESTAMP '2020-01-01' + to_microseconds((random() * 1e14)::BIGINT) AS at,
           (random() * 1000000 - 100000)::DECIMAL(18, 2) AS amount
    FROM range({rows}) t(i)
"""
CATALOG = """
[sources.file]
adapter = "files"
path = {file}

[sources.live]
adapter = "postgres"
uri = {uri}

[sources.kept]
adapter = "postgres"
uri = {uri}
cache = {{ ttl = "1h" }}

[users.{user}]
password = {verifier}
"""
SESSIONS = 600
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Target:
    """Who answers, where, and what the table is called there; `many` has each of its rows many times. `pid` is of the
    process that does all its work, with its children."""

    name: str
    uri: str
    table: str
    many: str
    pid: int

    def all_rows(self) -> str:
        return f"SELECT {COLUMNS} FROM {self.table}"

    def processor_seconds(self) -> float:
        """That the process and its children have used, those that have ended among them: what a child has used passes
        to its parent when it has ended, so that it is looked until none did meanwhile."""
        while True:
            of_ended = _stat(self.pid)[13:15]
            children = [_stat(each) for each in _children(self.pid)]
            own = _stat(self.pid)
            if own[13:15] == of_ended:
                ticks = [*own[11:15], *(each for child in children for each in child[11:13])]
                return sum(map(int, ticks)) / TICKS

    def memory(self) -> int:
        """Bytes that are resident and its own: files that are mapped are not among them."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))


@dataclass(frozen=True)
class Place:
    rows: int
    many_rows: int
    postgres: Target
    file: Target
    kept: Target
    live: Target

    @property
    def targets(self) -> tuple[Target, ...]:
        return (self.postgres, self.file, self.kept, self.live)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name; zeros for a process that has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * 50


def _children(pid: int) -> list[int]:
    """Of all its threads, those that have ended and are not waited for among them."""
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            found += [int(each) for each in (thread / "children").read_text().split()]
    return found


@contextmanager
def prepared(folder: Path, rows: int, times: int) -> Iterator[Place]:
    """In a folder that may be removed afterwards."""
    file, text = folder / "numbers.parquet", folder / "numbers.csv"
    duckdb.sql(f"COPY ({ROWS.format(rows=rows)}) TO '{file}'")
    duckdb.sql(f"COPY (FROM '{file}') TO '{text}' (HEADER false)")
    postgres = start_postgres(more={"max_connections": str(SESSIONS)})
    try:
        postgres.run(f"{TABLE}\\copy numbers FROM '{text}' (FORMAT csv)\nVACUUM ANALYZE numbers;")
        postgres.run(MANY.format(columns=COLUMNS, times=times))
        text.unlink()
        _write_catalog(folder, file, postgres)
        with start_face(folder, "--max-connections", str(SESSIONS)) as face:
            at = urlsplit(postgres.uri)
            uri = f"postgresql://{USER}:{at.password}@127.0.0.1:{face.port}/federation"
            backend = int((postgres.folder / "pid").read_text())
            crossed = f"file.numbers CROSS JOIN generate_series(1, {times}) AS more (number)"
            yield Place(
                rows,
                rows * times,
                Target("PostgreSQL", postgres.uri, "numbers", "many", backend),
                Target("Parquet file", uri, "file.numbers", crossed, face.pid),
                Target("PostgreSQL, from the cache", uri, "kept.numbers", "kept.many", face.pid),
                Target("the same PostgreSQL", uri, "live.numbers", "live.many", face.pid),
            )
    finally:
        postgres.stop()


def _write_catalog(folder: Path, file: Path, postgres: Server) -> None:
    verifier = Verifier.make(urlsplit(postgres.uri).password or "")
    text = CATALOG.format(
        file=json.dumps(str(file)), uri=json.dumps(postgres.uri), user=USER, verifier=json.dumps(str(verifier))
    )
    settings = f"[settings]\ncache_directory = {json.dumps(str(folder / 'cache'))}\n"
    (folder / "federation.toml").write_text(settings + text)
