"""How a server is set up, and the limits that it holds."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PORT = 8470
BODY_BYTES = 2 << 20  # a statement has at most a million characters
BODY_SECONDS = 30.0
LONGEST_TIMEOUT = 7 * 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Times are in seconds. `state` is the folder of tokens and of results that outlive a restart."""

    catalog: Path
    state: Path
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    pg_port: int | None = None  # of the PostgreSQL protocol, which needs one to be spoken
    max_connections: int = 500  # of it
    certificate: Path | None = None
    key: Path | None = None
    threads: int = 32
    max_queries: int = 256
    drain: float = 30.0
    result_ttl: float = 86_400.0
    result_bytes: int = 10 << 30

    @property
    def reachable(self) -> bool:
        """Whether others than this machine can ask."""
        return not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
