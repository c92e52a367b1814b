"""What goes wrong between a client and a server, each with its class and its SQLSTATE, and never as fewer rows."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

import federation
import federation.aio
from federation.client.errors import CertificateRefused, NotAFederationServer, ServerUnavailable
from federation.http.errors import NotAuthenticated
from tests.client.impostor import ARROW, Answer, aborting, answering, arrow_stream, impostor
from tests.command import run_here
from tests.http.running import Running, free_port, start_server, write_sample
from tests.waiting import eventually

PROBLEM = "application/problem+json"
LATE = "SELECT n FROM lite.late"
ENDLESS = "SELECT count(*) FROM range(100000000000) AS a(x), range(100000000000) AS b(y) WHERE x * 3 = y + 1"


def rows_of(target: str, sql: str = "SELECT 1", **more: Any) -> list[Any]:
    with federation.connect(target, **more) as connection:
        return connection.execute(sql).fetchall()


async def rows_of_async(target: str, sql: str = "SELECT 1", **more: Any) -> list[Any]:
    async with await federation.aio.connect(target, **more) as connection:
        return await (await connection.execute(sql)).fetchall()


def rows_in_a_loop(target: str, sql: str = "SELECT 1", **more: Any) -> list[Any]:
    return asyncio.run(rows_of_async(target, sql, **more))


both = pytest.mark.parametrize("rows", [rows_of, rows_in_a_loop])
Rows = Callable[..., list[Any]]


# --- the address --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "http://",
        "http://:8470",
        "http://host:port",
        "http://host:99999",
        "http://host?x=1",
        "ftp://host",
        "http://[::1",
    ],
)
def test_what_is_no_address(target: str) -> None:
    with pytest.raises(federation.InterfaceError) as caught:
        federation.connect(target)
    assert caught.value.hint is not None


def test_arguments_that_do_not_fit(folder: Path) -> None:
    wrong: list[dict[str, Any]] = [
        {"target": folder, "token": "fed_x"},
        {"target": folder, "ca_file": "ca.pem"},
        {"target": "http://host", "ca_file": "ca.pem"},
        {"target": "https://127.0.0.1", "ca_file": "/nowhere/ca.pem"},
        {"target": "http://name:password@host", "token": "fed_x"},
        {"target": "http://host", "token": "two\nlines"},
        {"target": "http://host", "token": ""},
    ]
    for arguments in wrong:
        with pytest.raises(federation.InterfaceError) as caught:
            federation.connect(**arguments)
        assert "password" not in str(caught.value)


@both
def test_nobody_there(rows: Rows) -> None:
    with pytest.raises(ServerUnavailable) as caught:
        rows(f"http://name:secret@127.0.0.1:{free_port()}")
    assert (caught.value.sqlstate, caught.value.retryable) == ("08006", True)
    assert caught.value.hint is not None
    assert "secret" not in str(caught.value)


@both
def test_a_host_that_does_not_exist(rows: Rows) -> None:
    with pytest.raises(ServerUnavailable):
        rows("http://no-such-host.invalid:8470")


@both
def test_https_where_http_is_spoken(server: Running, rows: Rows) -> None:
    with pytest.raises(CertificateRefused) as caught:
        rows(server.url.replace("http:", "https:"))
    assert caught.value.sqlstate == "08001"


@both
@pytest.mark.parametrize("status", [301, 307, 308])
def test_redirects_are_not_followed(server: Running, rows: Rows, status: int) -> None:
    away = answering(status, Location=f"{server.url}/v1/catalog")
    with impostor(away, overview=away) as target, pytest.raises(NotAFederationServer) as caught:
        rows(target, token="fed_x")
    assert caught.value.hint == f"connect to {server.url}"


@both
@pytest.mark.parametrize(
    "overview",
    [
        answering(200, b"<html>Welcome</html>", Content_Type="text/html"),
        answering(200, b"[1]", Content_Type="application/json"),
        answering(200, b'{"sources": 1}', Content_Type="application/json"),
        answering(404, b"not here", Content_Type="text/plain"),
        answering(500, b"{}", Content_Type=PROBLEM),
    ],
)
def test_another_kind_of_server(rows: Rows, overview: Answer) -> None:
    with impostor(answering(200), overview=overview) as target, pytest.raises(federation.Error) as caught:
        rows(target)
    assert isinstance(caught.value, NotAFederationServer | federation.InternalError)


def test_a_server_that_speaks_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(ServerUnavailable):
            rows_of(f"http://127.0.0.1:{listener.getsockname()[1]}")


# --- who asks -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A server that wants a token, and the token."""
    folder = tmp_path_factory.mktemp("guarded")
    write_sample(folder)
    made = run_here(
        "token", "create", "reader", "--state", str(folder / "state"), "-c", str(folder / "federation.toml")
    )
    token = made.stdout.split()[-1]
    assert token.startswith("fed_"), made
    with start_server(folder) as running:
        yield running, token


