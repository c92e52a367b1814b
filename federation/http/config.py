"""How a server is set up, and the limits that it holds."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from pathlib import Path

DEFAULT_PORT = 8470
BODY_BYTES = 2 << 20  # a statement has at most a million characters
BODY_SECONDS = 30.0
LONGEST_TIMEOUT = 7 * 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Times are in seconds. `state` is the folder of tokens and of results that outlive a restart. What limits the
    server is for all its `workers` together."""

    catalog: Path
    state: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    pg_port: int | None = None  # of the PostgreSQL protocol, which needs one to be spoken
    max_connections: int = 500  # of it
    certificate: Path | None = None
    key: Path | None = None
    workers: int = 1  # processes
    threads: int = 32
    max_queries: int = 256
    statements_at_once: int = 4
    drain: float = 30.0
    result_ttl: float = 86_400.0
    result_bytes: int = 10 << 30

    @property
    def reachable(self) -> bool:
        """Whether others than this machine can ask."""
        return not is_loopback(self.host)

    def share(self) -> ServerConfig:
        """What one of the workers may take; at least one of everything."""
        return replace(
            self,
            max_connections=max(1, self.max_connections // self.workers),
            max_queries=max(1, self.max_queries // self.workers),
            statements_at_once=max(1, self.statements_at_once // self.workers),
        )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
