"""Names as PostgreSQL has them, as names of the federation: the database before them means nothing, and a session's
search_path comes before the catalog's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

from adapters.errors import SchemaNotFound, TableNotFound
from catalog.catalog import Catalog
from federation.bind import is_cte, position_of

_ENTRY = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(?:,|$)')
_NOWHERE = ("", "$user", "public")  # what every session may name, and nothing is in


def search_path(text: str) -> tuple[str, ...]:
    """The schemas of a search_path that are the federation's; none is the catalog's own path. Unquoted names are in
    lower case."""
    names = [quoted.replace('""', '"') or bare.lower() for quoted, bare in _ENTRY.findall(text)]
    return tuple(name for name in names if name not in _NOWHERE)


def resolve(query: exp.Query, catalog: Catalog, database: str, path: Sequence[str]) -> exp.Query:
    """A copy whose tables the catalog finds. Raises TableNotFound for a name that is nowhere along the path."""
    query = query.copy()
    for table in list(query.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier):
            continue
        if table.catalog and table.catalog == database and table.catalog not in catalog.sources:
            table.set("catalog", None)
        if path and not table.db and not is_cte(table):
            table.set("db", exp.to_identifier(_schema(catalog, path, table), quoted=True))
    return query


def _schema(catalog: Catalog, path: Sequence[str], table: exp.Table) -> str:
    for schema in path:
        try:
            catalog.resolve([schema, table.name], [True, bool(table.this.quoted)])
        except (TableNotFound, SchemaNotFound):
            continue
        return schema
    raise TableNotFound(
        f'relation "{table.name}" does not exist',
        hint=f"search_path is {', '.join(path)}",
        position=position_of(table.this),
    )
