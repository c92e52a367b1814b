"""What there is in every PostgreSQL, from the files beside this: relations, columns, types, functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from federation.pgwire.overlay.catalog_types import FILES, duckdb_type
from federation.pgwire.types import PgType

#: Where the relations of a schema are in DuckDB, which has schemas of PostgreSQL's names itself.
SCHEMAS = {"pg_catalog": "pg", "information_schema": "info"}
#: The number from which objects are ours.
FIRST_OID = 16384


@dataclass(frozen=True, slots=True)
class SystemRelation:
    """A table or view of pg_catalog or information_schema; its columns with their kinds."""

    oid: int
    schema: str
    name: str
    is_view: bool
    columns: Mapping[str, str]

    @property
    def place(self) -> str:
        """Its name in DuckDB."""
        return f'{SCHEMAS[self.schema]}."{self.name}"'

    def ddl(self) -> str:
        """The statement that makes it as an empty table."""
        items = ", ".join(f'"{name}" {duckdb_type(kind)}' for name, kind in self.columns.items())
        return f"CREATE TABLE {self.place} ({items})"


class Structure:
    """The same for every engine: read once."""

    def __init__(self) -> None:
        self.files: dict[str, pa.Table] = {
            path.stem: pq.ParquetFile(path).read(use_threads=False) for path in sorted(FILES.glob("*.parquet"))
        }

    @cached_property
    def relations(self) -> dict[tuple[str, str], SystemRelation]:
        """By schema and name."""
        namespaces = {row["oid"]: row["nspname"] for row in self._rows("pg_namespace", "oid", "nspname")}
        kinds = {row["oid"]: row["typname"] for row in self._rows("pg_type", "oid", "typname")}
        columns: dict[int, dict[str, str]] = {}
        attributes = self._rows("pg_attribute", "attrelid", "attname", "attnum", "atttypid")
        for row in sorted(attributes, key=lambda row: row["attnum"]):
            if row["attnum"] > 0:
                columns.setdefault(row["attrelid"], {})[row["attname"]] = kinds[row["atttypid"]]
        found = {}
        for row in self._rows("pg_class", "oid", "relname", "relnamespace", "relkind"):
            schema = namespaces[row["relnamespace"]]
            if row["relkind"] in ("r", "v") and schema in SCHEMAS:
                view = row["relkind"] == "v"
                relation = SystemRelation(row["oid"], schema, row["relname"], view, columns[row["oid"]])
                found[schema, row["relname"]] = relation
        return found

    @cached_property
    def schemas(self) -> dict[str, int]:
        return {row["nspname"]: row["oid"] for row in self._rows("pg_namespace", "oid", "nspname")}

    @cached_property
    def types(self) -> dict[str, PgType]:
        """What a column of a kind is on the wire: domains are their base types."""
        rows = self._rows("pg_type", "oid", "typname", "typlen", "typbasetype", "typtypmod")
        by_oid = {row["oid"]: row for row in rows}
        types = {}
        for row in rows:
            base = by_oid.get(row["typbasetype"], row)
            types[row["typname"]] = PgType(base["oid"], base["typlen"], row["typtypmod"])
        return types

    @cached_property
    def function_kinds(self) -> dict[str, str]:
        """What functions give whose results have one kind, whatever the arguments."""
        kinds = {row["oid"]: row["typname"] for row in self._rows("pg_type", "oid", "typname", "typtype")}
        pseudo = {row["typname"] for row in self._rows("pg_type", "typname", "typtype") if row["typtype"] == "p"}
        found: dict[str, set[str]] = {}
        for row in self._rows("pg_proc", "proname", "prorettype"):
            found.setdefault(row["proname"], set()).add(kinds[row["prorettype"]])
        return {name: next(iter(given)) for name, given in found.items() if len(given) == 1 and not given & pseudo}

    @cached_property
    def type_oids(self) -> dict[str, int]:
        """Types by every name that they have: int4, integer, pg_catalog.int4."""
        found = {row["name"]: row["oid"] for row in self.files["type_names"].to_pylist()}
        for row in self._rows("pg_type", "oid", "typname"):
            found |= {row["typname"]: row["oid"], f"pg_catalog.{row['typname']}": row["oid"]}
        return found

    def number_of(self, kind: str, name: str) -> int | None:
        """The number of a relation or type of PostgreSQL's own, by its name."""
        if kind == "regtype":
            return self.type_oids.get(" ".join(name.lower().split()).replace('"', ""))
        schema, _, relation = name.lower().rpartition(".")
        found = self.relations.get((schema or "pg_catalog", relation)) if kind == "regclass" else None
        return found.oid if found is not None else None

    @cached_property
    def view_texts(self) -> dict[int, str]:
        """PostgreSQL's definitions of its views."""
        return {row["oid"]: row["definition"] for row in self.files["view_texts"].to_pylist()}

    @cached_property
    def reserved(self) -> frozenset[str]:
        """The words that are quoted where they are names."""
        return frozenset(row["word"] for row in self.files["keywords"].to_pylist() if row["catcode"] != "U")

    def rows(self, relation: SystemRelation) -> pa.Table | None:
        """PostgreSQL's own rows of a table, if it has some."""
        return self.files.get(f"{relation.schema}.{relation.name}")

    def _rows(self, relation: str, *columns: str) -> list[dict[str, Any]]:
        return self.files[f"pg_catalog.{relation}"].select(list(columns)).to_pylist()


@lru_cache(1)
def structure() -> Structure:
    return Structure()
