"""The federation's own tables, `system.*`: a source like any other, that is asked for nothing but its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar

import pyarrow as pa

from adapters.base import CancelToken, Column, Partition, Predicate, Scan, ScanRequest, Table, TableName
from adapters.errors import TableNotFound
from catalog.model import CatalogTable, Source
from catalog.policies import Caller

SYSTEM = "system"
TIME = pa.timestamp("us", "UTC")
BATCH_ROWS = 10_000


def columns(**types: pa.DataType) -> pa.Schema:
    """Those of a table, in this order."""
    return pa.schema(types)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a query wants of a table: these columns of the rows for which all predicates hold, as its caller sees them;
    None is the operator. Other rows and columns may be given all the same."""

    caller: Caller | None
    columns: tuple[str, ...]
    predicates: tuple[Predicate, ...]

    def wants(self, **values: str) -> bool:
        """Whether a row with these values may be one of them."""
        return all(_may_hold(each, values[each.column]) for each in self.predicates if each.column in values)


@dataclass(frozen=True, slots=True)
class SystemTable:
    """`rows` makes them anew for each query; what a row does not say is NULL."""

    schema: pa.Schema
    rows: Callable[[Asked], Iterable[Mapping[str, Any]]]


class SystemAdapter:
    """Conditions and limits are left to the caller. Those of one caller are equal."""

    options: ClassVar[frozenset[str]] = frozenset()
    default_schema = "main"

    def __init__(self, tables: Mapping[str, SystemTable], caller: Caller | None = None) -> None:
        self.name = SYSTEM
        self._tables = tables
        self._caller = caller

    def of(self, caller: Caller | None) -> SystemAdapter:
        return SystemAdapter(self._tables, caller)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SystemAdapter) and (self._tables, self._caller) == (other._tables, other._caller)

    def __hash__(self) -> int:
        return hash(self._caller)

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
        request: ScanRequest = partition.payload
        schema = self._tables[request.table.name].schema
        wanted = pa.schema([schema.field(name) for name in request.columns])
        return pa.RecordBatchReader.from_batches(wanted, self._batches(request, cancel))

    def close(self) -> None:
        """Nothing is open."""

    def _batches(self, request: ScanRequest, cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        table = self._tables[request.table.name]
        rows = islice(self._rows(table, request, cancel), None if request.predicates else request.limit)
        while some := list(islice(rows, BATCH_ROWS)):
            yield pa.RecordBatch.from_pylist(some, table.schema).select(list(request.columns))

    def _rows(self, table: SystemTable, request: ScanRequest, cancel: CancelToken) -> Iterator[Mapping[str, Any]]:
        cancel.check()
        for row in table.rows(Asked(self._caller, request.columns, request.predicates)):
            cancel.check()
            yield row


def system_source(tables: Mapping[str, SystemTable]) -> Source:
    return Source(SYSTEM, SYSTEM, SystemAdapter(tables))


def asked_by(found: CatalogTable, caller: Caller | None) -> CatalogTable:
    """The table as that caller sees it: a table of another source is the same for all here."""
    adapter = found.source.adapter
    if caller is None or not isinstance(adapter, SystemAdapter):
        return found
    return replace(found, source=replace(found.source, adapter_or_fault=adapter.of(caller)))


def _may_hold(predicate: Predicate, value: str) -> bool:
    if predicate.op in ("=", "in"):
        return value in predicate.values
    if predicate.op == "<>":
        return value not in predicate.values
    return predicate.op != "is null"
