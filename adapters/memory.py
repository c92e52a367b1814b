"""Tables in memory: the reference adapter, and the smallest correct one.

It answers a predicate itself only where Arrow compares as DuckDB does (integers, text, booleans, dates), and hands
every other one back as the residual: floats, say, because NaN is the largest value in DuckDB and unordered in Arrow.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, cast

import pyarrow as pa
import pyarrow.compute as pc

from adapters.base import (
    CancelToken,
    Column,
    Estimate,
    Partition,
    Predicate,
    Scan,
    ScanRequest,
    Table,
    TableName,
    TableStatistics,
)
from adapters.errors import CatalogError, ColumnNotFound, SourceChanged, TableNotFound

_BATCH_ROWS = 65_536
_COMPARISONS: dict[str, Callable[[Any, Any], pc.Expression]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class MemoryAdapter:
    """`tables` maps a name to a `pa.Table`, or to a list of rows as a catalog file can spell them."""

    options: ClassVar[frozenset[str]] = frozenset({"tables"})
    default_schema = "main"

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        # The caller's own mapping: what is put in or taken out later is seen.
        self._tables: Mapping[str, pa.Table | list[dict[str, Any]]] = options.get("tables", {})

    def list_tables(self) -> Iterable[TableName]:
        return [TableName(self.default_schema, table) for table in self._tables]

    def get_table(self, name: TableName) -> Table:
        data = self._data(name)
        columns = tuple(Column(field.name, field.type, field.nullable, str(field.type)) for field in data.schema)
        return Table(name, columns)

    def statistics(self, table: TableName) -> TableStatistics:
        data = self._data(table)
        return TableStatistics(data.num_rows, data.nbytes)

    def plan_scan(self, request: ScanRequest) -> Scan:
        data = self._data(request.table)
        unknown = {*request.columns, *(p.column for p in request.predicates)} - set(data.column_names)
        if unknown:
            raise ColumnNotFound(f'"{request.table.name}" has no column "{min(unknown)}"', source=self.name)
        here = tuple(p for p in request.predicates if _is_exact(p, data.schema.field(p.column).type))
        residual = tuple(p for p in request.predicates if p not in here)
        taken = ScanRequest(request.table, request.columns, here, None if residual else request.limit)
        schema = pa.schema([data.schema.field(column) for column in request.columns])
        partition = Partition(_describe(taken), (taken, schema))
        estimate = Estimate(data.num_rows, data.nbytes) if not here else Estimate()
        return Scan((partition,), schema, residual, estimate)

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        request, schema = partition.payload
        return pa.RecordBatchReader.from_batches(schema, self._batches(request, schema, cancel))

    def close(self) -> None:
        """Nothing is open."""

    def _batches(self, request: ScanRequest, schema: pa.Schema, cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        cancel.check()
        try:
            data = self._data(request.table)
        except TableNotFound as exc:
            raise SourceChanged(f'"{request.table.name}" is no longer there', source=self.name) from exc
        for predicate in request.predicates:
            data = data.filter(_expression(predicate, data.schema.field(predicate.column).type))
        data = data.slice(0, request.limit).select(list(request.columns))
        if not data.schema.equals(schema):
            raise SourceChanged(f'"{request.table.name}" has other columns than before', source=self.name)
        for batch in data.to_batches(_BATCH_ROWS):
            yield batch
            cancel.check()

    def _data(self, name: TableName) -> pa.Table:
        data = self._tables.get(name.name) if name.schema == self.default_schema else None
        if data is None:
            raise TableNotFound(f'there is no table "{name.schema}"."{name.name}"', source=self.name)
        if isinstance(data, pa.Table):
            return data
        try:
            return pa.Table.from_struct_array(pa.array(data))
        except (pa.ArrowException, TypeError) as exc:
            raise CatalogError(f'the rows of "{name.name}" do not make a table: {exc}', source=self.name) from exc


def _is_exact(predicate: Predicate, kind: pa.DataType) -> bool:
    if predicate.op in ("is null", "is not null"):
        return True
    types = pa.types
    return types.is_integer(kind) or types.is_string(kind) or types.is_boolean(kind) or types.is_date32(kind)


def _expression(predicate: Predicate, kind: pa.DataType) -> pc.Expression:
    """A row is kept where this is true: NULL drops it, as in SQL."""
    column = pc.field(predicate.column)
    if predicate.op == "is null":
        return column.is_null()
    if predicate.op == "is not null":
        return cast(pc.Expression, column.is_valid())
    if predicate.op == "in":
        return column.isin(pa.array(predicate.values, kind))
    return _COMPARISONS[predicate.op](column, pa.scalar(predicate.values[0], kind))


def _describe(request: ScanRequest) -> str:
    """What EXPLAIN shows."""
    parts = [f"{request.table.name}({', '.join(request.columns)})"]
    parts += [f"{p.column} {p.op} {', '.join(map(repr, p.values))}".rstrip() for p in request.predicates]
    if request.limit is not None:
        parts.append(f"limit {request.limit}")
    return "; ".join(parts)
