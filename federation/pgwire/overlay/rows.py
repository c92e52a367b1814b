"""The rows of PostgreSQL's catalog that stand for what the sources have, as Arrow tables by relation."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from federation.pgwire.overlay.catalog_types import arrow_type
from federation.pgwire.overlay.snapshot import Relation, Snapshot
from federation.pgwire.overlay.structure import FIRST_OID, structure
from federation.pgwire.types import PgType

OWNER = 10  # the bootstrap superuser
OWNER_NAME = "federation"
DATABASE = 16383
_PG_CLASS, _PG_CONSTRAINT, _PG_REWRITE = 1259, 2606, 2618
_HEAP, _BTREE, _DEFAULT_COLLATION = 2, 403, 100
#: The columns of each catalog that differ from row to row.
_CLASS = (
    "oid relname relnamespace relam relkind relnatts relhasindex relhasrules relhastriggers relpages reltuples"
    " relreplident"
)
_ATTRIBUTE = (
    "attrelid attname atttypid attlen attnum atttypmod attbyval attalign attstorage attnotnull attndims attcollation"
)
_INDEX = "indexrelid indrelid indnatts indnkeyatts indkey indcollation indclass indoption"
_CONSTRAINT = (
    "oid conname connamespace contype conrelid conindid confrelid conkey confkey confupdtype confdeltype confmatchtype"
)
_CLASSES = {  # the default btree operator class of a type
    **{16: 10003, 17: 10006, 20: 3124, 21: 1979, 23: 1978, 25: 3126, 700: 10012, 701: 3123, 1082: 3122, 1083: 10038},
    **{1114: 3128, 1184: 3127, 1186: 10022, 1266: 10041, 1700: 3125, 2950: 10065},
}


class Oids:
    """Numbers of objects, unique and always the same for the same name: digests, moved on where two meet.

    Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_name: dict[tuple[str, ...], int] = {}
        self._taken: set[int] = set()

    def of(self, *name: str) -> int:
        return self._by_name.get(name) or self._new(name)

    def _new(self, name: tuple[str, ...]) -> int:
        digest = hashlib.blake2b("\0".join(name).encode(), digest_size=4).digest()
        oid = FIRST_OID + int.from_bytes(digest, "big") % (2**31 - FIRST_OID)
        with self._lock:
            if name not in self._by_name:
                while oid in self._taken:
                    oid = FIRST_OID + (oid + 1 - FIRST_OID) % (2**31 - FIRST_OID)
                self._taken.add(oid)
                self._by_name[name] = oid
            return self._by_name[name]


class _Rows:
    """Columns of one relation that grow row by row. What a row does not say has the relation's constant: `constants`,
    else a zero of its type."""

    def __init__(self, relation: str, varying: Sequence[str], **constants: Any) -> None:
        self._relation = structure().relations["pg_catalog", relation]
        self._varying: dict[str, list[Any]] = {name: [] for name in varying}
        self._appends = [values.append for values in self._varying.values()]
        self._constants = constants

    def add(self, *values: Any) -> None:
        """In the order of `varying`."""
        for append, value in zip(self._appends, values, strict=True):
            append(value)

    def table(self) -> pa.Table:
        count = len(next(iter(self._varying.values())))
        first = pa.array(bytes(count), pa.uint8())  # the only value of a constant column, again and again
        arrays: dict[str, Any] = {}
        for name, kind in self._relation.columns.items():
            type_ = arrow_type(kind)
            if name in self._varying:
                arrays[name] = pa.array(self._varying[name], type_)
            else:
                value: Any = self._constants.get(name, _ZEROS.get(kind))
                arrays[name] = pa.array([value], type_).take(first)
        return pa.table(arrays)


_ZEROS = {
    **dict.fromkeys(("oid", "regproc", "xid", "int2", "int4", "int8", "float4"), 0),
    **{"bool": False, "char": "", "name": ""},
}


