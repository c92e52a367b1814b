"""What a server goes through: clients that leave or read slowly, reloads, a drain, sources that die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import federation
import federation.aio
from tests.http.running import ROWS, Running, can_connect, run, start_server, write_sample
from tests.servers import Server, start_postgres
from tests.waiting import SECONDS, eventually

BIG_ROWS, BIG_WIDTH = 600_000, 400
SLOW = "SELECT count(*) FROM range(100000000) a(i), range(100000) b(j) WHERE a.i * b.j % 7 = 3"
ARROW = {"Accept": "application/vnd.apache.arrow.stream"}


@pytest.fixture(scope="module")
def postgres(postgres_server: Server) -> Iterator[str]:
    """The URI of a database with a table of some 300 MB, `big`."""
    uri = postgres_server.create_database("http")
    postgres_server.run("SELECT 1")
    from tests.servers import run_sql

    rows = f"SELECT i AS id, repeat('x', {BIG_WIDTH}) AS padding FROM generate_series(1, {BIG_ROWS}) t(i)"
    run_sql(uri, f"CREATE TABLE big AS {rows}")
    yield uri


@pytest.fixture(scope="module")
def with_postgres(tmp_path_factory: pytest.TempPathFactory, postgres: str) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("postgres")
    write_sample(folder, f'\n[sources.pg]\nadapter = "postgres"\nuri = "{postgres}"\n')
    with start_server(folder) as server:
        yield server


def statements_at(postgres: str) -> int:
    """How many statements of others run or wait for their reader at PostgreSQL."""
    from tests.servers import run_sql

    sql = "SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND pid <> pg_backend_pid() AND datname = 'http'"
    return int(run_sql(postgres, sql))


def post(server: Running, sql: str, query_id: str = "") -> socket.socket:
    """A connection on which the query was asked and nothing is read."""
    body = json.dumps({"sql": sql}).encode()
    connection = socket.create_connection(("127.0.0.1", server.port))
    head = f"POST /v1/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    head += f"Federation-Query-Id: {query_id}\r\n" if query_id else ""
    connection.sendall(f"{head}Content-Type: application/json\r\nAccept: {ARROW['Accept']}\r\n\r\n".encode() + body)
    return connection


def twenty_queries(server: Running) -> float:
    """The seconds that they take."""
    started = time.monotonic()
    for _ in range(20):
        assert server.query("SELECT count(*) FROM f.small").json()["rows"] == [[2]]
    return time.monotonic() - started


def memory(server: Running) -> int:
    """Resident bytes of the process."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("read_first", [True, False])
def test_a_client_that_leaves_frees_its_query_at_the_source(
    with_postgres: Running, postgres: str, read_first: bool
) -> None:
    sql = "SELECT * FROM pg.big" if read_first else "SELECT a.id FROM pg.big a JOIN pg.big b ON a.id % 7 = b.id % 7"
    eventually(lambda: statements_at(postgres) == 0)
    connection = post(with_postgres, sql if read_first else sql + " WHERE a.padding || b.padding = 'y'")
    if read_first:
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
    eventually(lambda: statements_at(postgres) > 0)
    connection.close()
    eventually(lambda: statements_at(postgres) == 0, 5.0)  # a fraction of a second, and as long as psql takes to start
    eventually(lambda: with_postgres.client.get("/v1/queries").json()["queries"][0]["state"] == "cancelled")


def test_a_slow_reader_holds_bounded_memory_and_slows_nobody(with_postgres: Running, postgres: str) -> None:
    with_postgres.query("SELECT count(*) FROM pg.big")
    alone = twenty_queries(with_postgres)
    before = memory(with_postgres)
    readers = [post(with_postgres, "SELECT * FROM pg.big") for _ in range(3)]
    for reader in readers:
        assert reader.recv(100).startswith(b"HTTP/1.1 200")
    time.sleep(2)
    # Each may have 32 MiB on its way from the source, and a few chunks on theirs to the client.
    assert memory(with_postgres) - before < 0.5 * len(readers) * BIG_ROWS * BIG_WIDTH
    assert twenty_queries(with_postgres) < 4 * alone + 1
    for reader in readers:
        reader.close()
    eventually(lambda: statements_at(postgres) == 0)


