"""Who asks: an API token, a user of the catalog with a password, or a user whom an OpenID provider vouches for.

It is asked before the body of a request is read. Nobody has to say who asks where only this machine can ask and nothing
is configured; then the address that was asked must be this machine's too, or a web page could ask through a browser.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import secrets
import time
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.errors import Error
from catalog.access import User
from catalog.policies import Caller, user_caller
from catalog.scram import Verifier
from federation.http import siblings
from federation.http.config import is_loopback
from federation.http.engines import Engines
from federation.http.errors import NotAuthenticated
from federation.http.oidc import Verifiers
from federation.http.problems import HttpProblem, problem_response
from federation.http.tokens import PREFIX, Tokens
from federation.http.workers import Workers

log = logging.getLogger(__name__)

OPEN = ("/health/", "/docs", "/openapi.json", "/static-offline-docs/")
REMEMBERED_SECONDS = 60.0
REMEMBERED = 1000
ASK_AGAIN_SECONDS = 1.0
NOBODY = Caller("anonymous")


class Authenticator:
    """Finds the user of a request."""

    def __init__(self, engines: Engines, tokens: Tokens, workers: Workers, *, open_to_all: bool) -> None:
        self._engines = engines
        self._tokens = tokens
        self._workers = workers
        self._open_to_all = open_to_all  # as long as nothing is configured
        self._verifiers = Verifiers()
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, float] = {}
        self._unknown = User("", Verifier.make(secrets.token_hex()))  # takes as long to refuse as a known one
        self._tokens_exist = True
        self._ask_again = float("-inf")

    async def _required(self) -> bool:
        access = self._engines.current.catalog.access
        if not self._open_to_all or access.users or access.providers:
            return True
        if time.monotonic() > self._ask_again:
            self._tokens_exist = await self._workers.control(self._tokens.exist)
            self._ask_again = time.monotonic() + ASK_AGAIN_SECONDS
        return self._tokens_exist

    async def caller(self, headers: Headers) -> Caller:
        """Known as `token:name`, `user:name` or `oidc:provider/name`. Raises NotAuthenticated, HttpProblem."""
        if not await self._required():
            _refuse_other_hosts(headers.get("host", ""))
            return NOBODY
        scheme, _, value = headers.get("authorization", "").partition(" ")
        found = None
        if scheme.lower() == "bearer":
            found = await self._workers.control(self._bearer, value.strip())
        elif scheme.lower() == "basic":
            found = await self._basic(value.strip())
        elif scheme:
            raise NotAuthenticated("the scheme of Authorization is not known", hint="Bearer or Basic")
        else:
            raise NotAuthenticated("the request does not say who asks", hint="send an Authorization header")
        if found is None:
            raise NotAuthenticated("the credentials are not valid")
        return found

    def _bearer(self, text: str) -> Caller | None:
        access = self._engines.current.catalog.access
        if text.startswith(PREFIX):
            return self._tokens.check(text, access)
        return self._verifiers.check(text, access.providers)

    async def _basic(self, text: str) -> Caller | None:
        try:
            name, colon, password = base64.b64decode(text, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        user = self._engines.current.catalog.access.users.get(name, self._unknown)
        return user_caller(name) if await self._matches(user, password) and colon else None

    async def _matches(self, user: User, password: str) -> bool:
        """A password that was right a moment ago is not hashed again: that takes milliseconds, on purpose."""
        seen = hmac.digest(self._key, f"{user.verifier}:{password}".encode(), "sha256")
        now = time.monotonic()
        if self._remembered.get(seen, 0.0) > now:
            return True
        if not await self._workers.control(user.verifier.matches, password):
            return False
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[seen] = now + REMEMBERED_SECONDS
        return True


def _refuse_other_hosts(host: str) -> None:
    if not _is_this_machine(host):
        raise HttpProblem(421, "this server answers for this machine alone", hint="ask 127.0.0.1, or set up users")


@lru_cache(256)
def _is_this_machine(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _refuse_other_origins(method: str, headers: Headers) -> None:
    """A page from elsewhere may not change anything through the browser of somebody who may."""
    origin = headers.get("origin")
    if origin is not None and method not in ("GET", "HEAD") and origin.partition("://")[2] != headers.get("host"):
        raise HttpProblem(403, "requests of pages from elsewhere are refused")


class Authentication:
    """The middleware: `scope["state"]["caller"]` is who asks, or the request ends here."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator) -> None:
        self._app = app
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if siblings.asks(scope):
            scope.setdefault("state", {})["caller"] = siblings.caller(Headers(scope=scope))
        elif scope["type"] == "http" and not scope["path"].startswith(OPEN):
            headers = Headers(scope=scope)
            try:
                _refuse_other_origins(scope["method"], headers)
                caller = await self._authenticator.caller(headers)
            except (Error, HttpProblem) as exc:
                log.info("refused %s %s: %s", scope["method"], scope["path"], exc)
                await problem_response(exc)(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)
