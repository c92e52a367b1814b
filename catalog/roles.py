"""`[roles]` of the catalog file: what a role grants, which rows it leaves, and which columns it masks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from adapters.base import TableName
from adapters.errors import CatalogError
from catalog.model import CatalogTable, View
from catalog.names import did_you_mean, nearest, show_name, split_name
from catalog.policy_expressions import read_policy
from catalog.secrets import has_reference
from catalog.values import Section

ROLE_KEYS = ("grants", "row_filters", "column_masks")
SYSTEM = "system"
ALL = "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """A table, a view, or all (`wild`) that a source, a schema or a view schema has; of no parts, all sources and
    views. `parts` are as in the file."""

    parts: tuple[str, ...]
    wild: bool

    def __str__(self) -> str:
        return ".".join([show_name((part,)) for part in self.parts] + [ALL] * self.wild)

    def covers(self, source: str, name: TableName, default_schema: str) -> bool:
        """Whatever the case."""
        if self.wild:
            return _starts((source, name.schema, name.name), self.parts) and (bool(self.parts) or source != SYSTEM)
        parts = self.parts if len(self.parts) == 3 else (self.parts[0], default_schema, self.parts[-1])
        return _folded(parts) == _folded((source, name.schema, name.name))

    def spells(self, name: TableName) -> bool:
        """Whether it has the table's name, or its schema's, in the same case."""
        return self.parts[1:] in ((), (name.schema,) if self.wild else (name.name,), (name.schema, name.name))

    def covers_view(self, view: View) -> bool:
        whole = (view.schema, view.name)
        return _starts(whole, self.parts) if self.wild else _folded(self.parts) == _folded(whole)

    def covers_source(self, source: str) -> bool:
        """Whether it is all that the source has."""
        return (
            self.wild
            and len(self.parts) < 2
            and _starts((source,), self.parts)
            and (self.parts != () or source != SYSTEM)
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """A row filter of a table, or the mask of its `column`. `table` is its name as in the file, of two parts or three,
    `text` the expression as it stands there."""

    table: tuple[str, ...]
    column: str | None
    text: str
    expression: exp.Expr

    @property
    def name(self) -> str:
        return show_name((*self.table, self.column) if self.column is not None else self.table)

    def is_of(self, found: CatalogTable) -> bool:
        """Whatever the case: where tables differ only by it, it holds for all of them."""
        schema = self.table[1] if len(self.table) == 3 else found.source.adapter.default_schema
        wanted = (self.table[0], schema, self.table[-1])
        return _folded(wanted) == _folded((found.source.name, found.table.name.schema, found.table.name.name))


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    grants: tuple[Grant, ...] = ()
    policies: tuple[Policy, ...] = ()

    @property
    def administers(self) -> bool:
        return any(grant.covers_source(SYSTEM) for grant in self.grants)


def read_roles(
    parts: Iterable[Section], sources: Collection[str], views: Collection[tuple[str, str]]
) -> dict[str, Role]:
    """By name. `views` are the schemas and names of all views; faults are noted in the sections."""
    reader = _Reader(sources, views)
    return {section.name: reader.role(section) for section in parts}


class _Reader:
    def __init__(self, sources: Collection[str], views: Collection[tuple[str, str]]) -> None:
        self._sources = {name.casefold(): name for name in sources}
        self._views = {_folded(view): view for view in views}
        self._schemas = {schema.casefold(): schema for schema, _ in views}

    def role(self, section: Section) -> Role:
        section.reject_unknown(ROLE_KEYS)
        if not section.name.strip():
            section.fault("", "a role needs a name")
        grants = tuple(self._grants(section))
        filters = self._policies(
            section, "row_filters", (2, 3), "a row filter is of source.table or source.schema.table"
        )
        masks = self._policies(
            section, "column_masks", (3, 4), "a mask is of source.table.column or source.schema.table.column"
        )
        return Role(section.name, grants, (*filters, *masks))

    def _grants(self, section: Section) -> Iterator[Grant]:
        for text in section.texts("grants"):
            wild = text == ALL or text.endswith(f".{ALL}")
            parts = split_name(text[: -len(ALL)].removesuffix(".")) if wild and text != ALL else split_name(text)
            parts = () if text == ALL else parts
            if parts is None or not (len(parts) < 3 if wild else len(parts) in (2, 3)):
                hint = "write source.table, source.schema.table, schema.view, or a source or a schema with .* behind it"
                section.fault("grants", f'"{text}" cannot be granted', hint)
            elif self._is_known(section, text, parts, wild):
                yield Grant(parts, wild)

    def _is_known(self, section: Section, text: str, parts: tuple[str, ...], wild: bool) -> bool:
        """As far as it can be told without asking a source."""
        first = parts[0].casefold() if parts else ""
        if not parts or first in self._sources:
            return True
        if first == SYSTEM:
            if not wild or len(parts) > 1:
                section.fault(
                    "grants", f'"{text}" cannot be granted', "the system's tables are granted together: system.*"
                )
            return wild and len(parts) == 1
        if first in self._schemas:
            known = len(parts) == 1 or (_folded(parts) in self._views and not wild)
            if not known:
                near = nearest(parts[1], [name for schema, name in self._views.values() if schema.casefold() == first])
                section.fault("grants", f'there is no view "{text}"', did_you_mean(near))
            return known
        self._no_source(section, "grants", parts[0], [*self._sources.values(), *self._schemas.values()])
        return False

    def _policies(self, section: Section, key: str, lengths: tuple[int, int], usage: str) -> Iterator[Policy]:
        for name, text in section.texts_by_name(key).items():
            parts = split_name(name)
            if parts is None or len(parts) not in lengths:
                section.fault(key, f'"{name}" is none', usage)
            elif parts[0].casefold() in self._schemas:
                section.fault(key, f'"{name}" is of a view', "name the tables of sources that the view reads")
            elif parts[0].casefold() not in self._sources:
                self._no_source(section, key, parts[0], list(self._sources.values()))
            elif has_reference(text):
                section.fault(f'{key}."{name}"', "a policy cannot hold a ${…} reference", "give users attributes")
            else:
                source = self._sources[parts[0].casefold()]
                column = parts[-1] if lengths[0] == 3 else None
                table = parts[1:-1] if column is not None else parts[1:]
                yield from _read(section, f'{key}."{name}"', (source, *table), column, text)

    def _no_source(self, section: Section, key: str, name: str, known: list[str]) -> None:
        section.fault(key, f'there is no source "{name}"', did_you_mean(nearest(name, sorted(known))))


def check_names(section: Section, key: str, names: Iterable[str], roles: Mapping[str, Role]) -> tuple[str, ...]:
    """The roles of a user; a fault for each that there is not."""
    found = []
    for name in names:
        if name in roles:
            found.append(name)
        else:
            hint = did_you_mean(nearest(name, roles)) or f"known: {', '.join(roles) or 'none'}"
            section.fault(key, f'there is no role "{name}"', hint)
    return tuple(dict.fromkeys(found))


def _read(section: Section, at: str, table: tuple[str, ...], column: str | None, text: str) -> Iterator[Policy]:
    try:
        yield Policy(table, column, text, read_policy(text))
    except CatalogError as exc:
        place = f" (at character {exc.position})" if exc.position else ""
        section.fault(at, exc.message + place, exc.hint)


def _starts(whole: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    return _folded(whole[: len(parts)]) == _folded(parts)


def _folded(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.casefold() for part in parts)
