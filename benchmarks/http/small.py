"""Queries that return a row: how long one takes, and how many a server answers with all that it has."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from benchmarks.http.place import Place, seconds_of
from tests.http.running import Running

CLIENTS = 16
ALONE = 300  # queries one after the other
KEYS = 100  # that are asked for again and again
QUERIES = {
    "SELECT 1": "SELECT 1",
    "a row of PostgreSQL by its key": "SELECT id, name FROM pg.numbers WHERE id = $id",
    "the same, from a warm cache": "SELECT id, name FROM kept.numbers WHERE id = $id",
    "a row of a Parquet file": "SELECT id, name FROM f.numbers WHERE id = $id",
}


@dataclass
class Measured:
    """`p50` and `p95` in seconds, of queries one after the other; `processor` is what a query costs the server."""

    name: str
    workers: int
    p50: float
    p95: float
    per_second: float
    processor: float


def measure(here: Place, servers: Mapping[int, Running], seconds: float) -> list[Measured]:
    """Of servers by the number of their processes, in turns."""
    return [
        asyncio.run(_measure(here.rows, workers, server, name, seconds))
        for name in QUERIES
        for workers, server in servers.items()
    ]


async def _measure(rows: int, workers: int, server: Running, name: str, seconds: float) -> Measured:
    sql = QUERIES[name]
    requests = [_request(sql, key * rows // KEYS) for key in range(KEYS if "$id" in sql else 1)]
    port = server.port
    await asyncio.gather(*(_ask(port, requests, number, 0, 1.0) for number in range(CLIENTS)))
    alone = sorted(await _ask(port, requests, 0, ALONE, 0.0))
    before, started = seconds_of(server), time.perf_counter()
    asked = await asyncio.gather(*(_ask(port, requests, number, 0, seconds) for number in range(CLIENTS)))
    count, took = sum(map(len, asked)), time.perf_counter() - started
    processor = (seconds_of(server) - before) / count
    return Measured(name, workers, statistics.median(alone), alone[len(alone) * 95 // 100], count / took, processor)


def _request(sql: str, key: int) -> bytes:
    body = {"sql": sql, "params": {"id": key} if "$id" in sql else None}
    request = httpx.Request("POST", "http://127.0.0.1/v1/query", json=body)
    lines = [f"{name}: {value}" for name, value in request.headers.items()]
    return "\r\n".join(["POST /v1/query HTTP/1.1", *lines, "", ""]).encode() + request.content


async def _ask(port: int, requests: list[bytes], start: int, least: int, seconds: float) -> list[float]:
    """How long each answer took, on one connection. A client of its own, for httpx uses more time than the server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    times: list[float] = []
    until = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < until:
        started = time.perf_counter()
        writer.write(requests[(start * 7 + len(times)) % len(requests)])
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"content-length: " in head:
            body = await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        else:
            body = await reader.readuntil(b"\r\n0\r\n\r\n")
        times.append(time.perf_counter() - started)
        if not head.startswith(b"http/1.1 200") or b'"complete": true' not in body:
            raise AssertionError(body[:500])
    writer.close()
    return times


def report(measured: list[Measured]) -> None:
    print(f"\n{'':<31} workers  p50 ms  p95 ms  queries/s of {CLIENTS} clients  processor ms of the server for each")
    for each in measured:
        figures = f"{each.p50 * 1000:6.2f}  {each.p95 * 1000:6.2f}  {each.per_second:23.0f}"
        print(f"{each.name:<31} {each.workers:7}  {figures}  {each.processor * 1000:10.2f}")
