"""What callers get wrong: each fault has its status, a problem document, and leaves the server as it was."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import httpx
import pytest

from tests.http.running import Running

JSON = {"Content-Type": "application/json"}


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["title"]
    return document


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"", 422, "#"),
        (b"{", 400, "#/1"),
        (b"\xff", 400, None),
        (b"null", 422, "#"),
        (b"[]", 422, "#"),
        (b'"SELECT 1"', 422, "#"),
        (b"{}", 422, "#/sql"),
        (b'{"sql": 1}', 422, "#/sql"),
        (b'{"sql": null}', 422, "#/sql"),
        (b'{"sql": ""}', 422, "#/sql"),
        (b'{"sql": "SELECT 1", "nonsense": 1}', 422, "#/nonsense"),
        (b'{"sql": "SELECT 1", "params": 1}', 422, None),
        (b'{"sql": "SELECT 1", "params": {"a": {}}}', 422, None),
        (b'{"sql": "SELECT $a", "params": {"a": {"type": 1, "value": "x"}}}', 422, None),
        (b'{"sql": "SELECT 1", "max_rows": -1}', 422, "#/max_rows"),
        (b'{"sql": "SELECT 1", "max_rows": "1"}', 422, "#/max_rows"),
        (b'{"sql": "SELECT 1", "max_rows": 1.5}', 422, "#/max_rows"),
        (b'{"sql": "SELECT 1", "max_rows": true}', 422, "#/max_rows"),
        (b'{"sql": "SELECT 1", "timeout": 0}', 422, "#/timeout"),
        (b'{"sql": "SELECT 1", "timeout": 1e300}', 422, "#/timeout"),
        (b'{"sql": "SELECT 1", "timeout": NaN}', 422, "#/timeout"),
        (b'{"sql": "SELECT 1", "timeout": "1s"}', 422, "#/timeout"),
        (b'{"sql": "SELECT 1", "max_staleness": -1}', 422, "#/max_staleness"),
        (b'{"sql": "SELECT 1", "options": []}', 422, "#/options"),
        (b'{"sql": "SELECT 1", "options": {"pushdown": "no"}}', 422, "#/options/pushdown"),
        (b'{"sql": "SELECT 1", "options": {"disable": ["nonsense"]}}', 422, "#/options/disable/0"),
        (b'{"sql": "SELECT \'\\ud800\'"}', 422, "#/sql"),
        (b"[" * 100_000, 400, None),
    ],
)
def test_a_body_of_the_wrong_shape(server: Running, body: bytes, status: int, pointer: str | None) -> None:
    document = problem(server.client.post("/v1/query", content=body, headers=JSON), status)
    if pointer is not None:
        assert pointer in [fault["pointer"] for fault in document["errors"]]


@pytest.mark.parametrize(
    ("sql", "more", "sqlstate", "position"),
    [
        ("SELEC 1", {}, "42601", 7),
        ("SELECT * FROM f.smal", {}, "42P01", 15),
        ("SELECT * FROM nowhere.t", {}, "3F000", 15),
        ("SELECT nothing FROM f.small", {}, "42703", 8),
        ("SELECT a FROM f.small WHERE nofunction(a)", {}, "42883", 29),
        ("SELECT 1; SELECT 2", {}, "42601", None),
        ("DROP TABLE f.small", {}, "25006", None),
        ("SELECT $a", {}, "42P02", None),
        ("SELECT $a", {"params": {"b": 1}}, "42P02", None),
        ("SELECT ?", {"params": [1, 2]}, "42000", None),
        ("SELECT $a", {"params": {"a": {"type": "NONSENSE", "value": "1"}}}, "42000", None),
        (" ", {}, "42601", None),
    ],
)
def test_a_wrong_statement(
    server: Running, sql: str, more: dict[str, Any], sqlstate: str, position: int | None
) -> None:
    document = problem(server.query(sql, **more), 400)
    assert document["sqlstate"] == sqlstate
    assert document.get("position") == position
    assert document["retryable"] is False
    assert server.client.get(f"/v1/queries/{document['query_id']}").json()["sql"] == sql


def test_values_that_cannot_be_computed_with(server: Running) -> None:
    document = problem(server.query("SELECT CAST('x' AS INTEGER)"), 422)
    assert document["sqlstate"] == "22P02"


def test_time_runs_out(server: Running) -> None:
    slow = "SELECT count(*) FROM range(100000000) a(i), range(1000) b(j) WHERE a.i * b.j % 7 = 3"
    document = problem(server.query(slow, timeout=0.2), 408)
    assert document["sqlstate"] == "57014"


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "*/*;q=0"])
def test_formats_that_there_are_not(server: Running, accept: str) -> None:
    document = problem(server.query("SELECT 1", accept), 406)
    assert "text/csv" in document["hint"]


def test_codings_that_are_all_refused(server: Running) -> None:
    headers = {"Accept-Encoding": "identity;q=0, br"}
    problem(server.client.post("/v1/query", json={"sql": "SELECT 1"}, headers=headers), 406)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/plain;application/json"])
def test_a_body_that_a_web_page_could_send(server: Running, kind: str) -> None:
    problem(server.client.post("/v1/query", content=b'{"sql": "SELECT 1"}', headers={"Content-Type": kind}), 415)


@pytest.mark.parametrize("origin", ["https://evil.example.org", "null", "", "http://127.0.0.1", "file://"])
def test_a_page_from_elsewhere(server: Running, origin: str) -> None:
    problem(server.client.post("/v1/catalog/reload", headers={"Origin": origin}), 403)
    own = {"Origin": server.url}
    assert server.client.post("/v1/query", json={"sql": "SELECT 1"}, headers=own).status_code == 200


def test_another_host_than_this_machine(server: Running) -> None:
    for host in ("evil.example.org", "evil.example.org:8470", "", "[::", "127.0.0.1.evil.org"):
        problem(server.client.get("/v1/queries", headers={"Host": host}), 421)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/query", 405),
        ("PUT", "/v1/queries", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/queries/0123456789abcdef", 404),
        ("DELETE", "/v1/queries/0123456789abcdef", 404),
        ("GET", "/v1/queries/0123456789abcdef/events", 404),
        ("GET", "/v1/queries/!", 422),
        ("GET", "/v1/queries?state=nonsense", 422),
        ("GET", "/v1/catalog/table", 422),
        ("GET", "/v1/catalog/table?source=f&name=nothing", 400),
        ("GET", "/v1/catalog/tables?source=nothing", 404),
    ],
)
def test_wrong_addresses(server: Running, method: str, path: str, status: int) -> None:
    document = problem(server.client.request(method, path), status)
    assert document["detail"]


def test_a_body_that_is_too_large(server: Running) -> None:
    problem(server.client.post("/v1/query", json={"sql": "SELECT 1 -- " + "x" * (2 << 20)}), 413)


def test_a_body_that_is_too_large_and_does_not_say_so(server: Running) -> None:
    pieces = (b" " * 65536 for _ in range(1000))
    with suppress(httpx.WriteError, httpx.ReadError):  # it may close before everything was sent
        problem(server.client.post("/v1/query", content=pieces, headers=JSON), 413)


def test_http_1_0_is_told_that_it_cannot_see_a_broken_answer(server: Running) -> None:
    body = b'{"sql": "SELECT 1"}'
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.sendall(
            b"POST /v1/query HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body
        )
        assert b" 505 " in plain.makefile("rb").readline()


@pytest.mark.parametrize("query_id", ["short", "with space", "x" * 65, "é" * 10])
def test_ids_that_are_none(server: Running, query_id: str) -> None:
    headers = {"Federation-Query-Id": query_id.encode()}
    answer = server.client.post("/v1/query", json={"sql": "SELECT 1"}, headers=headers)  # type: ignore[arg-type]
    problem(answer, 422)


def test_an_id_that_is_taken(server: Running) -> None:
    headers = {"Federation-Query-Id": "chosen-by-the-caller"}
    assert server.client.post("/v1/query", json={"sql": "SELECT 1"}, headers=headers).status_code == 200
    problem(server.client.post("/v1/query", json={"sql": "SELECT 1"}, headers=headers), 409)


def test_the_server_still_answers(server: Running) -> None:
    assert server.query("SELECT 1").json()["rows"] == [[1]]
