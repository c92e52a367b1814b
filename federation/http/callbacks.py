"""Telling the callers of statements that these have ended: a signed POST, tried again until it is taken.

The signature is that of Standard Webhooks: `webhook-signature` is `v1,` and the HMAC-SHA256, in base64, of
`webhook-id`, `webhook-timestamp` and the body, joined by dots.
"""

from __future__ import annotations

import base64
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx

from adapters.errors import Error
from catalog.access import Callbacks
from federation.http.problems import HttpProblem
from federation.http.statement_store import Statement, Statements

log = logging.getLogger(__name__)

TRIES = 8
FIRST_WAIT = 1.0  # seconds, doubled each time: the last try comes two minutes after the first
ANSWER_SECONDS = 10.0


def check_callback(url: str, allowed: Callbacks) -> None:
    """Only hosts that the catalog file names are called: a statement must not make the server ask anywhere else.
    Raises HttpProblem 422."""
    try:
        parts = urlsplit(url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        raise HttpProblem(422, "the callback is no URL") from None
    if parts.scheme not in ("http", "https") or parts.username is not None:
        raise HttpProblem(422, "the callback is no http or https URL without a user")
    if host not in allowed.hosts:
        raise HttpProblem(422, f"the host {host!r} may not be called", hint="[callbacks] names those that may")


def signed(secret: str, statement_id: str, body: bytes, at: int) -> dict[str, str]:
    """The headers of a call."""
    content = b".".join((statement_id.encode(), str(at).encode(), body))
    signature = base64.b64encode(hmac.digest(secret.encode(), content, "sha256")).decode()
    return {
        "webhook-id": statement_id,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{signature}",
        "Content-Type": "application/json",
    }


class Caller:
    """One thread that makes the calls. `wake` makes it look for what has ended."""

    def __init__(self, statements: Statements, allowed: Callable[[], Callbacks]) -> None:
        self._statements = statements
        self._allowed = allowed
        self._due: dict[str, float] = {}
        self._woken = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="callbacks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._woken.set()

    def close(self) -> None:
        """What is left is called after the next start."""
        self._closed = True
        self.wake()
        self._thread.join(ANSWER_SECONDS)

    def _work(self) -> None:
        while not self._closed:
            self._woken.clear()
            try:
                self._call_due()
                next_due = min(self._due.values(), default=None)
            except Error as exc:  # the disk; it may come back
                log.error("callbacks wait: %s", exc)
                next_due = time.monotonic() + ANSWER_SECONDS
            self._woken.wait(None if next_due is None else max(0.0, next_due - time.monotonic()))

    def _call_due(self) -> None:
        waiting = self._statements.to_call()
        self._due = {each.id: self._due.get(each.id, 0.0) for each in waiting}  # others were deleted
        for statement in waiting:
            if self._due[statement.id] <= time.monotonic() and not self._closed:
                self._call(statement)

    def _call(self, statement: Statement) -> None:
        tries = (statement.callback_tries or 0) + 1
        if self._taken(statement):
            self._done(statement, None)
        elif tries >= TRIES:
            log.warning("the callback of statement %s was not taken in %d tries", statement.id, tries)
            self._done(statement, None)
        else:
            self._statements.called(statement.id, tries)
            self._due[statement.id] = time.monotonic() + FIRST_WAIT * 2 ** (tries - 1)

    def _done(self, statement: Statement, tries: int | None) -> None:
        self._statements.called(statement.id, tries)
        self._due.pop(statement.id, None)

    def _taken(self, statement: Statement) -> bool:
        allowed = self._allowed()
        assert statement.callback is not None
        try:
            check_callback(statement.callback, allowed)  # it may have been taken from the list since
            body = json.dumps(message(statement)).encode()
            headers = signed(allowed.secret or "", statement.id, body, round(time.time()))
            with httpx.Client(timeout=ANSWER_SECONDS, trust_env=False, follow_redirects=False) as client:
                return client.post(statement.callback, content=body, headers=headers).is_success
        except (httpx.HTTPError, httpx.InvalidURL, HttpProblem) as exc:
            log.info("the callback of statement %s failed: %s", statement.id, type(exc).__name__)
            return False


def message(statement: Statement) -> dict[str, Any]:
    """What a callback says; the result is to be fetched."""
    return {
        "type": f"statement.{statement.state}",
        "statement_id": statement.id,
        "state": statement.state,
        "rows": statement.rows,
        "error": statement.error,
    }
