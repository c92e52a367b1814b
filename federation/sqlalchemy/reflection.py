"""What there is, from the catalog of a connection: at a server by `/v1/catalog`, in this process directly.

A schema is what stands before the name of a table in SQL: `source` for the default schema of a source,
`source.schema` for another one, and the schema of a view.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import util
from sqlalchemy.engine import default, reflection
from sqlalchemy.exc import NoSuchTableError

from adapters.errors import OperationalError, SchemaNotFound, TableNotFound
from federation.sqlalchemy.types import type_of
from federation.statement import Catalog, Document

Place = tuple[str | None, str]  # (source, schema), or (None, schema) of views


class Reflection(default.DefaultDialect):
    @reflection.cache
    def get_schema_names(self, connection: Any, **kw: Any) -> list[str]:  # noqa: ARG002 -- SQLAlchemy's, as below
        overview = self._overview(connection)
        listed = _catalog(connection).tables()
        if listed["failures"]:
            failed = ", ".join(each["source"] for each in listed["failures"])
            util.warn(f"sources that cannot be asked, so that only their default schema is listed: {failed}")
        found = {source["name"] for source in overview["sources"]} | set(overview["view_schemas"])
        found |= {_schema_name(overview, (each["source"], each["schema"])) for each in listed["tables"]}
        return sorted(found)

    @reflection.cache
    def get_table_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:  # noqa: ARG002
        return self._names(connection, schema, "table")

    @reflection.cache
    def get_view_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:  # noqa: ARG002
        return self._names(connection, schema, "view")

    @reflection.cache
    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> bool:
        try:
            self._table(connection, table_name, schema, **kw)
        except NoSuchTableError:
            return False
        return True

    @reflection.cache
    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[Any]:
        return [
            {
                "name": column["name"],
                "type": type_of(column["type"]),
                "nullable": column["nullable"],
                "default": None,
                "comment": column["comment"],
            }
            for column in self._table(connection, table_name, schema, **kw)["columns"]
        ]

    @reflection.cache
    def get_pk_constraint(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        return {"constrained_columns": self._table(connection, table_name, schema, **kw)["primary_key"], "name": None}

    @reflection.cache
    def get_foreign_keys(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[Any]:
        table = self._table(connection, table_name, schema, **kw)
        overview = self._overview(connection)
        return [
            {
                "name": None,
                "constrained_columns": key["columns"],
                "referred_schema": _referred(overview, table, key, schema),
                "referred_table": key["table"],
                "referred_columns": key["referenced_columns"],
                "options": {},
            }
            for key in table["foreign_keys"]
        ]

    @reflection.cache
    def get_table_comment(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        return {"text": self._table(connection, table_name, schema, **kw)["comment"]}

    @reflection.cache
    def get_indexes(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[Any]:
        """What sources have beside keys is theirs alone."""
        self._table(connection, table_name, schema, **kw)
        return []

    get_unique_constraints = get_indexes
    get_check_constraints = get_indexes

    def _table(self, connection: Any, name: str, schema: str | None, **kw: Any) -> Document:
        """Raises NoSuchTableError, and what a source fails with."""
        cache = kw.get("info_cache")
        key = ("federation_table", name, schema)
        if cache is not None and key in cache:
            found: Document = cache[key]
            return found
        source, inner = (None, None) if schema is None else _place(self._overview(connection), schema)
        try:
            found = _catalog(connection).table(name, inner, source)
        except (TableNotFound, SchemaNotFound) as exc:
            raise NoSuchTableError(f"{schema}.{name}" if schema else name) from exc
        if cache is not None:
            cache[key] = found
        return found

    def _names(self, connection: Any, schema: str | None, kind: str) -> list[str]:
        overview = self._overview(connection)
        if schema is not None:
            return sorted(_listed(connection, _place(overview, schema), kind))
        names = [name for place in _bare(overview) for name in _listed(connection, place, kind)]
        if overview["search_path"]:
            return sorted(set(names))
        return sorted(name for name, count in Counter(names).items() if count == 1)  # others need their schema

    def _overview(self, connection: Any) -> Document:
        return _catalog(connection).overview()


def default_schema(connection: Any) -> str | None:
    """Where a bare name is looked up first; None without a search path, unless there is one source only."""
    overview = _catalog(connection).overview()
    places = list(_bare(overview))
    return _schema_name(overview, places[0]) if overview["search_path"] or len(places) == 1 else None


def _catalog(connection: Any) -> Catalog:
    found: Catalog = connection.connection.dbapi_connection.catalog
    return found


def _bare(overview: Document) -> Iterator[Place]:
    """Where a bare name is looked up."""
    for entry in overview["search_path"]:
        yield _place(overview, ".".join(entry))
    if not overview["search_path"]:
        yield from ((source["name"], source["default_schema"] or "") for source in overview["sources"])
        yield from ((None, schema) for schema in overview["view_schemas"])


def _place(overview: Document, schema: str) -> Place:
    """The schemas of views come first, as in a statement."""
    if schema in overview["view_schemas"]:
        return None, schema
    for source in overview["sources"]:
        if schema == source["name"]:
            return schema, source["default_schema"] or ""
    source, _, inner = schema.partition(".")
    known = source in (each["name"] for each in overview["sources"])
    return (source, inner) if known and inner else (None, schema)


def _schema_name(overview: Document, place: Place) -> str:
    source, schema = place
    if source is None or place == _place(overview, source):
        return source or schema
    return f"{source}.{schema}"


def _listed(connection: Any, place: Place, kind: str) -> list[str]:
    """Raises OperationalError when the source cannot be asked: no list would not be an empty one."""
    source, schema = place
    if (source is None) != (kind == "view"):
        return []
    listed = _catalog(connection).tables(source, schema)
    for failure in listed["failures"]:
        if failure["source"] == source:
            raise OperationalError(f"the source {source} cannot be asked for its tables", source=source)
    return [each["name"] for each in listed["tables"] if each["kind"] == kind]


def _referred(overview: Document, table: Document, key: Document, schema: str | None) -> str | None:
    """The schema of the other table; None where both are found without one."""
    if schema is None and key["schema"] == table["schema"]:
        return None
    return _schema_name(overview, (table["source"], key["schema"]))
