"""What is no proper message: an error as PostgreSQL's, or the end of the connection; never more than that."""

from __future__ import annotations

import random
import socket
import struct
from contextlib import suppress

import pytest

from tests.pgwire import raw
from tests.pgwire.raw import (
    SYNC,
    Raw,
    bind,
    describe,
    errors,
    execute,
    kinds,
    message,
    parse,
    query,
    rows,
    startup,
    text,
)
from tests.pgwire.running import Postgres
from tests.waiting import eventually

SEED = 7
FUZZED = 400
SIMPLE = ("BEGIN", "ROLLBACK", "SELECT * FROM f.small", "SELEC", ";;", "FETCH x", "DISCARD ALL", "SHOW ALL")


def _packet(body: bytes) -> bytes:
    return struct.pack("!II", len(body) + 8, 3 << 16) + body


def answers(face: Postgres) -> None:
    """The server still does, for others."""
    with Raw(face.port) as other:
        assert rows(other.log_in().ask(query("SELECT 42"))) == [["42"]]


# --- before there is a session ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "sqlstate"),
    [
        (struct.pack("!II", 7, 3 << 16), "08P01"),  # shorter than its own header
        (struct.pack("!II", 0, 0), "08P01"),
        (struct.pack("!II", 10_001, 3 << 16) + bytes(16), "08P01"),
        (struct.pack("!II", 0xFFFFFFFF, 3 << 16), "08P01"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "08P01"),
        (b"\0" * 64, "08P01"),
        (_packet(b""), "08P01"),  # no terminator
        (_packet(b"user"), "08P01"),
        (_packet(b"user\0"), "08P01"),  # a name without a value
        (_packet(b"us\xffr\0x\0\0"), "22021"),
        (startup(user=""), "28000"),
        (startup(), "28000"),
        (startup(2 << 16, user="x"), "0A000"),
        (startup(4 << 16, user="x"), "0A000"),
        (startup(user="x", replication="database"), "0A000"),
        (startup(user="x", nonsense="1"), "42704"),
        (startup(user="x", client_encoding="LATIN1"), "0A000"),
        (startup(user="x", options="-c statement_timeout=soon"), "22023"),
        (startup(user="x", options="nonsense"), "08P01"),
        (startup(user="x", options="-c server_version=16"), "55P02"),
        (struct.pack("!IIII", 16, 80877103, 0, 0), "0A000"),  # a request for TLS has no body
    ],
)
def test_a_bad_start_is_refused(face: Postgres, sent: bytes, sqlstate: str) -> None:
    with Raw(face.port) as client:
        client.send(sent)
        if len(sent) < 16:
            client.socket.shutdown(socket.SHUT_WR)
        found = client.rest()
    assert kinds(found).endswith("E") or not found
    if found:
        assert found[-1].fields()["S"] == "FATAL"
        assert errors(found) == [sqlstate]
    answers(face)


def test_a_connection_that_says_nothing_leaves_nothing(face: Postgres) -> None:
    threads = face.threads()
    for sent in (b"", b"\0", b"\0\0\0", raw.SSL_REQUEST[:5], startup(user="x")[:-1]):
        with Raw(face.port) as client:
            client.send(sent)
    eventually(lambda: face.threads() <= threads + 2)
    answers(face)