def test_a_slow_reader_of_files_holds_bounded_memory(server: Running) -> None:
    """DuckDB is ahead of its readers, and waits for them."""
    before = memory(server)
    readers = [post(server, "SELECT n.* FROM f.numbers n, range(1000)") for _ in range(3)]
    for reader in readers:
        assert reader.recv(100).startswith(b"HTTP/1.1 200")
    sizes = [0]
    while len(sizes) < 3 or sizes[-1] > sizes[-3] + (8 << 20):  # until it grows no more: of 10 GB each
        time.sleep(1)
        sizes.append(memory(server) - before)
        assert sizes[-1] < len(readers) * (96 << 20)
    for reader in readers:
        reader.close()
    eventually(lambda: not server.client.get("/v1/queries?state=running").json()["queries"], 5.0)


def test_a_source_that_dies_and_another_that_answers(tmp_path: Path) -> None:
    from tests.servers import run_sql

    source = start_postgres()
    try:
        run_sql(source.uri, "CREATE TABLE big AS SELECT i, repeat('x', 400) AS p FROM generate_series(1, 600000) t(i)")
        write_sample(tmp_path, f'\n[sources.pg]\nadapter = "postgres"\nuri = "{source.uri}"\n')
        with start_server(tmp_path) as server:
            body = {"sql": "SELECT * FROM pg.big"}
            with (
                server.client.stream("POST", "/v1/query", json=body, headers=ARROW) as answer,
                pytest.raises(httpx.RemoteProtocolError),
            ):
                for number, _ in enumerate(answer.iter_raw()):
                    if number == 0:
                        subprocess.run(["kill", "-9", (source.folder / "pid").read_text().strip()], check=True)
            detail = server.client.get(f"/v1/queries/{answer.headers['federation-query-id']}").json()
            assert detail["state"] == "failed"
            assert detail["error"]["sqlstate"].startswith(("08", "57", "HV"))
            assert detail["error"]["source"] == "pg"
            assert server.query("SELECT count(*) FROM f.numbers").json()["rows"] == [[ROWS]]
            again = server.query("SELECT count(*) FROM pg.big")
            assert again.status_code == 503
            assert again.headers["retry-after"]
            assert again.json()["retryable"] is True
            ready = server.client.get("/health/ready")
            assert ready.status_code == 200
            assert ready.json()["status"] == "degraded"
            assert ready.json()["sources"]["pg"]["ok"] is False
    finally:
        source.stop()


def test_cancel_by_an_id_of_the_callers_choice(server: Running) -> None:
    answers: list[httpx.Response] = []

    def ask() -> None:
        headers = {"Federation-Query-Id": "to-be-cancelled"}
        answers.append(server.client.post("/v1/query", json={"sql": SLOW}, headers=headers))

    thread = threading.Thread(target=ask)
    thread.start()
    eventually(lambda: server.client.get("/v1/queries/to-be-cancelled").status_code == 200)
    assert server.client.delete("/v1/queries/to-be-cancelled").status_code == 204
    thread.join(SECONDS)
    assert answers[0].status_code == 409
    assert answers[0].json()["sqlstate"] == "57014"


