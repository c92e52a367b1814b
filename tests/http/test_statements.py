"""Statements: queries without a connection, whose results stay, whatever becomes of the server."""

from __future__ import annotations

import base64
import hmac
import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from federation.http.errors import ResultTooLarge
from federation.http.results import Results
from tests.http.running import ROWS, Running, run, start_server, write_sample
from tests.waiting import SECONDS, eventually

ARROW = {"Accept": "application/vnd.apache.arrow.stream"}
SLOW = "SELECT count(*) FROM range(100000000) a(i), range(100000) b(j) WHERE a.i * b.j % 7 = 3"


def create(server: Running, sql: str, headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    answer = server.client.post("/v1/statements", json={"sql": sql, **more}, headers=headers)
    assert answer.status_code == 202, answer.text
    document: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/statements/{document['statement_id']}"
    return document


def state(server: Running, statement_id: str) -> dict[str, Any]:
    document: dict[str, Any] = server.client.get(f"/v1/statements/{statement_id}").json()
    return document


def ended(server: Running, statement_id: str) -> dict[str, Any]:
    eventually(lambda: state(server, statement_id)["ended"] is not None)
    return state(server, statement_id)


def test_a_result_can_be_fetched_several_times_and_in_pages(server: Running) -> None:
    made = create(server, "SELECT id, name FROM f.numbers ORDER BY id")
    done = ended(server, made["statement_id"])
    assert done["state"] == "finished"
    assert done["rows"] == ROWS
    assert [each["name"] for each in done["columns"]] == ["id", "name"]
    for _ in range(2):
        answer = server.client.get(done["result"], headers=ARROW)
        assert pa.ipc.open_stream(answer.content).read_all().column(0).to_pylist() == list(range(ROWS))
    seen: list[int] = []
    link: str | None = f"{done['result']}?limit=70000"
    while link is not None:
        page = server.client.get(link)
        seen += [row[0] for row in page.json()["rows"]]
        link = page.links.get("next", {}).get("url")
    assert seen == list(range(ROWS))
    past = server.client.get(f"{done['result']}?offset={ROWS}&limit=10").json()
    assert past["rows"] == []
    for number in ("1_000", "+1", "1.0", "%201", "1e1", "\uff11", ""):
        refused = server.client.get(f"{done['result']}?limit={number}")
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "query: limit"), number


def test_a_statement_that_fails(server: Running) -> None:
    done = ended(server, create(server, "SELECT * FROM f.nothing")["statement_id"])
    assert done["state"] == "failed"
    assert done["error"]["sqlstate"] == "42P01"
    assert done["error"]["position"] == 15
    answer = server.client.get(f"/v1/statements/{done['statement_id']}/result")
    assert answer.status_code == 409
    assert answer.json()["sqlstate"] == "42P01"


def test_a_statement_that_fails_late_has_no_result(server: Running) -> None:
    done = ended(server, create(server, "SELECT * FROM lite.late")["statement_id"])
    assert done["state"] == "failed"
    assert done["error"]["source"] == "lite"
    assert not list((server.folder / "state" / "results").glob(f"{done['statement_id']}*"))


def test_cancel_and_delete(server: Running) -> None:
    statement_id = create(server, SLOW)["statement_id"]
    eventually(lambda: state(server, statement_id)["state"] == "running")
    answer = server.client.get(f"/v1/statements/{statement_id}/result")
    assert answer.status_code == 409
    assert "retry-after" in answer.headers
    assert server.client.delete(f"/v1/statements/{statement_id}").status_code == 204
    assert ended(server, statement_id)["state"] == "cancelled"
    assert server.client.delete(f"/v1/statements/{statement_id}").status_code == 204
    assert server.client.get(f"/v1/statements/{statement_id}").status_code == 404


def test_it_is_among_the_queries(server: Running) -> None:
    statement_id = create(server, SLOW)["statement_id"]
    eventually(lambda: state(server, statement_id)["state"] == "running")
    running = server.client.get("/v1/queries", params={"state": "running"}).json()["queries"]
    assert statement_id in [each["query_id"] for each in running]
    assert server.client.delete(f"/v1/queries/{statement_id}").status_code == 204
    assert ended(server, statement_id)["state"] == "cancelled"


def test_an_idempotency_key_makes_one_statement(server: Running) -> None:
    headers = {"Idempotency-Key": "once"}
    first = create(server, "SELECT 1", headers)
    assert create(server, "SELECT 1", headers)["statement_id"] == first["statement_id"]
    answer = server.client.post("/v1/statements", json={"sql": "SELECT 2"}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["sqlstate"] == "42710"


def test_an_idempotency_key_under_many_at_once(server: Running) -> None:
    found: list[str] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(create(server, "SELECT 3", {"Idempotency-Key": "many"})["statement_id"])
        )
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 10
    assert len(set(found)) == 1


