"""The other processes of a server, and asking them, in HTTP, over connections that the parent hands on.

They have no address: what comes over such a connection comes from a sibling, which has found out before who asks. A
sibling that asks is told what this process knows alone.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote, unquote

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from catalog.policies import Caller
from federation.http.problems import RETRY_SECONDS, HttpProblem

SECONDS = 3.0  # that a sibling has for an answer, unless more is said
THREADS = 4  # for each
_ASKS = "federation.sibling"  # in the scope of a request
_CALLER = "federation-caller"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


@dataclass
class Answers:
    """Those of all siblings by their numbers, and the numbers of those that gave none, or failed."""

    given: dict[int, Answer] = field(default_factory=dict)
    silent: list[int] = field(default_factory=list)

    def found(self) -> Answer | None:
        """That of the one who has what was asked for; None where all say that there is no such thing. Raises
        HttpProblem: of whoever refuses, or 503 where one that gave no answer may have it."""
        for answer in self.given.values():
            if answer.status < 400:
                return answer
            if answer.status != 404:
                raise HttpProblem(answer.status, json.loads(answer.body)["detail"])
        if self.silent:
            raise HttpProblem(
                503,
                f"the server's workers {named(self.silent)} did not answer",
                hint="ask again in a moment",
                headers={"Retry-After": str(RETRY_SECONDS)},
            )
        return None


class Siblings:
    """`connect` makes a connection to one of them."""

    def __init__(self, numbers: Sequence[int] = (), connect: Callable[[int], socket.socket] | None = None) -> None:
        self.numbers = numbers
        self._connect = connect
        self._threads = ThreadPoolExecutor(max(1, THREADS * len(numbers)), thread_name_prefix="sibling")

    async def ask(self, request: Request, path: str, *, method: str = "GET", seconds: float = SECONDS) -> Answers:
        """What they say to the caller of that request. Nothing when it is a sibling that asks."""
        if not self.numbers or asks(request.scope):
            return Answers()
        one = partial(self._ask, method=method, path=path, seconds=seconds)
        caller = getattr(request.state, "caller", None)
        loop = asyncio.get_running_loop()
        tasks = [loop.run_in_executor(self._threads, partial(one, number, caller=caller)) for number in self.numbers]
        return _collected(self.numbers, await asyncio.gather(*tasks))

    def tell(
        self, path: str, body: bytes, numbers: Sequence[int] | None = None, caller: Caller | None = None
    ) -> Answers:
        """POST it to all of them, or to these, for a caller if there is one, and wait for their answers."""
        to = self.numbers if numbers is None else numbers
        one = partial(self._ask, method="POST", path=path, seconds=SECONDS, caller=caller, body=body)
        return _collected(to, self._threads.map(one, to))

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    def _ask(
        self,
        number: int,
        *,
        method: str,
        path: str,
        seconds: float,
        caller: Caller | None = None,
        body: bytes | None = None,
    ) -> Answer | None:
        assert self._connect is not None
        connection = HTTPConnection("sibling")
        try:
            connection.sock = self._connect(number)
            connection.sock.settimeout(seconds)
            asked_by = quote(json.dumps(asdict(caller))) if caller is not None else ""
            headers = {_CALLER: asked_by, "Connection": "close", "Content-Type": "application/json"}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return Answer(response.status, response.read()) if response.status < 500 else None
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()


def _collected(numbers: Iterable[int], answers: Iterable[Answer | None]) -> Answers:
    found = Answers()
    for number, answer in zip(numbers, answers, strict=True):
        if answer is None:
            found.silent.append(number)
        else:
            found.given[number] = answer
    return found


def named(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))


def trusting(app: ASGIApp) -> ASGIApp:
    """The application for connections of siblings alone."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, _ASKS: True}, receive, send)

    return called


def asks(scope: Scope) -> bool:
    """Whether it is a sibling that asks."""
    return _ASKS in scope


def caller(headers: Headers) -> Caller:
    """For whom a sibling asks; of no name where it asks by itself."""
    text = unquote(headers.get(_CALLER, ""))
    if not text:
        return Caller("")
    found = json.loads(text)
    lists = {"roles": tuple(found["roles"]), "attributes": tuple(map(tuple, found["attributes"]))}
    return Caller(**{**found, **lists})


async def siblings_alone(request: Request) -> None:
    """Nobody else finds what depends on it."""
    if not asks(request.scope):
        raise HttpProblem(404, "Not Found")
