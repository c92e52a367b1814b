"""What `connect` opens: a server, or a catalog in this process. Each imports only what it needs."""

from __future__ import annotations

import os

from adapters.errors import InterfaceError
from federation.client.address import Address, is_address, read_address
from federation.extras import needed
from federation.statement import AsyncBackend, Backend

Path = str | os.PathLike[str]
ENGINE = "a catalog in this process"


def open_target(target: Path | None, token: str | None, ca_file: Path | None) -> Backend:
    address = server_address(target, token, ca_file)
    if address is not None:
        from federation.client.blocking import Remote

        return Remote(address)
    with needed(ENGINE, "engine"):
        from federation.embedded import Embedded
    return Embedded(target)


async def open_target_async(target: Path | None, token: str | None, ca_file: Path | None) -> AsyncBackend:
    address = server_address(target, token, ca_file)
    if address is not None:
        from federation.client.asynchronous import open_remote

        return await open_remote(address)
    with needed(ENGINE, "engine"):
        from federation.threaded import open_threaded
    return await open_threaded(target)


def server_address(target: Path | None, token: str | None, ca_file: Path | None) -> Address | None:
    """None for a catalog. Raises InterfaceError."""
    if isinstance(target, str) and is_address(target):
        return read_address(target, token, ca_file)
    if isinstance(target, str) and "://" in target:
        raise InterfaceError("connect takes http://…, https://… or a catalog file", hint="http://host:8470")
    if token is not None or ca_file is not None:
        raise InterfaceError("a catalog file takes no token and no ca_file", hint="those are for a server's address")
    return None
