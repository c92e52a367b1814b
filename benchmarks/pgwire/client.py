"""A client in a process of its own: `python -m benchmarks.pgwire.client` gets ready, and runs once for each line that
it reads.

    {"way": "discard text", "uri": …, "sql": …, "rows": …}     answers "ready" when it is connected
    go                                                         answers "done" when it has all rows
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Generator
from typing import TypeAlias

import adbc_driver_postgresql.dbapi
import psycopg

from benchmarks.pgwire.wire import Wire

Way: TypeAlias = Callable[[str, str, int], Generator[None]]


def discard_text(uri: str, sql: str, rows: int) -> Generator[None]:
    yield from _discard(uri, sql, f"SELECT {rows}", None)


def discard_binary(uri: str, sql: str, rows: int) -> Generator[None]:
    yield from _discard(uri, sql, f"SELECT {rows}", True)


def copy_text(uri: str, sql: str, rows: int) -> Generator[None]:
    yield from _discard(uri, f"COPY ({sql}) TO STDOUT", f"COPY {rows}", None)


def copy_binary(uri: str, sql: str, rows: int) -> Generator[None]:
    yield from _discard(uri, f"COPY ({sql}) TO STDOUT (FORMAT binary)", f"COPY {rows}", None)


def _discard(uri: str, sql: str, tag: str, binary: bool | None) -> Generator[None]:
    wire = Wire(uri)
    yield
    wire.ask(sql, binary=binary)
    wire.discard(tag)
    yield
    wire.close()


def psql(uri: str, sql: str, rows: int) -> Generator[None]:
    """It connects as a part of what it does. Who asks for all rows gets them without a count of them."""
    yield
    done = subprocess.run(
        [
            "psql",
            "-X",
            "-A",
            "-t",
            "-o",
            "/dev/null",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            uri,
            "-c",
            sql,
            "-c",
            "\\echo :ROW_COUNT",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(rows), done.stdout
    yield


def psycopg_text(uri: str, sql: str, rows: int) -> Generator[None]:
    yield from _psycopg(uri, sql, rows, binary=False)


def psycopg_binary(uri: str, sql: str, rows: int) -> Generator[None]:
    yield from _psycopg(uri, sql, rows, binary=True)


def _psycopg(uri: str, sql: str, rows: int, *, binary: bool) -> Generator[None]:
    with psycopg.connect(uri, autocommit=True) as connection, connection.cursor(binary=binary) as cursor:
        yield
        found = cursor.execute(sql).fetchall()
        assert len(found) == rows
        yield


def adbc(uri: str, sql: str, rows: int) -> Generator[None]:
    with adbc_driver_postgresql.dbapi.connect(uri) as connection, connection.cursor() as cursor:
        yield
        cursor.execute(sql)
        assert cursor.fetch_arrow_table().num_rows == rows
        yield


WAYS: dict[str, Way] = {
    "discard, text": discard_text,
    "discard, binary": discard_binary,
    "COPY, text": copy_text,
    "COPY, binary": copy_binary,
    "psql": psql,
    "psycopg, text": psycopg_text,
    "psycopg, binary": psycopg_binary,
    "ADBC": adbc,
}


def main() -> None:
    """A line for each run, until there is none."""
    for line in sys.stdin:
        wanted = json.loads(line)
        run = WAYS[wanted["way"]](wanted["uri"], wanted["sql"], wanted["rows"])
        next(run)
        print("ready", flush=True)
        sys.stdin.readline()
        next(run)
        print("done", flush=True)
        run.close()


if __name__ == "__main__":
    main()
