"""All rows of a table, over HTTP and beside it."""

from __future__ import annotations

import datetime
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import duckdb
import psycopg
import pyarrow as pa

import federation
from benchmarks.environment import peers_python
from benchmarks.http.extension import Extension
from benchmarks.http.place import COLUMNS, Place, seconds_of, seconds_of_process
from federation.dbapi import Connection
from tests.waiting import eventually

FILE = f"SELECT {COLUMNS} FROM f.numbers"
POSTGRES = f"SELECT {COLUMNS} FROM pg.numbers"
CACHED = f"SELECT {COLUMNS} FROM kept.numbers"
LONG = 10.0  # seconds that the turns of a way may take before it has had enough
PAGE_ROWS = 10_000  # about the size of a page of Trino
PART_BYTES = 1 << 20
#: what a page's values become, by the types of the columns
VALUES: tuple[Callable[[Any], Any], ...] = (int, float, str, datetime.date.fromisoformat, Decimal)


@dataclass
class Turn:
    """One transfer. Times are in seconds; `first` is that of the first row, None where nobody could see it."""

    rows: int
    first: float | None = None


@dataclass
class Way:
    name: str
    beside: str  # the way that it is compared with
    run: Callable[[], Turn]


@dataclass
class Measured:
    name: str
    beside: str
    seconds: float
    first: float | None
    processor: float  # seconds of this process, the server's and DuckDB's with its extension
    rows: int


class Fetch:
    """The ways to fetch rows."""

    def __init__(self, here: Place) -> None:
        self._here = here
        self.remote = federation.connect(here.server.url)
        self.embedded = federation.connect(here.catalog)
        self._duck = duckdb.connect()
        self._payload = b"x" * self._table().nbytes
        self._postgres = psycopg.connect(here.postgres)
        self._extension = Extension(peers_python(), here.postgres, f"SELECT {COLUMNS} FROM pg.public.numbers")

    def _table(self) -> pa.Table:
        table: pa.Table = self._duck.sql(f"SELECT {COLUMNS} FROM '{self._here.file}'").to_arrow_table()
        return table

    def processor(self) -> float:
        """The seconds that all have used who bring rows, but PostgreSQL."""
        return time.process_time() + seconds_of(self._here.server) + seconds_of_process(self._extension.pid)

    def duckdb_arrow(self) -> Turn:
        return Turn(self._table().num_rows)

    def loopback(self) -> Turn:
        """As many bytes from one thread to another, by TCP: what no server spares its client."""
        size = len(self._payload)
        with (
            socket.create_server(("127.0.0.1", 0)) as listener,
            socket.create_connection(listener.getsockname()) as there,
            listener.accept()[0] as here,
        ):
            sender = threading.Thread(target=here.sendall, args=(self._payload,))
            sender.start()
            parts = [pa.allocate_buffer(min(PART_BYTES, size - at)) for at in range(0, size, PART_BYTES)]
            for part in parts:
                there.recv_into(memoryview(part), flags=socket.MSG_WAITALL)
            sender.join()
        return Turn(self._here.rows)

    def duckdb_pandas(self) -> Turn:
        return Turn(len(self._duck.sql(f"SELECT {COLUMNS} FROM '{self._here.file}'").df()))

    def duckdb_postgres(self) -> Turn:
        return Turn(self._extension.fetch())

    def psycopg_rows(self) -> Turn:
        with self._postgres.cursor() as cursor:
            return Turn(len(cursor.execute(f"SELECT {COLUMNS} FROM numbers").fetchall()))

    def psycopg_stream(self) -> Turn:
        """A cursor of the server, for the first row."""
        started = time.perf_counter()
        with self._postgres.cursor() as cursor:
            rows = cursor.stream(f"SELECT {COLUMNS} FROM numbers", size=1000)
            next(rows)
            first = time.perf_counter() - started
            return Turn(1 + sum(1 for _ in rows), first)

    def http(self, sql: str, accept: str) -> Turn:
        """The bytes of an answer, thrown away; Arrow is read by pyarrow."""
        started = time.perf_counter()
        with self._asked(sql, accept) as answer:
            answer.peek(1)
            first = time.perf_counter() - started
            if "arrow" in accept:
                return Turn(pa.ipc.open_stream(pa.PythonFile(answer, mode="r")).read_all().num_rows, first)
            block = bytearray(1 << 20)
            while answer.readinto(block):
                """Only how long it takes."""
        return Turn(self._here.rows, first)

    @contextmanager
    def _asked(self, sql: str, accept: str) -> Iterator[HTTPResponse]:
        connection = HTTPConnection("127.0.0.1", self._here.server.port)
        headers = {"Content-Type": "application/json", "Accept": accept}
        connection.request("POST", "/v1/query", json.dumps({"sql": sql}), headers)
        yield connection.getresponse()
        connection.close()

    def arrow(self, connection: Connection, sql: str) -> Turn:
        started = time.perf_counter()
        with connection.execute(sql) as cursor, cursor.fetch_record_batch() as reader:
            batches = [reader.read_next_batch()]
            first = time.perf_counter() - started
            return Turn(pa.Table.from_batches([*batches, *reader]).num_rows, first)

    def pandas(self, connection: Connection, sql: str) -> Turn:
        with connection.execute(sql) as cursor:
            return Turn(len(cursor.fetch_df()))

    def rows(self, connection: Connection, sql: str) -> Turn:
        started = time.perf_counter()
        with connection.execute(sql) as cursor:
            cursor.fetchone()
            first = time.perf_counter() - started
            return Turn(1 + len(cursor.fetchall()), first)

    def json_pages(self, sql: str) -> Turn:
        """As Trino's client for Python does: page after page of JSON, each value made what its column's type says."""
        client = self._here.server.client
        started = time.perf_counter()
        at = client.post("/v1/statements", json={"sql": sql}).headers["location"]
        eventually(lambda: client.get(at).json()["state"] == "finished", 600)
        url: str | None = f"{at}/result?limit={PAGE_ROWS}"
        rows: list[tuple[Any, ...]] = []
        first = None
        while url is not None:
            answer = client.get(url)
            rows += [
                tuple(make(value) for make, value in zip(VALUES, row, strict=True)) for row in answer.json()["rows"]
            ]
            first = first or time.perf_counter() - started
            url = answer.links.get("next", {}).get("url")
        client.delete(at)
        return Turn(len(rows), first)

    def close(self) -> None:
        for each in (self.remote, self.embedded, self._duck, self._postgres, self._extension):
            each.close()


