"""A first draft of a REST table from one answer of the API: where its records are, their columns, the way to page.

What one answer cannot show is not guessed. Where there are signs of further pages, and no way to them was recognised,
the draft is one that the adapter refuses until it is completed: it must not read the first page as if it were all.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from adapters.base import CancelToken
from adapters.errors import CatalogError
from adapters.rest_client import Client
from adapters.rest_json import Unfit, converter
from adapters.rest_manifest import Manifest
from catalog.secrets import Redactor

_SECRET_PARAMETER = re.compile(r"api[-_]?key|key|token|access_token|secret", re.IGNORECASE)
_DATE_LIKE = re.compile(r"\d{4}-\d\d-\d\d")
_MAX_INT64 = (1 << 63) - 1

_OFFSETS = frozenset({"offset", "skip", "start", "$skip"})
_PAGES = frozenset({"page", "page_number", "pageNumber", "p"})
_SIZES = frozenset({"limit", "per_page", "page_size", "pageSize", "size", "count", "$top"})
_CURSOR_PARAMETERS = frozenset({"cursor", "after", "starting_after", "page_token", "pageToken", "next_token"})
_NEXT_URLS = frozenset({"next", "next_url", "nextUrl", "next_link", "nextLink", "@odata.nextLink", "next_page_url"})
_CURSORS = frozenset({"next_cursor", "nextCursor", "cursor", "next_page_token", "nextPageToken", "next_token"})
_FLAGS = frozenset({"has_more", "hasMore", "more"})
_TOTALS = frozenset({"total", "total_count", "totalCount"})
_PERHAPS_TOTALS = _TOTALS | {"count"}  # elsewhere the number of records on this page


@dataclass(frozen=True, slots=True)
class RestDraft:
    """`written` has references where `real` has secrets."""

    written: dict[str, Any]
    real: dict[str, Any]
    comments: tuple[str, ...]


def discover_rest(url: str, variable: str, redactor: Redactor) -> RestDraft:
    """Raises the errors of the adapter's client, or CatalogError when the answer holds no records."""
    parts = urlsplit(url)
    base, auth, hidden = _base(parts), *_auth(parts, variable)
    redactor.add_options({"auth": auth})
    real = base | ({"auth": auth} if auth else {})
    query = {name: value for name, value in parse_qsl(parts.query) if not _SECRET_PARAMETER.fullmatch(name)}
    path = unquote(parts.path) or "/"
    client = Client("discover", Manifest.model_validate(real))
    try:
        answer = client.get(client.url(parts.path or "/", tuple(query.items())), f"GET {path}", CancelToken())
    finally:
        client.close()
    if answer is None:
        raise CatalogError(f"GET {path} found nothing", hint="check the path")
    table, comments = _table(path, query, answer.body, answer.links)
    name = re.sub(r"\W+", "_", path.rstrip("/").rpartition("/")[2].split(".")[0]).strip("_") or "items"
    if hidden:
        comments = (f"set {variable} to the credential that the address held", *comments)
    written = base | ({"auth": hidden} if hidden else {}) | {"tables": {name: table}}
    harmless = {key: value for key, value in table.items() if key not in ("paginate", "page_size")}
    return RestDraft(written, real | {"tables": {name: harmless}}, comments)


def _base(parts: SplitResult) -> dict[str, Any]:
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    options: dict[str, Any] = {"base_url": f"{parts.scheme}://{host}{port}"}
    return options | ({"allow_private": True} if _is_private(parts.hostname or "") else {})


def _is_private(host: str) -> bool:
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False  # the request itself will say what is wrong
    return any(not ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in addresses)


def _auth(parts: SplitResult, variable: str) -> tuple[dict[str, str], dict[str, str]]:
    """The credentials of the address, and the same with a reference in the secret's place."""
    reference = f"${{env:{variable}}}"
    if parts.password is not None:
        basic = {"kind": "basic", "username": unquote(parts.username or "")}
        return basic | {"password": unquote(parts.password)}, basic | {"password": reference}
    for name, value in parse_qsl(parts.query):
        if _SECRET_PARAMETER.fullmatch(name):
            key = {"kind": "api_key", "query": name}
            return key | {"key": value}, key | {"key": reference}
    return {}, {}


# --- the table ------------------------------------------------------------------------------------------------------


def _table(
    path: str, query: Mapping[str, str], body: Any, links: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    where, records = _records(body)
    paging, used, comments = _paging(body, query, links, len(records))
    table: dict[str, Any] = {"path": path}
    if where != "$":
        table["records"] = where
    if fixed := {name: value for name, value in query.items() if name not in used}:
        table["query"] = fixed
    table |= paging
    table["columns"] = _columns(records)
    if _is_unique(records, "id"):
        comments = (*comments, 'if "id" is unique in all records, add: primary_key = ["id"]')
    return table, comments


def _records(body: Any) -> tuple[str, list[dict[str, Any]]]:
    """The largest array of objects: the answer itself, or inside it at most two levels down."""
    found = [("$", body), *_fields(body)]
    arrays = [(where, value) for where, value in found if isinstance(value, list) and value]
    tables = [(where, value) for where, value in arrays if all(isinstance(item, dict) for item in value)]
    if not tables:
        raise CatalogError(
            "the answer holds no array of objects", hint="discover needs an address that lists some records"
        )
    return max(tables, key=lambda pair: len(pair[1]))


def _fields(body: Any) -> Iterator[tuple[str, Any]]:
    """Every field of an answer with its path, at most two levels down."""
    for key, value in body.items() if isinstance(body, dict) else ():
        if "'" in key:
            continue  # no path can name it
        yield _step("$", key), value
        for inner, item in value.items() if isinstance(value, dict) else ():
            if "'" not in inner:
                yield _step(_step("$", key), inner), item


def _step(path: str, key: str) -> str:
    return f"{path}.{key}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", key) else f"{path}['{key}']"


