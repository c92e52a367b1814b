"""One cut of the query becomes a fragment: typed by DuckDB, translated for its source, planned by its adapter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from adapters.base import Predicate, ScanRequest, SupportsQuery, Table
from adapters.sql.dialect import Declined, Reason, SourceDialect
from adapters.sql.queries import Translated, translate_query
from catalog.model import CatalogTable, Source
from federation.native import is_native
from federation.planner.nodes import Fragment, LocalScan, Note, RemoteQuery, TableScan
from federation.planner.optimizations import Optimization, Optimizations


class Describer(Protocol):
    """What DuckDB says of a query over the empty typed tables, and of constants: type and text of each; and which
    tables it reads by itself."""

    def reads(self, identifier: str) -> bool: ...

    def describe(self, sql: str) -> Sequence[tuple[str, str]]: ...

    def evaluate(self, expressions: Sequence[str]) -> Sequence[tuple[str, str | None]]: ...

    def arrow_schema(self, columns: Sequence[tuple[str, str]]) -> pa.Schema: ...


class Fragments:
    """Collects the fragments of one plan; `tables` maps the identifiers of the tree to catalog tables."""

    def __init__(self, tables: Mapping[str, CatalogTable], describer: Describer, optimizations: Optimizations) -> None:
        self.tables = tables
        self.optimizations = optimizations
        self.made: list[Fragment] = []
        self.local_scans: list[LocalScan] = []
        self._describer = describer

    def dialect(self, source: Source) -> SourceDialect | None:
        """The dialect of a source that takes whole queries."""
        adapter = source.adapter
        return adapter.dialect if self.optimizations.pushdown and isinstance(adapter, SupportsQuery) else None

    def tables_of(self, source: Source) -> dict[str, Table]:
        of_source = {key: each for key, each in self.tables.items() if each.source.name == source.name}
        return {key: each.table for key, each in of_source.items() if not is_native(each)}

    def read_here(self, identifier: str) -> bool:
        """Whether DuckDB reads the table by itself."""
        return self._describer.reads(identifier)

    def remote(self, source: Source, query: exp.Query, translated: Translated, notes: list[Note]) -> exp.Expr:
        """The relation that stands for an island. `query` is the original, in DuckDB's dialect. Raises Declined when
        the adapter itself does."""
        adapter = source.adapter
        assert isinstance(adapter, SupportsQuery)
        columns = self._describer.describe(to_sql(query))
        schema = self._describer.arrow_schema(columns)
        scan = adapter.plan_query(translated.query, schema)
        if scan is None:
            raise Declined(Reason.DECLINED, source.name)
        read = {table.name for table in query.find_all(exp.Table)}
        fragment = RemoteQuery(
            self._name(),
            source,
            scan.schema,
            notes,
            tuple(table for name, table in self.tables.items() if name in read),
            schema,
            scan,
            query=query,
            translated=translated,
            asked=translated.query,
            contained=self.optimizations.on(Optimization.CONTAINMENT, source.name),
        )
        self.made.append(fragment)
        return restoring(exp.Table(this=exp.to_identifier(fragment.name, quoted=True)), columns)

    def translate(self, source: Source, query: exp.Query) -> Translated:
        """The query in the dialect of the source. Raises Declined."""
        dialect = self.dialect(source)
        if dialect is None:
            raise Declined(Reason.NO_QUERY_INTERFACE, source.name)
        return translate_query(dialect, query, self.tables_of(source))

    def scan(
        self,
        table: CatalogTable,
        columns: Sequence[str],
        conditions: Sequence[tuple[str, tuple[Predicate, ...]]],
        notes: list[Note],
    ) -> TableScan:
        """A scan of one table, not planned yet: a runtime filter or a limit may still come."""
        chosen = [table.table.column(name) for name in columns]
        schema = pa.schema([pa.field(each.name, each.type) for each in chosen])
        fragment = TableScan(
            self._name(),
            table.source,
            schema,
            notes,
            (table,),
            schema,
            table=table.table.name,
            columns=tuple(columns),
            conditions=tuple(conditions),
            contained=self.optimizations.on(Optimization.CONTAINMENT, table.source.name) and not is_native(table),
        )
        self.made.append(fragment)
        return fragment

    def _name(self) -> str:
        return f"f{len(self.made)}"


def plan_scan(fragment: TableScan, more: Sequence[Predicate] = ()) -> None:
    """Ask the adapter for the scan, now that every predicate is known."""
    fragment.request = ScanRequest(fragment.table, fragment.columns, (*fragment.predicates, *more), fragment.limit)
    fragment.scan = scan = fragment.source.adapter.plan_scan(fragment.request)
    fragment.schema = scan.schema
    for text, predicates in fragment.conditions:
        exact = not any(each in scan.residual for each in predicates)
        where, reason = ("pushed", Reason.EXACT) if exact else ("rechecked", Reason.SUPERSET_RESIDUAL)
        fragment.notes.append(Note(text, where, reason))


def to_sql(node: exp.Expr) -> str:
    return node.sql("duckdb", identify=True)


_LOST = frozenset({"HUGEINT", "UHUGEINT"})
_KEPT = re.compile(
    r"BOOLEAN|U?(TINYINT|SMALLINT|INTEGER|BIGINT)|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|BLOB|DATE|TIME"
    r"|TIMESTAMP( WITH TIME ZONE)?"
)


def restorable(type_: str) -> bool:
    """Whether `restored` knows how a column of this DuckDB type comes back from Arrow."""
    return type_ in _LOST or _KEPT.fullmatch(type_) is not None


def restored(column: exp.Column, type_: str) -> exp.Expr:
    """The column of Arrow in its DuckDB type: by a cast, where Arrow does not bring it back."""
    return exp.cast(column, type_, dialect="duckdb") if type_ in _LOST else column


def restoring(relation: exp.Table | exp.Subquery, columns: Sequence[tuple[str, str]]) -> exp.Table | exp.Subquery:
    """The relation with columns of these names, restored to these DuckDB types."""
    if not any(type_ in _LOST for _, type_ in columns):
        return relation
    names = [(exp.to_identifier(name, quoted=True), type_) for name, type_ in columns]
    items = [
        exp.alias_(restored(exp.column(name), type_), name) if type_ in _LOST else exp.column(name)
        for name, type_ in names
    ]
    return exp.Subquery(this=exp.Select(expressions=items).from_(relation, copy=False))