def test_events_of_a_query(server: Running) -> None:
    query_id = "to-be-followed"
    connection = post(server, SLOW, query_id)
    eventually(lambda: server.client.get(f"/v1/queries/{query_id}").json().get("state") == "running")
    events: list[tuple[str, dict[str, Any]]] = []
    with server.client.stream("GET", f"/v1/queries/{query_id}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((name, json.loads(line.removeprefix("data: "))))
                connection.close()
    assert events[0][0] == "progress"
    assert events[-1][0] == "end"
    assert events[-1][1]["state"] == "cancelled"
    assert events[-1][1]["error"]["detail"] == "the client went away"


def test_reload_does_not_touch_what_runs(tmp_path: Path) -> None:
    write_sample(tmp_path)
    catalog = tmp_path / "federation.toml"
    with start_server(tmp_path) as server:
        body = {"sql": "SELECT padding FROM lite.late LIMIT 499999"}
        with server.client.stream("POST", "/v1/query", json=body, headers={"Accept": "text/csv"}) as answer:
            lines = answer.iter_lines()
            next(lines)
            catalog.write_text(catalog.read_text().replace("[sources.f]", "[sources.g]").replace("f.", "g."))
            assert server.client.post("/v1/catalog/reload").status_code == 200
            assert server.query("SELECT count(*) FROM g.small").json()["rows"] == [[2]]
            assert server.query("SELECT count(*) FROM f.small").status_code == 400
            good = catalog.read_text()
            catalog.write_text("[sources.x]\nadaptor = 1\n[nonsense]\n")
            refused = server.client.post("/v1/catalog/reload")
            assert refused.status_code == 500
            assert "faults" in refused.json()["detail"]
            assert server.query("SELECT count(*) FROM g.small").json()["rows"] == [[2]]
            catalog.write_text(good.replace("[sources.g]", "[sources.h]").replace("g.", "h."))
            server.signal(signal.SIGHUP)
            eventually(lambda: server.query("SELECT count(*) FROM h.small").status_code == 200)
            assert sum(1 for _ in lines) == 499_999


def test_a_drain_lets_queries_end_and_takes_nothing_new(tmp_path: Path) -> None:
    write_sample(tmp_path)
    with start_server(tmp_path) as server:
        body = {"sql": "SELECT padding FROM lite.late LIMIT 499999"}
        kept = httpx.Client(base_url=server.url, trust_env=False)
        assert kept.get("/health/live").status_code == 200
        with server.client.stream("POST", "/v1/query", json=body, headers={"Accept": "text/csv"}) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.signal(signal.SIGTERM)
            eventually(lambda: not can_connect(server.port))
            with pytest.raises(httpx.TransportError):
                kept.get("/health/live").raise_for_status()
            assert sum(1 for _ in lines) == 499_999
        assert server.process.wait(SECONDS) == -signal.SIGTERM


def test_a_drain_that_takes_too_long_breaks_off(tmp_path: Path) -> None:
    write_sample(tmp_path)
    with start_server(tmp_path, "--drain", "1s") as server:
        connection = post(server, SLOW)
        eventually(lambda: server.client.get("/v1/queries", params={"state": "running"}).json()["queries"])
        started = time.monotonic()
        server.signal(signal.SIGTERM)
        assert server.process.wait(20) == -signal.SIGTERM
        assert time.monotonic() - started < 10
        assert not connection.recv(100).startswith(b"HTTP/1.1 200")


def test_more_queries_than_may_be_open_wait(tmp_path: Path) -> None:
    write_sample(tmp_path)
    with start_server(tmp_path, "--max-queries", "1") as server:
        connection = post(server, SLOW)
        eventually(lambda: server.client.get("/v1/queries", params={"state": "running"}).json()["queries"])
        waiting = post(server, "SELECT 1")
        eventually(lambda: server.client.get("/v1/queries", params={"state": "queued"}).json()["queries"])
        connection.close()
        assert waiting.recv(100).startswith(b"HTTP/1.1 200")


def test_certificates_that_are_none(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nonsense")
    for name in ("missing.pem", "bad.pem"):
        options = ("--tls-cert", str(tmp_path / name), "--state", str(tmp_path / "s"))
        done = run("serve", "-c", str(folder / "federation.toml"), *options)
        assert done.returncode == 1
        assert "the certificate and its key cannot be used" in done.stderr


def test_tls(tmp_path: Path) -> None:
    write_sample(tmp_path)
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -keyout key.pem"
    make += " -out cert.pem -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(make.split(), cwd=tmp_path, check=True, capture_output=True)
    files = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    with start_server(tmp_path, *files, scheme="https") as server:
        trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        answer = httpx.post(f"{server.url}/v1/query", json={"sql": "SELECT 1"}, verify=trusting, trust_env=False)
        assert answer.json()["rows"] == [[1]]
        with federation.connect(server.url, ca_file=tmp_path / "cert.pem") as connection:
            assert connection.execute("SELECT count(*) FROM f.numbers").fetchall() == [(ROWS,)]
            assert connection.execute("SELECT * FROM f.numbers").fetch_arrow_table().num_rows == ROWS
        assert asyncio.run(_rows_over_tls(server.url, tmp_path / "cert.pem")) == ROWS


async def _rows_over_tls(url: str, ca_file: Path) -> int:
    async with await federation.aio.connect(url, ca_file=ca_file) as connection:
        return (await (await connection.execute("SELECT * FROM f.numbers")).fetch_arrow_table()).num_rows
