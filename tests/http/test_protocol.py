"""Parts of a body on their way to a socket that takes some of them, and the rest later."""

from __future__ import annotations

import asyncio
import random
import socket

import pytest
import uvloop

from federation.http.protocol import MOST_PARTS, TRANSPORT, write_part


@pytest.mark.parametrize("sizes", [[3 << 20], [1 << 20] * 5, [700] * (3 * MOST_PARTS), [0, 1 << 19, 0, 1, 1 << 22, 0]])
def test_all_bytes_come_in_order(sizes: list[int]) -> None:
    """Whatever the socket takes at once: whole parts, parts of a part, more parts than one call has."""
    buffers = [memoryview(random.Random(size).randbytes(size)) for size in sizes]
    part = b"%x\r\n" % sum(sizes) + b"".join(buffers) + b"\r\n"
    assert uvloop.run(_sent(buffers, 2, 2 * len(part))) == 2 * part


async def _sent(buffers: list[memoryview], times: int, wanted: int) -> bytes:
    """What comes of parts that are written while nobody reads."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with theirs:
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        for _ in range(times):
            write_part({"extensions": {TRANSPORT: {TRANSPORT: transport}}}, buffers)
        got = bytearray()
        while len(got) < wanted:
            got += await loop.sock_recv(theirs, 1 << 16)
        transport.close()
        return bytes(got)