def _columns(records: list[dict[str, Any]]) -> dict[str, str]:
    """Names that differ only in case are one column to SQL: the first is kept."""
    values: dict[str, list[Any]] = {}
    spelled: dict[str, str] = {}
    for record in records:
        for key, value in record.items():
            if spelled.setdefault(key.casefold(), key) == key:
                values.setdefault(key, []).append(value)
    return {name: _type([value for value in column if value is not None]) for name, column in values.items()}


def _type(values: list[Any]) -> str:
    """The narrowest type that holds every value of the sample; JSON where nothing else does."""
    if not values:
        return "json"
    if all(isinstance(value, bool) for value in values):
        return "bool"
    if all(isinstance(value, int | Decimal) and not isinstance(value, bool) for value in values):
        if any(isinstance(value, Decimal) for value in values):
            return "double"
        return "int64" if all(abs(value) <= _MAX_INT64 for value in values) else "json"
    if not all(isinstance(value, str) for value in values):
        return "json"
    if all(_DATE_LIKE.match(value) for value in values):
        return next((kind for kind in ("date", "timestamp", "timestamptz") if _all_fit(kind, values)), "string")
    return "string"


def _all_fit(kind: str, values: list[Any]) -> bool:
    convert = converter(kind)
    try:
        for value in values:
            convert(value)
    except Unfit:
        return False
    return True


def _is_unique(records: list[dict[str, Any]], key: str) -> bool:
    values = [record.get(key) for record in records]
    return None not in values and len({str(value) for value in values}) == len(values)


# --- further pages --------------------------------------------------------------------------------------------------

Paging = tuple[dict[str, Any], frozenset[str], tuple[str, ...]]


def _paging(body: Any, query: Mapping[str, str], links: Mapping[str, str], shown: int) -> Paging:
    """What to declare, the parameters of the address that it replaces, and what to tell."""
    fields = {where: (_last(where), value) for where, value in _fields(body)}
    flag = _find(fields, _FLAGS, lambda value: isinstance(value, bool))
    more = {"has_more": flag} if flag else {}
    size = next((name for name in query if name in _SIZES and query[name].isdecimal() and int(query[name]) > 0), None)
    sized = {"page_size": {"param": size, "max": int(query[size])}} if size else {}
    if "next" in links:
        return {"paginate": {"kind": "link_header"}}, frozenset(), ()
    if url := _find(fields, _NEXT_URLS, lambda value: value is None or isinstance(value, str)):
        return {"paginate": {"kind": "next_url", "next": url, **more}}, frozenset(), ()
    if cursor := _find(fields, _CURSORS, lambda value: value is None or isinstance(value, str)):
        given = next((name for name in query if name in _CURSOR_PARAMETERS), None)
        param = given or re.sub(r"^next_?", "", _last(cursor)).lstrip("_") or "cursor"
        param = param[0].lower() + param[1:]
        told = () if given else (f'check that the parameter of the next page is called "{param}"',)
        return {"paginate": {"kind": "cursor", "param": param, "next": cursor, **more}}, frozenset({param}), told
    if page := next((name for name in query if name in _PAGES), None):
        paginate = {"kind": "page", "param": page, "start": 0 if query[page] == "0" else 1, **more}
        return {"paginate": paginate, **sized}, frozenset({page, size or page}), ()
    if offset := next((name for name in query if name in _OFFSETS), None):
        total = _find(fields, _TOTALS, lambda value: isinstance(value, int))
        paginate = {"kind": "offset", "param": offset, **({"total": total} if total else {}), **more}
        return {"paginate": paginate, **sized}, frozenset({offset, size or offset}), ()
    if _incomplete(fields, query, size, shown):
        told = ("the answer was not complete: declare how to page (see the rest adapter), in the place of the ?",)
        return {"paginate": {"kind": "?"}}, frozenset(), told
    return {}, frozenset(), ()


def _incomplete(fields: Mapping[str, tuple[str, Any]], query: Mapping[str, str], size: str | None, shown: int) -> bool:
    if size and shown >= int(query[size]):
        return True
    for name, value in fields.values():
        if name in _FLAGS and value is True:
            return True
        if name in _PERHAPS_TOTALS and isinstance(value, int) and value > shown:
            return True
    return False


def _find(fields: Mapping[str, tuple[str, Any]], names: frozenset[str], fits: Any) -> str | None:
    return next((where for where, (name, value) in fields.items() if name in names and fits(value)), None)


def _last(path: str) -> str:
    """The key that a path ends with."""
    match = re.search(r"(?:\.([\w-]+)|\['([^']*)'\])$", path)
    return (match[1] or match[2]) if match else ""
