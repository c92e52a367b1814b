"""`/v1/catalog`: the sources, their tables, and one table down to its columns."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from catalog.policies import Caller, Rights
from federation import listing
from federation.http.models import Problem
from federation.http.problems import HttpProblem, problem
from federation.http.server import Server, caller_of, server_of

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
async def get_catalog(request: Request, server: Annotated[Server, Depends(server_of)]) -> dict[str, Any]:
    """The sources and the schemas of views of which something is granted. No source is asked."""
    return listing.overview(server.engines.current.catalog, caller_of(request))


@router.get("/v1/catalog/tables", response_model=RelationList)
async def list_tables(
    request: Request,
    server: Annotated[Server, Depends(server_of)],
    source: Annotated[str | None, Query(max_length=1000, description="only this source's")] = None,
    schema: Annotated[str | None, Query(max_length=1000, description="only this schema's")] = None,
) -> dict[str, Any]:
    """The tables of all sources, and the views. A source that fails is named, and the others are listed."""
    return await server.workers.run(_tables, server, source, schema, caller_of(request))


@router.get("/v1/catalog/table", response_model=TableInfo)
async def get_table(
    request: Request,
    server: Annotated[Server, Depends(server_of)],
    name: Name,
    schema: Annotated[str | None, Query(max_length=1000, description="the source's default schema without one")] = None,
    source: Annotated[str | None, Query(max_length=1000, description="without one, `schema.name` is a view")] = None,
) -> dict[str, Any]:
    """One table or view with its columns, types, keys, owner and freshness."""
    parts = [part for part in (source, schema, name) if part is not None]
    return await server.workers.run(_table, server, parts, caller_of(request))


def _tables(server: Server, source: str | None, schema: str | None, caller: Caller) -> dict[str, Any]:
    with server.engines.lease() as engine:
        catalog = engine.catalog
        shown = [each for each in catalog.sources if Rights(catalog, caller).sees_source(each)]
        if source is not None and source not in shown:
            raise HttpProblem(404, f"there is no source {source}", hint=f"known: {', '.join(shown)}")
        found, failures = listing.tables(catalog, source, schema, caller)
    return {"tables": found, "failures": [{"source": name, "error": problem(error)} for name, error in failures]}


def _table(server: Server, parts: list[str], caller: Caller) -> dict[str, Any]:
    with server.engines.lease() as engine:
        return listing.table(engine, parts, caller)