def test_negotiation(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.send(raw.GSSENC_REQUEST)
        assert client.socket.recv(1) == b"N"
        client.send(raw.SSL_REQUEST)
        assert client.socket.recv(1) == b"N"
        client.send(startup((3 << 16) + 2, user="x", **{"_pq_.something": "1"}))
        first, *_ = found = client.until()
        assert first.kind == "v"
        assert first.body == struct.pack("!II", 3 << 16, 1) + text("_pq_.something")
        assert kinds(found).count("R") == 1


def test_gss_is_asked_for_once(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.send(raw.GSSENC_REQUEST * 2)
        assert client.socket.recv(1) == b"N"
        assert errors(client.rest()) == ["0A000"]


def test_tls_where_there_is_none(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert errors(client.rest()) == ["08P01"]


def test_a_cancel_for_nobody(face: Postgres) -> None:
    for body in (struct.pack("!Ii", 80877102, 99999) + b"1234", struct.pack("!I", 80877102)):
        with Raw(face.port) as client:
            client.send(struct.pack("!I", len(body) + 4) + body)
            assert client.rest() == []
    answers(face)


# --- in a session -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"Q" + struct.pack("!I", 3),
        b"Q" + struct.pack("!I", 0xFFFFFFFF),
        b"Q" + struct.pack("!I", 1 << 30),
        b"?" + struct.pack("!I", 4),
        b"\0\0\0\0\0",
        b"p" + struct.pack("!I", 4),  # a password that nobody asked for
        startup(user="again"),
    ],
)
def test_what_cannot_be_framed_ends_the_connection(face: Postgres, sent: bytes) -> None:
    with Raw(face.port) as client:
        client.log_in().send(sent)
        found = client.rest()
    assert errors(found) == ["08P01"]
    assert found[-1].fields()["S"] == "FATAL"
    answers(face)


@pytest.mark.parametrize(
    ("sent", "sqlstate"),
    [
        (message("Q", b"SELECT 1"), "08P01"),  # no terminator
        (message("Q", b"SELECT 1\0more\0"), "08P01"),
        (message("Q", b"SELECT '\xff'\0"), "22021"),
        (message("F", b"\0\0\0\1"), "0A000"),
    ],
)
def test_a_simple_message_that_cannot_be_read(face: Postgres, sent: bytes, sqlstate: str) -> None:
    with Raw(face.port) as client:
        assert errors(client.log_in().ask(sent)) == [sqlstate]
        assert rows(client.ask(query("SELECT 1"))) == [["1"]]


@pytest.mark.parametrize(
    ("sent", "sqlstate"),
    [
        (message("P"), "08P01"),
        (message("P", text("", "SELECT 1")), "08P01"),
        (message("P", text("", "SELECT 1") + struct.pack("!H", 60_000)), "08P01"),
        (message("P", text("", "SELECT 1") + struct.pack("!HH", 0, 0)), "08P01"),
        (message("P", text("", "SELECT '\xff'").replace(b"\xc3", b"") + struct.pack("!H", 0)), "22021"),
        (parse("SELECT 1; SELECT 2"), "42601"),
        (parse("SELEC 1"), "42601"),
        (message("B"), "08P01"),
        (bind(), "26000"),
        (bind(statement="none"), "26000"),
        (parse("SELECT $1::int") + bind(), "08P01"),
        (parse("SELECT 1") + bind(b"1"), "08P01"),
        (parse("SELECT 1") + bind(results=[0, 0, 0]) + execute(), "08P01"),
        (parse("SELECT 1") + bind(results=[7]), "22023"),
        (parse("SELECT $1::int") + message("B", text("", "") + struct.pack("!HHi", 0, 1, -2)), "08P01"),
        (parse("SELECT $1::int") + message("B", text("", "") + struct.pack("!HHi", 0, 1, 1 << 30)), "08P01"),
        (parse("SELECT $1::int") + message("B", text("", "") + struct.pack("!HH", 0, 65_535)), "08P01"),
        (parse("SELECT $1::int") + message("B", text("", "") + struct.pack("!HHHHiH", 2, 0, 0, 1, -1, 0)), "08P01"),
        (parse("SELECT $1::int") + bind(b"x"), "22P02"),
        (parse("SELECT $1::int") + bind(b"\xff"), None),
        (describe("S", "none"), "26000"),
        (describe("P", "none"), "34000"),
        (message("D", b"Xname\0"), "08P01"),
        (message("D"), "08P01"),
        (message("C", b"Xname\0"), "08P01"),
        (execute(portal="none"), "34000"),
        (message("E", b"\0"), "08P01"),
        (message("H", b"x"), "08P01"),
        (parse("SELECT 1", "twice") + parse("SELECT 1", "twice"), "42P05"),
        (parse("SELECT 1") + bind(portal="twice") + bind(portal="twice"), "42P03"),
    ],
)
def test_an_error_skips_to_sync(face: Postgres, sent: bytes, sqlstate: str | None) -> None:
    with Raw(face.port) as client:
        found = client.log_in().ask(sent, execute(), query("SELECT 1"), message("c"), SYNC)
        assert len(errors(found)) == 1
        assert sqlstate is None or errors(found) == [sqlstate]
        assert not rows(found)
        assert kinds(found).count("Z") == 1
        assert rows(client.ask(query("SELECT 1"))) == [["1"]]


def test_messages_of_a_copy_that_is_none_are_ignored(face: Postgres) -> None:
    with Raw(face.port) as client:
        found = client.log_in().ask(message("d", b"1\t2\n"), message("c"), message("f", b"no\0"), query("SELECT 1"))
        assert rows(found) == [["1"]]


def test_copy_from_is_refused(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in()
        for sql in ("COPY f.small FROM STDIN", "COPY f.small TO '/tmp/x'", "COPY f.small TO PROGRAM 'cat'"):
            assert errors(client.ask(query(sql))) == ["0A000"]


def test_statements_and_portals_of_a_session_have_a_limit(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in()
        for start in range(0, 1000, 100):
            many = [bind(portal=f"p{number}") for number in range(start, start + 100)]
            client.send(parse("SELECT 1"), *many)
        assert errors(client.ask(bind(portal="more"), SYNC)) in ([], ["54000"])
        client.ask(parse("SELECT 1"), SYNC)


# --- anything ---------------------------------------------------------------------------------------------------------


def _whole(random_: random.Random) -> bytes:
    """A message that makes sense somewhere."""
    return random_.choice(
        [
            query("SELECT 1"),
            query(random_.choice(SIMPLE)),
            query("COPY (SELECT * FROM f.small) TO STDOUT"),
            parse("SELECT $1::int, $2::text", random_.choice(["", "s"])),
            parse("SELECT id FROM f.numbers", random_.choice(["", "n"])),
            bind(b"1", None, statement=random_.choice(["", "s"]), portal=random_.choice(["", "p"])),
            bind(statement=random_.choice(["", "n"]), results=[random_.choice([0, 1])]),
            describe("S", random_.choice(["", "s"])),
            describe("P", random_.choice(["", "p"])),
            execute(random_.choice([0, 1, 100]), random_.choice(["", "p"])),
            message("C", b"P" + text(random_.choice(["", "p"]))),
            raw.FLUSH,
            SYNC,
            SYNC,
        ]
    )


def _spoilt(random_: random.Random) -> bytes:
    sent = bytearray(_whole(random_))
    for _ in range(random_.randrange(1, 4)):
        match random_.randrange(5):
            case 0:
                sent[random_.randrange(len(sent))] = random_.randrange(256)
            case 1:
                del sent[random_.randrange(len(sent)) :]
            case 2:
                sent += random_.randbytes(random_.randrange(1, 40))
            case 3 if len(sent) >= 5:
                sent[1:5] = struct.pack("!I", random_.choice([0, 1, 4, 5, 200, 70_000, 1 << 28, 0xFFFFFFFF]))
            case _:
                sent = bytearray(random_.randbytes(random_.randrange(1, 60)))
        if not sent:
            break
    return bytes(sent)


def _sequence(random_: random.Random) -> bytes:
    parts = [_whole(random_) for _ in range(random_.randrange(1, 8))]
    if random_.random() < 0.7:
        parts.insert(random_.randrange(len(parts) + 1), _spoilt(random_))
    return b"".join(parts)


def _anything(face: Postgres, number: int) -> None:
    random_ = random.Random(SEED * 10_000 + number)
    with Raw(face.port) as client:
        if random_.random() < 0.1:
            client.send(random_.randbytes(random_.randrange(1, 100)))
        else:
            client.log_in().send(_sequence(random_))
        with suppress(OSError):
            client.socket.shutdown(socket.SHUT_WR)
        for each in client.rest():
            assert each.kind in "RSKZTDCEINnst123HdcvA", (number, each)
            if each.kind == "E":
                assert each.fields()["C"] != "XX000", (number, each.fields())


def test_anything_at_all(face: Postgres) -> None:
    """Random messages, spoilt ones among them: the server answers with what the protocol has, and remains."""
    threads = files = 0
    for number in range(FUZZED):
        _anything(face, number)
        if number == FUZZED // 2:  # by now every pool of threads has been used
            threads, files = face.threads(), face.files()
    answers(face)
    eventually(lambda: face.threads() <= threads + 3)
    eventually(lambda: face.files() <= files + 3)
    assert "Traceback" not in face.log()
