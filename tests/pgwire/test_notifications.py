"""LISTEN federation_invalidation, by psycopg and by the protocol itself."""

from __future__ import annotations

import psycopg
import pytest

from tests.pgwire.raw import Message, Raw, errors, kinds, query
from tests.pgwire.running import PASSWORD, Postgres

CHANNEL = "federation_invalidation"
LISTEN = query(f"LISTEN {CHANNEL}")


def invalidate(uri: str, *names: str) -> None:
    with psycopg.connect(uri, autocommit=True) as other:
        for name in names:
            other.execute(f"CALL system.invalidate('{name}')")


def told(messages: list[Message]) -> list[tuple[str, str]]:
    parts = [each.body[4:].split(b"\0") for each in messages if each.kind == "A"]
    return [(channel.decode(), payload.decode()) for channel, payload, _ in parts]


def test_a_session_that_waits_is_told_at_once(face: Postgres) -> None:
    with psycopg.connect(face.uri, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        invalidate(face.uri, "f", "f.small", "shown.evens")
        found = [(each.channel, each.payload) for each in connection.notifies(timeout=60, stop_after=3)]
        assert found == [(CHANNEL, "f"), (CHANNEL, "f.main.small"), (CHANNEL, "f.main.numbers")]
        face.http.client.post("/v1/cache/invalidate", json={"name": "lite"}).raise_for_status()
        assert [each.payload for each in connection.notifies(timeout=60, stop_after=1)] == ["lite"]
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_over_tls(guarded: Postgres) -> None:
    uri = f"host=127.0.0.1 port={guarded.port} user=ada password='{PASSWORD}' sslmode=require"
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        for _ in range(2):
            invalidate(uri, "f")
            assert [each.payload for each in connection.notifies(timeout=60, stop_after=1)] == ["f"]
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_one_in_a_transaction_is_told_at_its_end(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in().ask(LISTEN)
        client.ask(query("BEGIN"))
        invalidate(face.uri, "f", "lite", "f")
        assert kinds(client.ask(query("SELECT 1"))) == "TDCZ"
        found = client.ask(query("COMMIT"))
        assert kinds(found) == "CAAZ"
        assert told(found) == [(CHANNEL, "f"), (CHANNEL, "lite")]  # the same twice is told once
        assert kinds(client.ask(query("SELECT 1"))) == "TDCZ"


def test_its_own_statement_comes_first(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in().ask(LISTEN)
        assert kinds(client.ask(query("CALL system.invalidate('f')"))) == "CAZ"


@pytest.mark.parametrize(
    "end",
    [
        f"UNLISTEN {CHANNEL}",
        "UNLISTEN *",
        "DISCARD ALL",
        f"UNLISTEN *; BEGIN; LISTEN {CHANNEL}; ROLLBACK",
        f"UNLISTEN *; BEGIN; LISTEN {CHANNEL}; SELECT nothing",
        "UNLISTEN *; LISTEN another",
    ],
)
def test_who_does_not_listen_is_not_told(face: Postgres, end: str) -> None:
    with Raw(face.port) as client:
        client.log_in().ask(LISTEN)
        for each in (*end.split("; "), "ROLLBACK"):
            client.ask(query(each))
        assert kinds(client.ask(query("CALL system.invalidate('f')"))) == "CZ"


def test_what_fails_is_not_announced(face: Postgres) -> None:
    with Raw(face.port) as client:
        client.log_in().ask(LISTEN)
        found = client.ask(query("CALL system.invalidate('nothing')"))
        assert errors(found)
        assert told(found) == []


def test_another_catalog_goes_on_telling(face: Postgres) -> None:
    with psycopg.connect(face.uri, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        face.http.client.post("/v1/catalog/reload").raise_for_status()
        invalidate(face.uri, "f")
        assert [each.payload for each in connection.notifies(timeout=60, stop_after=1)] == ["f"]
