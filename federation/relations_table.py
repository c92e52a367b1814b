"""`system.tables` and `system.columns`: the tables and views that the caller may read, by what their sources say.

A source that cannot be asked is an error, unless the query leaves it out: it would look as if it had no tables. So the
conditions of a query on names decide which sources and tables are asked at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from sqlglot import exp

from adapters.base import Column, TableName
from adapters.errors import Error, SchemaNotFound, TableNotFound
from catalog.catalog import Catalog
from catalog.listing import again
from catalog.model import CatalogTable, View
from catalog.policies import Rights
from federation.local import LocalSchema
from federation.system import Asked, SystemTable, columns

NAMES: dict[str, pa.DataType] = dict.fromkeys(("source", "schema", "table_name", "full_name"), pa.string())
TABLES = columns(**NAMES, kind=pa.string(), owner=pa.string())
COLUMNS = columns(
    **NAMES,
    column_name=pa.string(),
    ordinal_position=pa.int64(),
    data_type=pa.string(),
    nullable=pa.bool_(),
    primary_key=pa.int64(),
    source_type=pa.string(),
    required_filter=pa.bool_(),
    comment=pa.string(),
)
_WAY = "leaves it out"
Describe = Callable[[str], tuple[pa.Schema, Sequence[tuple[str, str]]]]


class RelationTables:
    """`describe` gives the columns of a query, with their DuckDB types."""

    def __init__(self, catalog: Catalog, local: LocalSchema, describe: Describe) -> None:
        self._catalog = catalog
        self._local = local
        self._describe = describe
        self.tables = SystemTable(TABLES, self._tables)
        self.columns = SystemTable(COLUMNS, self._columns)

    def _tables(self, asked: Asked) -> Iterator[Mapping[str, Any]]:
        rights = Rights(self._catalog, asked.caller)
        for source in self._catalog.sources.values():
            for name in self._listed(source.name, asked, rights):
                note = self._catalog.note(source, name)
                yield _names(source.name, name) | {"kind": "table", "owner": note.owner if note is not None else None}
        for view in self._views(asked, rights):
            yield _names_of_view(view) | {"kind": "view"}

    def _columns(self, asked: Asked) -> Iterator[Mapping[str, Any]]:
        rights = Rights(self._catalog, asked.caller)
        for source in self._catalog.sources:
            listed = self._listed(source, asked, rights)
            with _left_out_by("source", source):
                for name, found in self._catalog.describe(source, listed) if listed else ():
                    table = found or self._described(source, name)
                    if table is not None:
                        yield from self._columns_of(table)
        for view in self._views(asked, rights):
            names = _names_of_view(view)
            with _left_out_by("full_name", names["full_name"]):
                schema, types = self._describe(view.sql)
            for position, (field, (_, type_)) in enumerate(zip(schema, types, strict=True), 1):
                yield names | _column(Column(field.name, field.type), position, type_)

    def _listed(self, source: str, asked: Asked, rights: Rights) -> list[TableName]:
        """What is asked for of a source, which is asked only if it may have such tables."""
        if not asked.wants(source=source):
            return []
        with _left_out_by("source", source):
            return [each for each in rights.tables(source) if asked.wants(**_names(source, each))]

    def _views(self, asked: Asked, rights: Rights) -> Iterator[View]:
        return (view for view in rights.views() if asked.wants(**_names_of_view(view)))

    def _described(self, source: str, name: TableName) -> CatalogTable | None:
        """A table that was not described with the others: None where it has gone meanwhile. Raises what is wrong with
        it."""
        parts = (source, name.schema, name.name)
        with _left_out_by("full_name", ".".join(parts)):
            try:
                found = self._catalog.resolve(parts, [True] * len(parts))
            except (TableNotFound, SchemaNotFound):
                return None
        assert isinstance(found, CatalogTable)  # its first part is a source
        return found

    def _columns_of(self, found: CatalogTable) -> Iterator[dict[str, Any]]:
        table = found.table
        names = _names(found.source.name, table.name)
        keys = {name: place for place, name in enumerate(table.primary_key, 1)}
        with _left_out_by("full_name", found.full_name):
            types = self._local.types(found)
        for position, (column, type_) in enumerate(zip(table.columns, types, strict=True), 1):
            yield names | _column(column, position, type_) | {"primary_key": keys.get(column.name)}


def _names(source: str, table: TableName) -> dict[str, str]:
    full_name = f"{source}.{table.schema}.{table.name}"
    return {"source": source, "schema": table.schema, "table_name": table.name, "full_name": full_name}


def _names_of_view(view: View) -> dict[str, str]:
    """A NULL for the source would be lost by joins, and by the condition that leaves another source out."""
    return {"source": "", "schema": view.schema, "table_name": view.name, "full_name": f"{view.schema}.{view.name}"}


def _column(column: Column, position: int, type_: str) -> dict[str, Any]:
    return {
        "column_name": column.name,
        "ordinal_position": position,
        "data_type": type_,
        "nullable": column.nullable,
        "source_type": column.source_type or None,
        "required_filter": column.required_filter,
        "comment": column.comment,
    }


@contextmanager
def _left_out_by(column: str, name: str) -> Iterator[None]:
    """A failure says how to do without what failed."""
    try:
        yield
    except Error as exc:
        failure = again(exc)  # other statements may be told of the same one
        assert isinstance(failure, Error)
        if _WAY not in (failure.hint or ""):  # the innermost says it
            way = f"WHERE {column} <> {exp.Literal.string(name).sql('duckdb')} {_WAY}"
            failure.hint = f"{failure.hint}; {way}" if failure.hint else way
        raise failure from exc
