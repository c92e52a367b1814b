"""What happens before there is a session: encryption, the protocol's version, cancel requests."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.errors import NotSupportedError
from federation.http.errors import NotAuthenticated
from federation.pgwire import messages
from federation.pgwire.connection import Connection
from federation.pgwire.messages import ProtocolViolation
from federation.pgwire.tls import ALPN, HANDSHAKE, Tls

NAMED = ("user", "database", "options", "replication")
OPTION_PREFIX = "_pq_."
_CODE = struct.Struct("!I")
_OPTION = re.compile(r"(?:-c\s*|--)([^=\s]+)=((?:\\.|\S)*)\s*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Startup:
    """What a client says of itself. `settings` are those that it wants to begin with."""

    user: str
    database: str
    settings: Mapping[str, str]


def negotiate(connection: Connection, tls: Tls | None, cancel: Callable[[int, bytes], None]) -> Startup | None:
    """None after a cancel request. Raises ProtocolViolation, NotSupportedError, NotAuthenticated."""
    if connection.first_byte() == HANDSHAKE:
        _direct_tls(connection, tls)
    asked_gss = False
    while True:
        packet = connection.read_startup()
        code: int = _CODE.unpack_from(packet)[0]
        if code == messages.SSL_REQUEST and len(packet) == 4 and not connection.encrypted:
            _answer(connection, b"N" if tls is None else b"S")
            if tls is not None:
                connection.encrypt(tls.context)
        elif code == messages.GSSENC_REQUEST and len(packet) == 4 and not asked_gss:
            asked_gss = True
            _answer(connection, b"N")
        elif code == messages.CANCEL_REQUEST:
            if len(packet) == 12:
                cancel(struct.unpack_from("!i", packet, 4)[0], packet[8:])
            return None
        else:
            return _startup(connection, code, packet[4:])


def _direct_tls(connection: Connection, tls: Tls | None) -> None:
    """TLS without asking. Another protocol's client, sent here by somebody in between, would not name this one."""
    if tls is None:
        raise ProtocolViolation("this server has no TLS")
    if connection.encrypt(tls.context).selected_alpn_protocol() != ALPN:
        raise ProtocolViolation("direct TLS needs the protocol's name in ALPN")


def _answer(connection: Connection, answer: bytes) -> None:
    connection.send(answer)
    connection.flush()


def _startup(connection: Connection, code: int, body: bytes) -> Startup:
    major, minor = code >> 16, code & 0xFFFF
    if major != 3:
        raise NotSupportedError(f"unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0")
    given = messages.read_startup(body)
    unknown = [name for name in given if name.startswith(OPTION_PREFIX)]
    if minor > 0 or unknown:
        connection.send(messages.negotiate_version(unknown))
    user = given.get("user", "")
    if not user:
        raise NotAuthenticated("no PostgreSQL user name specified in startup packet")
    if given.get("replication", "false").lower() not in ("false", "off", "no", "0"):
        raise NotSupportedError("there is no replication here")
    settings = _options(given.get("options", ""))
    settings |= {name: value for name, value in given.items() if name not in NAMED and name not in unknown}
    return Startup(user, given.get("database") or user, settings)


def _options(text: str) -> dict[str, str]:
    """`-c name=value --name=value`; a backslash keeps the blank behind it."""
    found = {}
    place = len(text) - len(text.lstrip())
    while place < len(text):
        option = _OPTION.match(text, place)
        if option is None:
            raise ProtocolViolation(f"invalid command-line argument for server process: {text[place:]}")
        found[option[1].replace("-", "_")] = re.sub(r"\\(.)", r"\1", option[2])
        place = option.end()
    return found
