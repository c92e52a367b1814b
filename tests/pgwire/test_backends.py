"""pg_stat_activity, pg_cancel_backend and pg_terminate_backend: sessions see and end each other, as in PostgreSQL."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from catalog.scram import Verifier
from tests.http.running import write_sample
from tests.pgwire.raw import Raw, errors, query
from tests.pgwire.running import PASSWORD, Postgres, start_face
from tests.servers import Server
from tests.waiting import eventually

SLOW = "SELECT count(*) FROM f.numbers a, f.numbers b, f.numbers c WHERE a.x + b.x < c.x"
DENIED = "must be a member of the role whose %s or member of pg_signal_backend"
NOBODY = "PID %s is not a PostgreSQL backend process"
STOP = "SELECT pg_terminate_backend(pg_stat_activity.pid) FROM pg_stat_activity WHERE pid='%s'"  # Superset's


def connected(face: Postgres, user: str = "somebody", **options: str) -> psycopg.Connection:
    uri = make_conninfo(face.uri, user=user, password=PASSWORD, **options)
    return psycopg.connect(uri, autocommit=True, prepare_threshold=None)


def value(session: psycopg.Connection, sql: str) -> object:
    (found,) = session.execute(sql).fetchall()
    return found[0]


def warned(session: psycopg.Connection) -> list[tuple[str | None, str | None]]:
    """The notices of a session, as they come."""
    found: list[tuple[str | None, str | None]] = []
    session.add_notice_handler(lambda said: found.append((said.sqlstate, said.message_primary)))
    return found


@contextmanager
def busy(watcher: psycopg.Connection, session: psycopg.Connection, sql: str = SLOW) -> Iterator[list[str]]:
    """`session` runs an endless query, as `watcher` sees; the list has what became of it, in the end."""
    ended: list[str] = []

    def run() -> None:
        try:
            session.execute(sql)
        except psycopg.Error as exc:
            ended.append(str(exc.sqlstate))

    thread = threading.Thread(target=run)
    thread.start()
    shown = f"SELECT state FROM pg_stat_activity WHERE pid = {session.info.backend_pid}"
    eventually(lambda: value(watcher, shown) == "active")
    yield ended
    thread.join(60)


def shown_row(watcher: psycopg.Connection, pid: object) -> dict[str, object]:
    """The columns that are not NULL."""
    found = watcher.execute(f"SELECT * FROM pg_stat_activity WHERE pid = '{pid}'")
    (row,) = found.fetchall()
    pairs = zip([each.name for each in found.description or ()], row, strict=True)
    return {name: each for name, each in pairs if each is not None}


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "sqlstate"),
    [
        ("pg_cancel_backend()", "42883"),
        ("pg_cancel_backend(1, 2)", "42883"),
        ("pg_cancel_backend('x')", "22P02"),
        ("pg_terminate_backend('')", "22P02"),
        ("pg_terminate_backend(1, 2, 3)", "42883"),
        ("pg_terminate_backend(1, -1)", "22003"),
        ("pg_terminate_backend(5000000000)", "22003"),
        ("pg_cancel_backend(pid) FROM pg_stat_activity ORDER BY pid LIMIT 1", "0A000"),
        ("pg_cancel_backend(pid) FROM pg_stat_activity OFFSET 1", "0A000"),
    ],
)
def test_what_is_wrong_with_a_call(face: Postgres, call: str, sqlstate: str) -> None:
    with connected(face) as session:
        with pytest.raises(psycopg.Error) as raised:
            session.execute(f"SELECT {call}")
        assert raised.value.sqlstate == sqlstate
        assert value(session, "SELECT 1") == 1


def test_what_there_is_not(face: Postgres) -> None:
    with connected(face) as session:
        said = warned(session)
        for pid in (0, -1, 1_000_000, 2**31 - 1):
            for function in ("pg_cancel_backend", "pg_terminate_backend"):
                assert value(session, f"SELECT {function}({pid})") is False
                assert said.pop() == ("01000", NOBODY % pid)
        assert value(session, "SELECT pg_cancel_backend(NULL)") is None
        assert value(session, "SELECT pg_terminate_backend(pg_backend_pid(), NULL)") is None
        session.execute("SET client_min_messages = error")
        assert value(session, "SELECT pg_cancel_backend(0)") is False
        assert said == []


def test_the_key_of_another_is_not_to_be_guessed(face: Postgres) -> None:
    with connected(face) as session:
        for key in ("", "0" * 64, str(session.info.backend_pid)):
            for call in (f"sessions_shown_to('{key}')", f"end_session('{key}', 1, 'terminate', 0)"):
                with pytest.raises(psycopg.Error):
                    session.execute(f"SELECT {call} FROM pg_am")
        assert value(session, "SELECT 1") == 1


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_what_a_session_does(face: Postgres) -> None:
    with connected(face, "bob", dbname="sales", application_name="me") as session, connected(face) as other:
        pid = session.info.backend_pid
        shown = f"""SELECT state, query, xact_start IS NOT NULL, query_start IS NOT NULL, state_change >= backend_start
            FROM pg_stat_activity WHERE pid = {pid}"""

        def seen() -> object:
            return other.execute(shown).fetchone()

        assert seen() == ("idle", "", False, False, True)
        session.execute("SELECT 'ä' || %s", ["x"])
        assert seen() == ("idle", "SELECT 'ä' || $1", False, True, True)
        session.execute("BEGIN")
        assert seen() == ("idle in transaction", "BEGIN", True, True, True)
        with pytest.raises(psycopg.Error):
            session.execute("SELECT nothing")
        assert seen() == ("idle in transaction (aborted)", "SELECT nothing", False, True, True)
        session.execute("ROLLBACK")
        session.execute(f"SELECT '{'ü' * 2000}'")
        text = value(other, f"SELECT query FROM pg_stat_activity WHERE pid = {pid}")
        assert text == "SELECT '" + "ü" * 507
        row = shown_row(other, pid)
        assert (row["usename"], row["datname"], row["application_name"]) == ("bob", "sales", "me")
        assert (str(row["client_addr"]), row["backend_type"]) == ("127.0.0.1", "client backend")
        assert row.keys() == {
            *("pid", "usename", "datname", "application_name", "client_addr", "client_port", "backend_start"),
            *("query_start", "state_change", "state", "query", "backend_type"),
        }


def test_a_session_sees_itself(face: Postgres) -> None:
    with connected(face) as session:
        row = shown_row(session, session.info.backend_pid)
        assert (row["state"], row["query"]) == (
            "active",
            f"SELECT * FROM pg_stat_activity WHERE pid = '{session.info.backend_pid}'",
        )
        assert row["datid"] == value(session, "SELECT oid FROM pg_database WHERE datname = current_database()")
        assert row["usesysid"] == value(session, "SELECT oid FROM pg_roles WHERE rolname = current_user")
        assert row["query_start"] == row["xact_start"]


def test_a_named_statement_and_a_cursor_show_their_text(face: Postgres) -> None:
    with connected(face) as session, connected(face) as other:
        shown = f"SELECT query FROM pg_stat_activity WHERE pid = {session.info.backend_pid}"
        for sql in ("SELECT 1 + %s", "SELECT 2 + %s", "SELECT 1 + %s"):
            session.execute(sql, [1], prepare=True)
            assert value(other, shown) == sql.replace("%s", "$1")
        session.execute("BEGIN; DECLARE c CURSOR FOR SELECT id FROM f.numbers")
        session.execute("FETCH 2 FROM c")
        assert value(other, shown) == "FETCH 2 FROM c"


def test_sessions_come_and_go(face: Postgres) -> None:
    with connected(face) as other:
        session = connected(face)
        shown = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {session.info.backend_pid}"
        assert value(other, shown) == 1
        session.close()
        eventually(lambda: value(other, shown) == 0)


# --- what is ended ----------------------------------------------------------------------------------------------------


def test_a_query_is_cancelled(face: Postgres) -> None:
    with connected(face) as session, connected(face) as other:
        with busy(other, session) as ended:
            assert value(other, f"SELECT pg_cancel_backend({session.info.backend_pid})") is True
        assert ended == ["57014"]
        assert value(session, "SELECT 1") == 1
        assert value(other, f"SELECT pg_cancel_backend({session.info.backend_pid})") is True  # which does nothing
        assert value(session, "SELECT 1") == 1


def test_superset_stops_a_query(face: Postgres) -> None:
    with connected(face) as session, connected(face) as other:
        pid = value(session, "SELECT pg_backend_pid()")
        assert pid == session.info.backend_pid
        with busy(other, session) as ended:
            assert value(other, STOP % pid) is True
        assert ended == ["57P01"]
        assert session.closed
        assert other.execute(STOP % pid).fetchall() == []


def test_a_session_at_rest_is_ended(face: Postgres) -> None:
    for begin in ("", "BEGIN", "LISTEN federation_invalidation"):
        with Raw(face.port) as client, connected(face) as other:
            client.log_in()
            if begin:
                client.ask(query(begin))
            (pid,) = struct.unpack("!I", client.key[:4])
            assert value(other, f"SELECT pg_terminate_backend({pid}, 60000)") is True
            assert value(other, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}") == 0
            assert errors(client.rest()) == ["57P01"]


def test_a_client_that_reads_nothing_is_ended(face: Postgres) -> None:
    with Raw(face.port) as client, connected(face) as other:
        client.log_in().send(query("SELECT a.id FROM f.numbers a, f.numbers b"))
        client.read()
        (pid,) = struct.unpack("!I", client.key[:4])
        said = warned(other)
        assert value(other, f"SELECT pg_terminate_backend({pid}, 1)") in (True, False)
        assert all(message == f"backend with PID {pid} did not terminate within 1 milliseconds" for _, message in said)
        eventually(lambda: value(other, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}") == 0)


@pytest.mark.parametrize(("function", "sqlstate"), [("pg_cancel_backend", "57014"), ("pg_terminate_backend", "57P01")])
def test_a_session_ends_itself(face: Postgres, function: str, sqlstate: str) -> None:
    with Raw(face.port) as client:
        client.log_in().send(query(f"SELECT {function}(pg_backend_pid())"))
        found = client.rest() if sqlstate == "57P01" else client.until()
        assert errors(found) == [sqlstate]


def test_those_that_a_query_finds_are_ended_and_no_others(face: Postgres) -> None:
    with connected(face) as other:
        for sql in (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bob'",
            "SELECT pid FROM pg_stat_activity WHERE usename = 'bob' AND pg_terminate_backend(pid)",
            "SELECT CASE WHEN usename = 'bob' THEN pg_terminate_backend(pid) END FROM pg_stat_activity",
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity WHERE usename = 'bob' LIMIT 1) b",
            "SELECT bool_and(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'bob'",
            "WITH b AS (SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'bob') SELECT * FROM b",
        ):
            with connected(face, "bob") as bob, connected(face, "eve") as eve:
                other.execute(sql)
                with pytest.raises(psycopg.OperationalError):
                    bob.execute("SELECT 1")
                assert value(eve, "SELECT 1") == 1


def test_over_the_extended_protocol(face: Postgres) -> None:
    with connected(face) as session, connected(face) as other:
        with busy(other, session) as ended:
            found = other.execute("SELECT pg_cancel_backend(%s), pg_cancel_backend(%s)", [session.info.backend_pid, 0])
            assert found.fetchall() == [(True, False)]
        assert ended == ["57014"]


def test_ending_reaches_the_source(postgres_server: Server, tmp_path: Path) -> None:
    uri = postgres_server.create_database("pgwire_ending")
    (tmp_path / "federation.toml").write_text(f"[sources.pg]\nadapter = 'postgres'\nuri = '{uri}'\n")
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(61)%'"
    asleep += " AND pid <> pg_backend_pid()"
    with start_face(tmp_path) as face, connected(face) as other:
        for function, sqlstate in (("pg_cancel_backend", "57014"), ("pg_terminate_backend", "57P01")):
            with connected(face) as session:
                session.execute("SET dialect = 'duckdb'")
                with busy(other, session, "SELECT * FROM query('pg', 'SELECT pg_sleep(61)::text')") as ended:
                    eventually(lambda: postgres_server.run(asleep).strip() != "0")
                    assert value(other, f"SELECT {function}({session.info.backend_pid})") is True
                assert ended == [sqlstate]
                eventually(lambda: postgres_server.run(asleep).strip() == "0")


# --- whose they are ---------------------------------------------------------------------------------------------------

ROLES = """
[roles.reader]
grants = ["f.*"]
[roles.boss]
grants = ["f.*", "system.*"]
"""


@pytest.fixture(scope="module", params=["1", "2"])
def owned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of one process, or two, with roles: boss may see everything."""
    folder = tmp_path_factory.mktemp("owned")
    users = "".join(
        f"\n[users.{name}]\npassword = '{Verifier.make(PASSWORD)}'\nroles = ['{role}']\n"
        for name, role in (("ada", "reader"), ("eve", "reader"), ("root", "boss"))
    )
    write_sample(folder, ROLES + users)
    with start_face(folder, "--workers", request.param) as running:
        yield running


