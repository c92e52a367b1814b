"""What DuckDB knows of the tables of the catalog: an empty typed table each, or a view over the files that it reads
itself. Queries are typed against these before any source is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache

import pyarrow as pa

from adapters.base import Adapter, SupportsLocalScan
from adapters.duck import Duck
from adapters.errors import NotSupportedError
from catalog.catalog import Catalog
from catalog.model import CatalogTable


class LocalSchema:
    """Thread-safe. A table whose columns or files change gets a new identifier."""

    def __init__(self, duck: Duck) -> None:
        self._duck = duck
        self._lock = threading.Lock()
        self._identifiers: dict[object, str] = {}
        self._views: set[str] = set()
        self._read_here: dict[Adapter, SupportsLocalScan | None] = {}  # for isinstance takes long to find out
        self.describe = lru_cache(1024)(duck.describe)
        self._evaluate = lru_cache(1024)(self._evaluated)
        self._type = lru_cache(256)(lambda type_: duck.types([type_])[0])

    def identify(self, table: CatalogTable) -> str:
        """The table's identifier in DuckDB; it is made at the first call."""
        sql = self._local_sql(table)
        key = (table.source.name, table.table.name, table.table.columns, sql)
        with self._lock:
            identifier = self._identifiers.get(key)
            if identifier is None:
                identifier = f"t{len(self._identifiers)}"
                self._create(identifier, table, sql)
                self._identifiers[key] = identifier
        return identifier

    def _local_sql(self, table: CatalogTable) -> str | None:
        adapter = table.source.adapter
        if adapter not in self._read_here:
            self._read_here[adapter] = adapter if isinstance(adapter, SupportsLocalScan) else None
        local = self._read_here[adapter]
        return local.local_sql(table.table.name) if local is not None else None

    def types(self, table: CatalogTable) -> Sequence[str]:
        """The DuckDB types of the columns. It makes no table known that DuckDB does not read."""
        if self._local_sql(table) is not None:
            return list(self.columns(self.identify(table)).values())
        return [self._type(column.type) for column in table.table.columns]

    def reads(self, identifier: str) -> bool:
        """Whether DuckDB reads the table of that identifier by itself."""
        return identifier in self._views

    def columns(self, identifier: str) -> dict[str, str]:
        """The columns of a table and their DuckDB types."""
        return dict(self.describe(f'SELECT * FROM "{identifier}"'))

    def arrow_schema(self, columns: Sequence[tuple[str, str]]) -> pa.Schema:
        """The Arrow schema of a result with these names and DuckDB types."""
        return pa.schema([pa.field(name, self._duck.arrow_type(type_)) for name, type_ in columns])

    def evaluate(self, expressions: Sequence[str]) -> list[tuple[str, str | None]]:
        """The type and the text of each constant expression."""
        return self._evaluate(tuple(expressions))

    def _evaluated(self, expressions: tuple[str, ...]) -> list[tuple[str, str | None]]:
        items = ", ".join(f"typeof({each}), CAST({each} AS VARCHAR)" for each in expressions)
        row = [column[0].as_py() for column in self._duck.query(f"SELECT {items}").read_all().columns]
        return list(zip(row[::2], row[1::2], strict=True))

    def _create(self, identifier: str, table: CatalogTable, sql: str | None) -> None:
        if sql is not None:
            self._duck.create_view(identifier, f"SELECT * FROM {sql}")
            self._views.add(identifier)
            return
        names = [column.name.lower() for column in table.table.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise NotSupportedError(
                f"{table.table.name.name} has columns that differ in case only: {', '.join(twice)}",
                hint="read it through a view at the source that names them apart",
                source=table.source.name,
            )
        fields = [pa.field(column.name, column.type) for column in table.table.columns]
        self._duck.create_table(identifier, pa.schema(fields))


def local_paths(catalog: Catalog) -> list[str]:
    """What DuckDB may read: the files of the sources that it reads by itself."""
    paths: list[str] = []
    for source in catalog.sources.values():
        adapter = source.adapter_or_fault
        if isinstance(adapter, SupportsLocalScan):
            paths += adapter.local_paths()
    return paths
