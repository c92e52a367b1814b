"""`discover` writes a catalog file that works, without the secrets of the address it was given."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from adapters.base import CancelToken, ScanRequest, TableName
from adapters.errors import CatalogError, SourceAuthError, SourceUnavailable
from catalog import load_catalog
from catalog.catalog import Catalog
from federation.discover import discover
from tests.servers import run_sql

ITEMS = [
    {
        "id": number,
        "Name": f"item {number}",
        "price": number + 0.5 if number % 2 else number,
        "active": number % 2 == 0,
        "made": "2024-02-29",
        "seen": "2024-02-29T12:00:00Z",
        "tags": ["a"],
        "note": None,
        "name": "differs from Name in case only",
    }
    for number in range(1, 8)
]


def catalog_of(folder: Path, text: str) -> Catalog:
    file = folder / "federation.toml"
    file.write_text(text, encoding="utf-8")
    return load_catalog(file)


def comments(text: str) -> list[str]:
    return [line.removeprefix("# ") for line in text.splitlines() if line.startswith("#")]


def rows(catalog: Catalog, source: str, table: TableName, *columns: str) -> list[dict[str, Any]]:
    adapter = catalog.sources[source].adapter
    scan = adapter.plan_scan(ScanRequest(table, columns))
    return [row for part in scan.partitions for row in adapter.read(part, CancelToken()).read_all().to_pylist()]


# --- SQLite and files -----------------------------------------------------------------------------------------------


@pytest.fixture
def crm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with sqlite3.connect(tmp_path / "crm.db") as db:
        db.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY)")
        db.execute('CREATE TABLE "two\nlines = 3" (x)')
    db.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "crm.db"


@pytest.mark.parametrize("form", ["crm.db", "sqlite:///crm.db", "{path}", "sqlite:///{path}", "sqlite://{path}"])
def test_sqlite(crm: Path, form: str) -> None:
    text = discover(form.format(path=crm))
    assert comments(text)[-3:] == ["2 tables", "  crm.accounts", '  crm."two\\u000alines = 3"']
    catalog = catalog_of(crm.parent, text)
    assert TableName("main", "accounts") in catalog.tables("crm")
    catalog.close()


def test_sqlite_without_a_telling_name(tmp_path: Path, crm: Path) -> None:
    crm.rename(tmp_path / "2024.data")
    assert "[sources.sqlite]" in discover(str(tmp_path / "2024.data"))
    assert "[sources.erp]" in discover(str(tmp_path / "2024.data"), "erp")


@pytest.mark.parametrize("name", ["a.b", "System", "", "1st"])
def test_a_name_that_no_source_can_have(crm: Path, name: str) -> None:
    with pytest.raises(CatalogError):
        discover(str(crm), name)


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "Lake 1"
    folder.mkdir()
    table = pa.table({"id": [1, 2]})
    pyarrow.parquet.write_table(table, folder / "orders.parquet")
    pyarrow.csv.write_csv(table, folder / "tickets.csv")
    for uri, tables in [
        ("Lake 1/*.parquet", {"orders"}),
        ("Lake 1/tickets.csv", {"tickets"}),
        ("Lake 1", {"orders", "tickets"}),
        (str(folder), {"orders", "tickets"}),
        (folder.as_uri(), {"orders", "tickets"}),
    ]:
        catalog = catalog_of(tmp_path, discover(uri, "lake"))
        assert {table.name for table in catalog.tables("lake")} == tables, uri
        assert "[sources.lake_1]" in discover(uri) or uri.endswith(".csv")
        catalog.close()


def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for uri, message in [
        ("missing.db", "there is no file missing.db"),
        ("sqlite:///missing.db", "there is no file missing.db"),
        ("ftp://host/x", 'there is no source for "ftp:"'),
    ]:
        with pytest.raises(CatalogError) as caught:
            discover(uri)
        assert caught.value.message == message
        assert caught.value.hint
    assert not (tmp_path / "missing.db").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceUnavailable):
        discover("empty")


# --- servers --------------------------------------------------------------------------------------------------------


def _password(uri: str) -> str:
    return urlsplit(uri).password or ""


def test_postgres(postgres_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_sql(postgres_uri, "CREATE SCHEMA shop; CREATE TABLE shop.orders (id int); CREATE TABLE public.leads (id int)")
    try:
        text = discover(postgres_uri, "pg")
        assert _password(postgres_uri) not in text
        assert "set PG_PASSWORD to the password, percent-encoded as in a URI" in comments(text)
        assert {"  pg.leads", "  pg.shop.orders"} <= set(comments(text))
        monkeypatch.setenv("PG_PASSWORD", _password(postgres_uri))
        catalog = catalog_of(tmp_path, text)
        assert TableName("shop", "orders") in catalog.tables("pg")
        catalog.close()
    finally:
        run_sql(postgres_uri, "DROP SCHEMA shop CASCADE; DROP TABLE public.leads")


def test_mariadb(mariadb_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_sql(mariadb_uri, "CREATE TABLE discovered (id int)")
    try:
        text = discover(mariadb_uri, "my")
        assert "${env:MY_PASSWORD}" in text
        assert "  my.discovered" in comments(text)
        monkeypatch.setenv("MY_PASSWORD", _password(mariadb_uri))
        catalog = catalog_of(tmp_path, text)
        assert "discovered" in {table.name for table in catalog.tables("my")}
        catalog.close()
    finally:
        run_sql(mariadb_uri, "DROP TABLE discovered")


def test_a_reference_in_the_address_stays(postgres_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_OWN_NAME", _password(postgres_uri))
    parts = urlsplit(postgres_uri)
    uri = urlunsplit(parts._replace(netloc=f"{parts.username}:${{env:MY_OWN_NAME}}@{parts.hostname}:{parts.port}"))
    text = discover(uri, "pg")
    assert f'uri = "{uri}"' in text
    assert not [line for line in comments(text) if line.startswith("set ")]


def test_a_refused_password_does_not_show(postgres_uri: str) -> None:
    parts = urlsplit(postgres_uri)
    uri = urlunsplit(parts._replace(netloc=f"{parts.username}:wrong-secret@{parts.hostname}:{parts.port}"))
    with pytest.raises((SourceAuthError, SourceUnavailable)) as caught:
        discover(uri)
    assert "wrong-secret" not in str(caught.value) + repr(caught.value.__cause__)


# --- web APIs -------------------------------------------------------------------------------------------------------

Answer = tuple[Any, dict[str, str]]


class Api:
    """Serves `answer(query)` at /v1/items, to those who show the credentials; anything else is refused."""

    def __init__(self) -> None:
        self.answer: Callable[[dict[str, str]], Answer] = lambda _: ([], {})
        self.authorised: Callable[[dict[str, str], str], bool] = lambda _query, _header: True
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(url.query).items()}
                if not api.authorised(query, self.headers.get("Authorization", "")):
                    return self.reply(401, {}, {})
                if url.path != "/v1/items":
                    return self.reply(404, {}, {})
                body, headers = api.answer(query)
                return self.reply(200, body, headers)

            def reply(self, status: int, body: Any, headers: dict[str, str]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Tests print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.origin}/v1/items"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    yield server
    server.close()


def test_rest_columns(api: Api, tmp_path: Path) -> None:
    api.answer = lambda _: (ITEMS, {})
    text = discover(api.url, "crm")
    assert "  crm.items" in comments(text)
    catalog = catalog_of(tmp_path, text)
    table = catalog.sources["crm"].adapter.get_table(TableName("main", "items"))
    assert {column.name: column.source_type for column in table.columns} == {
        "id": "int64",
        "Name": "string",
        "price": "double",
        "active": "bool",
        "made": "date",
        "seen": "timestamptz",
        "tags": "json",
        "note": "json",
    }
    assert table.primary_key == (), "one answer does not prove that a column is unique"
    assert len(rows(catalog, "crm", table.name, *(column.name for column in table.columns))) == len(ITEMS)
    catalog.close()


def _page(query: dict[str, str], start: int) -> list[dict[str, Any]]:
    return ITEMS[start : start + int(query.get("limit", "3"))]


def _by_link(query: dict[str, str]) -> Answer:
    start = int(query.get("from", "0"))
    more = {"Link": f'</v1/items?from={start + 3}>; rel="next"'} if start + 3 < len(ITEMS) else {}
    return _page(query, start), more


def _by_url(query: dict[str, str]) -> Answer:
    start = int(query.get("from", "0"))
    url = f"/v1/items?from={start + 3}" if start + 3 < len(ITEMS) else None
    return {"data": _page(query, start), "links": {"next": url}}, {}


def _by_cursor(query: dict[str, str]) -> Answer:
    start = int(query.get("cursor", "0"))
    following = str(start + 3) if start + 3 < len(ITEMS) else None
    return {"items": _page(query, start), "next_cursor": following, "has_more": following is not None}, {}


def _by_page(query: dict[str, str]) -> Answer:
    return {"count": 3, "items": _page(query, (int(query["page"]) - 1) * 3)}, {}


def _by_offset(query: dict[str, str]) -> Answer:
    return {"total": len(ITEMS), "items": _page(query, int(query["offset"]))}, {}


@pytest.mark.parametrize(
    ("answer", "query"),
    [
        (_by_link, ""),
        (_by_url, ""),
        (_by_cursor, ""),
        (_by_cursor, "?cursor=0"),
        (_by_page, "?page=1"),
        (_by_page, "?page=2&limit=3"),
        (_by_offset, "?offset=0&limit=2"),
        (_by_offset, "?offset=0"),
    ],
)
def test_rest_paging_reads_every_page(
    api: Api, tmp_path: Path, answer: Callable[[dict[str, str]], Answer], query: str
) -> None:
    api.answer = answer
    catalog = catalog_of(tmp_path, discover(api.url + query, "crm"))
    found = rows(catalog, "crm", TableName("main", "items"), "id")
    assert [row["id"] for row in found] == [item["id"] for item in ITEMS]
    catalog.close()


@pytest.mark.parametrize(
    ("answer", "query"),
    [
        (lambda query: ({"items": _page(query, 0), "total": 7}, {}), ""),
        (lambda query: ({"items": _page(query, 0), "has_more": True}, {}), ""),
        (lambda query: (_page(query, 0), {}), "?limit=3"),
    ],
)
def test_rest_signs_of_further_pages_are_not_ignored(
    api: Api, tmp_path: Path, answer: Callable[[dict[str, str]], Answer], query: str
) -> None:
    api.answer = answer
    text = discover(api.url + query, "crm")
    assert [line for line in comments(text) if line.startswith("the answer was not complete")]
    with pytest.raises(CatalogError) as caught:
        catalog_of(tmp_path, text)
    assert "paginate" in caught.value.message


@pytest.mark.parametrize(
    "address", ["http://me:tops%2Fecret@{origin}/v1/items", "http://{origin}/v1/items?api_key=tops/ecret"]
)
def test_rest_credentials(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    api.answer = lambda _: (ITEMS, {})
    api.authorised = lambda query, header: (
        query.get("api_key") == "tops/ecret" or header == "Basic bWU6dG9wcy9lY3JldA=="
    )
    text = discover(address.format(origin=api.origin), "crm")
    assert "ecret" not in re.sub(r"SECRET", "", text)
    assert [line for line in comments(text) if line.startswith("set CRM_SECRET ")]
    monkeypatch.setenv("CRM_SECRET", "tops/ecret")
    catalog = catalog_of(tmp_path, text)
    assert len(rows(catalog, "crm", TableName("main", "items"), "id")) == len(ITEMS)
    catalog.close()
    with pytest.raises(SourceAuthError):
        discover(api.url)


def test_rest_without_records(api: Api) -> None:
    bodies: list[Any] = [{}, [], {"items": []}, [1, 2], "text"]
    for body in bodies:
        api.answer = lambda _, body=body: (body, {})  # type: ignore[misc]
        with pytest.raises(CatalogError) as caught:
            discover(api.url)
        assert caught.value.message == "the answer holds no array of objects"
