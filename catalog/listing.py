"""Which tables each source has: listed on demand, kept for a while, matched whatever the case."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from copy import copy

from adapters.base import TableName
from adapters.errors import AmbiguousTable, Error, SourceUnavailable
from catalog.model import Source
from catalog.names import nearest, show_name
from catalog.shared import Loaded, at_once

# How long a source that failed to list is left alone when a bare name asks every source.
FAILURE_SECONDS = 5.0


class Listing:
    """The tables of one source, indexed for matching."""

    def __init__(self, source: str, tables: Iterable[TableName]) -> None:
        self.source = source
        self.tables = tuple(tables)
        self.schemas = sorted({table.schema for table in self.tables})
        self._by_name: dict[str, list[TableName]] = {}
        for table in self.tables:
            self._by_name.setdefault(table.name.casefold(), []).append(table)

    def find(self, schema: str, name: str) -> TableName | None:
        """The table; an exact match wins over one in another case. Raises AmbiguousTable between several of those."""
        folded = schema.casefold()
        tables = [table for table in self.named(name) if table.schema.casefold() == folded]
        for close in (
            [table for table in tables if table.schema == schema and table.name == name],
            [table for table in tables if table.schema == schema],
        ):
            if len(close) == 1:
                return close[0]
        if len(tables) > 1:
            raise ambiguous(name, [(self.source, table.schema, table.name) for table in tables])
        return tables[0] if tables else None

    def named(self, name: str) -> list[TableName]:
        """The tables of that name, whatever the case, in any schema."""
        return self._by_name.get(name.casefold(), [])

    def has_schema(self, schema: str) -> bool:
        return any(known.casefold() == schema.casefold() for known in self.schemas)

    def nearest_tables(self, schema: str, name: str) -> list[str]:
        """Same name in another schema first, then similar names in this one."""
        elsewhere = [show_name((self.source, table.schema, table.name)) for table in self.named(name)]
        folded = schema.casefold()
        here = {table.name: table for table in self.tables if table.schema.casefold() == folded}
        near = [here[name] for name in nearest(name, here)]
        return [*elsewhere, *(show_name((self.source, table.schema, table.name)) for table in near)]


def ambiguous(name: str, candidates: Iterable[tuple[str, ...]]) -> AmbiguousTable:
    shown = sorted(show_name(parts) for parts in candidates)
    return AmbiguousTable(f'the name "{name}" is ambiguous', hint=f"write one of: {', '.join(shown)}")


def again(failure: Exception) -> Exception:
    """A remembered failure to raise once more; each statement adds its own position and traceback."""
    if not isinstance(failure, Error):
        return failure
    raised = copy(failure)
    raised.__cause__ = failure
    return raised


class Listings:
    """The listings of all sources."""

    def __init__(self, ttl: float) -> None:
        self._loaded: Loaded[str, Listing] = Loaded(ttl)
        self._failed: dict[str, tuple[float, Exception]] = {}

    def get(self, source: Source, newer_than: float | None = None) -> Listing:
        """Lists the source when what is known is too old. Raises the source's error."""
        return self._loaded.get(
            source.name, lambda: Listing(source.name, source.adapter.list_tables()), newer_than=newer_than
        )

    def known(self, source: str) -> Listing | None:
        """The last listing, however old, without asking the source."""
        return self._loaded.peek(source, stale=True)

    def forget(self, source: str) -> None:
        self._loaded.forget(lambda key: key == source)

    def get_all(
        self, sources: Mapping[str, Source], seconds: float, newer_than: float | None = None
    ) -> tuple[list[Listing], dict[str, Exception]]:
        """Every source at once, none waited for longer than `seconds`. A source that fails is answered by its last
        listing if there was one; a failure is remembered for a moment, so that not every statement waits for it."""
        listings: list[Listing] = []
        failures: dict[str, Exception] = {}
        asked: dict[str, Source] = {}
        for name, source in sources.items():
            failed_at, failure = self._failed.get(name, (0.0, None))
            fresh = self._loaded.peek(name) if newer_than is None else None
            if fresh is not None:
                listings.append(fresh)
            elif failure is not None and time.monotonic() - failed_at < FAILURE_SECONDS:
                failures[name] = failure
            else:
                asked[name] = source
        tasks = {name: (lambda source=source: self.get(source, newer_than)) for name, source in asked.items()}
        for name, answer in at_once(tasks, seconds).items():
            if isinstance(answer, Listing):
                self._failed.pop(name, None)
                listings.append(answer)
            else:
                failures[name] = _unavailable(name, answer)
                self._failed[name] = (time.monotonic(), failures[name])
        listings += [last for name in failures if (last := self.known(name)) is not None]
        return listings, failures


def _unavailable(source: str, failure: Exception) -> Exception:
    if not isinstance(failure, TimeoutError):
        return failure
    error = SourceUnavailable(
        f"the source did not list its tables: {failure}", source=source, hint="name the table with its source"
    )
    error.__cause__ = failure
    return error
