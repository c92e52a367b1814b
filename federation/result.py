"""A query that was planned, and one that runs: its rows stream once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from adapters.errors import DataError, Error, SourceChanged
from catalog.catalog import Catalog
from catalog.model import CatalogTable
from federation.execute import Execution
from federation.planner.nodes import Plan
from federation.progress import FragmentProgress, Freshness, State, by_source
from federation.verify import Sample


@dataclass(frozen=True, slots=True)
class Planned:
    """`withholds` says that messages must not tell of values."""

    plan: Plan
    schema: pa.Schema
    tables: Mapping[str, CatalogTable]
    withholds: bool


class Result:
    """A running query: `schema` and `types` (DuckDB's names) are known at once, the rows stream once."""

    def __init__(
        self,
        planned: Planned,
        execution: Execution,
        catalog: Catalog,
        forget: Callable[[Mapping[str, CatalogTable]], None],
    ) -> None:
        self.schema = planned.schema
        self.types = tuple(type_ for _, type_ in planned.plan.columns)
        self._planned = planned
        self._execution = execution
        self._catalog = catalog
        self.forget = forget
        self.sample: Sample | None = None  # what verification keeps of it

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows. Raises the typed error of whatever failed; what came before it is not a whole answer."""
        try:
            batches = self._execution.batches()
            yield from batches if self.sample is None else self.sample.keeping(batches, self._is_live)
        except Error as exc:
            if isinstance(exc, SourceChanged):
                self.forget(self._planned.tables)
            self._catalog.redactor.scrub_error(exc)
            if self._planned.withholds and isinstance(exc, DataError):
                raise exc.without_values() from None
            raise

    def _is_live(self) -> bool:
        return all(each.state is State.LIVE for each in self._execution.freshness().values())

    def read_all(self) -> pa.Table:
        return pa.Table.from_batches(self.batches(), self.schema)

    def progress(self) -> list[FragmentProgress]:
        return self._execution.progress()

    def freshness(self) -> list[Freshness]:
        """How old the rows of each source are that was asked so far."""
        return by_source(self._execution.freshness().values())

    def cancel(self) -> None:
        """End the query from any thread, down to the sources; its reader raises QueryCancelled."""
        self._execution.cancel.cancel()

    def close(self) -> None:
        self._execution.close()

    def __enter__(self) -> Result:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
