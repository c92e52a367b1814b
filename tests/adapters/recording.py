"""Wraps any adapter and keeps what was asked of it, so that a test can assert on requests, not only on rows.

    adapter = record(MemoryAdapter("mem", {"tables": tables}))
    …
    assert adapter.scans[0].columns == ("id",)
    assert adapter.requests == ["people(id); id = 1"]

The wrapper has exactly the abilities of what it wraps.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import pyarrow as pa
from sqlglot import exp

from adapters.base import (
    Adapter,
    CancelToken,
    Column,
    Estimate,
    Partition,
    Scan,
    ScanRequest,
    SupportsEstimate,
    SupportsLocalScan,
    SupportsNativeQuery,
    SupportsQuery,
    SupportsStatistics,
    Table,
    TableName,
    TableStatistics,
)


class RecordingAdapter:
    """`scans`, `queries` and `local` hold what was planned; `requests` what was read, as EXPLAIN shows it."""

    inner: Any
    options: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.name = inner.name
        self.default_schema = inner.default_schema
        self.scans: list[ScanRequest] = []
        self.queries: list[str] = []
        self.local: list[TableName] = []
        self.requests: list[str] = []

    def list_tables(self) -> Iterable[TableName]:
        names: Iterable[TableName] = self.inner.list_tables()
        return names

    def get_table(self, name: TableName) -> Table:
        table: Table = self.inner.get_table(name)
        return table

    def plan_scan(self, request: ScanRequest) -> Scan:
        self.scans.append(request)
        scan: Scan = self.inner.plan_scan(request)
        return scan

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        self.requests.append(partition.request)
        reader: pa.RecordBatchReader = self.inner.read(partition, cancel)
        return reader

    def close(self) -> None:
        self.inner.close()

    def forget(self) -> None:
        """Start a new recording."""
        for kept in (self.scans, self.queries, self.local, self.requests):
            kept.clear()


class _Queries(RecordingAdapter):
    @property
    def dialect(self) -> object:
        dialect: object = self.inner.dialect
        return dialect

    def plan_query(self, query: exp.Query, schema: pa.Schema) -> Scan | None:
        self.queries.append(query.sql(dialect=self.inner.dialect.name))
        scan: Scan | None = self.inner.plan_query(query, schema)
        return scan


class _NativeQueries(RecordingAdapter):
    def describe_native(self, sql: str) -> tuple[Column, ...]:
        columns: tuple[Column, ...] = self.inner.describe_native(sql)
        return columns

    def plan_native(self, sql: str, columns: tuple[Column, ...]) -> Scan:
        scan: Scan = self.inner.plan_native(sql, columns)
        return scan


class _LocalScans(RecordingAdapter):
    def local_sql(self, table: TableName) -> str:
        self.local.append(table)
        sql: str = self.inner.local_sql(table)
        return sql

    def local_paths(self) -> tuple[str, ...]:
        paths: tuple[str, ...] = self.inner.local_paths()
        return paths


class _Estimates(RecordingAdapter):
    def estimate(self, query: exp.Query) -> Estimate:
        estimate: Estimate = self.inner.estimate(query)
        return estimate


class _Statistics(RecordingAdapter):
    def statistics(self, table: TableName) -> TableStatistics:
        statistics: TableStatistics = self.inner.statistics(table)
        return statistics


_ABILITIES: dict[type, type[RecordingAdapter]] = {
    SupportsQuery: _Queries,
    SupportsLocalScan: _LocalScans,
    SupportsNativeQuery: _NativeQueries,
    SupportsEstimate: _Estimates,
    SupportsStatistics: _Statistics,
}


def record(adapter: Adapter) -> RecordingAdapter:
    wrappers = [wrapper for ability, wrapper in _ABILITIES.items() if isinstance(adapter, ability)]
    kind: type[RecordingAdapter] = type("Recording", (*wrappers, RecordingAdapter), {})
    return kind(adapter)
