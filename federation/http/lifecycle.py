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
from federation.http.server import Server
from federation.http.state import State
from federation.http.tokens import Tokens

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
        ws="none",
    )
    try:
        options.load()
    except OSError as exc:
        raise OperationalError(
            "the certificate and its key cannot be used",
            hint="name PEM files that belong together",
        ) from exc
    _Process(options, server).run()


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
