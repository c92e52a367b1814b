"""Who may come in: users by SCRAM, tokens as passwords, nobody else; and TLS."""

from __future__ import annotations

import socket
import ssl
import struct
import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.command import run_here
from tests.pgwire.raw import SSL_REQUEST, Raw, errors, message, query, rows, startup, text
from tests.pgwire.running import PASSWORD, STRANGE, Postgres, start_face


def connect(face: Postgres, **options: Any) -> psycopg.Connection:
    return psycopg.connect(host="127.0.0.1", port=face.port, dbname="federation", connect_timeout=20, **options)


def refusal(face: Postgres, **options: Any) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(face, **options)
    return str(caught.value)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sslmode", ["disable", "require"])
@pytest.mark.parametrize(
    ("user", "password"),
    [("ada", "wrong"), ("ada", ""), ("ada", STRANGE), ("nobody", PASSWORD), ("Ada", PASSWORD), ("token", "fed_x_y")],
)
def test_a_wrong_password(guarded: Postgres, user: str, password: str, sslmode: str) -> None:
    said = refusal(guarded, user=user, password=password or "x", sslmode=sslmode)
    assert f'password authentication failed for user "{user}"' in said


def test_nobody_learns_who_there_is(guarded: Postgres) -> None:
    """A user who is not there is asked in the same way, with a salt that stays."""
    asked = []
    for user in ("ada", "nobody", "nobody"):
        with Raw(guarded.port) as client:
            client.send(startup(user=user))
            mechanisms = client.read()
            first = b"n,,n=,r=abcdefgh"
            client.send(message("p", text("SCRAM-SHA-256") + struct.pack("!i", len(first)) + first))
            challenge = client.read()
            assert mechanisms is not None and challenge is not None
            fields = dict(part.split(b"=", 1) for part in challenge.body[4:].split(b","))
            asked.append((mechanisms.body, len(fields[b"s"]), fields[b"i"], fields[b"s"]))
    assert asked[0][:3] == asked[1][:3]
    assert asked[1] == asked[2]


@pytest.mark.parametrize(
    "answer",
    [
        message("p"),
        message("p", text("SCRAM-SHA-1") + struct.pack("!i", -1)),
        message("p", text("SCRAM-SHA-256") + struct.pack("!i", -1)),
        message("p", text("SCRAM-SHA-256") + struct.pack("!i", 3) + b"n,,"),
        message("p", text("SCRAM-SHA-256") + struct.pack("!i", 40) + b"n,,n=,r=abc"),
        message("p", text("SCRAM-SHA-256-PLUS") + struct.pack("!i", 11) + b"p=x,,n=,r=a"),  # without TLS
        message("p", text("SCRAM-SHA-256") + struct.pack("!i", 36) + b"p=tls-server-end-point,,n=,r=abcdefg"),
        message("p", b"x" * 5000),
        b"p" + struct.pack("!I", 1 << 24),
        query("SELECT 1"),
        b"\0" * 100,
    ],
)
def test_what_is_no_scram(guarded: Postgres, answer: bytes) -> None:
    with Raw(guarded.port) as client:
        client.send(startup(user="ada"))
        assert client.read() is not None
        client.send(answer)
        assert errors(client.rest()) == ["08P01"]


def test_a_proof_that_is_none(guarded: Postgres) -> None:
    for final in (b"c=biws,r=%s,p=AAAA", b"c=biws,r=%s,p=", b"c=eSws,r=%s,p=AAAA", b"c=biws,r=other,p=AAAA", b""):
        with Raw(guarded.port) as client:
            client.send(startup(user="ada"))
            client.read()
            first = b"n,,n=,r=abcdefgh"
            client.send(message("p", text("SCRAM-SHA-256") + struct.pack("!i", len(first)) + first))
            challenge = client.read()
            assert challenge is not None
            nonce = challenge.body[4:].split(b",")[0].removeprefix(b"r=")
            client.send(message("p", final.replace(b"%s", nonce)))
            assert errors(client.rest()) in (["28P01"], ["08P01"])


