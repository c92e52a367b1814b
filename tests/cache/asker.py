"""A process that asks: `python -m tests.cache.asker CATALOG THREADS [SQL …]`. It says `ready`, waits for a line, asks
each statement in each thread, and prints what all of them answered as one JSON line: a list of rows, or an error's
class."""

from __future__ import annotations

import json
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from adapters.errors import Error
from federation.engine import Engine
from tests.cache.world import ask


def main(catalog: str, threads: str, *statements: str) -> None:
    with Engine.open(Path(catalog)) as engine, ThreadPoolExecutor(int(threads)) as pool:
        print("ready", flush=True)
        most = sys.stdin.readline().strip()
        if most:  # bytes that any file may have from now on
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
        asked = [pool.submit(_answer, engine, sql) for sql in statements for _ in range(int(threads))]
        print(json.dumps([each.result() for each in asked], default=int), flush=True)


def _answer(engine: Engine, sql: str) -> Any:
    try:
        return ask(engine, sql)
    except Error as exc:
        return type(exc).__name__


if __name__ == "__main__":
    main(*sys.argv[1:])
