"""The listening sockets, the connections with their threads, and the end of both."""

from __future__ import annotations

import hmac
import itertools
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache

from adapters.errors import OperationalError, QueryCancelled
from catalog.policies import Caller
from federation.http.config import is_loopback
from federation.http.errors import NotAuthenticated, ShuttingDown
from federation.http.place import Place
from federation.pgwire import messages
from federation.pgwire.authentication import Authenticator
from federation.pgwire.connection import Connection, Gone
from federation.pgwire.dialect.read import statements
from federation.pgwire.protocol import Protocol
from federation.pgwire.queries import Queries
from federation.pgwire.reports import error_response
from federation.pgwire.session import Session
from federation.pgwire.settings import Settings
from federation.pgwire.startup import Startup, negotiate
from federation.pgwire.statements import Statements
from federation.pgwire.tls import Tls
from federation.pgwire.watch import Watch

log = logging.getLogger(__name__)

BACKLOG = 512
STARTUP_SECONDS = 30.0
MOST_STARTING = 100  # connections that have not said yet who they are
KEPT_STATEMENTS = 1024  # texts whose statements are remembered
LOOK_EVERY = 0.05
CLOSE_SECONDS = 5.0
SECRET_BYTES = 4


class TooManyConnections(OperationalError, sqlstate="53300", retryable=True):
    """As many clients are connected as the server bears."""


class AdminShutdown(ShuttingDown, sqlstate="57P01"):
    """The server ends the connection."""