def test_max_rows_and_parameters(server: Running) -> None:
    made = create(server, "SELECT id + $n FROM f.numbers ORDER BY id", params={"n": 5}, max_rows=3)
    done = ended(server, made["statement_id"])
    assert done["stats"]["truncated"] is True
    assert server.client.get(done["result"]).json()["rows"] == [[5], [6], [7]]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    write_sample(tmp_path)
    return tmp_path


def test_statements_survive_a_crash(own: Path) -> None:
    with start_server(own) as server:
        finished = ended(server, create(server, "SELECT id FROM f.numbers ORDER BY id")["statement_id"])
        running = create(server, SLOW)["statement_id"]
        eventually(lambda: state(server, running)["state"] == "running")
        server.signal(signal.SIGKILL)
        server.process.wait()
    (own / "state" / "results" / "left.partial").write_bytes(b"half")
    with start_server(own) as server:
        assert state(server, finished["statement_id"])["rows"] == ROWS
        answer = server.client.get(finished["result"], headers=ARROW)
        assert pa.ipc.open_stream(answer.content).read_all().num_rows == ROWS
        interrupted = state(server, running)
        assert interrupted["state"] == "interrupted"
        assert interrupted["error"]["sqlstate"] == "57P01"
        assert interrupted["error"]["retryable"] is True
        assert server.client.get(f"/v1/statements/{running}/result").status_code == 409
        assert not (own / "state" / "results" / "left.partial").exists()


def test_statements_of_a_server_that_is_ended(own: Path) -> None:
    with start_server(own, "--drain", "200ms") as server:
        running = create(server, SLOW)["statement_id"]
        eventually(lambda: state(server, running)["state"] == "running")
        server.signal(signal.SIGTERM)
        assert server.process.wait(SECONDS) == -signal.SIGTERM
    with start_server(own) as server:
        assert state(server, running)["state"] == "interrupted"


def test_results_expire(own: Path) -> None:
    with start_server(own, "--result-ttl", "1s") as server:
        made = create(server, "SELECT 1")
        eventually(lambda: server.client.get(f"/v1/statements/{made['statement_id']}").status_code == 404)
        assert not list((own / "state" / "results").iterdir())


def test_two_servers_do_not_share_a_state_folder(own: Path) -> None:
    with start_server(own):
        done = run("serve", "-c", str(own / "federation.toml"), "--state", str(own / "state"))
    assert done.returncode == 1
    assert "another server uses the state folder" in done.stderr


def test_a_result_that_has_no_room(tmp_path: Path) -> None:
    results = Results(tmp_path / "r", most=1000)
    batch = pa.record_batch({"x": [str(number) for number in range(10_000)]})
    with pytest.raises(ResultTooLarge):
        results.write("one", batch.schema, iter([batch, batch]))
    assert list((tmp_path / "r").iterdir()) == []


class Hook:
    """A server that is called back. `refuse` so many calls first."""

    def __init__(self, refuse: int = 0) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(500 if len(hook.calls) <= refuse else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook(refuse=2)
    yield hook
    hook.close()


SECRET = "0123456789abcdef01234567"


def test_a_callback_is_signed_and_tried_again(tmp_path: Path, hook: Hook) -> None:
    write_sample(tmp_path, f'\n[callbacks]\nhosts = ["{hook.host}"]\nsecret = "{SECRET}"\n')
    with start_server(tmp_path) as server:
        made = create(server, "SELECT 1", callback=f"http://{hook.host}/done")
        eventually(lambda: len(hook.calls) == 3)
        assert ended(server, made["statement_id"])["state"] == "finished"
    for headers, body in hook.calls:
        assert json.loads(body)["statement_id"] == headers["webhook-id"] == made["statement_id"]
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.digest(SECRET.encode(), content, "sha256")).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
    assert json.loads(hook.calls[0][1])["type"] == "statement.finished"


def test_a_callback_is_owed_after_a_crash(tmp_path: Path, hook: Hook) -> None:
    write_sample(tmp_path, f'\n[callbacks]\nhosts = ["{hook.host}"]\nsecret = "{SECRET}"\n')
    with start_server(tmp_path) as server:
        made = create(server, SLOW, callback=f"http://{hook.host}/done")
        eventually(lambda: state(server, made["statement_id"])["state"] == "running")
        server.signal(signal.SIGKILL)
        server.process.wait()
    assert hook.calls == []
    with start_server(tmp_path):
        eventually(lambda: len(hook.calls) == 3)
    assert json.loads(hook.calls[0][1])["type"] == "statement.interrupted"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://evil.example.org/", "ftp://x/", "nonsense", "http://a@b/", "http://[", ""]
)
def test_a_callback_to_a_host_that_is_not_allowed(server: Running, url: str) -> None:
    answer = server.client.post("/v1/statements", json={"sql": "SELECT 1", "callback": url})
    assert answer.status_code == 422
