"""From a scan request to HTTP calls: which predicates become parameters, which stay residual.

1. Keys: `=` or `in` on the whole primary key becomes one call per key, or one per batch of keys.
2. Filters: every other predicate that a declared parameter can take; `in` is cut into batches of `max_values`.
3. What is left stays residual; a required filter that nothing supplies is an error.

Every pushed predicate is also checked on the rows that come back. For a filter that is not exact this keeps batches
apart: a source that ignores case would deliver the same row for 'a' in one batch and for 'A' in another.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from adapters.base import Predicate, ScanRequest
from adapters.errors import NotSupportedError, RequiredFilterMissing
from adapters.rest_json import JsonPath
from adapters.rest_manifest import Filter, GetByKey, Paginate, Single, TableSpec, placeholders

# Optional filters are not worth more calls than this: the predicate stays residual instead.
MAX_OPTIONAL_CALLS = 32
# Many servers refuse URLs of more than 8,000 characters.
MAX_LIST_CHARACTERS = 4000
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Check:
    """`strict`: a row that fails it breaks the declared `exact`; otherwise the row is left out."""

    predicate: Predicate
    strict: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One GET and its further pages."""

    path: str
    fixed: tuple[tuple[str, str], ...]  # what the catalog file gives, possibly secret
    pushed: tuple[tuple[str, str], ...]
    records: JsonPath
    paginate: Paginate
    checks: tuple[Check, ...]
    one_key: bool = False  # a 404 means that there is no such row

    @property
    def paged(self) -> bool:
        return not isinstance(self.paginate, Single)

    @property
    def text(self) -> str:
        """What EXPLAIN shows: of the fixed parameters only the names."""
        parts = [f"{name}=…" for name, _ in self.fixed]
        for name, text in self.pushed:
            parts.append(f"{name}={quote(text[:_SHOWN], safe=',:')}{'…' if len(text) > _SHOWN else ''}")
        query = "&".join(parts)
        return f"GET {self.path}{'?' if query else ''}{query}{' (paged)' if self.paged else ''}"


# Calls, with the predicates that hold for every row they deliver.
Answered = tuple[list[Call], list[Predicate]]


@dataclass(frozen=True, slots=True)
class _Use:
    """A predicate with the filter that takes it, cut into batches."""

    predicate: Predicate
    filter: Filter
    batches: tuple[tuple[Any, ...], ...]


def plan_calls(spec: TableSpec, request: ScanRequest) -> tuple[list[Call], tuple[Predicate, ...]]:
    """The calls that answer the request, and which of its predicates stay residual."""
    cleaned = [_without_null(predicate) for predicate in request.predicates]
    nothing = any(not predicate.values and predicate.op not in ("is null", "is not null") for predicate in cleaned)
    if nothing or request.limit == 0:
        return [], ()
    usable = [predicate for predicate in cleaned if _fits_type(spec, predicate)]
    calls, settled = _key_calls(spec, usable) or _filter_calls(spec, request.table.name, usable)
    given = zip(request.predicates, cleaned, strict=True)
    residual = tuple(original for original, clean in given if not _among(clean, settled))
    return [_narrowed(spec, call, request.columns, None if residual else request.limit) for call in calls], residual


def needed_columns(spec: TableSpec, call: Call, columns: Sequence[str]) -> tuple[str, ...]:
    """What a page must be read for: the wanted columns, the checked ones, and the key that tells a row seen twice."""
    keys = spec.primary_key if call.paged else ()
    return tuple(dict.fromkeys([*columns, *(check.predicate.column for check in call.checks), *keys]))


