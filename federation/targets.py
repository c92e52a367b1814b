"""What `connect` opens: a server, or a catalog in this process. Each imports only what it needs."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from adapters.errors import InterfaceError
from federation.client.address import Address, is_address, read_address
from federation.statement import AsyncBackend, Backend

Path = str | os.PathLike[str]


def open_target(target: Path | None, token: str | None, ca_file: Path | None) -> Backend:
    address = server_address(target, token, ca_file)
    if address is not None:
        backend: Backend = _client("blocking").Remote(address)
        return backend
    from federation.embedded import Embedded

    return Embedded(target)


async def open_target_async(target: Path | None, token: str | None, ca_file: Path | None) -> AsyncBackend:
    address = server_address(target, token, ca_file)
    if address is not None:
        backend: AsyncBackend = await _client("asynchronous").open_remote(address)
        return backend
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


def _client(module: str) -> Any:
    try:
        return import_module(f"federation.client.{module}")
    except ModuleNotFoundError as exc:
        raise InterfaceError("a connection to a server needs httpx", hint='pip install "federation[client]"') from exc
