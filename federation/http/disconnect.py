"""Noticing that a client has gone away while nothing is being sent to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Receive

START_AFTER = 0.05  # seconds: most queries have ended by then, without a task of their own


def watch(receive: Receive, gone: Callable[[], object]) -> Callable[[], object]:
    """Call `gone` when the client disconnects, or soon after; returns the function that stops watching. The body of the
    request was read before."""
    task: asyncio.Task[None] | None = None

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone()

    def start() -> None:
        nonlocal task
        task = asyncio.create_task(wait())

    timer = asyncio.get_running_loop().call_later(START_AFTER, start)

    def stop() -> None:
        timer.cancel()
        if task is not None:
            task.cancel()

    return stop
