"""Files as tables: Parquet, CSV, JSON and NDJSON read by DuckDB itself, Arrow IPC by memory map.

1. `files_layout` turns the patterns of the catalog file into tables, anew each time: files come and go.
2. `files_sql` looks into the files of a table once, and again only when their names, sizes or times differ.
3. The engine puts `local_sql` into its own query, so that DuckDB's filters, its joins' filters and its TopN reach the
   file. `plan_scan` and `read` are the same expression run in a private DuckDB, for everyone else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from adapters.base import (
    CancelToken,
    Column,
    Partition,
    Predicate,
    Scan,
    ScanRequest,
    Table,
    TableName,
    TableStatistics,
)
from adapters.duck import Duck
from adapters.duck_types import quoted
from adapters.errors import (
    CatalogError,
    ColumnNotFound,
    DataError,
    Error,
    NotSupportedError,
    ProgrammingError,
    SourceChanged,
    SourceError,
    SourceUnavailable,
    TableNotFound,
)
from adapters.files_arrow import ArrowRead, arrow_batches, arrow_schema
from adapters.files_layout import FORMATS, Declared, FileTable, declared_table, found_tables, root_of, stem_of
from adapters.files_sql import CSV_OPTIONS, JSON_OPTIONS, Reading, find_reading
from adapters.files_statistics import read_statistics
from adapters.files_version import version_of

Mark = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was found in the files when they had that mark."""

    mark: Mark
    reading: Reading


@dataclass(frozen=True, slots=True)
class _Query:
    """A scan that the private DuckDB runs. `values` are the predicates' values, as tables."""

    table: FileTable
    sql: str
    schema: pa.Schema
    values: Mapping[str, pa.Table]


