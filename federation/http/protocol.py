"""uvicorn's protocol, which shows the application its transport: uvicorn itself would copy every part of a body to put
its length before it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT = "federation.transport"
MOST_PARTS = os.sysconf("SC_IOV_MAX")  # that the kernel takes at once


class Protocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {TRANSPORT: self.transport}}


def write_part(scope: Scope, buffers: Sequence[bytes | memoryview]) -> None:
    """One part of a chunked body, not an empty one. The response has begun, and is to go on by an ASGI message, which
    waits until most of it was taken."""
    transport: asyncio.WriteTransport = scope["extensions"][TRANSPORT][TRANSPORT]
    if not transport.is_closing():
        transport.writelines(_left([b"%x\r\n" % sum(map(len, buffers)), *buffers, b"\r\n"], transport))


def _left(parts: list[bytes | memoryview], transport: asyncio.WriteTransport) -> list[bytes | memoryview]:
    """What the socket does not take at once. While the kernel copies the other, threads may make the next chunk: uvloop
    would hold the interpreter."""
    if transport.get_write_buffer_size() or transport.get_extra_info("sslcontext") is not None:
        return parts
    try:
        sent = os.writev(transport.get_extra_info("socket").fileno(), parts[:MOST_PARTS])
    except OSError:  # it is full, or broken, which the transport finds out
        return parts
    for at, part in enumerate(parts):
        if sent < len(part):
            return [memoryview(part)[sent:], *parts[at + 1 :]]
        sent -= len(part)
    return []
