"""A fragment of two parts: one that the cache has, one that is fetched, put together by DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from adapters.errors import Error
from federation.containment import Found, Picked
from federation.fetch import Fetcher, FetchStats
from federation.progress import State

if TYPE_CHECKING:
    from federation.cached import CachedFetch


class UnitedFetch:
    """As a Fetcher; `rest` is being read by `picked`, and ends with it."""

    def __init__(self, found: Found, picked: Picked, rest: Fetcher | CachedFetch) -> None:
        self.query = found.query
        self._found = found
        self._picked = picked
        self._rest = rest

    def start(self) -> None:
        self._rest.start()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Raises the source's error as it was, not as DuckDB has it."""
        try:
            yield from self._picked
        except Error:
            if self._rest.error is not None:
                raise self._rest.error from None
            raise

    @property
    def error(self) -> Error | None:
        return self._rest.error

    @property
    def state(self) -> State:
        states = list(State)
        return max(self._found.standing.state, self._rest.state, key=states.index)

    @property
    def as_of(self) -> float:
        """That of the older part."""
        as_of = self._found.standing.as_of
        return min(as_of, self._rest.as_of or as_of)

    @property
    def stats(self) -> FetchStats:
        """What was asked of the source."""
        return self._rest.stats

    def close(self) -> None:
        self._picked.close()
        self._rest.close()
