"""Cancelling, clients that leave, limits, the end of the server, another catalog."""

from __future__ import annotations

import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.http.running import ROWS, run, write_sample
from tests.pgwire.raw import Raw, errors, kinds, query, rows, startup
from tests.pgwire.running import PASSWORD, Postgres, start_face
from tests.servers import Server
from tests.waiting import SECONDS, eventually

SLOW = "SELECT count(*) FROM f.numbers a, f.numbers b, f.numbers c WHERE a.x + b.x < c.x"
LARGE = "SELECT *, name, name, name FROM f.numbers"  # more than the buffers of sockets hold


def running(face: Postgres, sql: str = SLOW) -> list[dict[str, object]]:
    found = face.http.client.get("/v1/queries", params={"state": "running"}).json()["queries"]
    return [each for each in found if each["sql"] == sql]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    write_sample(tmp_path)
    return tmp_path


# --- cancelling -------------------------------------------------------------------------------------------------------


def test_a_query_is_cancelled(face: Postgres) -> None:
    with psycopg.connect(face.uri, autocommit=True) as connection:

        def stop() -> None:
            eventually(lambda: running(face))
            connection.cancel_safe()

        stopper = threading.Thread(target=stop)
        stopper.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(SLOW)
        stopper.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    eventually(lambda: not running(face))


def test_a_query_is_cancelled_over_tls(guarded: Postgres) -> None:
    options = f"host=127.0.0.1 port={guarded.port} user=ada password='{PASSWORD}' sslmode=require"
    with psycopg.connect(options, autocommit=True) as connection:
        # libpq's old cancel goes in clear text, its new one over TLS
        for cancel in (connection.cancel, connection.cancel_safe):
            done = threading.Event()

            def stop(cancel: Callable[[], None] = cancel, done: threading.Event = done) -> None:
                while not done.wait(0.3):
                    cancel()

            stopper = threading.Thread(target=stop)
            stopper.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(SLOW)
            done.set()
            stopper.join()
        eventually(lambda: connection.execute("SELECT 1").fetchone() == (1,))


