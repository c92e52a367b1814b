"""The listening sockets, the connections with their threads, and the end of both."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache

from adapters.errors import OperationalError
from catalog.policies import Caller
from federation.http.config import is_loopback
from federation.http.errors import NotAuthenticated, ShuttingDown
from federation.pgwire import messages
from federation.pgwire.authentication import Authenticator
from federation.pgwire.backends import CLOSE_SECONDS, LOOK_EVERY, Backends, Served
from federation.pgwire.connection import Connection, Gone
from federation.pgwire.dialect.read import statements
from federation.pgwire.protocol import Protocol
from federation.pgwire.queries import Queries
from federation.pgwire.reports import error_response
from federation.pgwire.session import AdminShutdown, Session
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
SECRET_BYTES = 4


class TooManyConnections(OperationalError, sqlstate="53300", retryable=True):
    """As many clients are connected as the server bears."""


class PgServer:
    """Takes connections from the listeners, or by `take`. `backends` has its sessions, whose ids are `pids`. Every
    method may be called from any thread."""

    def __init__(
        self,
        queries: Queries,
        authenticator: Authenticator,
        backends: Backends,
        *,
        pids: Iterator[int],
        listeners: Sequence[socket.socket] = (),
        tls: Tls | None = None,
        most_sessions: int = 500,
    ) -> None:
        self._authenticator = authenticator
        self._queries = queries
        self._tls = tls
        self._most_sessions = most_sessions
        self._read = lru_cache(KEPT_STATEMENTS)(statements)
        self._watch = Watch()
        self._backends = backends
        self._pids = pids
        self._lock = threading.RLock()
        self._connections: set[Connection] = set()
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
        self._stop_listening()
        for each in self._backends.served():
            if each.session.idle:
                each.connection.stop_reading()

    def close(self, until: float) -> None:
        """Wait for the sessions up to that time (of time.monotonic), then end what they do."""
        self.drain()
        while self._connections and time.monotonic() < until:
            time.sleep(LOOK_EVERY)
        for each in self._backends.served():
            each.terminate(AdminShutdown())
        limit = time.monotonic() + CLOSE_SECONDS
        while self._connections and time.monotonic() < limit:
            time.sleep(LOOK_EVERY)
        for connection in list(self._connections):
            connection.abort()
        self._watch.close()

    @property
    def clients(self) -> int:
        return len(self._connections)

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
                _tell(connection, AdminShutdown())
        except Exception as exc:
            if isinstance(exc, NotAuthenticated):
                log.info("refused a connection: %s", exc)
            _tell(connection, exc)
        finally:
            connection.close()
            self._connections.discard(connection)

    def _converse(self, connection: Connection) -> None:
        connection.set_deadline(STARTUP_SECONDS)
        startup = negotiate(connection, self._tls, self._backends.cancel)
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
            try:
                Protocol(connection, session, made, self._read, self._watch).serve(lambda: not self._draining)
            except Gone:
                session.check()
                raise
        if self._draining:
            raise AdminShutdown

    @contextmanager
    def _session(self, connection: Connection, startup: Startup, caller: Caller, secret: bytes) -> Iterator[Session]:
        """Raises TooManyConnections, ShuttingDown, and what is wrong with the settings."""
        fixed = {"session_authorization": startup.user, "ssl": "on" if self._tls is not None else "off"}
        settings = Settings(startup.settings, fixed)
        session = Session(
            caller,
            startup.user,
            startup.database,
            next(self._pids),
            settings,
            connection.send,
        )
        with self._lock:
            if self._draining:
                raise ShuttingDown("the database system is shutting down")
            if len(self._backends) >= self._most_sessions:
                raise too_many()
            self._backends.add(Served(secret, session, connection))
        try:
            yield session
        finally:
            session.close()
            self._backends.remove(session)


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
