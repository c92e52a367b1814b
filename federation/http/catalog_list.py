"""`/v1/catalog`: the sources, their tables, and one table down to its columns."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from sqlglot import exp

from adapters.base import Column, TableName
from adapters.errors import Error
from catalog.model import CatalogTable, View
from federation.engine import Engine
from federation.http.models import Problem
from federation.http.problems import HttpProblem, problem
from federation.http.server import Server, server_of

router = APIRouter(tags=["catalog"])
Name = Annotated[str, Query(min_length=1, max_length=1000)]


class SourceInfo(BaseModel):
    name: str
    adapter: str
    default_schema: str | None = Field(description="null when the adapter's driver is not installed")


class CatalogInfo(BaseModel):
    sources: list[SourceInfo]
    view_schemas: list[str]
    search_path: list[list[str]]


class RelationInfo(BaseModel):
    source: str | None = Field(description="null for a view")
    schema_: str = Field(alias="schema")
    name: str
    kind: str


class SourceFailure(BaseModel):
    source: str
    error: Problem


class RelationList(BaseModel):
    tables: list[RelationInfo]
    failures: list[SourceFailure] = Field(description="sources that could not be asked: their tables are missing here")


class ColumnInfo(BaseModel):
    name: str
    type: str = Field(description="the SQL type, as DuckDB spells it")
    arrow_type: str
    nullable: bool
    source_type: str | None = Field(description="as the source spells it")
    required_filter: bool = Field(description="the table can be read only with this column in WHERE, or joined")
    comment: str | None


class ForeignKeyInfo(BaseModel):
    columns: list[str]
    schema_: str = Field(alias="schema")
    table: str
    referenced_columns: list[str]


class TableInfo(RelationInfo):
    columns: list[ColumnInfo]
    primary_key: list[str]
    foreign_keys: list[ForeignKeyInfo]
    comment: str | None
    owner: str | None
    freshness: float = Field(description="how old, in seconds, rows of it may be: 0, every query asks the source")


@router.get("/v1/catalog", response_model=CatalogInfo)
async def get_catalog(server: Annotated[Server, Depends(server_of)]) -> dict[str, Any]:
    """The sources and the schemas of views. No source is asked."""
    catalog = server.engines.current.catalog
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


@router.get("/v1/catalog/tables", response_model=RelationList)
async def list_tables(
    server: Annotated[Server, Depends(server_of)],
    source: Annotated[str | None, Query(max_length=1000, description="only this source's")] = None,
    schema: Annotated[str | None, Query(max_length=1000, description="only this schema's")] = None,
) -> dict[str, Any]:
    """The tables of all sources, and the views. A source that fails is named, and the others are listed."""
    return await server.workers.run(_tables, server, source, schema)


@router.get("/v1/catalog/table", response_model=TableInfo)
async def get_table(
    server: Annotated[Server, Depends(server_of)],
    name: Name,
    schema: Annotated[str | None, Query(max_length=1000, description="the source's default schema without one")] = None,
    source: Annotated[str | None, Query(max_length=1000, description="without one, `schema.name` is a view")] = None,
) -> dict[str, Any]:
    """One table or view with its columns, types, keys, owner and freshness."""
    parts = [part for part in (source, schema, name) if part is not None]
    return await server.workers.run(_table, server, parts)


def _tables(server: Server, source: str | None, schema: str | None) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    with server.engines.lease() as engine:
        catalog = engine.catalog
        if source is not None and source not in catalog.sources:
            raise HttpProblem(404, f"there is no source {source}", hint=f"known: {', '.join(catalog.sources)}")
        for name in catalog.sources if source is None else (source,):
            try:
                tables = catalog.tables(name)
            except Error as exc:
                catalog.redactor.scrub_error(exc)
                failures.append({"source": name, "error": problem(exc)})
                continue
            found += [{"source": name, "schema": t.schema, "name": t.name, "kind": "table"} for t in tables]
        if source is None:
            found += [{"source": None, "schema": s, "name": name, "kind": "view"} for s, name in catalog.views]
    return {"tables": [each for each in found if schema in (None, each["schema"])], "failures": failures}


def _table(server: Server, parts: list[str]) -> dict[str, Any]:
    with server.engines.lease() as engine:
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
