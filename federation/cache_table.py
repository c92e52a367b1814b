"""`system.cache`: one row for each fragment that the cache has of the catalog's sources.

Whoever may ask the sources may see which of their tables and columns are there, but not what others looked for in them:
statements come without constants. What other catalogs keep in the folder, or the same with other credentials, is
not shown.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from cache.about import About
from cache.entry import Entry
from cache.usage import Used
from catalog.caching import strictest
from catalog.catalog import Catalog
from catalog.model import CachePolicy
from federation.caching import FragmentCache
from federation.system import SystemTable

TIME = pa.timestamp("us", "UTC")
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
    }
)
EXPIRED = "expired"  # not given any more


class CacheTable:
    """`cache` is None for a catalog that caches nothing."""

    def __init__(self, catalog: Catalog, cache: FragmentCache | None) -> None:
        self.table = SystemTable(SCHEMA, self.rows)
        self._cache = cache
        self._policies = catalog.table_policies()
        self._by_source = {source.name: source.cache for source in catalog.sources.values()}

    def rows(self) -> pa.Table:
        """What is there now, the largest first."""
        found = sorted(self._rows(), key=lambda row: -row["bytes"])
        return pa.Table.from_pylist(found, SCHEMA)

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        cache = self._cache
        if cache is None:
            return
        now = cache.store.clock()
        for entry, about, used in cache.store.listed():
            if cache.principals.get(entry.source) == about.principal:
                yield self._row(cache, entry, about, used, now)

    def _row(self, cache: FragmentCache, entry: Entry, about: About, used: Used, now: float) -> Mapping[str, Any]:
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


def moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def _state(cache: FragmentCache, entry: Entry, policy: CachePolicy | None) -> str:
    """How it would be given to a query that asks for nothing younger."""
    if policy is None:
        return EXPIRED
    standing = cache.judge(policy)(entry) or cache.judge(policy, failed=True)(entry)
    return str(standing.state) if standing is not None else EXPIRED
