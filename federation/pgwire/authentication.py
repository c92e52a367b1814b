"""Who a client is: a user of the catalog by SCRAM-SHA-256, or an API token.

Clients of PostgreSQL send a token as a password, and all that is kept of it is a digest, which serves no SCRAM
exchange. So the user name `token` is asked for a password in clear text, over TLS or on this machine. Every other name
is asked by SCRAM, whether there is such a user or not. Nobody has to say who asks where only this machine can ask and
nothing is configured.
"""

from __future__ import annotations

import hmac
import secrets

from catalog.access import Access
from catalog.policies import Caller, user_caller
from catalog.scram import ITERATIONS, KEY_BYTES, SALT_BYTES, Verifier
from federation.http.auth import NOBODY
from federation.http.engines import Engines
from federation.http.errors import NotAuthenticated
from federation.http.tokens import Tokens
from federation.pgwire import messages
from federation.pgwire.connection import Connection
from federation.pgwire.messages import ProtocolViolation
from federation.pgwire.scram import MECHANISM, MECHANISM_PLUS, Exchange

TOKEN_USER = "token"
MESSAGE_BYTES = 4096


class WrongPassword(NotAuthenticated, sqlstate="28P01"):
    """The password, or the token, is not valid."""


class Authenticator:
    """For any number of threads. With `open_to_all`, nobody has to say who asks as long as nothing is configured."""

    def __init__(self, engines: Engines, tokens: Tokens, *, open_to_all: bool) -> None:
        self._engines = engines
        self._tokens = tokens
        self._open_to_all = open_to_all
        self._key = secrets.token_bytes(32)

    def user(self, connection: Connection, name: str, end_point: bytes | None, *, private: bool) -> Caller:
        """A user of the catalog, who asks by a token, or nobody. `private`: nobody in between can read what is sent.
        Raises NotAuthenticated, ProtocolViolation."""
        access = self._engines.current.catalog.access
        if self._open_to_all and not (access.users or access.providers or self._tokens.exist()):
            return NOBODY
        user = access.users.get(name)
        if user is None and name == TOKEN_USER:
            return self._by_token(connection, private, access)
        self._by_scram(connection, name, user.verifier if user is not None else self._made_up(name), end_point)
        if user is None:
            raise _refused(name)
        return user_caller(name)

    def _by_token(self, connection: Connection, private: bool, access: Access) -> Caller:
        if not private:
            raise NotAuthenticated("a token would travel in clear text", hint="connect with sslmode=require")
        connection.send(messages.CLEARTEXT_PASSWORD)
        token = self._tokens.check(messages.read_password(_answer(connection)), access)
        if token is None:
            raise _refused(TOKEN_USER)
        return token

    def _by_scram(self, connection: Connection, name: str, verifier: Verifier, end_point: bytes | None) -> None:
        offered = [MECHANISM_PLUS, MECHANISM] if end_point is not None else [MECHANISM]
        connection.send(messages.sasl_mechanisms(offered))
        mechanism, first = messages.read_sasl_start(_answer(connection))
        if mechanism not in offered or first is None:
            raise ProtocolViolation("client selected an invalid SASL authentication mechanism")
        exchange = Exchange(verifier, mechanism, end_point)
        connection.send(messages.sasl_continue(exchange.first(first)))
        proof = exchange.final(_answer(connection))
        if proof is None:
            raise _refused(name)
        connection.send(messages.sasl_final(proof))

    def _made_up(self, name: str) -> Verifier:
        """That of a user who is not there: always the same salt, and no password that fits."""
        salt = hmac.digest(self._key, name.encode(), "sha256")[:SALT_BYTES]
        return Verifier(ITERATIONS, salt, secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES))


def _answer(connection: Connection) -> bytes:
    connection.flush()
    return connection.read(b"p", MESSAGE_BYTES)[1]


def _refused(name: str) -> WrongPassword:
    return WrongPassword(f'password authentication failed for user "{name}"')