def wire(value: Any) -> str:
    """A value as it travels in a parameter."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dt.datetime):
        return (
            value.isoformat() if value.tzinfo is None else value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        )
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _narrowed(spec: TableSpec, call: Call, columns: Sequence[str], limit: int | None) -> Call:
    """The call with the page size and the wanted fields, which a look-up of one key does not take."""
    if call.one_key:
        return call
    more: list[tuple[str, str]] = []
    needed = [name for name in needed_columns(spec, call, columns) if not spec.columns[name].request_only]
    paths = [spec.columns[name].path_of(name) for name in needed]
    if spec.project and paths and all(paths):
        more.append((spec.project.param, spec.project.separator.join(dict.fromkeys(str(path[0]) for path in paths))))
    if spec.page_size:
        more.append((spec.page_size.param, str(min(spec.page_size.max, limit or spec.page_size.max))))
    return replace(call, pushed=(*call.pushed, *more))


def _fits_type(spec: TableSpec, predicate: Predicate) -> bool:
    """Whether the values can be compared with what comes back; those of another type are left to the caller."""
    try:
        stored: Any = pa.array(predicate.values, spec.columns[predicate.column].arrow_type)
    except (pa.ArrowException, OverflowError):
        return False
    # Arrow takes 5.5 for an integer, and makes it 5.
    return bool(stored.to_pylist() == list(predicate.values))


def _among(predicate: Predicate, others: Iterable[Predicate]) -> bool:
    return any(predicate is other for other in others)


def _without_null(predicate: Predicate) -> Predicate:
    distinct = tuple(dict.fromkeys(value for value in predicate.values if value is not None))
    return Predicate(predicate.column, predicate.op, distinct)


# --- keys -------------------------------------------------------------------------------------------------------


def _key_calls(spec: TableSpec, predicates: Sequence[Predicate]) -> Answered | None:
    """None when the predicates do not fix the key, or fix too many keys, or keys that no URL can carry."""
    if spec.get_by_key is None or not spec.primary_key:
        return None
    fixed: list[Predicate] = []
    for column in spec.primary_key:
        candidates = [p for p in predicates if p.column == column and p.op in ("=", "in")]
        if not candidates:
            return None
        fixed.append(min(candidates, key=lambda p: len(p.values)))
    keys = list(product(*(predicate.values for predicate in fixed)))
    if len(keys) > spec.get_by_key.max_keys:
        return None
    if spec.get_by_key.batch and (len(keys) > 1 or spec.get_by_key.path is None):
        calls = _batch_calls(spec, spec.get_by_key, [key[0] for key in keys])
    else:
        calls = _single_calls(spec, spec.get_by_key, keys)
    return None if calls is None else (calls, fixed)


def _single_calls(spec: TableSpec, how: GetByKey, keys: Iterable[tuple[Any, ...]]) -> list[Call] | None:
    if how.path is None:
        return None
    calls = []
    for key in keys:
        named = dict(zip(spec.primary_key, map(wire, key), strict=True))
        if not all(_fits_path(text) for text in named.values()):
            return None
        path = _fill(how.path, named)
        checks = tuple(
            Check(Predicate(column, "=", (value,)), False) for column, value in zip(spec.primary_key, key, strict=True)
        )
        calls.append(Call(path, tuple(spec.query.items()), (), how.records, Single(), checks, one_key=True))
    return calls


def _batch_calls(spec: TableSpec, how: GetByKey, keys: Sequence[Any]) -> list[Call] | None:
    batch = how.batch
    if batch is None or not all(_fits_param(wire(key), batch.encode, listed=True) for key in keys):
        return None
    calls = []
    for values in _chunks(keys, batch.max):
        pushed = _params(batch.param, values, batch.encode)
        check = Check(Predicate(spec.primary_key[0], "in", values), False)
        calls.append(_collection_call(spec, spec.path, pushed, (check,)))
    return calls


# --- filters ----------------------------------------------------------------------------------------------------


def _filter_calls(spec: TableSpec, table: str, predicates: Sequence[Predicate]) -> Answered:
    uses = _uses(spec, table, predicates)
    calls = [_filter_call(spec, uses, batches) for batches in product(*(use.batches for use in uses))]
    return calls, [use.predicate for use in uses if use.filter.exact]


def _uses(spec: TableSpec, table: str, predicates: Sequence[Predicate]) -> list[_Use]:
    """The filters to use, at most one predicate for each, the one with the fewest values first."""
    uses: list[_Use] = []
    calls = 1
    for predicate in sorted(predicates, key=lambda p: len(p.values)):
        for candidate in spec.filters.get(predicate.column, ()):
            taken = any(use.filter is candidate or _same_param(use.filter, candidate) for use in uses)
            use = None if taken else _use(candidate, predicate, one=spec.columns[predicate.column].request_only)
            if use and (candidate.required or len(use.batches) == 1 or calls * len(use.batches) <= MAX_OPTIONAL_CALLS):
                uses.append(use)
                calls *= len(use.batches)
                break
    for column, filters in spec.filters.items():
        if any(item.required and not any(use.filter is item for use in uses) for item in filters):
            raise _missing(table, column, predicates)
    return uses


def _use(candidate: Filter, predicate: Predicate, *, one: bool) -> _Use | None:
    """Equality is a list of one, and a list is several equalities, whichever the parameter takes."""
    values = predicate.values
    if predicate.op in ("=", "in"):
        if not {"=", "in"} & set(candidate.ops):
            return None
        listed = "in" in candidate.ops and candidate.param is not None and not one
        size = candidate.max_values if listed else 1
    elif predicate.op in candidate.ops:
        size = 1
    else:
        return None
    listed = "in" in candidate.ops
    for text in map(wire, values):
        if not (_fits_path(text) if candidate.param is None else _fits_param(text, candidate.encode, listed=listed)):
            return None
    return _Use(predicate, candidate, tuple(_chunks(values, size)))


def _filter_call(spec: TableSpec, uses: Sequence[_Use], batches: Sequence[tuple[Any, ...]]) -> Call:
    named: dict[str, str] = {}
    pushed: list[tuple[str, str]] = []
    checks: list[Check] = []
    for use, values in zip(uses, batches, strict=True):
        if use.filter.param is None:
            named[use.predicate.column] = wire(values[0])
        else:
            pushed += _params(use.filter.param, values, use.filter.encode)
        checks.append(Check(Predicate(use.predicate.column, use.predicate.op, values), use.filter.exact))
    return _collection_call(spec, _fill(spec.path, named), pushed, checks)


def _collection_call(spec: TableSpec, path: str, pushed: Iterable[tuple[str, str]], checks: Iterable[Check]) -> Call:
    return Call(path, tuple(spec.query.items()), tuple(pushed), spec.records, spec.paginate, tuple(checks))


def _missing(table: str, column: str, predicates: Sequence[Predicate]) -> Exception:
    if any(predicate.column == column and predicate.op in ("=", "in") for predicate in predicates):
        return NotSupportedError(
            f'table "{table}": the filter on "{column}" has a value that its parameter cannot carry',
            hint='an empty text never can; one with a comma needs encode = "repeat", one with a slash needs a param',
        )
    return RequiredFilterMissing(
        f'table "{table}" can be read only with a filter on "{column}"',
        hint=f"add {column} = … or {column} IN (…), or join it to a table that supplies the values",
    )


def _same_param(one: Filter, other: Filter) -> bool:
    return one.param is not None and one.param == other.param


# --- URLs -------------------------------------------------------------------------------------------------------


def _chunks(values: Iterable[Any], size: int) -> list[tuple[Any, ...]]:
    chunks: list[list[Any]] = []
    length = 0
    for value in values:
        length += len(quote(wire(value))) + 1
        if not chunks or len(chunks[-1]) == size or length > MAX_LIST_CHARACTERS:
            chunks.append([])
            length = len(quote(wire(value))) + 1
        chunks[-1].append(value)
    return [tuple(chunk) for chunk in chunks]


def _params(name: str, values: Iterable[Any], encode: str) -> list[tuple[str, str]]:
    texts = [wire(value) for value in values]
    return [(name, ",".join(texts))] if encode == "comma" else [(name, text) for text in texts]


def _fits_param(text: str, encode: str, *, listed: bool) -> bool:
    """An empty parameter often means no filter at all, and a comma would split one value into two."""
    return text != "" and not (listed and encode == "comma" and "," in text)


def _fits_path(text: str) -> bool:
    """Servers and proxies decode and resolve slashes and dots, escaped or not."""
    return text not in ("", ".", "..") and "/" not in text and "\\" not in text


def _fill(path: str, named: dict[str, str]) -> str:
    for name in placeholders(path):
        path = path.replace("{" + name + "}", quote(named[name], safe=""))
    return path