def ways(fetch: Fetch) -> list[Way]:
    arrow, csv, document = "application/vnd.apache.arrow.stream", "text/csv", "application/json"
    remote, embedded = fetch.remote, fetch.embedded
    duck, frame, driver = "DuckDB in process, Arrow", "DuckDB in process, pandas", "psycopg, rows"
    extension = "DuckDB over PostgreSQL, Arrow"
    return [
        Way(duck, duck, fetch.duckdb_arrow),
        Way("as many bytes by loopback", duck, fetch.loopback),
        Way("file: embedded, Arrow", duck, lambda: fetch.arrow(embedded, FILE)),
        Way("file: HTTP, Arrow", duck, lambda: fetch.http(FILE, arrow)),
        Way("file: HTTP, CSV", duck, lambda: fetch.http(FILE, csv)),
        Way("file: HTTP, JSON", duck, lambda: fetch.http(FILE, document)),
        Way("file: client, Arrow", duck, lambda: fetch.arrow(remote, FILE)),
        Way("file: JSON pages, rows", duck, lambda: fetch.json_pages(FILE)),
        Way("file: client, rows", duck, lambda: fetch.rows(remote, FILE)),
        Way("cache: HTTP, Arrow", duck, lambda: fetch.http(CACHED, arrow)),
        Way("cache: client, Arrow", duck, lambda: fetch.arrow(remote, CACHED)),
        Way(frame, frame, fetch.duckdb_pandas),
        Way("file: client, pandas", frame, lambda: fetch.pandas(remote, FILE)),
        Way(extension, extension, fetch.duckdb_postgres),
        Way("PostgreSQL: embedded, Arrow", extension, lambda: fetch.arrow(embedded, POSTGRES)),
        Way("PostgreSQL: client, Arrow", extension, lambda: fetch.arrow(remote, POSTGRES)),
        Way(driver, driver, fetch.psycopg_rows),
        Way("psycopg, rows streamed", driver, fetch.psycopg_stream),
        Way("PostgreSQL: client, rows", driver, lambda: fetch.rows(remote, POSTGRES)),
        Way("PostgreSQL: client, pandas", driver, lambda: fetch.pandas(remote, POSTGRES)),
        Way("PostgreSQL: JSON pages, rows", driver, lambda: fetch.json_pages(POSTGRES)),
    ]


def measure(here: Place, repeat: int) -> list[Measured]:
    """Each way's quickest turn. The first round warms up; a way that has taken long by then has no more turns."""
    fetch = Fetch(here)
    chosen = ways(fetch)
    turns: dict[str, list[Measured]] = {each.name: [] for each in chosen}
    try:
        for _ in range(repeat + 1):
            for way in chosen:
                made = turns[way.name]
                if sum(turn.seconds for turn in made) < LONG:
                    made.append(_turn(way, fetch, here.rows))
    finally:
        fetch.close()
    return [min(each[1:] or each, key=lambda turn: turn.seconds) for each in turns.values()]


def _turn(way: Way, fetch: Fetch, rows: int) -> Measured:
    before, started = fetch.processor(), time.perf_counter()
    turn = way.run()
    seconds = time.perf_counter() - started
    if turn.rows != rows:
        raise AssertionError(f"{way.name} gave {turn.rows:,} rows")
    return Measured(way.name, way.beside, seconds, turn.first, fetch.processor() - before, turn.rows)


def report(measured: list[Measured]) -> None:
    seconds = {each.name: each.seconds for each in measured}
    print(f"\n{'':<29} rows/s      first ms  processor s  speed beside ({os.cpu_count()} processors)")
    for each in measured:
        first = f"{each.first * 1000:8.0f}" if each.first is not None else " " * 8
        ratio = seconds[each.beside] / each.seconds
        print(
            f"{each.name:<29} {each.rows / each.seconds:<11,.0f} {first}  {each.processor:11.2f}  {ratio:5.2f} of "
            f"{each.beside}"
        )
