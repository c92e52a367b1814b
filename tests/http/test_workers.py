"""`federation serve --workers 2`: one server, whichever of its processes answers, and whatever becomes of one."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import psycopg
import pyarrow as pa
import pytest

from federation.http.state import SCHEMA, State
from tests.http.running import ROWS, Running, can_connect, free_port, run, start_server, write_sample
from tests.pgwire.raw import Raw, errors, query
from tests.pgwire.running import Postgres, start_face
from tests.waiting import SECONDS, eventually

ARROW = {"Accept": "application/vnd.apache.arrow.stream"}
SLOW = "SELECT count(*) FROM range(100000000) a(i), range(100000) b(j) WHERE a.i * b.j % 7 = 3"
LONG = "SELECT padding FROM lite.late LIMIT 499999"


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    folder = tmp_path_factory.mktemp("workers")
    write_sample(folder)
    with start_face(folder, "--workers", "2") as running:
        yield running


@pytest.fixture(scope="module")
def clients(face: Postgres) -> Iterator[list[httpx.Client]]:
    with one_for_each(face.http) as found:
        yield found


def workers(server: Running) -> list[int]:
    """Their process ids."""
    return [each for each in server.pids() if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def counted(client: httpx.Client, name: str) -> Counter[str]:
    """The samples of a metric, added up by worker."""
    found: Counter[str] = Counter()
    for labels, value in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", client.get("/metrics").text, re.MULTILINE):
        worker = re.search(r'worker="(\d+)"', labels)
        found[worker[1] if worker else ""] += float(value)  # type: ignore[assignment]
    return found


def worker_of(client: httpx.Client) -> str:
    """The number of the one that has the client's connection."""
    before = counted(client, "federation_query_seconds_count")
    assert client.post("/v1/query", json={"sql": "SELECT 1"}).status_code == 200
    (found,) = counted(client, "federation_query_seconds_count") - before
    return found


@contextmanager
def one_for_each(server: Running) -> Iterator[list[httpx.Client]]:
    """A client of each worker, whose connection stays open; by their numbers."""
    found: dict[str, httpx.Client] = {}
    with ExitStack() as held:
        while len(found) < 2:
            client = held.enter_context(httpx.Client(base_url=server.url, timeout=60, trust_env=False))
            found.setdefault(worker_of(client), client)
        yield [found["0"], found["1"]]


def in_thread(client: httpx.Client, sql: str, query_id: str) -> tuple[threading.Thread, list[httpx.Response]]:
    answers: list[httpx.Response] = []

    def ask() -> None:
        headers = {"Federation-Query-Id": query_id}
        answers.append(client.post("/v1/query", json={"sql": sql}, headers=headers))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, answers


# --- one server -------------------------------------------------------------------------------------------------------


def test_connections_are_shared_out_evenly(face: Postgres) -> None:
    with ExitStack() as held:
        before = counted(face.http.client, "federation_http_requests_total")
        for _ in range(16):
            client = held.enter_context(httpx.Client(base_url=face.http.url, trust_env=False))
            client.get("/health/live").raise_for_status()
        after = counted(face.http.client, "federation_http_requests_total")
    shares = [after[each] - before[each] for each in "01"]
    assert min(shares) >= 6  # those of other tests count as well
    assert sum(shares) == 17  # with the one that asked for the figures