def both(face: Postgres, user: str) -> tuple[psycopg.Connection, psycopg.Connection]:
    """A session of each process, if there are two."""
    found = [connected(face, user) for _ in range(8)]
    first = found[0]
    second = next((each for each in found if (each.info.backend_pid - first.info.backend_pid) % 2), found[1])
    for each in found:
        if each not in (first, second):
            each.close()
    return first, second


def test_what_others_do_is_not_shown(owned: Postgres) -> None:
    with connected(owned, "ada") as ada, connected(owned, "eve") as eve, connected(owned, "root") as root:
        eve.execute("SELECT 'secret'")
        pid = eve.info.backend_pid
        row = shown_row(ada, pid)
        assert row.items() >= {"pid": pid, "usename": "eve", "query": "<insufficient privilege>"}.items()
        assert row.keys() == {"pid", "usename", "query", "datname", "datid", "usesysid", "application_name"}
        for session in (eve, root):
            assert shown_row(session, pid)["state"] is not None
        assert shown_row(root, pid)["query"] == f"SELECT * FROM pg_stat_activity WHERE pid = '{pid}'"


def test_only_the_own_and_those_who_administer_end_them(owned: Postgres) -> None:
    with connected(owned, "root") as root:
        for first, second in (both(owned, "eve"), both(owned, "eve")[::-1]):
            with first, second, connected(owned, "ada") as ada:
                for function, what in (
                    ("pg_cancel_backend", "query is being canceled"),
                    ("pg_terminate_backend", "process is being terminated"),
                ):
                    for victim in (first, second):
                        with pytest.raises(psycopg.errors.InsufficientPrivilege, match=DENIED % what):
                            ada.execute(f"SELECT {function}({victim.info.backend_pid})")
                        assert value(victim, "SELECT 1") == 1
                for ender in (second, root):
                    with busy(ender, first) as ended:
                        assert value(ender, f"SELECT pg_cancel_backend({first.info.backend_pid})") is True
                    assert ended == ["57014"]
                with busy(second, first) as ended:
                    assert value(second, STOP % first.info.backend_pid) is True
                assert ended == ["57P01"]
                assert value(root, f"SELECT pg_terminate_backend({second.info.backend_pid}, 60000)") is True
                with pytest.raises(psycopg.OperationalError):
                    second.execute("SELECT 1")
