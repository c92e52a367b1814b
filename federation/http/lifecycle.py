"""Start, drain, reload and stop of a process that serves."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import signal
import socket
from collections.abc import Sequence
from types import FrameType
from typing import TypeAlias

import uvicorn

from adapters.errors import Error, OperationalError
from federation.http.addresses import bind_postgres, log_postgres, start_log
from federation.http.app import create_app
from federation.http.config import ServerConfig
from federation.http.engines import Engines
from federation.http.errors import NotAuthenticated
from federation.http.protocol import Protocol
from federation.http.server import Server
from federation.http.state import State
from federation.http.tokens import Tokens
from federation.pgwire.authentication import Authenticator
from federation.pgwire.queries import Queries
from federation.pgwire.server import PgServer
from federation.pgwire.tls import Tls

log = logging.getLogger(__name__)
Options: TypeAlias = uvicorn.Config


def serve(config: ServerConfig) -> None:
    """Serve in this process alone, until SIGTERM or SIGINT. Raises CatalogError, and what else keeps it from
    starting."""
    start_log()
    state = State(config.state)
    state.serve_alone()
    server = Server(config, Engines(config.catalog), state)
    options, tls = prepared(server)
    if config.pg_port is not None:
        listeners = bind_postgres(config, config.pg_port)
        postgres_face(server, tls, listeners).start()
        log_postgres(config, listeners)
    Process(options, server).run()


def prepared(server: Server) -> tuple[Options, Tls | None]:
    """How HTTP is served, and what PostgreSQL's protocol encrypts with. Raises NotAuthenticated, OperationalError."""
    config = server.config
    _require_authentication(server)
    options = Options(
        create_app(server),
        host=config.host,
        port=config.port,
        ssl_certfile=config.certificate,
        ssl_keyfile=config.key,
        timeout_graceful_shutdown=math.ceil(config.drain),
        server_header=False,
        access_log=False,
        http=Protocol,
        ws="none",
    )
    try:
        options.load()
        tls = Tls(config.certificate, config.key) if config.certificate is not None else None
    except OSError as exc:
        raise OperationalError(
            "the certificate and its key cannot be used",
            hint="name PEM files that belong together",
        ) from exc
    return options, tls


def postgres_face(server: Server, tls: Tls | None, listeners: Sequence[socket.socket] = ()) -> PgServer:
    """Speaks PostgreSQL's protocol with whom the listeners accept, or with whom it is given."""
    config = server.config
    made = PgServer(
        Queries(server.engines, server.queries, server.backends),
        Authenticator(server.engines, Tokens(server.state), open_to_all=not config.reachable),
        server.backends,
        pids=server.place.pids(),
        listeners=listeners,
        tls=tls,
        most_sessions=config.max_connections,
    )
    server.faces.append(made)
    return made


def _require_authentication(server: Server) -> None:
    """Whoever can reach the server could read everything."""
    if not server.config.reachable:
        return
    access = server.engines.current.catalog.access
    if not (access.users or access.providers or Tokens(server.state).exist()):
        raise NotAuthenticated(
            f"{server.config.host} can be reached by others, and nobody could say who asks",
            hint="federation token create NAME, or [users.NAME] or [oidc.NAME] in the catalog file",
        )
    if server.config.certificate is None and server.place.first:
        log.warning("passwords and tokens travel in clear text, unless a proxy adds TLS: see --tls-cert")


class Process(uvicorn.Server):
    """uvicorn's server, which also reloads the catalog on SIGHUP, and takes nothing new once it is to end."""

    def __init__(self, options: Options, server: Server) -> None:
        super().__init__(options)
        self._server = server

    async def startup(self, *args: object, **kwargs: object) -> None:
        await super().startup(*args, **kwargs)  # type: ignore[arg-type]
        self.ready()
        # What is loaded by now stays. A full collection that looked through all of it would hold up everything for
        # 100 ms, again and again.
        gc.collect()
        gc.freeze()

    def ready(self) -> None:
        """Take orders from now on."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.reload)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._server.drain()
        super().handle_exit(sig, frame)

    def reload(self) -> None:
        """In a thread of its own; what goes wrong is logged."""
        self._server.workers.soon(self._reloaded)

    def _reloaded(self) -> None:
        try:
            self._server.engines.reload()
            log.info("the catalog was read again")
        except Error as exc:
            log.error("the catalog was not reloaded, the one of before goes on: %s", exc)