def test_a_query_of_another_worker(clients: list[httpx.Client]) -> None:
    own, other = clients
    thread, answers = in_thread(own, SLOW, "of-worker-0")
    eventually(lambda: other.get("/v1/queries/of-worker-0").json().get("state") == "running")
    listed = other.get("/v1/queries", params={"state": "running"}).json()
    assert [each["query_id"] for each in listed["queries"]] == ["of-worker-0"]
    assert listed["silent_workers"] == []
    for client in clients:
        sql = "SELECT state, caller FROM system.queries WHERE query_id = 'of-worker-0'"
        assert client.post("/v1/query", json={"sql": sql}).json()["rows"] == [["running", "anonymous"]]
    events = []
    with other.stream("GET", "/v1/queries/of-worker-0/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                events.append(line.removeprefix("event: "))
                if len(events) == 1:
                    with httpx.Client(base_url=other.base_url, trust_env=False, timeout=60) as third:
                        assert third.delete("/v1/queries/of-worker-0").status_code == 204
    assert (events[0], events[-1]) == ("progress", "end")
    thread.join(SECONDS)
    assert answers[0].status_code == 409
    assert answers[0].json()["detail"] == "the query was cancelled by anonymous"
    for client in clients:
        assert client.get("/v1/queries/of-worker-0").json()["state"] == "cancelled"
        assert client.get("/v1/queries/of-nobody").status_code == 404
        assert client.delete("/v1/queries/of-nobody").status_code == 404
        assert client.get("/v1/queries/of-nobody/events").status_code == 404


def test_a_query_is_cancelled_by_another_worker(clients: list[httpx.Client]) -> None:
    other, own = clients
    thread, answers = in_thread(own, SLOW, "of-worker-1")
    eventually(lambda: other.delete("/v1/queries/of-worker-1").status_code == 204)
    thread.join(SECONDS)
    assert answers[0].json()["sqlstate"] == "57014"


def test_figures_are_those_of_all_workers(clients: list[httpx.Client]) -> None:
    name = "federation_queries_total"
    before = counted(clients[0], name)
    for client, times in zip(clients, (2, 3), strict=True):
        for _ in range(times):
            client.post("/v1/query", json={"sql": "SELECT 1"})
    for client in clients:
        assert counted(client, name) - before == {"0": 2, "1": 3}
    text = clients[0].get("/metrics").text
    types = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(types) == len(set(types))
    assert re.findall(r"^federation_worker_up.*", text, re.MULTILINE) == [
        'federation_worker_up{worker="0"} 1.0',
        'federation_worker_up{worker="1"} 1.0',
    ]


def test_statements_of_another_worker(clients: list[httpx.Client]) -> None:
    own, other = clients
    body = {"sql": "SELECT id FROM f.numbers"}
    made = [each.post("/v1/statements", json=body, headers={"Idempotency-Key": "k"}).json() for each in clients]
    assert made[0]["statement_id"] == made[1]["statement_id"]
    conflict = other.post("/v1/statements", json={"sql": "SELECT 1"}, headers={"Idempotency-Key": "k"})
    assert conflict.status_code == 422
    path = f"/v1/statements/{made[0]['statement_id']}"
    eventually(lambda: other.get(path).json()["state"] == "finished")
    for each in clients:
        assert pa.ipc.open_stream(each.get(f"{path}/result", headers=ARROW).content).read_all().num_rows == ROWS
    assert other.delete(path).status_code == 204
    assert own.get(path).status_code == 404


def test_idempotency_at_the_same_time(clients: list[httpx.Client]) -> None:
    found: list[str] = []

    def ask(client: httpx.Client, key: str) -> None:
        headers = {"Idempotency-Key": key}
        found.append(client.post("/v1/statements", json={"sql": "SELECT 1"}, headers=headers).json()["statement_id"])

    for number in range(10):
        threads = [threading.Thread(target=ask, args=[each, f"same {number}"]) for each in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 20
    assert len(set(found)) == 10


def test_a_statement_is_cancelled_by_another_worker(clients: list[httpx.Client]) -> None:
    own, other = clients
    sql = "SELECT a.padding FROM lite.late a, range(1000)"
    path = own.post("/v1/statements", json={"sql": sql}).headers["location"]
    eventually(lambda: other.get(path).json()["sources"])  # its progress
    listed = other.get("/v1/statements").json()["statements"]
    assert next(each for each in listed if each["sql"] == sql)["sources"][0]["source"] == "lite"
    assert other.delete(path).status_code == 204
    eventually(lambda: other.get(path).json()["state"] == "cancelled")


def test_a_catalog_is_read_again_by_all(face: Postgres, clients: list[httpx.Client]) -> None:
    path = face.http.folder / "federation.toml"
    good = path.read_text()

    def asked(table: str) -> list[int]:
        return [each.post("/v1/query", json={"sql": f"SELECT * FROM {table}"}).status_code for each in clients]

    try:
        path.write_text(good.replace("[sources.f]", "[sources.g]").replace("f.", "g."))
        assert clients[1].post("/v1/catalog/reload").status_code == 200
        assert (asked("g.small"), asked("f.small")) == ([200, 200], [400, 400])
        path.write_text("[sources.x]\nadaptor = 1\n")
        assert clients[0].post("/v1/catalog/reload").status_code == 500
        assert asked("g.small") == [200, 200]
    finally:
        path.write_text(good)
    face.http.signal(signal.SIGHUP)
    eventually(lambda: asked("f.small") == [200, 200])


def test_what_only_siblings_may_ask(clients: list[httpx.Client]) -> None:
    headers = {"federation-caller": "user:ada"}
    assert clients[0].post("/internal/invalidated", json={}, headers=headers).status_code == 404
    assert clients[0].post("/internal/cancel", json={"pid": 1, "secret": ""}, headers=headers).status_code == 404
    assert clients[0].post("/internal/backends", headers=headers).status_code == 404
    ending = {"pid": 1, "how": "terminate"}
    assert clients[0].post("/internal/end", json=ending, headers=headers).status_code == 404
    clients[0].post("/v1/query", json={"sql": "SELECT 'nobody'"}, headers=headers)
    queries = clients[0].get("/v1/queries").json()["queries"]
    assert {each["user"] for each in queries} == {"anonymous"}


# --- PostgreSQL's protocol --------------------------------------------------------------------------------------------


def running(face: Postgres) -> int:
    return len(face.http.client.get("/v1/queries", params={"state": "running"}).json()["queries"])


def test_a_session_of_another_worker_is_cancelled(face: Postgres) -> None:
    with ExitStack() as held:
        sessions: dict[int, Raw] = {}
        while len(sessions) < 2:
            raw = held.enter_context(Raw(face.port)).log_in()
            sessions.setdefault(struct.unpack("!I", raw.key[:4])[0] % 2, raw)
        for session in sessions.values():  # one of them is not the one of whoever takes the request
            session.send(query("SET dialect = 'duckdb'"), query(SLOW))
            session.until()
            eventually(lambda: running(face))
            with Raw(face.port) as other:
                other.send(struct.pack("!II", 16, 80877102) + session.key[:4] + b"\0\0\0\0")
                assert other.rest() == []
            assert running(face)
            with Raw(face.port) as other:
                other.send(struct.pack("!II", 16, 80877102) + session.key)
                assert other.rest() == []
            assert errors(session.until()) == ["57014"]


def test_psql_is_interrupted(face: Postgres) -> None:
    sql = "SELECT count(*) FROM f.numbers a, f.numbers b, f.numbers c WHERE a.x + b.x < c.x"
    for _ in range(2):
        with subprocess.Popen(
            ["psql", "-X", face.uri, "-c", sql], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            eventually(lambda: running(face))
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=SECONDS)
        assert "canceling statement due to user request" in said


def test_sessions_of_all_workers_hear_of_an_invalidation(face: Postgres) -> None:
    with ExitStack() as held:
        sessions: dict[int, psycopg.Connection] = {}
        while len(sessions) < 2:
            connection = held.enter_context(psycopg.connect(face.uri, autocommit=True))
            sessions.setdefault(connection.info.backend_pid % 2, connection)
        for each in sessions.values():
            each.execute("LISTEN federation_invalidation")
        for name, each in zip(("f", "lite"), sessions.values(), strict=True):
            each.execute(f"CALL system.invalidate('{name}')")
            for listener in sessions.values():
                assert [said.payload for said in listener.notifies(timeout=60, stop_after=1)] == [name]


# --- the end of a worker, and of all ----------------------------------------------------------------------------------


def test_a_worker_that_is_killed_and_the_parent(tmp_path: Path) -> None:
    write_sample(tmp_path)
    with start_face(tmp_path, "--workers", "2") as face:
        server = face.http
        pids = workers(server)
        with one_for_each(server) as (doomed, other):
            path = doomed.post("/v1/statements", json={"sql": SLOW}).headers["location"]
            eventually(lambda: other.get(path).json()["state"] == "running")
            body, csv = {"sql": LONG}, {"Accept": "text/csv"}
            with (
                doomed.stream("POST", "/v1/query", json=body, headers=csv) as broken,
                other.stream("POST", "/v1/query", json=body, headers=csv) as whole,
            ):
                lines, rest = whole.iter_lines(), broken.iter_lines()
                next(lines)
                next(rest)
                os.kill(pids[0], signal.SIGKILL)
                with pytest.raises(httpx.TransportError):
                    for _ in rest:
                        pass
                assert sum(1 for _ in lines) == 499_999
            eventually(lambda: other.get(path).json()["state"] == "interrupted")
            assert other.get(path).json()["error"]["sqlstate"] == "57P01"
            eventually(lambda: other.get("/v1/queries").json()["silent_workers"] == [])
        after = workers(server)
        assert pids[1] in after
        assert len(after) == 2
        with one_for_each(server) as (_, other):  # it is back
            os.kill(after[-1], signal.SIGSTOP)  # the new one, which is number 0
            assert other.get("/v1/queries").json()["silent_workers"] == [0]
            assert other.get("/v1/queries/of-nobody").status_code == 503
            shown = other.post("/v1/query", json={"sql": "SELECT * FROM system.queries"}).json()
            assert shown["detail"] == "the server's workers 0 did not answer"
            assert other.post("/v1/query", json={"sql": "SELECT 1"}).status_code == 200
            server.process.kill()
            server.process.wait()
            os.kill(after[-1], signal.SIGCONT)
        eventually(lambda: not any(alive(each) for each in after))
        for port in (server.port, face.port):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))


