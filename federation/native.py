"""`query('source', 'text')` in FROM: a query in the source's own words, as a table of the catalog.

To the planner it is a table like any other, of a source that scans it and nothing else: the text runs as it is, and
what the statement asks of its result is computed in DuckDB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import ClassVar, Protocol

import pyarrow as pa
from sqlglot import exp

from adapters.base import (
    Adapter,
    CancelToken,
    Partition,
    Scan,
    ScanRequest,
    SupportsNativeQuery,
    Table,
    TableName,
)
from adapters.errors import FunctionNotFound, NotSupportedError, SQLSyntaxError, StatementTooComplex, TableNotFound
from catalog.catalog import Catalog
from catalog.model import CatalogTable, Source
from federation.parse import MAX_CHARACTERS

FUNCTION = "query"
_USAGE = "write query('source', 'a query in that source''s SQL'), two texts, nothing computed"
_END = " \t\r\n\f;"


class _NativeSource(Adapter, SupportsNativeQuery, Protocol):
    """An adapter with the ability."""


class NativeAdapter:
    """The adapter of one table: the result of a native query. Conditions and limits are left to the caller.

    The table is named by the text, so that two texts are never taken for one another.
    """

    options: ClassVar[frozenset[str]] = frozenset()
    default_schema = FUNCTION

    def __init__(self, inner: _NativeSource, sql: str) -> None:
        """The source describes the query, and does not run it."""
        self.name = inner.name
        self._inner = inner
        self._sql = sql
        name = TableName(FUNCTION, f"{FUNCTION}_{sha256(sql.encode()).hexdigest()[:32]}")
        self.table = Table(name, inner.describe_native(sql))

    def list_tables(self) -> Iterable[TableName]:
        return [self.table.name]

    def get_table(self, name: TableName) -> Table:
        if name != self.table.name:
            raise TableNotFound(f"a native query is no table {name.name}", source=self.name)
        return self.table

    def plan_scan(self, request: ScanRequest) -> Scan:
        table = self.get_table(request.table)
        scan = self._inner.plan_native(self._sql, tuple(table.column(name) for name in request.columns))
        return replace(scan, residual=request.predicates)

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        return self._inner.read(partition, cancel)

    def close(self) -> None:
        """The source's own adapter is closed with its source."""


def is_native(table: CatalogTable) -> bool:
    return isinstance(table.source.adapter_or_fault, NativeAdapter)


def is_call(function: exp.Expr) -> bool:
    """Whether a table function is this one."""
    return isinstance(function, exp.Anonymous) and function.name.lower() == FUNCTION


def native_source(catalog: Catalog, call: exp.Expr) -> Source:
    """The source that is asked. Raises SchemaNotFound for an unknown one, FunctionNotFound for other arguments."""
    return catalog.source(_arguments(call)[0])


def native_table(catalog: Catalog, call: exp.Expr) -> CatalogTable:
    """The call as a table. Raises as `native_source`, NotSupportedError for a source without the ability, and what that
    says."""
    source, (_, sql) = native_source(catalog, call), _arguments(call)
    adapter = source.adapter
    if not isinstance(adapter, SupportsNativeQuery):
        raise NotSupportedError(
            f"the adapter {source.kind} takes no native query",
            hint=f"name a table of {source.name} instead, and filter it here",
            source=source.name,
        )
    native = NativeAdapter(adapter, sql)
    cache = source.cache if source.cache is not None and source.cache.native_queries else None
    return CatalogTable(replace(source, adapter_or_fault=native), native.table, cache=cache)


def _arguments(call: exp.Expr) -> tuple[str, str]:
    texts = [each.name for each in call.expressions if _is_text(each)]
    if len(texts) != 2 or len(call.expressions) != 2:
        raise FunctionNotFound("query takes the name of a source and a text, both as literals", hint=_USAGE)
    name, sql = texts
    return name, native_text(sql)


def native_text(sql: str) -> str:
    """As a source takes it. Raises StatementTooComplex, SQLSyntaxError."""
    if len(sql) > MAX_CHARACTERS:
        raise StatementTooComplex(f"the native query has {len(sql):,} characters, {MAX_CHARACTERS:,} are allowed")
    if "\0" in sql:
        raise SQLSyntaxError("the native query holds U+0000, which is not text")
    sql = sql.rstrip(_END)
    if not sql.strip():
        raise SQLSyntaxError("the native query is empty", hint=_USAGE)
    return sql


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.RawString) or (isinstance(node, exp.Literal) and node.is_string)