def test_the_secret_of_another_cancels_nothing(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in().send(query(SLOW))
        eventually(lambda: running(face))
        pid = client.key[:4]
        for secret in (b"\0\0\0\0", b"", client.key[4:7], bytes(64)):
            with Raw(face.port) as other:
                other.send(struct.pack("!I", 12 + len(secret)) + struct.pack("!I", 80877102) + pid + secret)
                assert other.rest() == []
        assert running(face)
        with Raw(face.port) as other:
            other.send(struct.pack("!II", 16, 80877102) + client.key)
            assert other.rest() == []
        assert errors(client.until()) == ["57014"]


def test_psql_is_interrupted(face: Postgres) -> None:
    with subprocess.Popen(
        ["psql", "-X", face.uri, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        eventually(lambda: running(face))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=SECONDS)
    assert "canceling statement due to user request" in said


def test_cancelling_reaches_the_source(postgres_server: Server, tmp_path: Path) -> None:
    uri = postgres_server.create_database("pgwire_cancel")
    (tmp_path / "federation.toml").write_text(f"[sources.pg]\nadapter = 'postgres'\nuri = '{uri}'\n")
    slow = "SELECT * FROM query('pg', 'SELECT pg_sleep(60)::text')"
    busy = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%'"
    busy += " AND pid <> pg_backend_pid()"
    with start_face(tmp_path) as face, Raw(face.port) as client:
        client.log_in().ask(query("SET dialect = 'duckdb'"))
        client.send(query(slow))
        eventually(lambda: postgres_server.run(busy).strip() != "0")
        with Raw(face.port) as other:
            other.send(struct.pack("!II", 16, 80877102) + client.key)
        assert errors(client.until()) == ["57014"]
        eventually(lambda: postgres_server.run(busy).strip() == "0")


def test_the_list_of_queries_has_them(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in().send(query(SLOW))
        eventually(lambda: running(face))
        (listed,) = running(face)
        assert listed["user"] == "anonymous"
        assert face.http.client.delete(f"/v1/queries/{listed['query_id']}").status_code == 204
        assert errors(client.until()) == ["57014"]


# --- clients that leave -----------------------------------------------------------------------------------------------


def test_a_client_that_leaves_ends_its_query(face: Postgres) -> None:
    ways: tuple[Callable[[Raw], None], ...] = (
        lambda client: client.socket.close(),
        lambda client: client.socket.shutdown(socket.SHUT_RDWR),
    )
    for leave in ways:
        with Raw(face.port) as client:
            client.log_in().send(query(SLOW))
            eventually(lambda: running(face))
            leave(client)
            eventually(lambda: not running(face))


def test_a_client_that_leaves_in_the_middle_of_rows(face: Postgres) -> None:
    threads = face.threads()
    for _ in range(5):
        with Raw(face.port) as client:
            client.log_in().send(query("SELECT a.id FROM f.numbers a, f.numbers b"))
            assert client.read() is not None
    eventually(lambda: face.threads() <= threads + 20)
    assert not running(face, "SELECT a.id FROM f.numbers a, f.numbers b") or eventually(
        lambda: not running(face, "SELECT a.id FROM f.numbers a, f.numbers b")
    )


def test_a_slow_reader_disturbs_nobody(face: Postgres) -> None:
    with Raw(face.port) as slow:
        slow.log_in().send(query("SELECT a.id FROM f.numbers a, f.numbers b"))
        slow.read()
        for _ in range(5):
            with Raw(face.port) as other:
                assert rows(other.log_in().ask(query("SELECT 1"))) == [["1"]]


# --- limits -----------------------------------------------------------------------------------------------------------


def test_the_number_of_connections_is_limited(own: Path) -> None:
    with start_face(own, "--max-connections", "3") as face:
        clients = [Raw(face.port).log_in() for _ in range(3)]
        with Raw(face.port) as refused:
            refused.send(startup(user="x"))
            assert errors(refused.rest()) == ["53300"]
        clients[0].send(query(SLOW))
        eventually(lambda: running(face))
        with Raw(face.port) as canceller:  # there is room for that
            canceller.send(struct.pack("!II", 16, 80877102) + clients[0].key)
        assert errors(clients[0].until()) == ["57014"]
        clients[1].send(b"X\0\0\0\4")
        assert clients[1].rest() == []
        eventually(lambda: Raw(face.port).log_in().ask(query("SELECT 1")))
        for client in clients:
            client.socket.close()


def test_a_flood_of_connections(own: Path) -> None:
    with start_face(own, "--max-connections", "5") as face:
        threads = face.threads()
        flood = [socket.create_connection(("127.0.0.1", face.port), timeout=10) for _ in range(200)]
        eventually(lambda: face.threads() <= threads + 110)
        for each in flood:
            each.close()

        def works() -> bool:
            with Raw(face.port) as client:
                client.send(startup(user="x"))
                return "Z" in kinds(client.rest() if (first := client.read()) is None else [first, *client.until()])

        eventually(works)
        eventually(lambda: face.threads() <= threads + 5)


def test_a_server_has_no_pandas(face: Postgres) -> None:
    """Which pyarrow would import."""
    with psycopg.connect(face.uri) as connection:
        assert connection.execute("SELECT ARRAY[a::float8], 'x', current_schema() FROM f.small").fetchall()
        assert connection.execute("SHOW ALL").fetchall()
    assert "pandas" not in Path(f"/proc/{face.pid}/maps").read_text()


# --- the end ----------------------------------------------------------------------------------------------------------


def test_idle_sessions_end_with_the_server(own: Path) -> None:
    with start_face(own, "--drain", "20s") as face:
        idle = Raw(face.port).log_in()
        inside = Raw(face.port).log_in()
        inside.ask(query("BEGIN"))
        face.http.signal(signal.SIGTERM)
        assert errors(idle.rest()) == ["57P01"]
        assert rows(inside.ask(query("SELECT 1"))) == [["1"]]  # a transaction may go on
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", face.port), timeout=5)
        inside.send(query("COMMIT"))
        assert errors(inside.rest()) == ["57P01"]
        face.http.process.wait(20)


def test_queries_may_end_before_the_server(own: Path) -> None:
    with start_face(own, "--drain", "60s") as face:
        client = Raw(face.port).log_in()
        client.send(query(LARGE))
        client.read()
        assert running(face, LARGE)
        face.http.signal(signal.SIGTERM)
        found = client.rest()
        assert kinds(found).count("D") == ROWS
        assert [each.kind for each in found[-3:]] == ["C", "Z", "E"]
        assert errors(found) == ["57P01"]


def test_queries_that_take_too_long_are_broken_off(own: Path) -> None:
    with start_face(own, "--drain", "1s") as face:
        client = Raw(face.port).log_in()
        client.send(query(SLOW))
        eventually(lambda: running(face))
        stalled = Raw(face.port).log_in()
        stalled.send(query("SELECT a.id FROM f.numbers a, f.numbers b"))
        client.socket.settimeout(20)  # 30 seconds, unless told otherwise
        face.http.signal(signal.SIGTERM)
        assert errors(client.rest()) == ["57P01"]
        face.http.process.wait(20)
        stalled.socket.close()


def test_another_catalog_is_seen_by_the_next_statement(own: Path) -> None:
    with start_face(own) as face, Raw(face.port) as client, Raw(face.port) as other:
        client.log_in().ask(query("BEGIN; DECLARE c CURSOR FOR SELECT id FROM f.numbers ORDER BY id; FETCH c"))
        assert errors(other.log_in().ask(query("SELECT * FROM g.small"))) == ["3F000"]
        path = own / "federation.toml"
        path.write_text(path.read_text().replace("[sources.f]", "[sources.g]").replace("f.", "g."))
        assert face.http.client.post("/v1/catalog/reload").status_code == 200
        assert rows(other.ask(query("SELECT a FROM g.small ORDER BY a"))) == [["1"], ["2"]]
        assert rows(client.ask(query("FETCH c"))) == [["1"]]  # goes on with what it was planned for
        assert errors(client.ask(query("SELECT * FROM f.small"))) == ["3F000"]


def test_a_port_that_is_taken(own: Path, face: Postgres) -> None:
    options = ("-c", str(own / "federation.toml"), "--state", str(own / "s"), "--http-port", "1")
    done = run("serve", *options, "--pg-port", str(face.port))
    assert done.returncode == 1
    assert "--pg-port" in done.stderr
