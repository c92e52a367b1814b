"""What tables are known by at their sources: the answers to the queries that the catalog file calls `version_sql`.

1. `version_queries` has those of a fragment; without one for each of its tables there is none for the fragment.
2. `ask` runs them, as they are and read-only. Of many who ask at once one asks the source, in whatever process; who
   came before it began may have its answer too.
3. The answer becomes a digest. NULL is no version: an empty table may have it, and so may one that is full.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from copy import copy
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from adapters.base import CancelToken, Column, SupportsNativeQuery
from adapters.errors import CardinalityViolation, Error, NotSupportedError, QueryCancelled
from cache.recording import pauses
from cache.store import Store
from catalog.listing import again
from catalog.model import CatalogTable, Source
from federation.fetch import Fetcher
from federation.native import native_text
from federation.slots import Slots

PATIENCE = 300.0  # seconds without a sign of whoever has the turn
_HINT = "see version_sql of the table in the catalog file"


@dataclass(frozen=True, slots=True)
class VersionQuery:
    """`place` is where its answer is noted, for this query as these credentials see it."""

    table: str
    sql: str
    place: str


def version_queries(tables: Sequence[CatalogTable], place: Callable[..., str]) -> tuple[VersionQuery, ...]:
    """In the order of their places, which `place` makes of texts."""
    found = {}
    for each in tables:
        if each.cache is None or each.cache.version_sql is None:
            return ()
        name, sql = each.full_name, each.cache.version_sql
        found[name] = VersionQuery(name, sql, place("version", name, sql))
    return tuple(sorted(found.values(), key=lambda each: each.place))


def check_version_query(table: CatalogTable) -> None:
    """Raises what is wrong with the query of a table, if it has one. It is not run."""
    if table.cache is not None and table.cache.version_sql is not None:
        with _explained(table.full_name, table.source):
            _describe(table.source, native_text(table.cache.version_sql))


class Versions:
    """Those of one engine. Thread-safe."""

    def __init__(self, store: Store, slots: Mapping[str, Slots]) -> None:
        self._store = store
        self._slots = slots
        self._described: dict[str, Column] = {}  # by the place of its query

    def ask(self, source: Source, queries: Sequence[VersionQuery], cancel: CancelToken) -> dict[str, str]:
        """The versions by their places, as they were when this was called or later. Raises the source's error, or what
        is wrong with a query."""
        return {query.place: self._current(source, query, cancel) for query in queries}

    @contextmanager
    def slot(self, source: Source, cancel: CancelToken) -> Iterator[None]:
        """For a question that is no read."""
        slot = self._slots[source.name].acquire(_Asking(), cancel)
        try:
            yield
        finally:
            slot.release()

    def _current(self, source: Source, query: VersionQuery, cancel: CancelToken) -> str:
        store, came = self._store, self._store.clock()
        woken = threading.Event()
        unregister = cancel.register(woken.set)
        try:
            with store.waiters.waiting(query.place) as waiter:
                for pause in pauses():
                    cancel.check()
                    if waiter.error is not None:
                        raise again(waiter.error)
                    version, asked = store.versions.get(query.place)
                    if asked > came:
                        return version
                    with store.versions.turn(query.place) as mine:
                        if mine or store.idle(query.place) > PATIENCE:
                            return self._asked(source, query, cancel)
                    woken.wait(pause)
        finally:
            unregister()
        raise AssertionError("there is always another pause")

    def _asked(self, source: Source, query: VersionQuery, cancel: CancelToken) -> str:
        asked = self._store.clock()
        try:
            with _explained(query.table, source):
                version = self._read(source, query, cancel)
        except Error as exc:
            self._described.pop(query.place, None)
            if not isinstance(exc, QueryCancelled):
                self._store.waiters.fail(query.place, exc)
            raise
        self._store.versions.put(query.place, version, asked)
        return version

    def _read(self, source: Source, query: VersionQuery, cancel: CancelToken) -> str:
        sql, adapter = native_text(query.sql), source.adapter
        column = self._described.get(query.place)
        if column is None:
            column = self._described[query.place] = _describe(source, sql)
        assert isinstance(adapter, SupportsNativeQuery)
        rows: list[pa.Scalar[Any]] = []
        scan = adapter.plan_native(sql, (column,))
        with closing(Fetcher(adapter, scan, cancel, workers=1, slots=self._slots[source.name])) as fetcher:
            for batch in fetcher.batches():
                rows += batch.column(0)[:2]
                if len(rows) > 1:
                    raise CardinalityViolation("its query gives more than one row")
        if not rows:
            raise CardinalityViolation("its query gives no row")
        return _digest(rows[0])


class _Asking:
    """Has a slot, and waits for nobody."""

    def wake(self) -> None:
        """Nothing to reconsider."""


def _describe(source: Source, sql: str) -> Column:
    adapter = source.adapter
    if not isinstance(adapter, SupportsNativeQuery):
        raise NotSupportedError(f"the adapter {source.kind} takes no native query")
    columns = adapter.describe_native(sql)
    if len(columns) != 1:
        raise CardinalityViolation(f"its query gives {len(columns)} columns, and a version is one value")
    return columns[0]


def _digest(value: pa.Scalar[Any]) -> str:
    """Of whatever length the value is."""
    if not value.is_valid:
        return ""
    return blake2b(f"{value.type} {value.as_py()!r}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@contextmanager
def _explained(table: str, source: Source) -> Iterator[None]:
    """A position would be one in a text that the caller did not write."""
    try:
        yield
    except QueryCancelled:
        raise
    except Error as exc:
        error = copy(exc)
        error.message = f"what version {table} has cannot be told: {exc.message}"
        error.hint, error.position, error.source = exc.hint or _HINT, None, source.name
        raise error from exc
