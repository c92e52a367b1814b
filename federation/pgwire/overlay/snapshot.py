"""What the sources have, read beside the queries that ask for it.

Each source is read by a thread of its own, when what is known of it is too old. A query waits for the first reading,
later only for a moment: a source that is down or slow never holds it up for long, it just has no tables until it
answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

from adapters.base import ForeignKey
from adapters.errors import Error
from catalog.catalog import Catalog
from catalog.model import CatalogTable, View
from federation.engine import Engine
from federation.system import SYSTEM

FIRST_SECONDS = 30.0  # for a source that has not answered yet
DESCRIBING_SECONDS = 120.0  # for one that has listed its tables, and still describes them
LATER_SECONDS = 1.0
FAILURE_SECONDS = 5.0  # how long a source that failed is left alone


@dataclass(frozen=True, slots=True)
class Attribute:
    name: str
    type: pa.DataType
    nullable: bool = True
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view as PostgreSQL sees it: `schema` is its PostgreSQL schema, the foreign keys refer to relations of
    `references_schema`. `definition` is the text of a view."""

    schema: str
    name: str
    attributes: tuple[Attribute, ...] = ()
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[tuple[str, ForeignKey], ...] = ()
    comment: str | None = None
    definition: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`generation` grows whenever something differs. `schemas` are all of them, those of sources that are down too."""

    generation: int
    schemas: tuple[str, ...]
    relations: tuple[Relation, ...]


@dataclass(slots=True)
class _Part:
    """One source, or all views."""

    read: Callable[[Callable[[], None]], tuple[Relation, ...]]
    relations: tuple[Relation, ...] = ()
    due: float = 0.0
    answered: bool = False
    listed: bool = False
    running: bool = False

    def patience(self) -> float:
        return LATER_SECONDS if self.answered else DESCRIBING_SECONDS if self.listed else FIRST_SECONDS


@dataclass(slots=True)
class Snapshots:
    engine: Engine
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _parts: dict[str, _Part] = field(default_factory=dict)
    _generation: int = 1
    _latest: Snapshot | None = None

    def __post_init__(self) -> None:
        catalog = self.engine.catalog
        for name in (*catalog.sources, SYSTEM):
            self._parts[f"source {name}"] = _Part(lambda listed, name=name: _tables(catalog, name, listed))  # type: ignore[misc]
        self._parts["views"] = _Part(lambda _: tuple(_view(self.engine, view) for view in catalog.views.values()))
        with self._changed:
            self._start()

    def current(self) -> Snapshot:
        """What is known now, after asking the sources whose answers are too old."""
        with self._changed:
            started = time.monotonic()
            self._start()
            running = [part for part in self._parts.values() if part.running]
            while any(part.running and time.monotonic() < started + part.patience() for part in running):
                self._changed.wait(0.1)
            for part in running:
                part.answered = True  # or has been waited for once
            if self._latest is None or self._latest.generation != self._generation:
                self._latest = self._snapshot()
            return self._latest

    def _start(self) -> None:
        """Read what is known for too long; not twice at once."""
        now = time.monotonic()
        for name, part in self._parts.items():
            if part.due <= now and not part.running:
                part.running = True
                threading.Thread(target=self._read, args=(part,), name=f"list {name}", daemon=True).start()

    def _read(self, part: _Part) -> None:
        seconds = self.engine.catalog.settings.metadata_ttl

        def listed() -> None:
            part.listed = True

        try:
            relations = part.read(listed)
        except Exception:  # whatever a driver says: the source is down
            relations, seconds = (), FAILURE_SECONDS
        with self._changed:
            if relations != part.relations:
                part.relations = relations
                self._generation += 1
            part.due = time.monotonic() + seconds
            part.answered = True
            part.listed = part.running = False
            self._changed.notify_all()

    def _snapshot(self) -> Snapshot:
        relations = tuple(relation for part in self._parts.values() for relation in part.relations)
        catalog = self.engine.catalog
        own = [*catalog.sources, *(schema for schema, _ in catalog.views)]
        schemas = dict.fromkeys([*own, *(relation.schema for relation in relations)])
        return Snapshot(self._generation, tuple(schemas), relations)


def schema_name(catalog: Catalog, source: str, schema: str) -> str:
    """The PostgreSQL schema of a source's schema."""
    return source if schema == catalog.source(source).adapter.default_schema else f"{source}.{schema}"


def _tables(catalog: Catalog, source: str, listed: Callable[[], None]) -> tuple[Relation, ...]:
    names = catalog.tables(source)
    listed()
    found = []
    for name, table in catalog.describe(source, names):
        schema = schema_name(catalog, source, name.schema)
        # What cannot be described is there, and reading it says what is wrong with it.
        found.append(_relation(catalog, table, schema) if table is not None else Relation(schema, name.name))
    return tuple(found)


def _relation(catalog: Catalog, found: CatalogTable, schema: str) -> Relation:
    table = found.table
    return Relation(
        schema,
        table.name.name,
        tuple(Attribute(each.name, each.type, each.nullable, each.comment) for each in table.columns),
        table.primary_key,
        tuple((schema_name(catalog, found.source.name, key.references.schema), key) for key in table.foreign_keys),
        table.comment,
    )


def _view(engine: Engine, view: View) -> Relation:
    try:
        schema, _ = engine.describe(view.sql)
    except Error:
        return Relation(view.schema, view.name, definition=view.sql)
    attributes = tuple(Attribute(each.name, each.type) for each in schema)
    return Relation(view.schema, view.name, attributes, definition=view.sql)
