"""A request body must arrive in time: a client that trickles it would hold its connection for good."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from federation.http.problems import HttpProblem, problem_response


class BodyDeadline:
    """408 when the body is not whole after `seconds`."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._seconds
        whole = False

        async def timed() -> Message:
            nonlocal whole
            if whole:
                return await receive()
            async with asyncio.timeout_at(deadline):
                message = await receive()
            whole = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        try:
            await self._app(scope, timed, send)
        except TimeoutError:
            late = HttpProblem(408, f"the request was not whole after {self._seconds:g} s")
            late.headers = {"Connection": "close"}
            await problem_response(late)(scope, receive, send)