class CatalogRows:
    """Builds all of them from one snapshot; `types` has the PostgreSQL type of each Arrow type in it."""

    def __init__(
        self, snapshot: Snapshot, oids: Oids, types: Mapping[pa.DataType, PgType], users: Sequence[str]
    ) -> None:
        self._snapshot = snapshot
        self._oids = oids
        self._types = types
        self._users = users
        self._sizes = {
            row["oid"]: row
            for row in structure()
            .files["pg_catalog.pg_type"]
            .select(["oid", "typlen", "typbyval", "typalign", "typstorage", "typcollation", "typelem"])
            .to_pylist()
        }
        self._classes = _Rows("pg_class", _CLASS.split(), relowner=OWNER, relpersistence="p", relispopulated=True)
        self._attributes = _Rows("pg_attribute", _ATTRIBUTE.split(), attstattarget=-1, attcacheoff=-1, attislocal=True)
        flags = ("indisunique", "indisprimary", "indimmediate", "indisvalid", "indisready", "indislive")
        self._indexes = _Rows("pg_index", _INDEX.split(), **dict.fromkeys(flags, True))
        self._constraints = _Rows(
            "pg_constraint",
            _CONSTRAINT.split(),
            convalidated=True,
            conislocal=True,
            connoinherit=True,
        )
        self._descriptions = _Rows("pg_description", ("objoid", "objsubid", "description"), classoid=_PG_CLASS)
        self._rules = _Rows(
            "pg_rewrite", ("oid", "ev_class"), rulename="_RETURN", ev_type="1", ev_enabled="O", is_instead=True
        )
        self._dependencies = _Rows(
            "pg_depend", ["classid", "objid", "refclassid", "refobjid", "refobjsubid", "deptype"]
        )
        self._texts: dict[str, list[tuple[int, str]]] = {"view_texts": [], "index_texts": [], "constraint_texts": []}

    def tables(self) -> dict[str, pa.Table]:
        """By the name of the relation in DuckDB's schema pg."""
        by_name = {(each.schema, each.name): each for each in self._snapshot.relations}
        referenced = {(schema, key.references.name) for each in by_name.values() for schema, key in each.foreign_keys}
        for relation in by_name.values():
            self._relation(relation, (relation.schema, relation.name) in referenced)
            for schema, key in relation.foreign_keys:
                self._foreign_key(relation, by_name.get((schema, key.references.name)), key)
        return {
            "pg_namespace": self._namespaces(),
            "pg_class": self._classes.table(),
            "pg_attribute": self._attributes.table(),
            "pg_index": self._indexes.table(),
            "pg_constraint": self._constraints.table(),
            "pg_description": self._descriptions.table(),
            "pg_rewrite": self._rules.table(),
            "pg_depend": self._dependencies.table(),
            "pg_authid": self._roles(),
            "pg_database": self._database(),
            **{name: _texts(found) for name, found in self._texts.items()},
        }

    # --- relations ------------------------------------------------------------------------------------------------

    def _relation(self, relation: Relation, referenced: bool) -> None:
        oid, namespace = self._oid(relation), self._oids.of("schema", relation.schema)
        view = relation.definition is not None
        triggers = referenced or bool(relation.foreign_keys)
        self._classes.add(
            *(oid, relation.name, namespace, 0 if view else _HEAP, "v" if view else "r", len(relation.attributes)),
            *(bool(relation.primary_key), view, triggers, 0, 0.0 if view else -1.0, "n" if view else "d"),
        )
        for number, each in enumerate(relation.attributes, 1):
            self._attribute(oid, number, each.name, each.type, not each.nullable or each.name in relation.primary_key)
            if each.comment:
                self._descriptions.add(oid, number, each.comment)
        if relation.comment:
            self._descriptions.add(oid, 0, relation.comment)
        if relation.definition is not None:
            self._rules.add(self._oids.of("rule", relation.schema, relation.name), oid)
            self._texts["view_texts"].append((oid, f" {relation.definition.strip().rstrip(';')};"))
        if relation.primary_key:
            self._primary_key(relation, oid, namespace)

    def _attribute(self, oid: int, number: int, name: str, type_: pa.DataType, required: bool) -> None:
        known = self._types[type_]
        size = self._sizes[known.oid]
        self._attributes.add(
            *(oid, name, known.oid, size["typlen"], number, known.typmod, size["typbyval"], size["typalign"]),
            *(size["typstorage"], required, 1 if size["typelem"] and size["typlen"] == -1 else 0, size["typcollation"]),
        )

    def _primary_key(self, relation: Relation, oid: int, namespace: int) -> None:
        numbers = _numbers(relation, relation.primary_key)
        name = f"{relation.name}_pkey"
        index = self._oids.of("index", relation.schema, relation.name)
        types: list[int] = [self._types[relation.attributes[number - 1].type].oid for number in numbers]
        self._classes.add(index, name, namespace, _BTREE, "i", len(numbers), False, False, False, 1, 0.0, "n")
        for place, number in enumerate(numbers, 1):
            attribute = relation.attributes[number - 1]
            self._attribute(index, place, attribute.name, attribute.type, False)
        self._indexes.add(
            *(index, oid, len(numbers), len(numbers), numbers, [self._sizes[each]["typcollation"] for each in types]),
            *([_CLASSES.get(each, 0) for each in types], [0] * len(numbers)),
        )
        constraint = self._oids.of("key", relation.schema, relation.name)
        self._constraints.add(constraint, name, namespace, "p", oid, index, 0, numbers, None, " ", " ", " ")
        self._dependencies.add(_PG_CLASS, index, _PG_CONSTRAINT, constraint, 0, "i")
        for number in numbers:
            self._dependencies.add(_PG_CONSTRAINT, constraint, _PG_CLASS, oid, number, "a")
        columns = ", ".join(map(_identifier, relation.primary_key))
        table = f"{_identifier(relation.schema)}.{_identifier(relation.name)}"
        text = f"CREATE UNIQUE INDEX {_identifier(name)} ON {table} USING btree ({columns})"
        self._texts["index_texts"].append((index, text))
        self._texts["constraint_texts"].append((constraint, f"PRIMARY KEY ({columns})"))

    def _foreign_key(self, relation: Relation, target: Relation | None, key: Any) -> None:
        """One to a table that is not listed has nothing to refer to, and is left out."""
        known = {each.name for each in target.attributes} if target is not None else set()
        if target is None or not known.issuperset(key.referenced_columns):
            return
        name = f"{relation.name}_{'_'.join(key.columns)}_fkey"
        oid = self._oids.of("foreign key", relation.schema, relation.name, *key.columns, target.schema, target.name)
        index = self._oids.of("index", target.schema, target.name) if target.primary_key else 0
        self._constraints.add(
            *(oid, name, self._oids.of("schema", relation.schema), "f", self._oid(relation), index, self._oid(target)),
            *(_numbers(relation, key.columns), _numbers(target, key.referenced_columns), "a", "a", "s"),
        )
        for number in _numbers(relation, key.columns):
            self._dependencies.add(_PG_CONSTRAINT, oid, _PG_CLASS, self._oid(relation), number, "a")
        for number in _numbers(target, key.referenced_columns):
            self._dependencies.add(_PG_CONSTRAINT, oid, _PG_CLASS, self._oid(target), number, "n")
        if index:
            self._dependencies.add(_PG_CONSTRAINT, oid, _PG_CLASS, index, 0, "n")
        columns, there = (", ".join(map(_identifier, each)) for each in (key.columns, key.referenced_columns))
        place = f"{_identifier(target.schema)}.{_identifier(target.name)}"
        self._texts["constraint_texts"].append((oid, f"FOREIGN KEY ({columns}) REFERENCES {place}({there})"))

    def _oid(self, relation: Relation) -> int:
        return self._oids.of("relation", relation.schema, relation.name)

    # --- what there is one of -------------------------------------------------------------------------------------

    def _namespaces(self) -> pa.Table:
        rows = _Rows("pg_namespace", ("oid", "nspname"), nspowner=OWNER)
        for schema in self._snapshot.schemas:
            rows.add(self._oids.of("schema", schema), schema)
        return rows.table()

    def _roles(self) -> pa.Table:
        rights = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls")
        rows = _Rows("pg_authid", ("oid", "rolname", "rolcanlogin", *rights), rolinherit=True, rolconnlimit=-1)
        rows.add(OWNER, OWNER_NAME, True, *[True] * len(rights))
        for user in self._users:
            if user != OWNER_NAME:
                rows.add(self._oids.of("role", user), user, True, *[False] * len(rights))
        return rows.table()

    def _database(self) -> pa.Table:
        rows = _Rows(
            "pg_database",
            ("oid", "datname"),
            **{"datdba": OWNER, "encoding": 6, "datallowconn": True, "datconnlimit": -1, "dattablespace": 1663},
            **{"datcollate": "C", "datctype": "C", "datlocprovider": "c"},
        )
        rows.add(DATABASE, OWNER_NAME)
        return rows.table()


def _numbers(relation: Relation, columns: Sequence[str]) -> list[int]:
    names = [each.name for each in relation.attributes]
    return [names.index(column) + 1 for column in columns]


def _texts(rows: Sequence[tuple[int, str]]) -> pa.Table:
    numbers, texts = pa.array([oid for oid, _ in rows], pa.uint32()), pa.array([text for _, text in rows], pa.string())
    return pa.table({"oid": numbers, "definition": texts})


def _identifier(name: str) -> str:
    if re.fullmatch("[a-z_][a-z0-9_]*", name) and name not in structure().reserved:
        return name
    return '"' + name.replace('"', '""') + '"'