class FilesAdapter:
    """The keys: `path` (a pattern or several), `tables`, `format`, `csv`, `json`, `types`."""

    options: ClassVar[frozenset[str]] = frozenset({"path", "tables", "format", "csv", "json", "types"})
    default_schema = "main"

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        with self._named():
            found = _settings(options, _strings(options.get("path", []), "path"), options)
            base = root_of(found.patterns[0]) if found.patterns else None
            self._found = found
            self._declared = {table: _declaration(table, spec, options, base) for table, spec in _tables(options)}
        if not found.patterns and not self._declared:
            raise CatalogError("files need a path or tables", hint='path = "data/*.parquet"', source=name)
        self._duck: Duck | None = None
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}
        self._given: dict[str, pa.Schema] = {}  # as `get_table` last told it

    def list_tables(self) -> Iterable[TableName]:
        with self._named():
            tables = self._layout()
            if not tables:
                patterns = ", ".join(f'"{pattern}"' for pattern in self._found.patterns)
                raise SourceUnavailable(
                    f"no file matches {patterns}",
                    hint="a relative path starts at the catalog file; known endings: " + ", ".join(FORMATS),
                )
            return [TableName(self.default_schema, table) for table in tables]

    def get_table(self, name: TableName) -> Table:
        with self._named():
            reading = self._reading(self._table(name))
            self._given[name.name] = reading.schema
            columns = zip(reading.schema, reading.types, strict=True)
            return Table(name, tuple(Column(field.name, field.type, True, type_) for field, type_ in columns))

    def statistics(self, table: TableName) -> TableStatistics:
        with self._named():
            found = self._table(table)
            schema = self._reading(found).schema
            sizes = {path: size for path, _, size in _mark(found.files)}
            try:
                return read_statistics(self._database, found, schema, sizes)
            except Error as exc:
                raise _unreadable(found, exc) from exc

    def local_sql(self, table: TableName) -> str | None:
        """None for Arrow files, which DuckDB cannot read by itself."""
        with self._named():
            found = self._table(table)
            reading = self._reading(found)
            given = self._given.get(table.name)
            if given is not None and not given.equals(reading.schema):
                raise _changed(table.name, given, reading.schema)
            return None if found.format == "arrow" else reading.sql

    def local_paths(self) -> tuple[str, ...]:
        patterns = [*self._found.patterns, *(p for spec in self._declared.values() for p in spec.patterns)]
        return tuple(dict.fromkeys(f"{root_of(pattern)}/" for pattern in patterns))

    def plan_scan(self, request: ScanRequest) -> Scan:
        with self._named():
            table = self._table(request.table)
            version = partial(self._version, request.table, version_of(table.files))
            reading = self._reading(table)
            schema = _chosen(reading.schema, request)
            if table.format == "arrow":
                return replace(_arrow_scan(table.files, schema, request), version=version)
            values = {f"v{i}": _values(p, reading.schema) for i, p in enumerate(request.predicates) if p.values}
            job = _Query(table, _scan_sql(reading, request), schema, values)
            return Scan((Partition(job.sql, job),), schema, version=version)

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        job = partition.payload
        batches = self._query(job, cancel) if isinstance(job, _Query) else arrow_batches(job, cancel)
        return pa.RecordBatchReader.from_batches(job.schema, self._raising_ours(batches))

    def close(self) -> None:
        with self._lock:
            if self._duck is not None:
                self._duck.close()
                self._duck = None

    def _query(self, job: _Query, cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        rows = None
        try:
            values = {name: table.to_reader() for name, table in job.values.items()}
            rows = self._database().query(job.sql, values, cancel)
            if len(job.schema) and not rows.schema.equals(job.schema):
                raise _changed(job.table.name, job.schema, rows.schema)
            for batch in rows:
                yield batch if len(job.schema) else batch.select([])
        except (ProgrammingError, DataError, SourceError) as exc:
            _mark(job.table.files)  # raises for a file that is gone
            raise _unreadable(job.table, exc) from exc
        finally:
            if rows is not None:
                rows.close()

    def _database(self) -> Duck:
        with self._lock:
            if self._duck is None:
                self._duck = Duck(self.local_paths())
            return self._duck

    def _layout(self) -> dict[str, FileTable]:
        declared = {name: declared_table(name, spec) for name, spec in self._declared.items()}
        return {**found_tables(self._found), **declared}

    def _table(self, name: TableName) -> FileTable:
        tables = self._layout() if name.schema == self.default_schema else {}
        table = tables.get(name.name)
        if table is None:
            alike = [each for each in tables if stem_of(Path(each)) == name.name]
            near = ", ".join(f'"{each}"' for each in alike or get_close_matches(name.name, tables, 3))
            hint = f"the nearest names are {near}" if near else None
            raise TableNotFound(f'there is no table "{name.schema}"."{name.name}"', hint=hint)
        if not table.files:
            patterns = ", ".join(f'"{pattern}"' for pattern in table.settings.patterns)
            raise SourceUnavailable(f'no file of the table "{table.name}" matches {patterns}')
        return table

    def _version(self, name: TableName, planned: str | None) -> str | None:
        """None where the files are not those that were planned with."""
        try:
            now = version_of(self._table(name).files)
        except Error:
            return None
        return now if now == planned else None

    def _reading(self, table: FileTable) -> Reading:
        mark = _mark(table.files)
        seen = self._seen.get(table.name)
        if seen is None or seen.mark != mark:
            if table.format == "arrow":
                schema = arrow_schema(table.files)
                reading = Reading("", schema, tuple(map(str, schema.types)))
            else:
                try:
                    reading = find_reading(self._database(), table)
                except CatalogError:
                    raise
                except Error as exc:
                    raise _unreadable(table, exc) from exc
            seen = self._seen[table.name] = _Seen(mark, reading)
        return seen.reading

    def _raising_ours(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with self._named():
            yield from batches

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Every error that leaves here names the source."""
        try:
            yield
        except Error as exc:
            exc.source = exc.source or self.name
            raise


def _mark(files: Sequence[Path]) -> Mark:
    try:
        states = [(path, path.stat()) for path in files]
    except FileNotFoundError as exc:
        raise SourceUnavailable(f'the file "{exc.filename}" is gone') from exc
    return tuple((str(path), state.st_mtime_ns, state.st_size) for path, state in states)


def _unreadable(table: FileTable, exc: Error) -> Error:
    """The files are named, and a position in a statement that nobody wrote is not."""
    files = f'"{table.files[0]}"' + (f" and {len(table.files) - 1} more" if len(table.files) > 1 else "")
    kind = DataError if isinstance(exc, ProgrammingError) else type(exc)
    hint = exc.hint
    if isinstance(exc, NotSupportedError) and "json" in table.format:
        hint = "json = { maximum_depth = 1 } reads nested values as JSON"
    return kind(f'the table "{table.name}" ({files}) cannot be read: {exc.message}', hint=hint)


def _changed(name: str, planned: pa.Schema, found: pa.Schema) -> SourceChanged:
    before, after = (", ".join(f"{field.name} {field.type}" for field in schema) for schema in (planned, found))
    return SourceChanged(
        f'the columns of "{name}" were ({before}) and are now ({after})',
        hint="run the query again: it is planned afresh",
    )


# --- scans ------------------------------------------------------------------------------------------------------


def _chosen(schema: pa.Schema, request: ScanRequest) -> pa.Schema:
    for name in (*request.columns, *(predicate.column for predicate in request.predicates)):
        if name not in schema.names:
            raise ColumnNotFound(
                f'"{request.table.name}" has no column "{name}"', hint=f"its columns are {', '.join(schema.names)}"
            )
    return pa.schema([schema.field(name) for name in request.columns])


def _arrow_scan(files: Sequence[Path], schema: pa.Schema, request: ScanRequest) -> Scan:
    """A partition per file, or one for all where there is a limit to keep."""
    columns = ", ".join(schema.names)
    limit = None if request.predicates else request.limit
    if limit is not None:
        request_text = f"{len(files)} files ({columns}) LIMIT {limit}"
        return Scan((Partition(request_text, ArrowRead(tuple(files), schema, limit)),), schema)
    parts = (Partition(f"{path} ({columns})", ArrowRead((path,), schema)) for path in files)
    return Scan(tuple(parts), schema, request.predicates)


def _scan_sql(reading: Reading, request: ScanRequest) -> str:
    """The values of predicate i are the table v<i>, of the column's own type: nothing is lost in a literal."""
    columns = ", ".join(map(quoted, request.columns)) or "1"
    tests = [_test(index, predicate) for index, predicate in enumerate(request.predicates)]
    where = f" WHERE {' AND '.join(tests)}" if tests else ""
    limit = f" LIMIT {request.limit:d}" if request.limit is not None else ""
    return f"SELECT {columns} FROM {reading.sql} AS t{where}{limit}"


def _test(index: int, predicate: Predicate) -> str:
    column = quoted(predicate.column)
    if predicate.op == "in":
        return f"{column} IN (SELECT v FROM v{index})" if predicate.values else "false"
    if predicate.op in ("is null", "is not null"):
        return f"{column} {predicate.op.upper()}"
    return f"{column} {predicate.op} (SELECT v FROM v{index})"


def _values(predicate: Predicate, schema: pa.Schema) -> pa.Table:
    return pa.table({"v": pa.array(predicate.values, schema.field(predicate.column).type)})


# --- the catalog file -------------------------------------------------------------------------------------------


def _strings(value: Any, key: str) -> tuple[str, ...]:
    values = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(item, str) and item for item in values):
        raise CatalogError(f"{key} must be a pattern, or a list of patterns")
    return tuple(values)


def _settings(spec: Mapping[str, Any], patterns: tuple[str, ...], source: Mapping[str, Any]) -> Declared:
    """What a table says goes before what its source says."""
    merged = {key: {**source.get(key, {}), **spec.get(key, {})} for key in ("csv", "json", "types")}
    for key, known in (("csv", CSV_OPTIONS), ("json", JSON_OPTIONS)):
        for option in merged[key]:
            if option not in known:
                near = get_close_matches(option, known, 1)
                hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(sorted(known))}"
                raise CatalogError(f'{key} has no option "{option}"', hint=hint)
    format_ = spec.get("format", source.get("format"))
    if format_ is not None and format_ not in FORMATS.values():
        raise CatalogError(f'there is no format "{format_}"', hint=f"known: {', '.join(sorted({*FORMATS.values()}))}")
    return Declared(patterns, format_, merged["csv"], merged["json"], merged["types"])


def _tables(options: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for name, spec in options.get("tables", {}).items():
        yield name, spec if isinstance(spec, Mapping) else {"path": spec}


def _declaration(name: str, spec: Mapping[str, Any], source: Mapping[str, Any], base: Path | None) -> Declared:
    unknown = spec.keys() - {"path", "format", "csv", "json", "types"}
    if unknown:
        raise CatalogError(f'the table "{name}" has no key "{min(unknown)}"')
    declared = _settings(spec, _strings(spec.get("path", ""), f"tables.{name}"), source)
    if base is None and not all(Path(pattern).is_absolute() for pattern in declared.patterns):
        raise CatalogError(
            f'the table "{name}" has a relative path', hint='give the source a path = "folder" that it starts from'
        )
    return replace(declared, patterns=tuple(str((base or Path()) / pattern) for pattern in declared.patterns))
