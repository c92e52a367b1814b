"""Listening to a channel of PostgreSQL, over a connection of its own through psycopg: ADBC has no notifications."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from adapters.base import CancelToken
from adapters.errors import SourceUnavailable

_SIGN_SECONDS = 4.0
#: a peer that is gone without a word is noticed within seconds
_ALIVE: dict[str, str] = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "10000",
}
#: behind a pool that hands out sessions by the transaction, the one that listens is another one
_STILL = "SELECT count(*) FROM pg_catalog.pg_listening_channels() AS c(name) WHERE name = %s"
_READ_ONLY = "SET default_transaction_read_only = on"


def notifications(uri: str, channel: str, cancel: CancelToken, source: str) -> Iterator[list[str]]:
    """As `SupportsNotifications.listen`. `uri` has a time limit for connecting."""
    texts: list[str] = []
    waker, woken = socket.socketpair()
    unregister = cancel.register(waker.close)
    try:
        with psycopg.connect(make_conninfo(uri, **_ALIVE), autocommit=True) as connection:
            connection.add_notify_handler(lambda each: texts.append(each.payload))
            connection.execute(_READ_ONLY)
            connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            yield []
            while not cancel.cancelled:
                select.select([connection.fileno(), woken.fileno()], [], [], _SIGN_SECONDS)
                if not _listens(connection, channel):  # the answer comes after all that was sent before
                    raise SourceUnavailable(
                        f'the session does not listen to "{channel}" any more',
                        hint="connect to the server itself, or through a pool that keeps sessions",
                        source=source,
                    )
                heard, texts[:] = list(texts), []
                yield heard
    except psycopg.Error as exc:
        if not cancel.cancelled:
            # Not its text: that of a failed connect may hold anything.
            raise SourceUnavailable(
                f'listening to "{channel}" ended with {exc.sqlstate or type(exc).__name__}',
                hint="check that the server runs, and is no standby",
                source=source,
            ) from exc
    finally:
        unregister()
        waker.close()
        woken.close()


def _listens(connection: psycopg.Connection, channel: str) -> bool:
    row = connection.execute(_STILL, [channel]).fetchone()
    return row is not None and row[0] > 0
