"""What a catalog has, as documents: what `/v1/catalog` answers, and what connections and SQLAlchemy reflect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from adapters.base import Column, TableName
from adapters.errors import Error, InsufficientPrivilege
from catalog.catalog import Catalog
from catalog.model import CatalogTable, View
from catalog.policies import Caller, Rights
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


def overview(catalog: Catalog, caller: Caller | None = None) -> Document:
    """What the caller may see something of. No source is asked."""
    rights = Rights(catalog, caller)
    sources = [
        {
            "name": source.name,
            "adapter": source.kind,
            "default_schema": None
            if isinstance(source.adapter_or_fault, Exception)
            else source.adapter_or_fault.default_schema,
        }
        for source in catalog.sources.values()
        if rights.sees_source(source.name)
    ]
    schemas = sorted({view.schema for view in rights.views()})
    shown = {*(source["name"] for source in sources), *schemas} if rights.restricted else None
    path = [list(entry) for entry in catalog.settings.search_path if shown is None or entry[0] in shown]
    return {"sources": sources, "view_schemas": schemas, "search_path": path}


def tables(
    catalog: Catalog, source: str | None, schema: str | None, caller: Caller | None = None
) -> tuple[list[dict[str, Any]], list[tuple[str, Error]]]:
    """The tables and views that the caller may read, and the sources that failed: their tables are missing."""
    rights = Rights(catalog, caller)
    found: list[dict[str, Any]] = []
    failures: list[tuple[str, Error]] = []
    for name in catalog.sources if source is None else (source,):
        try:
            names = rights.tables(name)
        except Error as exc:
            catalog.redactor.scrub_error(exc)
            failures.append((name, exc))
            continue
        found += [{"source": name, "schema": t.schema, "name": t.name, "kind": "table"} for t in names]
    if source is None:
        found += [{"source": None, "schema": v.schema, "name": v.name, "kind": "view"} for v in rights.views()]
    return [each for each in found if schema in (None, each["schema"])], failures


def table(engine: Engine, parts: Sequence[str], caller: Caller | None = None) -> Document:
    """One table or view with its columns, types, keys, owner and freshness. Raises as Catalog.resolve, and
    InsufficientPrivilege."""
    rights = Rights(engine.catalog, caller)
    try:
        found = engine.catalog.resolve(parts, [True] * len(parts))
        if isinstance(found, View):
            rights.check_view(found)
            return _view_info(engine, found)
        rights.check_table(found)
        return _table_info(engine, found, rights)
    except Error as exc:
        if rights.restricted and not isinstance(exc, InsufficientPrivilege):
            exc.hint = None  # it names what others may read
        engine.catalog.redactor.scrub_error(exc)
        raise


def _view_info(engine: Engine, view: View) -> dict[str, Any]:
    schema, types = engine.describe(view.sql)
    columns = [_column(Column(field.name, field.type), kind) for field, (_, kind) in zip(schema, types, strict=True)]
    about = {"source": None, "schema": view.schema, "name": view.name, "kind": "view", "comment": None, "owner": None}
    return {**about, "columns": columns, "primary_key": [], "foreign_keys": [], "freshness": 0.0}


def _table_info(engine: Engine, found: CatalogTable, rights: Rights) -> dict[str, Any]:
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
            if rights.reads_table(found.source, key.references)
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
