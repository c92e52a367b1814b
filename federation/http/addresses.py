"""The addresses that a server listens at: taken before anything is started, and told when all is ready."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Sequence

from adapters.errors import OperationalError
from federation.http.config import ServerConfig

log = logging.getLogger(__name__)


def start_log() -> None:
    logging.basicConfig(format="%(levelname)s:     %(message)s")
    logging.getLogger("federation").setLevel(logging.INFO)


def bind_http(config: ServerConfig) -> list[socket.socket]:
    """Raises OperationalError."""
    return _bind(config.host, config.port, "HTTP", "name another port with --http-port")


def bind_postgres(config: ServerConfig, port: int) -> list[socket.socket]:
    """Raises OperationalError."""
    what = "the PostgreSQL protocol"
    return _bind(config.host, port, what, "name another port with --pg-port, or --no-pg")


def log_http(config: ServerConfig, listeners: Sequence[socket.socket]) -> None:
    """As uvicorn does."""
    scheme = "https" if config.certificate is not None else "http"
    host = f"[{config.host}]" if ":" in config.host else config.host
    port = listeners[0].getsockname()[1]
    log.info("Uvicorn running on %s://%s:%d (Press CTRL+C to quit)", scheme, host, port)


def log_postgres(config: ServerConfig, listeners: Sequence[socket.socket]) -> None:
    log.info("PostgreSQL's protocol is spoken at %s, port %s", config.host, listeners[0].getsockname()[1])


def _bind(host: str, port: int, what: str, hint: str) -> list[socket.socket]:
    """A socket for each address of the host, not listening yet. Raises OperationalError."""
    made: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            try:
                made.append(_bound(family, kind, protocol, address))
            except OSError as exc:
                if exc.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # localhost, and there is no IPv6
                    raise
                failure = exc
        if not made:
            raise failure
    except OSError as exc:
        for each in made:
            each.close()
        raise OperationalError(f"{what} cannot be spoken at {host}, port {port}: {exc.strerror}", hint=hint) from exc
    return made


def _bound(family: int, kind: int, protocol: int, address: object) -> socket.socket:
    """Raises OSError."""
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)  # type: ignore[arg-type]
    except OSError:
        made.close()
        raise
    return made
