"""`system.sources`: one row for each source of which the caller may read anything.

Nothing that a source is opened with is shown. Sources are asked only for the columns that say whether they answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from cache.learned import Learned, Link
from catalog.catalog import Catalog
from catalog.model import Source
from catalog.policies import Rights
from federation.probes import Probe, probe
from federation.slots import DEFAULT_SIZE
from federation.system import Asked, SystemTable, columns

SCHEMA = columns(
    source=pa.string(),
    adapter=pa.string(),
    default_schema=pa.string(),
    up=pa.bool_(),
    tables=pa.int64(),
    seconds=pa.float64(),
    sqlstate=pa.string(),
    error=pa.string(),
    latency=pa.float64(),
    bytes_per_second=pa.float64(),
    concurrency=pa.int64(),
    timeout=pa.float64(),
    cache_ttl=pa.float64(),
)
PROBED = {"up", "tables", "seconds", "sqlstate", "error"}


def sources_table(catalog: Catalog, learned: Learned) -> SystemTable:
    """What reads have shown of the sources is `learned`."""

    def rows(asked: Asked) -> Iterator[Mapping[str, Any]]:
        rights = Rights(catalog, asked.caller)
        sources = [
            each for each in catalog.sources.values() if rights.sees_source(each.name) and asked.wants(source=each.name)
        ]
        probes = probe(sources) if set(PROBED).intersection(asked.columns) else {}
        for source in sources:
            yield _row(source, learned.link(source.name) or Link(None, None)) | _answer(
                catalog, probes.get(source.name)
            )

    return SystemTable(SCHEMA, rows)


def _row(source: Source, link: Link) -> dict[str, Any]:
    adapter = source.adapter_or_fault
    return {
        "source": source.name,
        "adapter": source.kind,
        "default_schema": None if isinstance(adapter, Exception) else adapter.default_schema,
        "latency": link.latency,
        "bytes_per_second": link.bytes_per_second,
        "concurrency": source.limits.concurrency or DEFAULT_SIZE,
        "timeout": source.limits.timeout,
        "cache_ttl": source.cache.ttl if source.cache is not None else None,
    }


def _answer(catalog: Catalog, found: Probe | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {
        "up": found.error is None,
        "tables": found.tables,
        "seconds": found.seconds,
        "sqlstate": found.sqlstate,
        "error": catalog.redactor.scrub(found.error.message) if found.error is not None else None,
    }
