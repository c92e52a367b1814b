"""Many clients at once, small and large results, some of which leave or read slowly; what the server felt."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pyarrow as pa

from tests.http.running import ROWS, Running

ARROW = "application/vnd.apache.arrow.stream"


@dataclass
class Load:
    """What came of it. `seconds` are those of each small query."""

    errors: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    large: int = 0
    left: int = 0


async def run_load(server: Running, clients: int, seconds: float) -> Load:
    """Each client asks one query after the other until the time is over."""
    load = Load()
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    until = time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits, trust_env=False) as client:
        await asyncio.gather(*(_one(client, number, until, load) for number in range(clients)))
    return load


async def _one(client: httpx.AsyncClient, number: int, until: float, load: Load) -> None:
    choices = random.Random(number)
    while time.monotonic() < until:
        chance = choices.random()
        try:
            if chance < 0.9:
                await _small(client, choices.randrange(ROWS), load)
            elif chance < 0.95:
                await _large(client, load)
            else:
                await _leaves(client, load)
        except Exception as exc:
            load.errors.append(repr(exc))


async def _small(client: httpx.AsyncClient, row: int, load: Load) -> None:
    started = time.monotonic()
    body = {"sql": "SELECT id, name FROM f.numbers WHERE id = $id", "params": {"id": row}}
    answer = await client.post("/v1/query", json=body)
    load.seconds.append(time.monotonic() - started)
    if answer.status_code != 200 or answer.json()["rows"] != [[row, f"name {row}"]]:
        load.errors.append(answer.text[:500])


async def _large(client: httpx.AsyncClient, load: Load) -> None:
    answer = await client.post("/v1/query", json={"sql": "SELECT * FROM f.numbers"}, headers={"Accept": ARROW})
    rows = pa.ipc.open_stream(answer.content).read_all().num_rows if answer.status_code == 200 else answer.text
    load.large += 1
    if rows != ROWS:
        load.errors.append(str(rows))


async def _leaves(client: httpx.AsyncClient, load: Load) -> None:
    body = {"sql": "SELECT a.*, b.name AS other FROM f.numbers a JOIN f.numbers b ON a.id = b.id"}
    async with client.stream("POST", "/v1/query", json=body, headers={"Accept": ARROW}) as answer:
        async for _ in answer.aiter_raw(1000):
            break
    load.left += 1


def descriptors(server: Running) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in server.pids())  # noqa: PTH208 -- a Path takes longer


def memory(server: Running) -> int:
    """Resident bytes."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in server.pids())
    return pages * os.sysconf("SC_PAGE_SIZE")


def waited(server: Running) -> float:
    """The seconds that its threads have waited for a processor, which others had."""
    total = 0
    for thread in [each for pid in server.pids() for each in Path(f"/proc/{pid}/task").iterdir()]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            total += int((thread / "schedstat").read_text().split()[1])
    return total / 1e9


def late(server: Running, seconds: float) -> tuple[int, int]:
    """How often the event loop was later than that, of how often it was looked at."""
    text = server.client.get("/metrics").text
    found: Counter[str] = Counter()
    for label, count in re.findall(r'federation_event_loop_lag_seconds_bucket\{le="([^"]+)".*\} (\S+)', text):
        found[label] += int(float(count))
    return found["+Inf"] - found[str(seconds)], found["+Inf"]
