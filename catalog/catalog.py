"""From a name in a statement to a table of a source, or to a view.

1. `source.schema.table`, `source.table` in the source's default schema, `schema.view`: only that source is asked.
2. A bare name is looked up along the search path; the first entry that has it wins, and later ones are not asked.
3. Without a search path, a bare name resolves if exactly one source or view has it.

Matching ignores case; where several names differ only by it, the exact one wins. What a source says is kept for
`metadata_ttl` seconds, but nothing is reported missing before the source was asked again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from types import MappingProxyType

from adapters.base import Adapter, SupportsManyTables, Table, TableName
from adapters.errors import (
    Error,
    MissingDriver,
    OperationalError,
    SchemaNotFound,
    SourceAuthError,
    SourceError,
    SourceUnavailable,
    TableNotFound,
)
from catalog.access import Access
from catalog.constraints import check_columns
from catalog.listing import Listing, Listings, again, ambiguous
from catalog.model import CachePolicy, CatalogTable, Settings, Source, TableNote, View
from catalog.names import did_you_mean, nearest, show_name
from catalog.refreshing import check_refresh
from catalog.secrets import Redactor
from catalog.shared import Loaded

# How long a bare name waits for the slowest source, and how long a hint does.
LISTING_SECONDS = 10.0
HINT_SECONDS = 0.5


class Catalog:
    """The sources, the views, and the tables behind them. Safe to use from several threads."""

    def __init__(
        self,
        sources: Iterable[Source],
        views: Iterable[View] = (),
        settings: Settings = Settings(),  # noqa: B008 -- frozen
        notes: Iterable[TableNote] = (),
        redactor: Redactor | None = None,
        access: Access = Access(),  # noqa: B008 -- frozen
    ) -> None:
        self.sources = MappingProxyType({source.name: source for source in sources})
        self.views = MappingProxyType({(view.schema, view.name): view for view in views})
        self.settings = settings
        self.redactor = redactor or Redactor()
        self.access = access
        self.notes = tuple(notes)
        self._note_by_folded = {
            (note.source, note.schema and note.schema.casefold(), note.name.casefold()): note for note in self.notes
        }
        self._source_by_folded = {name.casefold(): source for name, source in self.sources.items()}
        self._view_by_folded = {_folded(key): view for key, view in self.views.items()}
        self._view_schemas = {schema.casefold() for schema, _ in self.views}
        self._tables: Loaded[tuple[str, TableName], Table] = Loaded(settings.metadata_ttl)
        self._listings = Listings(settings.metadata_ttl)

    def resolve(self, parts: Sequence[str], quoted: Sequence[bool]) -> CatalogTable | View:
        """`quoted` says for each part whether the statement quoted it; a quoted "source.schema" is taken apart.

        Raises TableNotFound, SchemaNotFound, AmbiguousTable, or the error of a source that had to be asked.
        """
        if len(parts) == 1:
            return self._bare(parts[0])
        if len(parts) == 2 and parts[0].casefold() in self._view_schemas:
            return self._view(parts[0], parts[1])
        if len(parts) == 2 and quoted[0] and parts[0].casefold() not in self._source_by_folded and "." in parts[0]:
            parts = (*parts[0].split(".", 1), parts[1])
        if len(parts) > 3:
            raise TableNotFound(
                f"{show_name(parts)} has too many parts", hint="a table is named source.schema.table at most"
            )
        source = self._source_by_folded.get(parts[0].casefold())
        if source is None:
            raise self._no_source(parts)
        return self._qualified(source, parts[1] if len(parts) == 3 else None, parts[-1])

    def add_system(self, source: Source) -> None:
        """A source of the federation's own tables, which no search finds: its name comes first in theirs."""
        self._source_by_folded[source.name.casefold()] = source

    def table_policies(self) -> dict[str, CachePolicy]:
        """What the notes on tables say of caching, by the tables' full names in lower case. No source is asked."""
        found = {}
        for note in self.notes:
            source = self.sources.get(note.source)
            if note.cache is not None and source is not None and not isinstance(source.adapter_or_fault, Exception):
                schema = note.schema or source.adapter_or_fault.default_schema
                found[f"{note.source}.{schema}.{note.name}".casefold()] = note.cache
        return found

    def source(self, name: str) -> Source:
        """The source of that name, in whatever case. Raises SchemaNotFound."""
        source = self._source_by_folded.get(name.casefold())
        if source is None:
            hint = did_you_mean(nearest(name, self.sources))
            known = ", ".join(self.sources) or "none"
            raise SchemaNotFound(f'there is no source "{name}"', hint=hint or f"known: {known}")
        return source

    def note(self, source: Source, table: TableName) -> TableNote | None:
        """What the catalog file says of a table."""
        note = self._note_by_folded.get((source.name, table.schema.casefold(), table.name.casefold()))
        if note is None and table.schema == source.adapter.default_schema:
            note = self._note_by_folded.get((source.name, None, table.name.casefold()))
        return note

    def tables(self, source: str) -> list[TableName]:
        """The tables of a source, as it listed them at most `metadata_ttl` seconds ago."""
        return list(self._listings.get(self.source(source)).tables)

    def is_one(self, source: Source, name: TableName) -> bool:
        """Whether the source has no other table, and no other schema, whose name differs from this one's by case."""
        listing, schema = self._listings.get(source), name.schema.casefold()
        tables = [table for table in listing.named(name.name) if table.schema.casefold() == schema]
        schemas = [known for known in listing.schemas if known.casefold() == schema]
        return len(tables) < 2 and len(schemas) < 2

    def describe(self, source: str, names: Sequence[TableName]) -> Iterator[tuple[TableName, CatalogTable | None]]:
        """Tables that `tables` has listed; None for one that cannot be described. Raises the error of a source that
        is not there any more."""
        known = self.source(source)
        if isinstance(known.adapter, SupportsManyTables):
            found = {table.name: self._noted(known, table) for table in known.adapter.get_tables(names)}
            yield from ((name, found.get(name)) for name in names)
            return
        for name in names:
            try:
                described = self._try(known, name)
            except Error as exc:
                if not _is_of_one_table(exc):
                    raise
                described = None
            yield name, described

    def forget(self, source: str, table: TableName) -> None:
        """Ask the source again at the next use of that table: it is not what it was."""
        wanted = _folded((table.schema, table.name))
        self._tables.forget(lambda key: key[0] == source and _folded((key[1].schema, key[1].name)) == wanted)
        self._listings.forget(source)

    def close(self) -> None:
        """Close every adapter, also when closing another one fails."""
        failures = []
        for source in self.sources.values():
            if isinstance(source.adapter_or_fault, Exception):
                continue
            try:
                source.adapter.close()
            except Exception as exc:  # the rest must be closed as well
                failures.append(exc)
        if failures:
            raise failures[0]

    # --- qualified names ----------------------------------------------------------------------------------------

    def _view(self, schema: str, name: str) -> View:
        view = self._view_by_folded.get(_folded((schema, name)))
        if view is not None:
            return view
        known = {view.name: view for view in self.views.values() if view.schema.casefold() == schema.casefold()}
        near = [show_name((known[match].schema, match)) for match in nearest(name, known)]
        raise TableNotFound(f"there is no view {show_name((schema, name))}", hint=did_you_mean(near))

    def _qualified(self, source: Source, schema: str | None, name: str) -> CatalogTable:
        asked_at = time.monotonic()
        wanted = TableName(schema if schema is not None else source.adapter.default_schema, name)
        found = self._try(source, wanted)
        for newer_than in (None, asked_at):
            if found is not None:
                return found
            match = self._listings.get(source, newer_than).find(wanted.schema, name)
            if match is not None and match != wanted:
                found = self._try(source, match)
        if found is not None:
            return found
        listing = self._listings.get(source)
        shown = show_name((source.name, wanted.schema, name))
        if schema is not None and not listing.has_schema(schema):
            near = [show_name((source.name, match)) for match in nearest(schema, listing.schemas)]
            raise SchemaNotFound(
                f"there is no schema {show_name((source.name, schema))}, wanted for {shown}", hint=did_you_mean(near)
            )
        raise TableNotFound(
            f"there is no table {shown}", hint=did_you_mean(listing.nearest_tables(wanted.schema, name))
        )

    def _no_source(self, parts: Sequence[str]) -> SchemaNotFound:
        """`public.orders` is probably `pg.public.orders`, if a source that is quick to answer has that."""
        near: list[str] = []
        if len(parts) == 2:
            listings, _ = self._listings.get_all(self.sources, HINT_SECONDS)
            near = [
                show_name((listing.source, table.schema, table.name))
                for listing in listings
                for table in listing.named(parts[1])
                if table.schema.casefold() == parts[0].casefold()
            ]
        known = [*self.sources, *dict.fromkeys(schema for schema, _ in self.views)]
        near += [show_name((match, *parts[1:])) for match in nearest(parts[0], known)]
        hint = did_you_mean(near) or f"known: {', '.join(show_name((name,)) for name in known)}"
        return SchemaNotFound(f"there is no source or view schema {show_name(parts[:1])}", hint=hint)

    # --- bare names ---------------------------------------------------------------------------------------------

    def _bare(self, name: str) -> CatalogTable | View:
        look_up = self._along_path if self.settings.search_path else self._anywhere
        asked_at = time.monotonic()
        for newer_than in (None, asked_at):
            found = look_up(name, newer_than)
            if found is not None:
                return found
        raise self._nowhere(name)

    def _along_path(self, name: str, newer_than: float | None) -> CatalogTable | View | None:
        """A source that cannot be asked ends the search: a later entry might have another table of that name."""
        for entry in self.settings.search_path:
            source = self._source_by_folded.get(entry[0].casefold())
            if source is None:
                view = self._view_by_folded.get(_folded((entry[0], name)))
                if view is not None:
                    return view
                continue
            schema = entry[1] if len(entry) == 2 else source.adapter.default_schema
            match = self._listings.get(source, newer_than).find(schema, name)
            found = self._try(source, match) if match is not None else None
            if found is not None:
                return found
        return None

    def _anywhere(self, name: str, newer_than: float | None) -> CatalogTable | View | None:
        """A default schema comes before the others. Raises AmbiguousTable between several, and the error of a source
        that was not reached when none has it."""
        views = [view for (_, known), view in self._view_by_folded.items() if known == name.casefold()]
        listings, failures = self._listings.get_all(self.sources, LISTING_SECONDS, newer_than)
        found = [(self.sources[listing.source], table) for listing in listings for table in self._best(listing, name)]
        found = [each for each in found if each[1].schema == each[0].adapter.default_schema] or found
        if len(views) + len(found) > 1:
            tables = [(source.name, table.schema, table.name) for source, table in found]
            raise ambiguous(name, [*((view.schema, view.name) for view in views), *tables])
        if views:
            return views[0]
        if found:
            return self._try(*found[0])
        for failure in failures.values():
            if not isinstance(failure, MissingDriver):
                raise again(failure)
        return None

    def _best(self, listing: Listing, name: str) -> list[TableName]:
        """The tables of one source that a bare name may mean: its default schema's, if that has one."""
        default = self.sources[listing.source].adapter.default_schema
        match = listing.find(default, name)
        if match is not None:
            return [match]
        tables = listing.named(name)
        return [table for table in tables if table.name == name] or tables

    def _nowhere(self, name: str) -> TableNotFound:
        known: dict[str, tuple[str, ...]] = {view.name: (view.schema, view.name) for view in self.views.values()}
        near: list[tuple[str, ...]] = []
        for source in self.sources:
            if (listing := self._listings.known(source)) is not None:
                near += [(source, table.schema, table.name) for table in listing.named(name)]
                known |= {table.name: (source, table.schema, table.name) for table in listing.tables}
        near += [known[match] for match in nearest(name, known)]
        hint = did_you_mean(map(show_name, near[:3]))
        unread = [name for name, source in self.sources.items() if isinstance(source.adapter_or_fault, MissingDriver)]
        if unread:
            hint = f"{hint or 'write the name of its source'} (not searched, for want of a driver: {', '.join(unread)})"
        return TableNotFound(f"there is no table or view {show_name((name,))}", hint=hint)

    # --- tables -------------------------------------------------------------------------------------------------

    def _try(self, source: Source, name: TableName) -> CatalogTable | None:
        """The table under exactly that name, or none. Where the source cannot be reached and the cache may stand in for
        it, the table is what it was."""
        adapter: Adapter = source.adapter
        key = source.name, name
        try:
            table = self._tables.get(key, lambda: adapter.get_table(name))
        except (TableNotFound, SchemaNotFound):
            return None
        except SourceUnavailable:
            known = self._tables.peek(key, stale=True)
            found = self._noted(source, known) if known is not None else None
            if found is None or found.cache is None or not found.cache.stale_if_error:
                raise
            return found
        return self._noted(source, table)

    def _noted(self, source: Source, table: Table) -> CatalogTable:
        note = self.note(source, table.name)
        if note is None:
            return CatalogTable(source, table, cache=source.cache)
        check_columns(note.constraint, table, source.name)
        if note.refresh is not None:
            check_refresh(note.refresh, table, source.name)
        commented = replace(table, comment=note.comment or table.comment)
        return CatalogTable(source, commented, note.owner, note.constraint, note.cache or source.cache)


def _is_of_one_table(exc: Error) -> bool:
    """Whether the source may describe others all the same."""
    if isinstance(exc, SourceError):
        return not isinstance(exc, (SourceUnavailable, SourceAuthError))
    return not isinstance(exc, OperationalError)


def _folded(parts: Iterable[str]) -> tuple[str, ...]:
    return tuple(part.casefold() for part in parts)
