"""The REST adapter: declared resources of a web API as tables.

1. `rest_manifest` checks what the catalog file declares.
2. `rest_plan` turns a scan request into HTTP calls and a residual.
3. `rest_paging` follows a call over its pages, `rest_client` makes each GET.
4. `rest_json` turns the records of a page into Arrow, here one batch per page.
5. `rest_validation` keeps what pages can be asked by again, so that the same need not come once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from adapters.base import CancelToken, Column, Estimate, Partition, Predicate, Scan, ScanRequest, Table, TableName
from adapters.errors import ColumnNotFound, ConversionError, SourceError, TableNotFound
from adapters.rest_client import UNCHANGED, Answer, Client
from adapters.rest_json import MISSING, JsonPath, Unfit, converter, describe, find, to_array
from adapters.rest_manifest import Manifest, TableSpec, parse_manifest
from adapters.rest_paging import Page, Pager, Step
from adapters.rest_plan import Call, needed_columns, plan_calls
from adapters.rest_validation import Pages, Params, Validator, dump, load

# More readers at once than this would only wait for a connection.
MAX_PARTITIONS = 8

_COMPARE: dict[str, Any] = {
    "=": pc.equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


@dataclass(frozen=True, slots=True)
class _Work:
    """What one partition does."""

    table: str
    spec: TableSpec
    schema: pa.Schema
    calls: tuple[Call, ...]
    seen: tuple[Pages, ...]  # of each call
    limit: int | None


class RestAdapter:
    """One web API."""

    options: ClassVar[frozenset[str]] = frozenset(Manifest.model_fields)
    default_schema = "main"

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name = name
        self._manifest = parse_manifest(name, options)
        self._client = Client(name, self._manifest)

    def list_tables(self) -> list[TableName]:
        return [TableName(self.default_schema, name) for name in self._manifest.tables]

    def get_table(self, name: TableName) -> Table:
        spec = self._spec(name)
        columns = tuple(
            Column(
                column,
                declared.arrow_type,
                nullable=declared.nullable and column not in spec.primary_key,
                source_type=declared.type,
                required_filter=any(item.required for item in spec.filters.get(column, ())),
                comment=declared.description,
            )
            for column, declared in spec.columns.items()
        )
        return Table(name, columns, spec.primary_key, comment=spec.description)

    def plan_scan(self, request: ScanRequest) -> Scan:
        spec = self._spec(request.table)
        for column in (*request.columns, *(predicate.column for predicate in request.predicates)):
            if column not in spec.columns:
                raise ColumnNotFound(f'table "{request.table.name}" has no column "{column}"', source=self.name)
        schema = pa.schema([pa.field(column, spec.columns[column].arrow_type) for column in request.columns])
        calls, residual = plan_calls(spec, request)
        limit = None if residual else request.limit
        shares = [calls[start::MAX_PARTITIONS] for start in range(min(len(calls), MAX_PARTITIONS))]
        partitions = tuple(
            Partition(
                _shown(share),
                _Work(request.table.name, spec, schema, tuple(share), tuple(Pages() for _ in share), limit),
            )
            for share in shares
        )
        by_key = bool(calls) and all(call.one_key for call in calls)
        return Scan(partitions, schema, residual, Estimate(rows=len(calls) if by_key or not calls else None))

    def read(self, partition: Partition, cancel: CancelToken) -> pa.RecordBatchReader:
        work: _Work = partition.payload
        return pa.RecordBatchReader.from_batches(work.schema, self._batches(work, cancel))

    def validator(self, scan: Scan) -> str:
        return dump(_calls(scan))

    def unchanged(self, scan: Scan, validator: str, cancel: CancelToken) -> bool:
        asked = load(validator, _calls(scan))
        return bool(asked) and all(
            self._is_unchanged(call, pages, params, known, cancel) for call, pages, params, known in asked
        )

    def _is_unchanged(self, call: Call, pages: Pages, params: Params, known: Validator, cancel: CancelToken) -> bool:
        url = self._client.url(call.path, (*call.fixed, *call.pushed, *params))
        answer = self._client.get(url, call.text, cancel, missing_ok=call.one_key, unless=known)
        if answer is not None and answer is not UNCHANGED:
            pages.ready[params] = answer
        return answer is UNCHANGED

    def close(self) -> None:
        self._client.close()

    def _spec(self, name: TableName) -> TableSpec:
        spec = self._manifest.tables.get(name.name) if name.schema == self.default_schema else None
        if spec is None:
            near = get_close_matches(name.name, self._manifest.tables, 1)
            hint = f'did you mean "{near[0]}"?' if near else None
            raise TableNotFound(f'there is no table "{name.name}"', hint=hint, source=self.name)
        return spec

    # --- reading ------------------------------------------------------------------------------------------------

    def _batches(self, work: _Work, cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        left = work.limit
        for call, pages in zip(work.calls, work.seen, strict=True):
            for batch in self._call_batches(work, call, pages, cancel):
                if left is not None:
                    batch = batch.slice(0, left)
                    left -= batch.num_rows
                if batch.num_rows:
                    yield batch
                    cancel.check()
                if left == 0:
                    return

    def _call_batches(self, work: _Work, call: Call, seen: Pages, cancel: CancelToken) -> Iterator[pa.RecordBatch]:
        names = needed_columns(work.spec, call, work.schema.names)
        once = _Once(self.name, work) if call.paged and work.spec.primary_key else None
        for records in self._pages(work, call, seen, cancel):
            columns = {name: self._column(work, call, name, records) for name in names}
            kept = self._checked(work, call, columns, len(records))
            if once:
                kept = pc.and_(kept, once.mask(columns))
            yield _batch(work.schema, columns, len(records)).filter(kept)

    def _pages(self, work: _Work, call: Call, seen: Pages, cancel: CancelToken) -> Iterator[list[Any]]:
        def fault(message: str, hint: str | None = None) -> SourceError:
            return SourceError(f'table "{work.table}", {call.text}: {message}', hint=hint, source=self.name)

        size = work.spec.page_size
        asked = next((int(text) for name, text in call.pushed if size and name == size.param), None)
        pager = Pager(call.paginate, asked, fault)
        step: Step | None = pager.first()
        answer: Answer | None = None
        while step is not None:
            cancel.check()
            if step.url is not None and answer is not None:
                url = self._client.resolve(step.url, answer.url, call.text)
            else:
                url = self._client.url(call.path, (*call.fixed, *call.pushed, *step.params))
            ready = seen.ready.pop(step.params, None) if step.url is None else None
            answer = ready or self._client.get(url, call.text, cancel, missing_ok=call.one_key)
            redirected = answer is not None and answer.url != url
            seen.note(step, answer.validator if answer is not None and not redirected else None)
            if answer is None:
                return
            records = self._records(work, call, answer.body)
            yield records
            if call.one_key:
                return
            step = pager.after(Page(answer.body, len(records), answer.links))

    def _records(self, work: _Work, call: Call, body: Any) -> list[Any]:
        where = f'table "{work.table}", {call.text}'
        try:
            records = find(body, call.records)
        except Unfit as exc:
            raise SourceError(f"{where}: {exc} to find the records", source=self.name) from exc
        if call.one_key and isinstance(records, dict):
            return [records]
        if not isinstance(records, list):
            came = "nothing" if records is MISSING else describe(records)
            raise SourceError(
                f"{where}: {came} came where the records should be an array",
                hint='check records in the catalog file, such as records = "$.items"',
                source=self.name,
            )
        return records

    def _column(self, work: _Work, call: Call, name: str, records: Sequence[Any]) -> pa.Array[Any]:
        declared = work.spec.columns[name]
        asked = next((check.predicate for check in call.checks if check.predicate.column == name), None)
        if declared.request_only and asked is not None:
            return pa.array(asked.values * len(records), declared.arrow_type)
        nullable = declared.nullable and name not in work.spec.primary_key
        path: JsonPath = declared.path_of(name)
        where = f'table "{work.table}", column "{name}", declared as {declared.type}'
        try:
            if asked and records and all(find(record, path) is MISSING for record in records):
                # As NULL it would fail the filter, and rows that were delivered would be lost.
                raise ConversionError(
                    f"{where}: no record has it, though the filter is on it",
                    hint="check its path, or declare request_only = true if the records do not repeat it",
                    source=self.name,
                )
            return to_array(records, path, declared.arrow_type, converter(declared.type), nullable)
        except Unfit as exc:
            hint = 'declare the type that comes, or type = "json", and cast it in the query'
            raise exc.error(f"{where}: {exc}", hint=hint, source=self.name) from exc

    def _checked(self, work: _Work, call: Call, columns: Mapping[str, pa.Array[Any]], rows: int) -> Any:
        kept: Any = pa.array([True] * rows, pa.bool_())
        for check in call.checks:
            holds = _holds(columns[check.predicate.column], check.predicate)
            if check.strict and not pc.all(holds, min_count=0).as_py():
                raise SourceError(
                    f'table "{work.table}": the source delivered rows that do not satisfy the filter on '
                    f'"{check.predicate.column}"',
                    hint="the filter is declared exact: declare exact = false",
                    source=self.name,
                )
            kept = pc.and_(kept, holds)
        return kept


def _calls(scan: Scan) -> list[tuple[Call, Pages]]:
    works: list[_Work] = [partition.payload for partition in scan.partitions]
    return [each for work in works for each in zip(work.calls, work.seen, strict=True)]


class _Once:
    """Leaves out rows that a page repeats because rows moved between pages while they were read."""

    def __init__(self, source: str, work: _Work) -> None:
        self._source = source
        self._work = work
        self._seen: set[tuple[Any, ...]] = set()
        self._previous: list[tuple[Any, ...]] = []

    def mask(self, columns: Mapping[str, pa.Array[Any]]) -> pa.Array[Any]:
        keys = list(zip(*(columns[name].to_pylist() for name in self._work.spec.primary_key), strict=True))
        if keys and keys == self._previous:
            raise SourceError(
                f'table "{self._work.table}": the source delivered the same page twice',
                hint="check the parameter names of paginate: a source may ignore those it does not know",
                source=self._source,
            )
        self._previous = keys
        fresh = []
        for key in keys:
            fresh.append(key not in self._seen)
            self._seen.add(key)
        return pa.array(fresh, pa.bool_())


def _shown(calls: Sequence[Call]) -> str:
    more = f" and {len(calls) - 1} more" if len(calls) > 1 else ""
    return calls[0].text + more


def _batch(schema: pa.Schema, columns: Mapping[str, pa.Array[Any]], rows: int) -> pa.RecordBatch:
    if not schema.names:
        # A batch without columns keeps its number of rows only when columns are taken away from it.
        return pa.record_batch({"": pa.nulls(rows)}).select([])
    return pa.record_batch([columns[name] for name in schema.names], schema=schema)


def _holds(column: pa.Array[Any], predicate: Predicate) -> Any:
    values = pa.array(predicate.values, column.type)
    if predicate.op == "in":
        return pc.is_in(column, value_set=values)
    compare: dict[str, Any] = {
        "=": pc.equal,
        "<": pc.less,
        "<=": pc.less_equal,
        ">": pc.greater,
        ">=": pc.greater_equal,
    }
    return pc.fill_null(compare[predicate.op](column, values[0]), False)
