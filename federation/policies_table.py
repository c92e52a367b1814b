"""`system.policies`: one row for each grant, row filter and column mask of each role."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from catalog.catalog import Catalog
from catalog.roles import Role
from federation.system import SystemTable

SCHEMA = pa.schema(
    {
        "role": pa.string(),
        "kind": pa.string(),
        "name": pa.string(),
        "expression": pa.string(),
        "users": pa.list_(pa.string()),
    }
)


def policies_table(catalog: Catalog) -> SystemTable:
    """`users` are those of the catalog file that have the role; an OpenID provider has others."""
    rows = [row for role in catalog.access.roles.values() for row in _rows(catalog, role)]
    return SystemTable(SCHEMA, lambda _: rows)


def _rows(catalog: Catalog, role: Role) -> Iterator[dict[str, object]]:
    users = [user.name for user in catalog.access.users.values() if role.name in user.roles]
    for grant in role.grants:
        yield {"role": role.name, "kind": "grant", "name": str(grant), "expression": None, "users": users}
    for policy in role.policies:
        kind = "row_filter" if policy.column is None else "column_mask"
        yield {"role": role.name, "kind": kind, "name": policy.name, "expression": policy.text, "users": users}