@both
def test_tokens(guarded: tuple[Running, str], rows: Rows) -> None:
    server, token = guarded
    assert rows(server.url, token=token) == [(1,)]
    for wrong in ({}, {"token": "fed_wrong"}, {"token": token + "x"}):
        with pytest.raises(NotAuthenticated) as caught:
            rows(server.url, **wrong)
        assert caught.value.sqlstate == "28000"
        assert token not in str(caught.value)


# --- answers that are not whole -------------------------------------------------------------------------------------

WHOLE = arrow_stream(5)
BROKEN = {
    "without its end": answering(200, arrow_stream(5, end=False), Content_Type=ARROW),
    "cut in a batch": answering(200, WHOLE[:-100], Content_Type=ARROW),
    "cut in the schema": answering(200, WHOLE[:40], Content_Type=ARROW),
    "empty": answering(200, b"", Content_Type=ARROW),
    "garbage": answering(200, b"garbage" * 100, Content_Type=ARROW),
    "a frame of a wild size": answering(200, b"\xff\xff\xff\xff\xff\xff\xff\x7f", Content_Type=ARROW),
    "wild metadata": answering(200, b"\xff\xff\xff\xff\x10\x00\x00\x00" + b"\xff" * 16, Content_Type=ARROW),
    "columns without types": answering(200, arrow_stream(5, typed=False), Content_Type=ARROW),
    "an aborted connection": aborting(WHOLE[:-8], len(WHOLE)),
    "aborted after its end": aborting(WHOLE, len(WHOLE) + 1),
}


@both
@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
def test_an_answer_that_is_not_whole_is_an_error(rows: Rows, answer: Answer) -> None:
    with impostor(answer) as target, pytest.raises(ServerUnavailable) as caught:
        rows(target)
    assert caught.value.sqlstate == "08006"
    assert caught.value.query_id is not None


def test_a_whole_answer_is_none() -> None:
    with impostor(answering(200, WHOLE, Content_Type=ARROW)) as target:
        assert rows_of(target) == [(0,), (1,), (2,), (3,), (4,)]


def test_connections_are_used_again_unless_the_server_has_ended_them() -> None:
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.client_address)
        answering(200, WHOLE, Content_Type=ARROW)(handler)
        handler.close_connection = len(seen) == 2

    with impostor(answer) as target, federation.connect(target) as connection:
        for _ in range(2):
            assert len(connection.execute("SELECT 1").fetchall()) == 5
        ((_, idle),) = connection.backend.connections._idle  # type: ignore[attr-defined]
        eventually(lambda: not idle.is_open())
        assert len(connection.execute("SELECT 1").fetchall()) == 5
    assert seen[0] == seen[1] != seen[2]


@both
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (answering(200, b"[]", Content_Type="application/json"), NotAFederationServer),
        (answering(503, b"<html>", Content_Type="text/html"), ServerUnavailable),
        (answering(413, b'{"status": 413}', Content_Type=PROBLEM), federation.ProgrammingError),
        (answering(400, b'{"sqlstate": "42ZZZ", "detail": "x"}', Content_Type=PROBLEM), federation.ProgrammingError),
        (answering(500, b'{"sqlstate": "ZZ000", "detail": "x"}', Content_Type=PROBLEM), federation.DatabaseError),
    ],
)
def test_answers_of_other_kinds(rows: Rows, answer: Answer, kind: type[federation.Error]) -> None:
    with impostor(answer) as target, pytest.raises(kind) as caught:
        rows(target)
    assert type(caught.value).__module__.split(".")[0] in ("adapters", "federation")


@both
def test_a_statement_that_is_too_large(server: Running, rows: Rows) -> None:
    with pytest.raises(federation.ProgrammingError, match="the body has more than 2097152 bytes"):
        rows(server.url, "SELECT 1 -- " + "x" * (16 << 20))


@both
def test_a_failure_in_the_middle_is_the_one_of_the_source(server: Running, rows: Rows) -> None:
    with pytest.raises(federation.DataError) as caught:
        rows(server.url, LATE)
    assert caught.value.source == "lite"
    assert caught.value.sqlstate.startswith("22")
    assert caught.value.query_id is not None