def test_a_drain_of_all_workers(tmp_path: Path) -> None:
    write_sample(tmp_path)
    with start_server(tmp_path, "--workers", "2") as server:
        assert (tmp_path / "server.log").read_text().count("running on") == 1  # when all are ready
        with one_for_each(server) as clients, ExitStack() as held:
            body, csv = {"sql": LONG}, {"Accept": "text/csv"}
            answers = [held.enter_context(each.stream("POST", "/v1/query", json=body, headers=csv)) for each in clients]
            lines = [each.iter_lines() for each in answers]
            for each in lines:
                next(each)
            server.signal(signal.SIGTERM)
            eventually(lambda: not can_connect(server.port))
            assert [sum(1 for _ in each) for each in lines] == [499_999, 499_999]
        assert server.process.wait(SECONDS) == -signal.SIGTERM


def test_what_keeps_it_from_starting(tmp_path: Path, face: Postgres) -> None:
    write_sample(tmp_path)
    file, state = str(tmp_path / "federation.toml"), str(tmp_path / "state")
    serve = ["serve", "-c", file, "--state", state, "--workers", "2"]
    taken = str(face.http.port)
    done = run(*serve, "--http-port", taken, "--no-pg")
    assert (done.returncode, "--http-port" in done.stderr) == (1, True)
    done = run(*serve, "--http-port", str(free_port()), "--pg-port", taken)
    assert (done.returncode, "--pg-port" in done.stderr) == (1, True)
    assert not (tmp_path / "state").exists()  # nothing was begun
    (tmp_path / "federation.toml").write_text("[sources.x]\nadaptor = 1\n")
    done = run(*serve, "--http-port", str(free_port()), "--no-pg")
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR F0000: ")
    assert "sources.x.adapter: this key is missing" in done.stderr


def test_a_state_folder_of_before(tmp_path: Path) -> None:
    old = SCHEMA.replace(",\n    runner INTEGER NOT NULL DEFAULT 0", "")
    assert old != SCHEMA
    with sqlite3.connect(tmp_path / "state.sqlite") as database:
        database.executescript(old)
    state = State(tmp_path)
    assert state.rows("SELECT runner FROM statements") == []
    state.close()
