"""Start, drain, reload and stop of a server process."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import signal
from types import FrameType

import uvicorn

from adapters.errors import Error, OperationalError
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


def serve(config: ServerConfig) -> None:
    """Serve until SIGTERM or SIGINT. Raises CatalogError, and what else keeps it from starting."""
    logging.basicConfig(format="%(levelname)s:     %(message)s")
    logging.getLogger("federation").setLevel(logging.INFO)
    state = State(config.state)
    state.serve_alone()
    server = Server(config, Engines(config.catalog), state)
    _require_authentication(server)
    options = uvicorn.Config(
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
    if config.pg_port is not None:
        server.faces.append(_postgres(server, config.pg_port, tls))
    _Process(options, server).run()


def _postgres(server: Server, port: int, tls: Tls | None) -> PgServer:
    config = server.config
    authenticator = Authenticator(server.engines, Tokens(server.state), open_to_all=not config.reachable)
    try:
        made = PgServer(
            Queries(server.engines, server.queries),
            authenticator,
            host=config.host,
            port=port,
            tls=tls,
            most_sessions=config.max_connections,
        )
    except OSError as exc:
        raise OperationalError(
            f"the PostgreSQL protocol cannot be spoken at {config.host}, port {port}: {exc.strerror}",
            hint="name another port with --pg-port, or --no-pg",
        ) from exc
    made.start()
    log.info("PostgreSQL's protocol is spoken at %s, port %s", config.host, made.port)
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
    if server.config.certificate is None:
        log.warning("passwords and tokens travel in clear text, unless a proxy adds TLS: see --tls-cert")


class _Process(uvicorn.Server):
    """uvicorn's server, which also reloads the catalog on SIGHUP, and takes nothing new once it is to end."""

    def __init__(self, options: uvicorn.Config, server: Server) -> None:
        super().__init__(options)
        self._server = server

    async def startup(self, *args: object, **kwargs: object) -> None:
        await super().startup(*args, **kwargs)  # type: ignore[arg-type]
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        # What is loaded by now stays. A full collection that looked through all of it would hold up everything for
        # 100 ms, again and again.
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._server.drain()
        super().handle_exit(sig, frame)

    def _reload(self) -> None:
        self._server.workers.soon(self._reloaded)

    def _reloaded(self) -> None:
        try:
            self._server.engines.reload()
            log.info("the catalog was read again")
        except Error as exc:
            log.error("the catalog was not reloaded, the one of before goes on: %s", exc)
