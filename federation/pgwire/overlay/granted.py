"""What a caller's roles grant of what the sources have."""

from __future__ import annotations

from dataclasses import replace

from adapters.base import TableName
from catalog.catalog import Catalog
from catalog.policies import Rights
from federation.pgwire.overlay.snapshot import Relation, Snapshot
from federation.system import SYSTEM


def granted(snapshot: Snapshot, catalog: Catalog, rights: Rights) -> Snapshot:
    """The relations that may be read, with the foreign keys between them, and their schemas."""
    if not rights.restricted:
        return snapshot
    relations = tuple(
        _among_granted(each, catalog, rights)
        for each in snapshot.relations
        if _reads(each.schema, each.name, catalog, rights)
    )
    used = {relation.schema for relation in relations}
    schemas = [
        each for each in snapshot.schemas if each in used or (each in catalog.sources and rights.sees_source(each))
    ]
    return replace(snapshot, schemas=tuple(schemas), relations=relations)


def _among_granted(relation: Relation, catalog: Catalog, rights: Rights) -> Relation:
    keys = [
        (schema, key) for schema, key in relation.foreign_keys if _reads(schema, key.references.name, catalog, rights)
    ]
    return replace(relation, foreign_keys=tuple(keys))


def _reads(schema: str, name: str, catalog: Catalog, rights: Rights) -> bool:
    """Of a relation by its PostgreSQL schema."""
    source, _, of_source = schema.partition(".")
    if source not in catalog.sources and source != SYSTEM:
        return rights.reads_view(catalog.views[schema, name])
    found = catalog.source(source)
    return rights.reads_table(found, TableName(of_source or found.adapter.default_schema, name))
