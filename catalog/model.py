"""What the catalog holds, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlglot import exp

from adapters.base import Adapter, Table
from adapters.errors import CatalogError


@dataclass(frozen=True, slots=True)
class Limits:
    """What one source is to bear: fragments at once, and seconds per fragment."""

    concurrency: int | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How old, in seconds, may be what is given from the cache: `ttl` without asking the source, so much more while it
    is asked again, so much more where it cannot be reached. `max_bytes` is what the source's rows may take on disk.
    Native queries are cached only if they are said to be. A row never changes its value in the columns `immutable` of
    its table, with names in lower case: by these a fragment may be put together from an older and a newer part.
    `version_sql` is a query of one table's source whose answer differs whenever the table has changed, `notify` the
    channel on which a source says what has."""

    ttl: float = 0.0
    stale_while_revalidate: float = 0.0
    stale_if_error: float = 0.0
    max_bytes: int | None = None
    native_queries: bool = False
    immutable: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    version_sql: str | None = None
    notify: str | None = None


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a server fetches again every so many seconds. With a `cursor`, a column that is at least as large in every
    row that is new or was changed as in all before it, only these are fetched, and replace those with the same `key`;
    without a key rows are only added. All of it is fetched after `full` seconds, None for never."""

    every: float
    cursor: str | None = None
    key: tuple[str, ...] = ()
    full: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """`[settings]`. None leaves the choice to the engine; times are in seconds. An entry of `search_path` is
    (source,), (source, schema) or (view schema,). The cache is encrypted with the 32 bytes of `cache_key`."""

    search_path: tuple[tuple[str, ...], ...] = ()
    memory_limit: str | None = None
    spill_directory: Path | None = None
    threads: int | None = None
    timeout: float | None = None
    metadata_ttl: float = 60.0
    verify_sample: float = 0.0
    statistics_directory: Path | None = None
    cache_directory: Path | None = None
    cache_size: int | None = None
    cache_key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """`[sources.name]`: `options` are the adapter's own keys, with secrets resolved and therefore never shown."""

    name: str
    kind: str
    file: Path
    options: Mapping[str, Any] = field(repr=False)
    limits: Limits = Limits()
    cache: CachePolicy | None = None


@dataclass(frozen=True, slots=True)
class TableNote:
    """`[tables."source.schema.table"]`: what people know about a table; `schema` None is the source's default. Each of
    `constraint` is a condition on one column of the table, and not false for any row. `cache` is None where that of the
    source holds."""

    source: str
    schema: str | None
    name: str
    owner: str | None = None
    comment: str | None = None
    constraint: tuple[exp.Expr, ...] = ()
    cache: CachePolicy | None = None
    refresh: Refresh | None = None


@dataclass(frozen=True, slots=True)
class View:
    schema: str
    name: str
    sql: str
    refresh: Refresh | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A named adapter. When the adapter's driver is not installed, the fault is kept here instead and raised at the
    first use, so that the other sources work."""

    name: str
    kind: str
    adapter_or_fault: Adapter | CatalogError
    limits: Limits = Limits()
    cache: CachePolicy | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False, hash=False)

    @property
    def adapter(self) -> Adapter:
        fault = self.adapter_or_fault
        if isinstance(fault, CatalogError):
            raise type(fault)(fault.message, hint=fault.hint, source=self.name) from fault
        return fault


@dataclass(frozen=True, slots=True)
class CatalogTable:
    source: Source
    table: Table
    owner: str | None = None
    constraint: tuple[exp.Expr, ...] = ()
    cache: CachePolicy | None = None

    @property
    def full_name(self) -> str:
        """source.schema.table"""
        return f"{self.source.name}.{self.table.name.schema}.{self.table.name.name}"
