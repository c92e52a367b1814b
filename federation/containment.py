"""Answers from a fragment that holds more than is asked for: DuckDB picks the rows out of it.

1. `asked` reads a fragment as a region (`planner.regions`).
2. `seek` looks at what is filed that may hold it, and takes the smallest that does.
3. Where nothing does, `seek_part` takes what holds a part of it, if the catalog allows that.
4. `run` is the local query over that one's rows, which streams.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import pyarrow as pa

from adapters.base import CancelToken, Predicate
from adapters.duck import Duck, Rows
from adapters.errors import Error
from cache.entry import Entry
from cache.keys import FragmentKey
from cache.pruning import pruned
from cache.regions import Region, load_region
from cache.store import Store
from federation.local import LocalSchema
from federation.planner.answers import CACHED, REST, answer, unite
from federation.planner.nodes import Fragment, TableScan
from federation.planner.regions import Asked, ask
from federation.progress import State

log = logging.getLogger(__name__)

BYTES_PER_SECOND = 1e9  # of what is read here
PRUNED_ROWS = 100_000  # in fewer DuckDB finds those that are wanted as quickly


@dataclass(frozen=True, slots=True)
class Standing:
    """`as_of` is when the rows were last known to be what the source has, in seconds of the epoch."""

    state: State
    as_of: float


#: how an entry stands, None where it is too old
Judge = Callable[[Entry], Standing | None]


@dataclass(frozen=True, slots=True)
class Found:
    """What may be given. `query` picks the rows out of `CACHED`; empty, where they are all wanted as they are. The rows
    that are `missing` it takes from `REST`. Of `CACHED` it needs those that fulfil the `conditions`."""

    entry: Entry
    standing: Standing
    query: str = ""
    missing: tuple[Predicate, ...] = ()
    conditions: tuple[Predicate, ...] = ()


class Picked:
    """The rows of a fragment that are asked for, to be read once; `rows` and `bytes` so far."""

    def __init__(self, found: Rows, schema: pa.Schema, failed: Sequence[Error]) -> None:
        """`failed` gets the error of what they are picked from, of which DuckDB keeps the text alone."""
        self.rows = self.bytes = 0
        self._found = found
        self._schema = schema
        self._failed = failed

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._found:
                self.rows += batch.num_rows
                self.bytes += batch.nbytes
                yield _as(batch, self._schema)
        except Error:
            if self._failed:
                raise self._failed[0] from None
            raise

    def close(self) -> None:
        """From any thread."""
        self._found.close()


class Containment:
    """Thread-safe."""

    def __init__(self, store: Store, duck: Duck, local: LocalSchema) -> None:
        self._store = store
        self._duck = duck
        self._local = local

    def asked(self, fragment: Fragment) -> Asked | None:
        """What the fragment asks for, as it is planned now; None for what only itself answers."""
        if not fragment.contained:
            return None
        tables = {self._local.identify(each): each for each in fragment.tables}
        keys = fragment.request.predicates if isinstance(fragment, TableScan) else fragment.keys
        return ask(fragment, tables, self._local, keys or ())

    def seek(self, key: FragmentKey, asked: Asked, judge: Judge) -> Found | None:
        found: Found | None = None
        for entry in sorted(self._store.filed(key, asked.regions()), key=lambda each: each.bytes):
            region = _region(entry.region)
            made = answer(asked, region) if region is not None else None
            standing = judge(entry) if made is not None else None  # looks into the index: not for what is of no use
            if made is None or standing is None:
                continue
            if found is None or standing.state is State.FRESH:
                found = Found(entry, standing, made.query, conditions=made.conditions)
            if standing.state is State.FRESH:
                break
        return found

    def seek_part(self, key: FragmentKey, asked: Asked, judge: Judge) -> Found | None:
        """The largest fragment that has a part of what is asked for, if the catalog allows to fetch the other one, and
        that is quicker than to fetch all: what is read here took longer to fetch."""
        divisible = any(each.table.cache is not None and each.table.cache.immutable for each in asked.columns.values())
        regions = [asked.own] if asked.own is not None and divisible else []
        for entry in sorted(self._store.filed(key, regions), key=lambda each: -each.rows):
            region = _region(entry.region)
            if region is None or entry.bytes / BYTES_PER_SECOND > entry.seconds:
                continue
            union = unite(asked, region)
            policy = union.by.table.cache if union is not None else None
            if union is None or policy is None or union.by.column.name.lower() not in policy.immutable:
                continue
            standing = judge(entry)
            if standing is not None and standing.state is State.FRESH:
                return Found(entry, standing, union.query, union.missing)
        return None

    def run(
        self, found: Found, schema: pa.Schema, cancel: CancelToken, rest: pa.RecordBatchReader | None = None
    ) -> Picked | None:
        """None when the entry is gone, or cannot be read as is thought here: then the source is asked."""
        rows = self._store.open(found.entry)
        if rows is None:
            return None
        failed: list[Error] = []
        given = pruned(rows, found.conditions) if found.entry.rows > PRUNED_ROWS else rows
        kept = pa.RecordBatchReader.from_batches(rows.schema, _noting(given, failed))
        inputs = {CACHED: kept} if rest is None else {CACHED: kept, REST: rest}
        try:
            picked = self._duck.query(found.query, inputs, cancel)
        except Error:
            cancel.check()
            log.warning("a cached fragment of %s was not read", found.entry.source, exc_info=True)
            return None
        if not all(map(_fits, picked.schema.types, schema.types)):
            picked.close()
            return None
        return Picked(picked, schema, failed)


def _noting(rows: Iterable[pa.RecordBatch], failed: list[Error]) -> Iterator[pa.RecordBatch]:
    try:
        yield from rows
    except Error as exc:
        failed.append(exc)
        raise


def _fits(found: pa.DataType, wanted: pa.DataType) -> bool:
    """DuckDB has decimals of few digits in few bytes."""
    if pa.types.is_decimal(found) and pa.types.is_decimal(wanted):
        return (found.precision, found.scale) == (wanted.precision, wanted.scale)
    return found == wanted


def _as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        array if array.type == type_ else array.cast(type_)
        for array, type_ in zip(batch.columns, schema.types, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


@lru_cache(4096)
def _region(text: str) -> Region | None:
    try:
        return load_region(text)
    except (ValueError, TypeError, LookupError):
        return None
