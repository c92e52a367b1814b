"""`cache.refresh` of a table or a view: what a server fetches again by itself, so that queries find it fresh."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.types as pt

from adapters.base import Column, Table
from adapters.errors import CatalogError
from catalog.model import CachePolicy, Refresh
from catalog.names import did_you_mean, nearest
from catalog.values import Section

INCREMENT_KEYS = ("cursor", "key", "full")
REFRESH_KEYS = ("refresh", *INCREMENT_KEYS)
_EXAMPLE = 'write refresh = "every 15m"'
_ORDERED = (pt.is_integer, pt.is_decimal, pt.is_date, pt.is_timestamp, pt.is_string)


def read_refresh(section: Section, policy: CachePolicy | None) -> Refresh | None:
    """Of a table, `policy` being what holds for it. None where the section says nothing of it, or has a fault."""
    inner = _inner(section)
    if inner is None:
        return None
    every, before = inner.interval("refresh"), len(inner.faults.errors)
    if every is None:
        for name in INCREMENT_KEYS:
            if name in inner.values and "refresh" not in inner.values:
                inner.fault(name, "this says how rows are refreshed, and refresh is missing", _EXAMPLE)
        return None
    if policy is not None and policy.ttl < every:
        hint = "give the table a ttl that is longer than the interval, and than a refresh takes"
        inner.fault("refresh", f"rows are too old after {policy.ttl:g} s, and fetched again after {every:g} s", hint)
    refresh = Refresh(every, inner.text("cursor"), tuple(inner.texts("key")), inner.interval("full"))
    if "cursor" not in inner.values and refresh.key:
        inner.fault("key", "the column that tells new rows is missing", 'write cursor = "updated_at"')
    if inner.values.get("key") == []:
        inner.fault("key", "this must name a column", 'write key = ["id"], or leave it out for rows that never change')
    if refresh.full is not None and "cursor" not in inner.values:
        inner.fault("full", "without a cursor every refresh is a full one", "leave it out")
    if refresh.full is not None and refresh.full < every:
        inner.fault("full", "this is shorter than the interval of refresh", "leave out cursor, or make it longer")
    return refresh if len(inner.faults.errors) == before else None


def read_view_refresh(section: Section, *, cached: bool) -> Refresh | None:
    """Of a view; `cached` says whether anything is."""
    inner = _inner(section)
    if inner is None:
        return None
    inner.reject_unknown(["refresh"])
    every = inner.interval("refresh", required=True)
    if every is not None and not cached:
        inner.fault("refresh", "no source of the catalog is cached", 'write cache = { ttl = "1h" } at its sources')
    return Refresh(every) if every is not None else None


def check_refresh(refresh: Refresh, table: Table, source: str) -> None:
    """Raises CatalogError for what the table does not allow."""
    name = table.name.name
    required = [column.name for column in table.columns if column.required_filter]
    if required:
        raise _fault(f"{name} cannot be refreshed: it is only read by {', '.join(required)}", source, None)
    for key in refresh.key:
        _column(table, key, "key", source)
    if refresh.cursor is not None:
        column = _column(table, refresh.cursor, "cursor", source)
        if not _is_ordered(column.type):
            hint = "a cursor is an integer, a decimal, a date, a timestamp or a text"
            raise _fault(f"the cursor of {name}, {column.name}, is of type {column.type}", source, hint)


def _column(table: Table, name: str, role: str, source: str) -> Column:
    for column in table.columns:
        if column.name.lower() == name.lower():
            return column
    hint = did_you_mean(nearest(name, [column.name for column in table.columns]))
    raise _fault(f"the {role} of {table.name.name} is the column {name}, which it does not have", source, hint)


def _is_ordered(type_: pa.DataType) -> bool:
    return any(test(type_) for test in _ORDERED)


def _fault(message: str, source: str, hint: str | None) -> CatalogError:
    return CatalogError(message, hint=hint, source=source)


def _inner(section: Section) -> Section | None:
    value: Any = section.values.get("cache")
    if not isinstance(value, dict):
        return None
    return Section(section.file, f"{section.path}.cache", value, section.faults)
