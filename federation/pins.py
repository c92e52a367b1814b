"""What the catalog wants kept warm, and when the next refresh of it is due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from cache.keys import pin_name
from cache.pins import Pin
from cache.store import Store
from catalog.catalog import Catalog
from catalog.model import Refresh
from catalog.names import show_name

FIRST_WAIT, LONGEST_WAIT = 10.0, 300.0  # seconds after a failure; longer only where the interval is


@dataclass(frozen=True, slots=True)
class Pinned:
    """A table or a view: `parts` is its name, `source` that of a table, `key` what the store knows it by."""

    parts: tuple[str, ...]
    refresh: Refresh
    source: str | None
    key: str

    @property
    def name(self) -> str:
        return show_name(self.parts)

    @property
    def table(self) -> exp.Table:
        """In FROM."""
        quoted = [exp.to_identifier(part, quoted=True) for part in self.parts]
        return exp.Table(**dict(zip(("this", "db", "catalog"), reversed(quoted), strict=False)))


def pins(catalog: Catalog, principals: Mapping[str, str]) -> Iterator[Pinned]:
    """`principals` are those of the sources that are cached."""
    for note in catalog.notes:
        if note.refresh is not None and note.source in principals:
            parts = tuple(part for part in (note.source, note.schema, note.name) if part is not None)
            key = pin_name(show_name(parts).casefold(), [principals[note.source]])
            yield Pinned(parts, note.refresh, note.source, key)
    for view in catalog.views.values():
        if view.refresh is not None and principals:
            parts = (view.schema, view.name)
            yield Pinned(parts, view.refresh, None, pin_name(f"{show_name(parts)} {view.sql}", principals.values()))


def due(store: Store, pinned: Pinned, pin: Pin) -> bool:
    """What was invalidated is fetched again at once; what failed, after a while that doubles each time."""
    now = store.clock()
    if now < pin.attempted:  # a clock that went back says nothing
        return True
    if pin.failures:
        longest = max(LONGEST_WAIT, pinned.refresh.every)
        return now - pin.attempted >= min(FIRST_WAIT * 2.0 ** min(pin.failures - 1, 30), longest)
    if now - pin.refreshed >= pinned.refresh.every:
        return True
    return any(pin.refreshed <= store.valid_from(held) for held in pin.fragments)
