"""uvicorn's protocol, which shows the application its transport: uvicorn itself would copy every part of a body to put
its length before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

TRANSPORT = "federation.transport"


class Protocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: {TRANSPORT: self.transport}}


def write_part(scope: Scope, buffers: Sequence[bytes | memoryview]) -> None:
    """One part of a chunked body, not an empty one. The response has begun, and is to go on by an ASGI message, which
    waits until most of it was taken."""
    transport: asyncio.WriteTransport = scope["extensions"][TRANSPORT][TRANSPORT]
    if not transport.is_closing():
        transport.writelines([b"%x\r\n" % sum(map(len, buffers)), *buffers, b"\r\n"])