def test_a_token_does_not_travel_in_the_open(catalog: Path, token: str) -> None:
    with start_face(catalog, "--host", "0.0.0.0", state=catalog / "state2") as open_to_all:
        others = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
        for address in others[:1]:
            with pytest.raises(psycopg.OperationalError, match="clear text"):
                psycopg.connect(host=address, port=open_to_all.port, user="token", password=token)


def test_secrets_are_not_in_the_log(guarded: Postgres, token: str) -> None:
    refusal(guarded, user="ada", password="not the right one")
    assert "not the right one" not in guarded.log()
    assert token not in guarded.log()
    assert 'password authentication failed for user "ada"' in guarded.log()


# --- what comes in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sslmode", ["disable", "prefer", "require"])
@pytest.mark.parametrize(("user", "password"), [("ada", PASSWORD), ("eve", STRANGE)])
def test_a_user(guarded: Postgres, user: str, password: str, sslmode: str) -> None:
    with connect(guarded, user=user, password=password, sslmode=sslmode) as connection:
        assert connection.execute("SELECT 42").fetchone() == (42,)
        assert connection.pgconn.ssl_in_use is (sslmode != "disable")


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_a_token(guarded: Postgres, token: str, sslmode: str) -> None:
    with connect(guarded, user="token", password=token, sslmode=sslmode) as connection:
        assert connection.execute("SELECT 42").fetchone() == (42,)


def test_a_revoked_token(guarded: Postgres, catalog: Path) -> None:
    options = ("-c", str(catalog / "federation.toml"), "--state", str(catalog / "state"))
    revoked = run_here("token", "create", "old", *options).stdout.strip()
    connect(guarded, user="token", password=revoked).close()
    run_here("token", "revoke", "old", *options)
    assert "password authentication failed" in refusal(guarded, user="token", password=revoked)


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_the_certificate_is_verified(guarded: Postgres, certificate: Path) -> None:
    root = str(certificate / "cert.pem")
    options = {"user": "ada", "password": PASSWORD, "sslmode": "verify-full", "sslrootcert": root}
    with connect(guarded, channel_binding="require", **options) as connection:
        assert connection.execute("SELECT 42").fetchone() == (42,)


def test_tls_without_asking(guarded: Postgres) -> None:
    """libpq does so since version 17, with the name of the protocol in ALPN."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["postgresql"])
    plain = socket.create_connection(("127.0.0.1", guarded.port), timeout=20)
    with context.wrap_socket(plain) as encrypted:
        encrypted.sendall(startup(user="ada"))
        assert encrypted.recv(1) == b"R"
        assert encrypted.selected_alpn_protocol() == "postgresql"


def test_direct_tls_needs_the_name_of_the_protocol(guarded: Postgres) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", guarded.port), timeout=20)
    with context.wrap_socket(plain) as encrypted:
        encrypted.sendall(startup(user="ada"))
        assert encrypted.recv(1) == b"E"


def test_nothing_in_clear_text_comes_before_the_handshake(guarded: Postgres) -> None:
    """What is sent behind the request for TLS is not taken for a message of the encrypted connection."""
    with Raw(guarded.port) as client:
        client.send(SSL_REQUEST + startup(user="ada"))
        assert client.socket.recv(1) == b"S"
        client.rest()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(guarded: Postgres, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with Raw(guarded.port) as client:
        client.send(SSL_REQUEST)
        assert client.socket.recv(1) == b"S"
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(client.socket)


def test_the_end_of_tls_is_told(guarded: Postgres) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Raw(guarded.port) as client:
        client.send(SSL_REQUEST)
        assert client.socket.recv(1) == b"S"
        client.socket = context.wrap_socket(client.socket, suppress_ragged_eofs=False)
        client.send(struct.pack("!IIi", 16, 80877102, 999_999) + b"1234")
        assert client.socket.recv(1) == b""  # and no SSLEOFError


def test_nobody_has_to_say_who_asks_on_this_machine_alone(face: Postgres) -> None:
    with Raw(face.port) as client:
        assert rows(client.log_in(user="whoever").ask(query("SELECT 1"))) == [["1"]]