def test_a_killed_server(tmp_path: Path) -> None:
    write_sample(tmp_path)
    with start_server(tmp_path) as server, federation.connect(server.url) as connection:
        cursor = connection.execute("SELECT x FROM range(100000000000) AS r(x)")
        assert len(cursor.fetchmany(10)) == 10
        server.process.kill()
        with pytest.raises(ServerUnavailable):
            cursor.fetchall()
        with pytest.raises(ServerUnavailable):
            cursor.fetchall()
        with pytest.raises(ServerUnavailable):
            connection.execute("SELECT 1")


# --- the statement ------------------------------------------------------------------------------------------------


@both
def test_faults_of_statements_are_the_classes_of_the_engine(server: Running, folder: Path, rows: Rows) -> None:
    for sql in ("SELEC", "SELECT * FROM f.nothing", "SELECT nothing FROM f.small", "SELECT 1/0 FROM x", "SELECT ?", ""):
        with pytest.raises(federation.Error) as here:
            rows(str(folder / "federation.toml"), sql)
        with pytest.raises(federation.Error) as there:
            rows(server.url, sql)
        if sql:
            for key in ("message", "hint", "position", "source", "sqlstate", "retryable"):
                assert getattr(here.value, key) == getattr(there.value, key), (sql, key)
            assert type(here.value) is type(there.value)
        assert isinstance(there.value, federation.DatabaseError)


def test_statements_and_parameters_of_wrong_types(target: str) -> None:
    with federation.connect(target) as connection:
        wrong: list[Any] = [{1}, object(), "text", b"bytes", 5, [object()], {1: 2}, [float], ["\ud800"]]
        for parameters in wrong:
            with pytest.raises(federation.ProgrammingError):
                connection.execute("SELECT ?", parameters)
        statements: list[Any] = [None, b"SELECT 1", 5, "SELECT '\ud800'"]
        for statement in statements:
            with pytest.raises(federation.ProgrammingError):
                connection.execute(statement)
        assert connection.execute("SELECT 1").fetchall() == [(1,)]


def test_a_statement_that_is_refused_before_it_is_read(server: Running) -> None:
    with pytest.raises(federation.ProgrammingError) as caught:
        rows_of(server.url, f"SELECT '{'x' * (16 << 20)}'")
    assert caught.value.sqlstate == "54001"


# --- time ---------------------------------------------------------------------------------------------------------


@both
def test_a_timeout(server: Running, rows: Rows) -> None:
    with pytest.raises(federation.OperationalError) as caught:
        rows(server.url, ENDLESS, timeout=0.3)
    assert (type(caught.value).__name__, caught.value.sqlstate) == ("QueryTimeout", "57014")


@both
@pytest.mark.parametrize("timeout", [0, -10, 1e300])
def test_what_is_no_timeout(server: Running, rows: Rows, timeout: float) -> None:
    with pytest.raises(federation.ProgrammingError):
        rows(server.url, timeout=timeout)


@both
def test_a_server_that_says_nothing(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("federation.client.exchange.GRACE_SECONDS", 0.1)
    done = threading.Event()

    def silent(_: BaseHTTPRequestHandler) -> None:
        done.wait(20)

    with impostor(silent) as target, pytest.raises(federation.OperationalError) as caught:
        rows(target, timeout=0.2)
    done.set()
    assert (type(caught.value).__name__, caught.value.sqlstate) == ("QueryTimeout", "57014")


def test_cancel_while_rows_are_read(target: str) -> None:
    with federation.connect(target) as connection:
        cursor = connection.execute("SELECT x FROM range(100000000000) AS r(x)")
        threading.Timer(0.3, cursor.cancel).start()
        with pytest.raises(federation.OperationalError) as caught:
            read_on(cursor)
        assert caught.value.sqlstate == "57014"
        assert cursor.execute("SELECT 1").fetchall() == [(1,)]


def read_on(cursor: Any) -> None:
    for _ in cursor.fetch_record_batch():
        """Reads on."""


def test_a_closed_cursor_frees_its_query(server: Running) -> None:
    with federation.connect(server.url) as connection:
        cursor = connection.execute("SELECT x FROM range(100000000000) AS r(x)")
        query_id = cursor._statement._exchange.query_id  # type: ignore[union-attr]
        cursor.close()
        eventually(lambda: server.client.get(f"/v1/queries/{query_id}").json()["ended"] is not None)


def test_many_threads_share_a_connection_while_others_are_cancelled(server: Running) -> None:
    answers: list[Any] = []
    with federation.connect(server.url) as connection:

        def work(number: int) -> None:
            if number % 2:
                answers.append(connection.execute("SELECT count(*) FROM f.numbers WHERE id < ?", [number]).fetchone())
                return
            cursor = connection.cursor()
            cursor.timeout = 0.2
            with pytest.raises(federation.OperationalError):
                cursor.execute(ENDLESS).fetchall()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(answers) == [(number,) for number in range(1, 16, 2)]
