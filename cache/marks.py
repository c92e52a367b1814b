"""Since when what is fetched counts: what came before was invalidated, whoever still writes it.

Names are compared without regard to case, so that at worst too much is fetched again.
"""

from __future__ import annotations

from collections.abc import Iterable

from cache.index import Index

_SOURCE, _TABLE = "void source ", "void table "


def mark(index: Index, sources: Iterable[str], tables: Iterable[str], now: float) -> None:
    """For all processes. Raises what the index raises."""
    with index.transact():
        for name in _names(sources, tables):
            index.set(name, max(now, index.get(name, 0.0)))


def marked(index: Index, source: str, tables: Iterable[str]) -> float:
    """When something of these was invalidated last, in seconds of the epoch."""
    return max(float(index.get(name, 0.0)) for name in _names([source], tables))


def concerns(source: str, tables: Iterable[str], sources: Iterable[str], marked: Iterable[str]) -> bool:
    return not set(_names([source], tables)).isdisjoint(_names(sources, marked))


def _names(sources: Iterable[str], tables: Iterable[str]) -> list[str]:
    return [*(_SOURCE + each.casefold() for each in sources), *(_TABLE + each.casefold() for each in tables)]
