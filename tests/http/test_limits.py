"""Bodies that come slowly, in pieces, or not to their end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from federation.http.limits import HEARD_OUT, WholeBody

Message = dict[str, Any]


async def ask(
    pieces: list[tuple[float, Message]], headers: list[tuple[bytes, bytes]] | None = None, most_seconds: float = 60.0
) -> tuple[int, bytes]:
    """The status, and the body that came through, for pieces that come after so many seconds each."""
    sent: list[Message] = []
    waiting = list(pieces)

    async def receive() -> Message:
        if not waiting:
            await asyncio.sleep(3600)
        seconds, message = waiting.pop(0)
        await asyncio.sleep(seconds)
        return message

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(_: Any, receive: Any, send: Any) -> None:
        message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["body"]})

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers or []}
    await WholeBody(app, most=10, seconds=most_seconds)(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


def piece(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([(0, piece(b"12345")), (0, piece(b"67890", more=False))], 200),
        ([(0, piece(b"", more=False))], 200),
        ([(0, piece(b"12345")), (0, piece(b"678901", more=False))], 413),
        ([(0, piece(b"1234567890")), (0.1, piece(b"1")), (0.1, piece(b"2", more=False))], 413),
        ([(0, piece(b"x" * 10 * HEARD_OUT)), (0, piece(b"1"))], 413),
        ([(0, piece(b"12345678901")), (60, piece(b"2", more=False))], 408),
        ([(0, piece(b"1")), (60, piece(b"2", more=False))], 408),
        ([(60, piece(b"1", more=False))], 408),
        ([(0, piece(b"1")), (0, {"type": "http.disconnect"})], 400),
    ],
)
def test_a_body(pieces: list[tuple[float, Message]], status: int) -> None:
    found, body = asyncio.run(ask(pieces, most_seconds=0.5 if status == 408 else 60.0))
    assert found == status
    assert status != 200 or body == b"".join(each["body"] for _, each in pieces)


def test_a_body_that_trickles_does_not_win_time() -> None:
    trickle = [(0.1, piece(b"1")) for _ in range(9)]
    assert asyncio.run(ask(trickle, most_seconds=0.5))[0] == 408


def test_a_length_that_is_far_too_large_is_refused_before_anything_comes() -> None:
    assert asyncio.run(ask([], [(b"content-length", b"%d" % (10 * HEARD_OUT + 1))]))[0] == 413