class PgServer:
    """Takes connections from the listeners, or by `take`. The ids of its sessions are those of `place`, and a cancel
    request for a session of another process goes to `cancel_elsewhere`, with the number of that. Every method may be
    called from any thread."""

    def __init__(
        self,
        queries: Queries,
        authenticator: Authenticator,
        *,
        listeners: Sequence[socket.socket] = (),
        tls: Tls | None = None,
        most_sessions: int = 500,
        place: Place = Place(),  # noqa: B008 -- frozen
        cancel_elsewhere: Callable[[int, int, bytes], object] = lambda *_: None,
    ) -> None:
        self._authenticator = authenticator
        self._queries = queries
        self._tls = tls
        self._most_sessions = most_sessions
        self._read = lru_cache(KEPT_STATEMENTS)(statements)
        self._watch = Watch()
        self._place = place
        self._cancel_elsewhere = cancel_elsewhere
        self._numbers = itertools.count(1 + place.number, place.count)
        self._lock = threading.RLock()
        self._connections: set[Connection] = set()
        self._sessions: dict[int, tuple[bytes, Session, Connection]] = {}
        self._draining = False
        self._listeners = listeners

    def start(self) -> None:
        """Answer from now on."""
        threading.Thread(target=self._queries.warm, name="postgres-warm", daemon=True).start()
        for listener in self._listeners:
            listener.listen(BACKLOG)
            threading.Thread(target=self._accept, args=[listener], name="postgres-accept", daemon=True).start()

    def drain(self) -> None:
        """Take nothing new: a session ends as soon as it has nothing to do."""
        with self._lock:
            self._draining = True
            sessions = list(self._sessions.values())
        self._stop_listening()
        for _, session, connection in sessions:
            if session.idle:
                connection.stop_reading()

    def close(self, until: float) -> None:
        """Wait for the sessions up to that time (of time.monotonic), then end what they do."""
        self.drain()
        while self._connections and time.monotonic() < until:
            time.sleep(LOOK_EVERY)
        for _, session, connection in list(self._sessions.values()):
            session.terminate(QueryCancelled("the server was shut down"))
            connection.stop_reading()
        limit = time.monotonic() + CLOSE_SECONDS
        while self._connections and time.monotonic() < limit:
            time.sleep(LOOK_EVERY)
        for connection in list(self._connections):
            connection.abort()
        self._watch.close()

    @property
    def clients(self) -> int:
        return len(self._connections)

    def cancel(self, pid: int, secret: bytes) -> None:
        """End what that session does, if the secret is its own."""
        owner = (pid - 1) % self._place.count
        if owner == self._place.number:
            self.cancel_here(pid, secret)
        else:
            self._cancel_elsewhere(owner, pid, secret)

    def cancel_here(self, pid: int, secret: bytes) -> None:
        """As `cancel`, for a session of this process."""
        found = self._sessions.get(pid)
        if found is not None and hmac.compare_digest(found[0], secret):
            found[1].cancel()

    # --- connections ------------------------------------------------------------------------------------------------

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while not self._draining:
            try:
                connected, _ = listener.accept()
            except OSError as exc:
                if not self._draining:
                    log.warning("no connection can be accepted: %s", exc)
                    time.sleep(LOOK_EVERY)
                continue
            self.take(connected)

    def take(self, connected: socket.socket) -> None:
        """Answer a client that has just connected."""
        with self._lock:
            full = len(self._connections) >= self._most_sessions + MOST_STARTING
        if full:
            _refuse(connected)
            return
        try:
            connection = Connection(connected)
        except OSError:  # it has gone already
            connected.close()
            return
        self._connections.add(connection)
        threading.Thread(target=self._serve, args=[connection], name="postgres", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        """A connection from its first byte to its last."""
        try:
            self._converse(connection)
        except Gone:
            if self._draining:
                _tell(connection, _shutting_down())
        except Exception as exc:
            if isinstance(exc, NotAuthenticated):
                log.info("refused a connection: %s", exc)
            _tell(connection, exc)
        finally:
            connection.close()
            self._connections.discard(connection)

    def _converse(self, connection: Connection) -> None:
        connection.set_deadline(STARTUP_SECONDS)
        startup = negotiate(connection, self._tls, self.cancel)
        if startup is None:
            return
        end_point = self._tls.end_point if self._tls is not None and connection.encrypted else None
        private = connection.encrypted or is_loopback(connection.peer)
        caller = self._authenticator.user(connection, startup.user, end_point, private=private)
        secret = secrets.token_bytes(SECRET_BYTES)
        with self._session(connection, startup, caller, secret) as session:
            connection.send(messages.AUTHENTICATION_OK)
            connection.send(messages.backend_key(session.pid, secret))
            connection.set_deadline(None)
            made = Statements(session, self._queries)
            Protocol(connection, session, made, self._read, self._watch).serve(lambda: not self._draining)
        if self._draining:
            raise _shutting_down()

    @contextmanager
    def _session(self, connection: Connection, startup: Startup, caller: Caller, secret: bytes) -> Iterator[Session]:
        """Raises TooManyConnections, ShuttingDown, and what is wrong with the settings."""
        fixed = {"session_authorization": startup.user, "ssl": "on" if self._tls is not None else "off"}
        settings = Settings(startup.settings, fixed)
        session = Session(
            caller,
            startup.user,
            startup.database,
            next(self._numbers),
            settings,
            connection.send,
        )
        with self._lock:
            if self._draining:
                raise ShuttingDown("the database system is shutting down")
            if len(self._sessions) >= self._most_sessions:
                raise too_many()
            self._sessions[session.pid] = (secret, session, connection)
        try:
            yield session
        finally:
            session.close()
            del self._sessions[session.pid]


def _tell(connection: Connection, exc: Exception) -> None:
    with suppress(Gone):
        connection.send(error_response(exc, "FATAL"))
        connection.flush()


def _refuse(connected: socket.socket) -> None:
    with suppress(OSError), connected:
        connected.setblocking(False)
        connected.send(error_response(too_many(), "FATAL"))


def too_many() -> TooManyConnections:
    return TooManyConnections("sorry, too many clients already", hint="close connections that are not used")


def _shutting_down() -> AdminShutdown:
    return AdminShutdown("terminating connection due to administrator command")
