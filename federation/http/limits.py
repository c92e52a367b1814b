"""What a request body must be: small, whole in time (or a client could hold its connection for good), and JSON."""

from __future__ import annotations

import asyncio
import json
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from federation.http.problems import HttpProblem, problem_response

M = TypeVar("M", bound=BaseModel)
HEARD_OUT = 32  # times the size of a body that is taken: a client that is still sending may not see why it is refused


async def json_body(request: Request) -> None:
    """A page in a browser may send other types to any address without asking; this one it may not."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HttpProblem(415, "the body must be JSON", hint="Content-Type: application/json")


async def whole_body(request: Request, model: type[M]) -> M:
    """What FastAPI makes of a body, and says of one of another shape. Raises RequestValidationError, HttpProblem."""
    body = await request.body()
    try:
        return model.model_validate(json.loads(body))
    except json.JSONDecodeError as exc:
        if not body:
            raise RequestValidationError([{"type": "missing", "loc": ("body",), "msg": "Field required"}]) from exc
        fault = {"type": "json_invalid", "loc": ("body", exc.pos), "msg": "JSON decode error"}
        raise RequestValidationError([fault]) from exc
    except ValidationError as exc:
        faults = [{**fault, "loc": ("body", *fault["loc"])} for fault in exc.errors(include_url=False)]
        raise RequestValidationError(faults) from exc
    except (ValueError, RecursionError) as exc:
        raise HttpProblem(400, "There was an error parsing the body") from exc


class WholeBody:
    """The middleware that reads a body before anything else happens: 413 beyond `most` bytes, 408 when it is not whole
    after `seconds`."""

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self._app = app
        self._most = most
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(Headers(scope=scope), receive)
        except HttpProblem as exc:
            await problem_response(exc)(scope, receive, send)
            return
        read = False

        async def replay() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        """Raises HttpProblem. The rest of what was refused may not be read: the connection cannot be used again."""
        closing = {"Connection": "close"}
        too_large = HttpProblem(413, f"the body has more than {self._most} bytes", headers=closing)
        if int(headers.get("content-length", "0")) > self._most * HEARD_OUT:
            raise too_large
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise HttpProblem(400, "the client went away before the body was whole")
                    size += len(message["body"])
                    if size <= self._most:
                        parts.append(message["body"])
                    more = message.get("more_body", False)
                    if size > self._most * (HEARD_OUT if more else 1):
                        raise too_large
                    if not more:
                        return b"".join(parts)
        except TimeoutError:
            raise HttpProblem(408, f"the body was not whole after {self._seconds:g} s", headers=closing) from None
