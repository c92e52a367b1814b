"""What a web API can do wrong: every case is a typed error or is mended, never fewer rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.base import CancelToken, Predicate, ScanRequest, TableName
from adapters.errors import Error, QueryCancelled, SourceAuthError, SourceError, SourceUnavailable
from adapters.rest import RestAdapter
from tests.adapters.rest_server import TOKEN, Resource, RestServer, adapter_for, http_date, scan, values

ROWS = [{"id": n} for n in range(25)]
KINDS: dict[str, dict[str, Any]] = {
    "cursor": {"kind": "cursor", "param": "cursor", "next": "$.next"},
    "page": {"kind": "page", "param": "page"},
    "offset": {"kind": "offset", "param": "offset"},
    "link_header": {"kind": "link_header"},
    "next_url": {"kind": "next_url", "next": "$.next"},
}


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer({"/things": Resource(ROWS, paging="cursor", page_size=10)}) as server:
        yield server


def things(server: RestServer, kind: str = "cursor", **resource: Any) -> RestAdapter:
    """An adapter for /things, which is paged as `kind`."""
    server.resources["/things"] = Resource(ROWS, paging=kind, page_size=10, **resource)
    return declared(server, KINDS[kind])


def declared(server: RestServer, paginate: dict[str, Any], **options: Any) -> RestAdapter:
    spec = {"path": "/things", "records": "$.items", "paginate": paginate, "columns": {"id": "int64"}}
    spec |= {"page_size": {"param": "limit", "max": 10}, "primary_key": ["id"]}
    return adapter_for(server, {"things": {**spec, **options.pop("table", {})}}, **options)


def ids(adapter: RestAdapter) -> list[Any]:
    try:
        return values(scan(adapter, "things", ["id"]), "id")
    finally:
        adapter.close()


ALL = [row["id"] for row in ROWS]


# --- paging


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_paging_reaches_the_end(server: RestServer, kind: str) -> None:
    assert ids(things(server, kind)) == ALL


@pytest.mark.parametrize("kind", KINDS)
def test_a_short_page_is_not_the_end(server: RestServer, kind: str) -> None:
    assert ids(things(server, kind, short_pages=True)) == ALL


@pytest.mark.parametrize("kind", ["page", "offset"])
def test_a_short_page_is_the_end_where_that_is_declared(server: RestServer, kind: str) -> None:
    things(server, kind)
    assert ids(declared(server, {**KINDS[kind], "short_page_is_last": True})) == ALL
    assert len(server.journal) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_that_moved_to_the_next_page_comes_once(server: RestServer, kind: str) -> None:
    assert ids(things(server, kind, moved=3)) == ALL


@pytest.mark.parametrize("kind", ["cursor", "next_url", "link_header"])
def test_a_loop_is_an_error(server: RestServer, kind: str) -> None:
    link = "c10" if kind == "cursor" else "/things?limit=10&cursor=c10"
    with pytest.raises(SourceError, match="already delivered"):
        ids(things(server, kind, next_link=link))


@pytest.mark.parametrize("kind", ["page", "offset"])
def test_a_source_that_ignores_the_page_parameter_is_an_error(server: RestServer, kind: str) -> None:
    with pytest.raises(SourceError, match="the same page twice"):
        ids(things(server, kind, ignores_paging=True))


@pytest.mark.parametrize(
    "link", ["http://127.0.0.1:1/steal", "https://example.com/x", "file:///etc/passwd", "//example.com/x", "http://["]
)
@pytest.mark.parametrize("kind", ["next_url", "link_header"])
def test_a_link_to_another_origin_is_not_followed(server: RestServer, kind: str, link: str) -> None:
    with pytest.raises(SourceError, match=r"another origin|no URL"):
        ids(things(server, kind, next_link=link))
    assert len(server.journal) == 1


def test_too_many_pages_are_an_error(server: RestServer) -> None:
    assert ids(declared(server, {**KINDS["cursor"], "max_pages": 3})) == ALL
    with pytest.raises(SourceError, match="more than 2 pages"):
        ids(declared(server, {**KINDS["cursor"], "max_pages": 2}))


def test_more_rows_without_a_cursor_are_an_error(server: RestServer) -> None:
    wrong = {"kind": "cursor", "param": "cursor", "next": "$.paging.next", "has_more": "$.has_more"}
    with pytest.raises(SourceError, match="named no next page"):
        ids(declared(server, wrong))


def test_a_further_page_of_a_table_without_pages_is_an_error(server: RestServer) -> None:
    things(server, "link_header")
    with pytest.raises(SourceError, match="a further page"):
        ids(declared(server, {"kind": "single"}, table={"page_size": None}))


@pytest.mark.parametrize("total", [26, 1000])
def test_fewer_rows_than_promised_are_an_error(server: RestServer, total: int) -> None:
    server.raw["/things"] = b'{"items": [], "total": %d}' % total
    with pytest.raises(SourceError, match="promised more rows"):
        ids(declared(server, {**KINDS["offset"], "total": "$.total"}))


@pytest.mark.parametrize("body", [b'{"items": []}', b'{"items": [], "total": "many"}', b'{"items": [], "total": null}'])
def test_a_total_that_is_none_is_an_error(server: RestServer, body: bytes) -> None:
    server.raw["/things"] = body
    with pytest.raises(SourceError, match="where the total should be"):
        ids(declared(server, {**KINDS["offset"], "total": "$.total"}))


# --- failures that pass


@pytest.mark.parametrize("fault", ["429 0", "429 0.0", "429 soon", "503", "502", "504", "500", "disconnect", "cut"])
def test_one_failure_is_mended(server: RestServer, fault: str) -> None:
    server.faults += ["", fault]
    assert ids(things(server)) == ALL
    assert len(server.journal) == 4


def test_a_date_in_retry_after(server: RestServer) -> None:
    server.faults.append("429 " + http_date(-5))
    assert ids(things(server)) == ALL


@pytest.mark.parametrize("after", ["3600", "1e9", "inf", "date"])
def test_a_long_wait_is_not_waited_for(server: RestServer, after: str) -> None:
    server.faults.append("429 " + (http_date(7200) if after == "date" else after))
    with pytest.raises(SourceUnavailable) as caught:
        ids(things(server))
    assert len(server.journal) == 1
    assert "max_wait" in (caught.value.hint or "")


@pytest.mark.parametrize("fault", ["429 0", "503", "500", "cut", "disconnect"])
def test_a_lasting_failure_is_an_error_after_some_attempts(server: RestServer, fault: str) -> None:
    server.every = (1, fault)
    with pytest.raises(SourceUnavailable) as caught:
        ids(declared(server, KINDS["cursor"], retry={"attempts": 2, "max_wait": "5s"}))
    assert len(server.journal) == 2
    assert caught.value.retryable
    assert caught.value.source == "crm"


def test_every_third_request_fails(server: RestServer) -> None:
    server.every = (3, "503")
    things(server)
    assert ids(declared(server, KINDS["cursor"], table={"page_size": {"param": "limit", "max": 2}})) == ALL


def test_a_source_that_is_down() -> None:
    with RestServer({}) as gone:
        pass
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        ids(declared(gone, KINDS["cursor"], retry={"attempts": 2}))


# --- failures that stay


@pytest.mark.parametrize(
    "fault", ["invalid", "html", "400", "404", "410", "422", "204", "206", "redirect http://127.0.0.1:1/x"]
)
def test_what_cannot_be_mended_is_an_error_at_once(server: RestServer, fault: str) -> None:
    server.faults += ["", fault]
    with pytest.raises(SourceError) as caught:
        ids(things(server))
    assert len(server.journal) == 2
    assert caught.value.source == "crm"
    assert TOKEN not in str(caught.value)


def test_a_redirect_at_home_is_followed(server: RestServer) -> None:
    server.faults.append("redirect /things?limit=10")
    assert ids(things(server)) == ALL


def test_redirects_in_a_circle(server: RestServer) -> None:
    server.every = (1, "redirect /things?limit=10")
    with pytest.raises(SourceError, match="redirects"):
        ids(things(server))


def test_a_wrong_token(server: RestServer) -> None:
    wrong = {"kind": "bearer", "token": "a-wrong-token"}
    with pytest.raises(SourceAuthError) as caught:
        ids(declared(server, KINDS["cursor"], auth=wrong))
    assert caught.value.sqlstate == "28000"
    assert "a-wrong-token" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{}", "nothing came where the records"),
        (b'{"items": null}', "null came where the records"),
        (b'{"items": {"id": 1}}', "an object came where the records"),
        (b'{"items": "none"}', "a string came where the records"),
        (b'["x"]', "an array came on the path"),
        (b"", "not JSON"),
        (b'{"items": [{"id": NaN}]}', "not JSON"),
        (b'{"items": "\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"items": [{"id": %s}]}' % (b"9" * 5000), "not JSON"),
    ],
)
def test_a_body_that_is_not_as_declared(server: RestServer, body: bytes, message: str) -> None:
    server.raw["/things"] = body
    with pytest.raises(SourceError, match=message):
        ids(declared(server, KINDS["cursor"]))


def test_a_page_that_is_too_large(server: RestServer) -> None:
    with pytest.raises(SourceError, match="larger than 100 bytes"):
        ids(declared(server, KINDS["cursor"], max_response_bytes=100))


# --- safety


def test_private_addresses_are_blocked_unless_allowed(server: RestServer) -> None:
    for base_url in (server.url, server.url.replace("127.0.0.1", "localhost")):
        with pytest.raises(SourceError, match="private address") as caught:
            ids(declared(server, KINDS["cursor"], base_url=base_url, allow_private=False))
        assert "allow_private" in (caught.value.hint or "")
    assert server.journal == []


def test_an_api_key_travels_and_is_never_shown(server: RestServer) -> None:
    server.api_key = ("key", "k&y=1")
    auth = {"kind": "api_key", "query": "key", "key": "k&y=1"}
    for kind in KINDS:
        things(server, kind)
        assert ids(declared(server, KINDS[kind], auth=auth)) == ALL
    adapter = declared(server, KINDS["cursor"], auth=auth)
    planned = adapter.plan_scan(ScanRequest(TableName("main", "things"), ("id",)))
    assert planned.partitions[0].request == "GET /things?limit=10 (paged)"
    server.faults.append("400")
    with pytest.raises(SourceError) as caught:
        ids(adapter)
    error: BaseException | None = caught.value
    while error is not None:
        assert "k&y" not in repr(error)
        assert "k%26y" not in repr(error)
        error = error.__cause__ or error.__context__


def test_basic_credentials(server: RestServer) -> None:
    with pytest.raises(SourceAuthError):
        ids(declared(server, KINDS["cursor"], auth={"kind": "basic", "username": "ada", "password": "é:x"}))
    assert server.authorizations == ["Basic YWRhOsOpOng="]


def test_headers_of_the_catalog_file(server: RestServer) -> None:
    authorization = {"Authorization": f"Bearer {TOKEN}"}
    assert ids(declared(server, KINDS["cursor"], auth={"kind": "none"}, headers=authorization)) == ALL


# --- cancel


def cancelled(server: RestServer, adapter: RestAdapter, *predicates: Predicate) -> Error:
    """Reads in a thread, cancels while the server holds the answer back; the error that the reader raised."""
    caught: list[Error] = []
    cancel = CancelToken()
    planned = adapter.plan_scan(ScanRequest(TableName("main", "things"), ("id",), predicates))

    def read() -> None:
        try:
            adapter.read(planned.partitions[0], cancel).read_all()
        except Error as exc:
            caught.append(exc)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    assert server.hanging.wait(30)
    cancel.cancel()
    reader.join(30)
    assert not reader.is_alive(), "the reader still waits for the source"
    return caught[0]


def test_a_cancel_ends_a_read_that_waits_for_the_source(server: RestServer) -> None:
    adapter = things(server)
    server.faults += ["", "hang"]
    assert isinstance(cancelled(server, adapter), QueryCancelled)
    assert ids(adapter) == ALL


def test_a_cancel_ends_the_wait_before_a_retry(server: RestServer) -> None:
    adapter = declared(server, KINDS["cursor"], retry={"attempts": 3, "max_wait": "10m"})
    cancel = CancelToken()
    server.faults += ["429 500"]
    planned = adapter.plan_scan(ScanRequest(TableName("main", "things"), ("id",)))
    timer = threading.Timer(0.2, cancel.cancel)
    timer.start()
    with pytest.raises(QueryCancelled):
        adapter.read(planned.partitions[0], cancel).read_all()
    timer.join()


def test_a_source_that_is_too_slow(server: RestServer) -> None:
    server.faults.append("hang")
    with pytest.raises(SourceUnavailable, match="no answer within"):
        ids(declared(server, KINDS["cursor"], timeout="1s"))
    assert len(server.journal) == 1
