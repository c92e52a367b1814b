"""A strict web API on a free port: what a real service would reject, it rejects, and it keeps a journal.

    with RestServer({"/people": Resource(rows, key="id")}) as server:
        server.faults += ["503", "cut"]       # one for each of the next requests
        …
        assert server.journal == ["/people?limit=100", …]

An unknown parameter, one that is given twice, a value out of range: 400. A request without the token: 401.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import ssl
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus, urlencode, urlsplit

import pyarrow as pa

from adapters.base import Predicate, ScanRequest, TableName
from adapters.rest import RestAdapter
from tests.adapters.oracle import read_all

TOKEN = "a-token-that-must-never-be-shown"
_OPS: dict[str, Callable[[Any, str], bool]] = {
    "=": lambda value, text: _text(value) == text,
    "ci": lambda value, text: _text(value).casefold().strip() in [part.casefold().strip() for part in text.split(",")],
    "in": lambda value, text: _text(value) in text.split(","),
    ">=": lambda value, text: _text(value) >= text,
    "<": lambda value, text: _text(value) < text,
    "ignored": lambda _value, _text: True,
}


@dataclass
class Resource:
    """`filters` maps a parameter to a column and one of `_OPS`. `paging` is a kind of the catalog file."""

    rows: list[dict[str, Any]]
    key: str = "id"
    paging: str = "single"
    page_size: int = 100
    filters: dict[str, tuple[str, str]] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    max_values: int = 50
    short_pages: bool = False  # pages hold fewer rows than asked for, and are not the last for it
    moved: int = 0  # rows that were put in front after the first page: the second repeats as many
    ignores_paging: bool = False
    next_link: str | None = None  # instead of the right link or cursor, after every page


class Rejected(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


class RestServer:
    def __init__(self, resources: dict[str, Resource], tls: ssl.SSLContext | None = None) -> None:
        self.resources = resources
        self.journal: list[str] = []
        self.authorizations: list[str | None] = []
        self.faults: deque[str] = deque()
        self.every: tuple[int, str] | None = None
        self.api_key: tuple[str, str] | None = None  # a query parameter and its value, instead of the token
        self.raw: dict[str, bytes] = {}
        self.validator = ""  # "etag", or when all was changed last, as an HTTP date, or "now": always just now
        self.unchanged: list[str] = []  # what was answered by 304
        self.hanging = threading.Event()
        self._release = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> RestServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._release.set()
        self._server.shutdown()
        self._server.server_close()

    def note(self, target: str, authorization: str | None) -> str | None:
        """Journal one request; returns its fault."""
        with self._lock:
            self.journal.append(unquote_plus(target))
            self.authorizations.append(authorization)
            if self.faults:
                return self.faults.popleft()
            if self.every and len(self.journal) % self.every[0] == 0:
                return self.every[1]
            return None

    def release(self) -> None:
        """End what hangs: such a request gets no answer."""
        self._release.set()

    def hang(self) -> None:
        self.hanging.set()
        self._release.wait(60)

    def answer(self, target: str, authorization: str | None) -> tuple[bytes, dict[str, str]]:
        parts = urlsplit(target)
        given = parse_qsl(parts.query, keep_blank_values=True)
        params = dict(given)
        if len(params) != len(given):
            raise Rejected(400)
        self._authorize(params, authorization)
        if parts.path in self.raw:
            return self.raw[parts.path], {}
        if parts.path in self.resources:
            return self._page(parts.path, self.resources[parts.path], params)
        collection, _, key = parts.path.rpartition("/")
        resource = self.resources.get(collection)
        if resource is None or params:
            raise Rejected(404 if resource is None else 400)
        for row in resource.rows:
            if str(row[resource.key]) == unquote(key):
                return _json(row), {}
        raise Rejected(404)

    def _authorize(self, params: dict[str, str], authorization: str | None) -> None:
        if self.api_key:
            if params.pop(self.api_key[0], None) != self.api_key[1]:
                raise Rejected(403)
        elif authorization != f"Bearer {TOKEN}":
            raise Rejected(401)

    def _page(self, path: str, resource: Resource, params: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        paging = {"single": set(), "page": {"page"}, "offset": {"offset"}}.get(resource.paging, {"cursor"})
        known = set(resource.filters) | paging | ({"limit", "fields"} if resource.paging != "single" else set())
        if set(params) - known or resource.required - set(params):
            raise Rejected(400)
        rows = resource.rows
        for param, (column, op) in resource.filters.items():
            if param in params:
                if op in ("in", "ci") and len(params[param].split(",")) > resource.max_values:
                    raise Rejected(400)
                rows = [row for row in rows if row[column] is not None and _OPS[op](row[column], params[param])]
        if resource.paging == "single":
            return _json(rows), {}
        limit = int(params.get("limit", resource.page_size))
        if not 1 <= limit <= resource.page_size:
            raise Rejected(400)
        size = max(1, limit // 2) if resource.short_pages else limit
        start = 0 if resource.ignores_paging else _start(resource.paging, params, size)
        begin = max(0, start - resource.moved) if start else 0
        page = rows[begin : begin + size]
        end = start + size if begin + size < len(rows) else None
        if "fields" in params:
            page = [{name: row[name] for name in params["fields"].split(",")} for row in page]
        return self._enveloped(path, resource, params, page, end, len(rows))

    def _enveloped(
        self, path: str, resource: Resource, params: dict[str, str], page: list[Any], end: int | None, total: int
    ) -> tuple[bytes, dict[str, str]]:
        body: dict[str, Any] = {"items": page, "has_more": end is not None, "total": total}
        headers = {}
        cursor = resource.next_link or (None if end is None else f"c{end}")
        link = (
            resource.next_link or (end is not None and f"{path}?{urlencode({**params, 'cursor': f'c{end}'})}") or None
        )
        if resource.paging == "cursor":
            body["next"] = cursor
        elif resource.paging == "next_url":
            body["next"] = link
        elif resource.paging == "link_header" and link:
            headers["Link"] = f'<{self.url}/other>; rel="first", <{link}>; rel="next"'
        return _json(body), headers


def _start(paging: str, params: dict[str, str], limit: int) -> int:
    if paging == "page":
        return (int(params["page"]) - 1) * limit
    if paging == "offset":
        return int(params["offset"])
    return int(params.get("cursor", "c0").removeprefix("c"))


def _text(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def http_date(seconds: float) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%a, %d %b %Y %H:%M:%S GMT")


def _handler(server: RestServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            fault = server.note(self.path, self.headers["Authorization"])
            try:
                body, headers = server.answer(self.path, self.headers["Authorization"])
            except Rejected as exc:
                self._send(exc.status, b'{"error": "rejected"}', {})
                return
            match (fault or "").split(" ", 1):
                case ["429", after]:
                    self._send(429, b"{}", {"Retry-After": after})
                case ["redirect", target]:
                    self._send(302, b"", {"Location": target})
                case ["cut"]:
                    self._send(200, body, headers, cut=True)
                case ["invalid"]:
                    self._send(200, body[:-1], headers)
                case ["html"]:
                    self._send(200, b"\n<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html"})
                case ["hang"]:
                    server.hang()
                    self.close_connection = True
                case ["disconnect"]:
                    self.close_connection = True
                case [status] if status:
                    self._send(int(status), b"{}", {})
                case _:
                    self._validated(body, headers)

        def _validated(self, body: bytes, headers: dict[str, str]) -> None:
            name, asked, value = "ETag", "If-None-Match", f'W/"{hashlib.sha256(body).hexdigest()}"'
            if server.validator != "etag":
                changed = http_date(0) if server.validator == "now" else server.validator
                name, asked, value = "Last-Modified", "If-Modified-Since", changed
            if server.validator and self.headers[asked] == value:
                server.unchanged.append(unquote_plus(self.path))
                self._send(304, b"", {name: value})
            else:
                self._send(200, body, {**headers, name: value} if server.validator else headers)

        def _send(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = self.close_connection or cut

        def log_message(self, *_: object) -> None:
            """Quiet."""

    return Handler


def adapter_for(server: RestServer, tables: dict[str, Any], **options: Any) -> RestAdapter:
    """The source crm, as the catalog file would declare it."""
    bearer = {"kind": "bearer", "token": TOKEN}
    given = {"base_url": server.url, "auth": bearer, "allow_private": True, "tables": tables}
    return RestAdapter("crm", {**given, **options})


def scan(
    adapter: RestAdapter, table: str, columns: Sequence[str], *predicates: Predicate, limit: int | None = None
) -> pa.Table:
    """What the adapter itself returns, before any residual is applied."""
    request = ScanRequest(TableName("main", table), tuple(columns), predicates, limit)
    return read_all(adapter, adapter.plan_scan(request))


def values(rows: pa.Table, column: str) -> list[Any]:
    found: list[Any] = sorted(rows.to_pydict()[column])
    return found
