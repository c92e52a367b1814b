"""What a catalog has, as documents: what `/v1/catalog` answers, and what connections and SQLAlchemy reflect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from adapters.base import Column, TableName
from adapters.errors import Error
from catalog.catalog import Catalog
from catalog.model import CatalogTable, View
from federation.engine import Engine
from federation.statement import Document


class EngineCatalog:
    """As federation.statement.Catalog."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def overview(self) -> Document:
        return overview(self._engine.catalog)

    def tables(self, source: str | None = None, schema: str | None = None) -> Document:
        """Raises SchemaNotFound for a source that is not there."""
        if source is not None:
            source = self._engine.catalog.source(source).name
        found, failures = tables(self._engine.catalog, source, schema)
        return {"tables": found, "failures": [{"source": name, "error": str(error)} for name, error in failures]}

    def table(self, name: str, schema: str | None = None, source: str | None = None) -> Document:
        return table(self._engine, [part for part in (source, schema, name) if part is not None])


def overview(catalog: Catalog) -> Document:
    """No source is asked."""
    sources = [
        {
            "name": source.name,
            "adapter": source.kind,
            "default_schema": None
            if isinstance(source.adapter_or_fault, Exception)
            else source.adapter_or_fault.default_schema,
        }
        for source in catalog.sources.values()
    ]
    path = [list(entry) for entry in catalog.settings.search_path]
    return {"sources": sources, "view_schemas": sorted({schema for schema, _ in catalog.views}), "search_path": path}


def tables(
    catalog: Catalog, source: str | None, schema: str | None
) -> tuple[list[dict[str, Any]], list[tuple[str, Error]]]:
    """The tables and views, and the sources that failed: their tables are missing."""
    found: list[dict[str, Any]] = []
    failures: list[tuple[str, Error]] = []
    for name in catalog.sources if source is None else (source,):
        try:
            names = catalog.tables(name)
        except Error as exc:
            catalog.redactor.scrub_error(exc)
            failures.append((name, exc))
            continue
        found += [{"source": name, "schema": t.schema, "name": t.name, "kind": "table"} for t in names]
    if source is None:
        found += [{"source": None, "schema": s, "name": name, "kind": "view"} for s, name in catalog.views]
    return [each for each in found if schema in (None, each["schema"])], failures


def table(engine: Engine, parts: Sequence[str]) -> Document:
    """One table or view with its columns, types, keys, owner and freshness. Raises as Catalog.resolve."""
    try:
        found = engine.catalog.resolve(parts, [True] * len(parts))
        return _view_info(engine, found) if isinstance(found, View) else _table_info(engine, found)
    except Error as exc:
        engine.catalog.redactor.scrub_error(exc)
        raise


def _view_info(engine: Engine, view: View) -> dict[str, Any]:
    schema, types = engine.describe(view.sql)
    columns = [_column(Column(field.name, field.type), kind) for field, (_, kind) in zip(schema, types, strict=True)]
    about = {"source": None, "schema": view.schema, "name": view.name, "kind": "view", "comment": None, "owner": None}
    return {**about, "columns": columns, "primary_key": [], "foreign_keys": [], "freshness": 0.0}


def _table_info(engine: Engine, found: CatalogTable) -> dict[str, Any]:
    table, source = found.table, found.source.name
    _, types = engine.describe(_all_of(source, table.name))
    return {
        "source": source,
        "schema": table.name.schema,
        "name": table.name.name,
        "kind": "table",
        "columns": [_column(each, kind) for each, (_, kind) in zip(table.columns, types, strict=True)],
        "primary_key": list(table.primary_key),
        "foreign_keys": [
            {
                "columns": list(key.columns),
                "schema": key.references.schema,
                "table": key.references.name,
                "referenced_columns": list(key.referenced_columns),
            }
            for key in table.foreign_keys
        ],
        "comment": table.comment,
        "owner": found.owner,
        "freshness": 0.0,
    }


def _column(column: Column, kind: str) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": kind,
        "arrow_type": str(column.type),
        "nullable": column.nullable,
        "source_type": column.source_type or None,
        "required_filter": column.required_filter,
        "comment": column.comment,
    }


def _all_of(source: str, table: TableName) -> str:
    named = exp.table_(table.name, db=table.schema, catalog=source, quoted=True)
    return exp.select("*").from_(named).sql("duckdb")
