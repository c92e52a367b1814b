"""What a client holds of a large result."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.http.running import Running, environment

ROWS, WIDTH = 100_000, 2000
CLIENT = """
import asyncio, sys, federation, federation.aio
from pathlib import Path

SQL = "SELECT x, repeat('x', {width}) AS t FROM range({rows}) AS r (x)"

def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024

def blocking(url):
    with federation.connect(url) as connection:
        connection.execute(SQL + " LIMIT 2000").fetchall()
        before, rows, cursor = peak(), 0, connection.execute(SQL)
        while part := cursor.fetchmany(1000):
            rows += len(part)
        return rows, peak() - before

async def asynchronous(url):
    async with await federation.aio.connect(url) as connection:
        await (await connection.execute(SQL + " LIMIT 2000")).fetchall()
        before, rows, cursor = peak(), 0, await connection.execute(SQL)
        while part := await cursor.fetchmany(1000):
            rows += len(part)
        return rows, peak() - before

url = sys.argv[1]
print(*(asyncio.run(asynchronous(url)) if sys.argv[2] == "asynchronous" else blocking(url)))
"""


@pytest.mark.parametrize("kind", ["blocking", "asynchronous"])
def test_fetchmany_holds_a_part(server: Running, kind: str) -> None:
    code = CLIENT.replace("{rows}", str(ROWS)).replace("{width}", str(WIDTH))
    command = [sys.executable, "-c", code, server.url, kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment())
    assert done.stderr == ""
    rows, grown = map(int, done.stdout.split())
    assert rows == ROWS
    assert grown < ROWS * WIDTH / 5
