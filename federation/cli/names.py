"""What the catalog knows, read ahead by threads of their own, so that completion never waits for a source."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from adapters.base import TableName
from adapters.errors import Error
from catalog.model import CatalogTable
from catalog.names import show_name

if TYPE_CHECKING:
    from catalog.catalog import Catalog

PATIENCE = 0.3  # how long the completion thread, not the typist, waits for a source


class Names:
    """Lists fill in as the sources answer; a source that fails simply has no names here."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._tables: dict[str, list[TableName]] = {}
        self._columns: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._asked: dict[tuple[str, ...], threading.Event] = {}
        self._lock = threading.Lock()
        for source in catalog.sources:
            self._ask((source,), lambda source=source: self._load_tables(source))  # type: ignore[misc]

    @property
    def sources(self) -> Iterable[str]:
        return self._catalog.sources

    @property
    def view_schemas(self) -> set[str]:
        return {schema for schema, _ in self._catalog.views}

    def tables(self) -> list[tuple[str, ...]]:
        """Each table and view as a statement may name it: without the schema where that is the default."""
        self.wait(PATIENCE)
        named: list[tuple[str, ...]] = list(self._catalog.views)
        for source, tables in list(self._tables.items()):
            default = self._catalog.sources[source].adapter.default_schema
            named += [(source, t.name) if t.schema == default else (source, t.schema, t.name) for t in tables]
        return named

    def columns(self, table: Sequence[str]) -> tuple[str, ...]:
        key = tuple(table)
        self._ask(("columns", *key), lambda: self._load_columns(key)).wait(PATIENCE)
        return self._columns.get(key, ())

    def wait(self, seconds: float | None = None) -> None:
        """Until everything that was asked is answered, or for that long."""
        deadline = None if seconds is None else time.monotonic() + seconds
        for asked in list(self._asked.values()):
            asked.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def _ask(self, key: tuple[str, ...], load: Callable[[], None]) -> threading.Event:
        with self._lock:
            if key in self._asked:
                return self._asked[key]
            done = self._asked[key] = threading.Event()

        def work() -> None:
            try:
                load()
            except Error:
                pass  # the statement that uses the name will say what is wrong
            finally:
                done.set()

        threading.Thread(target=work, name=f"names of {show_name(key)}", daemon=True).start()
        return done

    def _load_tables(self, source: str) -> None:
        self._tables[source] = self._catalog.tables(source)

    def _load_columns(self, key: tuple[str, ...]) -> None:
        found = self._catalog.resolve(key, [True] * len(key))
        if isinstance(found, CatalogTable):
            self._columns[key] = tuple(column.name for column in found.table.columns)
