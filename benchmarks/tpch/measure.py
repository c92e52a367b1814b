"""Runs one query on one system: a fresh process, a time limit, the bytes on the link, the answer against DuckDB's."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.environment import peers_python
from benchmarks.tpch.layouts import KINDS, LAYOUTS, TABLES
from benchmarks.tpch.link import Link
from benchmarks.tpch.results import Run
from tests.corpora import tpch
from tests.corpora.compare import Answer, difference

_WORKER = Path(__file__).with_name("worker.py")
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Place:
    """A layout behind a link. `limit` is in seconds, `mediator` the URI of an empty database."""

    layout: str
    link_name: str
    link: Link
    data: Path
    limit: float
    mediator: str | None = None


def measure(place: Place, system: str, query: str, number: int) -> Run:
    """One run, whatever comes of it."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.arrow"
        worker = _start(place, system, query, answer)
        overdue = threading.Event()
        try:
            told, sent, received, seconds = _drive(worker, place, overdue)
        finally:
            worker.kill()
            worker.wait()
        base = Run(place.layout, place.link_name, system, query, number, "ok", seconds, sent, received)
        return _judged(base, told, place, answer, timed_out=overdue.is_set())


def explain(place: Place, query: str) -> str:
    """Federation's EXPLAIN ANALYZE, or its error. Raises TimeoutExpired."""
    worker = _start(place, "explain", query, Path(), stderr=subprocess.STDOUT)
    try:
        return worker.communicate(timeout=place.limit)[0]
    finally:
        worker.kill()


def _start(
    place: Place, system: str, query: str, answer: Path, stderr: int = subprocess.DEVNULL
) -> subprocess.Popen[str]:
    task = {
        "system": system,
        "layout": place.layout,
        "kinds": KINDS,
        "tables": LAYOUTS[place.layout],
        "uris": place.link.uris,
        "paths": {"lite": str(place.data / "lite.db"), "files": str(place.data / "files" / "*.parquet")},
        "mediator": place.mediator,
        "sql": tpch.QUERIES[query],
        "answer": str(answer),
    }
    python = peers_python() if system == "duckdb" else sys.executable
    return subprocess.Popen(
        [python, str(_WORKER), json.dumps(task)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        cwd=place.data,
        env={"PYTHONPATH": str(_ROOT), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
    )


def _drive(
    worker: subprocess.Popen[str], place: Place, overdue: threading.Event
) -> tuple[dict[str, Any] | None, int, int, float]:
    """What the worker said at the end, the bytes meanwhile, and the seconds as seen from here."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    first = worker.stdout.readline()
    if first != "ready\n":
        return (json.loads(first) if first else None), 0, 0, 0.0

    def end() -> None:
        overdue.set()
        worker.kill()

    timer = threading.Timer(place.limit, end)
    before, start = place.link.counts(), time.perf_counter()
    timer.start()
    try:
        print(file=worker.stdin, flush=True)
        line = worker.stdout.readline()
    finally:
        timer.cancel()
    seconds, after = time.perf_counter() - start, place.link.counts()
    sent, received = (sum(after[each][i] - before[each][i] for each in after) for i in range(2))
    return (json.loads(line) if line else None), sent, received, seconds


def _judged(base: Run, told: Mapping[str, Any] | None, place: Place, answer: Path, *, timed_out: bool) -> Run:
    fields = dict(vars(base))
    if told is None:
        status, message = ("timeout", "") if timed_out else ("error", "the process ended without a word")
        return Run(**{**fields, "status": status, "message": message})
    if "error" in told:
        return Run(**{**fields, "status": "error", "message": told["error"]})
    wrong = _difference(place.data, base.query, base.system, answer)
    fields |= {"status": "wrong" if wrong else "ok", "message": wrong or ""}
    return Run(**{**fields, "seconds": told["seconds"], "rows": told["rows"], "peak_mib": told["peak_mib"]})


def _difference(data: Path, query: str, system: str, path: Path) -> str | None:
    """Values are compared as the types that DuckDB gives them: a REAL of SQLite stands for a decimal."""
    expected = _expected(data, query)
    with pa.OSFile(str(path), "rb") as file:
        table = pa.ipc.open_file(file).read_all()
    try:
        actual = _as(table, expected.schema)
    except pa.ArrowException as exc:
        return f"types: {exc}"
    if system.startswith("postgres"):  # whose char(n) comes with trailing blanks
        expected, actual = _trimmed(expected), _trimmed(actual)
    return difference(_answer(expected), _answer(actual), ordered=query not in tpch.PARTIAL_ORDER)


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if table.num_columns != len(schema):
        raise pa.ArrowInvalid(f"{table.num_columns} columns, not {len(schema)}")
    columns = []
    for column, field in zip(table.columns, schema, strict=True):
        stored = pa.chunked_array([getattr(chunk, "storage", chunk) for chunk in column.chunks], _storage(column.type))
        columns.append(stored.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _trimmed(table: pa.Table) -> pa.Table:
    columns = [pc.utf8_rtrim_whitespace(c) if c.type == pa.string() else c for c in table.columns]
    return pa.Table.from_arrays(columns, schema=table.schema)


def _storage(type_: pa.DataType) -> Any:
    """ADBC has numerics without a scale as an extension type, whose storage is text."""
    return type_.storage_type if isinstance(type_, pa.BaseExtensionType) else type_


def _answer(table: pa.Table) -> Answer:
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return Answer(tuple(map(str, table.schema.types)), rows)


@cache
def _expected(data: Path, query: str) -> pa.Table:
    """What plain DuckDB answers over the Parquet files."""
    with duckdb.connect() as connection:
        for table in TABLES:
            connection.execute(f"CREATE VIEW {table} AS FROM '{data}/parquet/{table}.parquet'")
        answer: pa.Table = connection.sql(tpch.QUERIES[query]).to_arrow_table()
        return answer
