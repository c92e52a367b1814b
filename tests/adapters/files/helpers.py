"""Writing files of every kind, and reading them in both ways that the adapter offers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from adapters.base import ScanRequest, TableName
from adapters.duck import Duck
from adapters.files import FilesAdapter
from tests.adapters.oracle import read_all


def write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path)


def write_csv(table: pa.Table, path: Path) -> None:
    pyarrow.csv.write_csv(table, path)


def write_ndjson(table: pa.Table, path: Path) -> None:
    rows = (json.dumps(row, default=str, ensure_ascii=False) for row in table.to_pylist())
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def write_json(table: pa.Table, path: Path) -> None:
    path.write_text(json.dumps(table.to_pylist(), default=str), encoding="utf-8")


def write_arrow(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=4000)


def write_stream(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def main(name: str) -> TableName:
    return TableName("main", name)


def names(adapter: FilesAdapter) -> list[str]:
    return [table.name for table in adapter.list_tables()]


def columns(adapter: FilesAdapter, table: str) -> dict[str, str]:
    return {column.name: column.source_type for column in adapter.get_table(main(table)).columns}


def scan(adapter: FilesAdapter, table: str) -> pa.Table:
    described = adapter.get_table(main(table))
    planned = adapter.plan_scan(ScanRequest(main(table), tuple(column.name for column in described.columns)))
    return read_all(adapter, planned)


def in_duckdb(adapter: FilesAdapter, table: str) -> pa.Table:
    """As the engine reads it: the table expression inside its own, locked-down DuckDB."""
    expression = adapter.local_sql(main(table))
    assert expression is not None
    duck = Duck(adapter.local_paths())
    try:
        return duck.run(duck.cursor(), f"SELECT * FROM {expression} AS t", {}).read_all()
    finally:
        duck.close()


def rows(adapter: FilesAdapter, table: str) -> list[dict[str, Any]]:
    """The rows, the same by both ways, in the types that the catalog was told."""
    by_scan, by_duckdb = scan(adapter, table), in_duckdb(adapter, table)
    described = adapter.get_table(main(table))
    for read in (by_scan, by_duckdb):
        assert [(f.name, f.type) for f in read.schema] == [(c.name, c.type) for c in described.columns]
    assert by_scan.to_pylist() == by_duckdb.to_pylist()
    listed: list[dict[str, Any]] = by_scan.to_pylist()
    return listed


def csv(folder: Path, text: str | bytes, name: str = "t.csv") -> None:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
