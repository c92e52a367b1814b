"""The engine in this process, as what is behind a connection."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

import pyarrow as pa

from adapters.base import CancelToken
from adapters.errors import InterfaceError
from federation.engine import Engine
from federation.listing import EngineCatalog
from federation.location import catalog_path
from federation.progress import FragmentProgress, Freshness
from federation.result import Result
from federation.staleness import Demand
from federation.statement import Catalog, Parameters


class Embedded:
    """Raises CatalogError for a catalog with a fault."""

    def __init__(self, catalog: str | os.PathLike[str] | None) -> None:
        self.engine = Engine.open(catalog_path(catalog))

    @property
    def catalog(self) -> Catalog:
        return EngineCatalog(self.engine)

    def statement(self) -> EmbeddedStatement:
        return EmbeddedStatement(self.engine)

    def close(self) -> None:
        self.engine.close()


class EmbeddedStatement:
    """As federation.statement.Statement."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._cancel = CancelToken()
        self._found: Result | None = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def _result(self) -> Result:
        if self._found is None:
            raise InterfaceError("the statement has not started")
        return self._found

    @property
    def schema(self) -> pa.Schema:
        return self._result.schema

    @property
    def types(self) -> Sequence[str]:
        return self._result.types

    def start(self, sql: str, parameters: Parameters | None, timeout: float | None, demand: Demand) -> None:
        self._cancel.check()
        result = self._engine.query(sql, parameters, timeout, options=demand.options(), cancel=self._cancel)
        with self._lock:
            self._found = result
            closed = self._closed
        if closed:
            result.close()
            raise InterfaceError("the cursor was closed while the statement started")

    def batches(self) -> Iterator[pa.RecordBatch]:
        return self._result.batches()

    def progress(self) -> Sequence[FragmentProgress]:
        found = self._found
        return found.progress() if found is not None else ()

    def freshness(self) -> Sequence[Freshness]:
        found = self._found
        return found.freshness() if found is not None else ()

    def cancel(self) -> None:
        self._cancel.cancel()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            found = self._found
        if found is not None:
            found.close()
