"""`system.cache`: one row for each fragment that the cache has of the catalog's sources.

Whoever may ask the sources may see which of their tables and columns are there, but not what others looked for in them:
statements come without constants. What other catalogs keep in the folder, or the same with other credentials, is
not shown.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from cache.about import About
from cache.entry import Entry
from cache.pins import Pin
from cache.usage import Used
from catalog.caching import strictest
from catalog.catalog import Catalog
from catalog.model import CachePolicy
from federation.caching import FragmentCache
from federation.pins import Pinned
from federation.system import TIME, Asked, SystemTable

SCHEMA = pa.schema(
    {
        "source": pa.string(),
        "tables": pa.list_(pa.string()),
        "columns": pa.list_(pa.string()),
        "statement": pa.string(),
        "rows": pa.int64(),
        "bytes": pa.int64(),
        "as_of": TIME,
        "age": pa.float64(),
        "expires": TIME,
        "state": pa.string(),
        "fetch_seconds": pa.float64(),
        "hits": pa.int64(),
        "saved_seconds": pa.float64(),
        "pinned": pa.bool_(),
        "refreshed": TIME,
        "refresh_error": pa.string(),
    }
)
EXPIRED = "expired"  # not given any more
MISSING = "missing"  # what is pinned, and was not fetched yet


class CacheTable:
    """`cache` is None for a catalog that caches nothing."""

    def __init__(self, catalog: Catalog, cache: FragmentCache | None, pins: Sequence[Pinned]) -> None:
        self.table = SystemTable(SCHEMA, self.rows)
        self._cache = cache
        self._pins = pins
        self._policies = catalog.table_policies()
        self._by_source = {source.name: source.cache for source in catalog.sources.values()}

    def rows(self, _: Asked) -> list[dict[str, Any]]:
        """What is there now, the largest first."""
        return sorted(self._rows(), key=lambda row: -(row["bytes"] or 0))

    def _rows(self) -> Iterator[dict[str, Any]]:
        cache = self._cache
        if cache is None:
            return
        now = cache.store.clock()
        pins = {pinned: cache.store.pins.get(pinned.key) for pinned in self._pins}
        by_digest = {held.digest: pin for pin in pins.values() for held in pin.fragments}
        seen = set()
        for entry, about, used in cache.store.listed():
            if cache.principals.get(entry.source) == about.principal:
                seen.add(entry.digest)
                yield self._row(cache, entry, about, used, now) | _refreshed(by_digest.get(entry.digest))
        for pinned, pin in pins.items():
            if seen.isdisjoint(held.digest for held in pin.fragments):
                about_it = {"source": pinned.source, "tables": [pinned.name], "state": MISSING, "pinned": True}
                yield dict.fromkeys(SCHEMA.names) | about_it | _refreshed(pin)

    def _row(self, cache: FragmentCache, entry: Entry, about: About, used: Used, now: float) -> dict[str, Any]:
        policy = strictest(
            [self._policies.get(each.casefold(), self._by_source[entry.source]) for each in entry.tables]
        )
        as_of = max(entry.as_of, cache.store.versions.confirmed(entry))
        return {
            "source": entry.source,
            "tables": entry.tables,
            "columns": about.columns,
            "statement": about.statement,
            "rows": entry.rows,
            "bytes": entry.bytes,
            "as_of": moment(as_of),
            "age": now - as_of,
            "expires": moment(as_of + policy.ttl) if policy is not None else None,
            "state": _state(cache, entry, policy),
            "fetch_seconds": entry.seconds,
            "hits": used.hits,
            "saved_seconds": used.seconds,
            "pinned": entry.pinned_until > now,
        }


def _refreshed(pin: Pin | None) -> dict[str, Any]:
    if pin is None:
        return {}
    return {"refreshed": moment(pin.refreshed) if pin.refreshed else None, "refresh_error": pin.error or None}


def moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _state(cache: FragmentCache, entry: Entry, policy: CachePolicy | None) -> str:
    """How it would be given to a query that asks for nothing younger."""
    if policy is None:
        return EXPIRED
    standing = cache.judge(policy)(entry) or cache.judge(policy, failed=True)(entry)
    return str(standing.state) if standing is not None else EXPIRED
