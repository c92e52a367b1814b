"""Noticing that a client has gone away while nothing is being sent to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import Receive


def watch(receive: Receive, gone: Callable[[], object]) -> Callable[[], object]:
    """Call `gone` when the client disconnects; returns the function that stops watching. The body of the request was
    read before."""

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone()

    return asyncio.create_task(wait()).cancel
