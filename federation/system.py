"""The federation's own tables, `system.*`: a source like any other, that is asked for nothing but its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from adapters.base import CancelToken, Column, Partition, Scan, ScanRequest, Table, TableName
from adapters.errors import TableNotFound
from catalog.model import Source

SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class SystemTable:
    """`rows` makes them anew for each query."""

    schema: pa.Schema
    rows: Callable[[], pa.Table]


class SystemAdapter:
    """Conditions and limits are left to the caller."""

    options: ClassVar[frozenset[str]] = frozenset()
    default_schema = "main"

    def __init__(self, tables: Mapping[str, SystemTable]) -> None:
        self.name = SYSTEM
        self._tables = tables

    def list_tables(self) -> Iterable[TableName]:
        return [TableName(self.default_schema, name) for name in self._tables]

    def get_table(self, name: TableName) -> Table:
        known = self._tables.get(name.name) if name.schema == self.default_schema else None
        if known is None:
            raise TableNotFound(f'there is no table "{name.name}"', source=self.name)
        return Table(name, tuple(Column(each.name, each.type, each.nullable) for each in known.schema))

    def plan_scan(self, request: ScanRequest) -> Scan:
        columns = [self._tables[request.table.name].schema.field(name) for name in request.columns]
        partition = Partition(f"{request.table.name}({', '.join(request.columns)})", request)
        return Scan((partition,), pa.schema(columns), request.predicates, reusable=True)

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        cancel.check()
        request: ScanRequest = partition.payload
        rows = self._tables[request.table.name].rows().select(list(request.columns))
        return rows.slice(0, None if request.predicates else request.limit).to_reader()

    def close(self) -> None:
        """Nothing is open."""


def system_source(tables: Mapping[str, SystemTable]) -> Source:
    return Source(SYSTEM, SYSTEM, SystemAdapter(tables))
