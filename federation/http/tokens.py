"""API tokens: long random secrets of which only a digest is kept. Made, listed and revoked by `federation token`."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import time
from dataclasses import dataclass

from adapters.errors import ProgrammingError
from catalog.access import Access
from catalog.policies import Caller, user_caller
from federation.http.state import State

PREFIX = "fed_"


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; times are seconds since 1970. It acts for its `user` of the catalog file, if it has
    one."""

    name: str
    created: float
    expires: float | None
    revoked: float | None
    user: str | None

    @property
    def state(self) -> str:
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= time.time() else "valid"


class Tokens:
    """Every method may be called from any thread, and talks to the disk."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(self, name: str, seconds: float | None, user: str | None = None) -> str:
        """The text of a new token: it is nowhere else. Raises ProgrammingError for a name that is taken."""
        token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        now = time.time()
        values = {
            "id": token_id,
            "name": name,
            "digest": _digest(secret),
            "created": now,
            "expires": now + seconds if seconds is not None else None,
            "user": user,
        }
        try:
            self._state.rows("INSERT INTO tokens VALUES (:id, :name, :digest, :created, :expires, NULL, :user)", values)
        except sqlite3.IntegrityError as exc:
            raise ProgrammingError(
                f"there is a token {name!r} already", hint="give it another name, or revoke that one"
            ) from exc
        return f"{PREFIX}{token_id}_{secret}"

    def list(self) -> list[Token]:
        rows = self._state.rows("SELECT name, created, expires, revoked, user FROM tokens ORDER BY created")
        return [Token(*row) for row in rows]

    def revoke(self, name: str) -> None:
        """From now on the token is refused. Raises ProgrammingError when none that is valid has the name."""
        changed = self._state.rows(
            "UPDATE tokens SET revoked = :now WHERE name = :name AND revoked IS NULL RETURNING id",
            {"now": time.time(), "name": name},
        )
        if not changed:
            raise ProgrammingError(f"there is no token {name!r}", hint="federation token list")

    def check(self, text: str, access: Access) -> Caller | None:
        """Who asks by a valid token, None for anything else, and for a token whose user is not there any more."""
        token_id, _, secret = text.removeprefix(PREFIX).partition("_")
        rows = self._state.rows("SELECT * FROM tokens WHERE id = :id AND revoked IS NULL", {"id": token_id})
        if not rows or not hmac.compare_digest(rows[0]["digest"], _digest(secret)):
            return None
        if rows[0]["expires"] is not None and rows[0]["expires"] <= time.time():
            return None
        user = rows[0]["user"]
        if user is None:
            return Caller(f"token:{rows[0]['name']}")
        return user_caller(user) if user in access.users else None

    def exist(self) -> bool:
        """Whether there ever was one: the last one's end must not open the door."""
        return bool(self._state.rows("SELECT 1 FROM tokens LIMIT 1"))


def _digest(secret: str) -> bytes:
    """A secret of 256 random bits needs no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
