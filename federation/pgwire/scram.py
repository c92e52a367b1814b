"""The server's side of a SCRAM-SHA-256 exchange (RFC 5802, RFC 7677), without I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets

from catalog.scram import Verifier
from federation.pgwire.messages import ProtocolViolation

MECHANISM = "SCRAM-SHA-256"
MECHANISM_PLUS = "SCRAM-SHA-256-PLUS"
BINDING = b"tls-server-end-point"
NONCE_BYTES = 18
_FIRST = re.compile(
    rb"((?:n|y|p=([A-Za-z0-9.-]+)),(?:a=[^,]*)?,)(n=[^,]*,r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)", re.DOTALL
)
_FINAL = re.compile(rb"(c=([A-Za-z0-9+/=]+),r=([^,]+)(?:,[^,]*)*),p=([A-Za-z0-9+/=]+)", re.DOTALL)


class Exchange:
    """One exchange by one verifier. `end_point` is the binding of the connection's TLS, None without it.

    `first` and then `final` answer the client's two messages; they raise ProtocolViolation for what is no SCRAM.
    """

    def __init__(self, verifier: Verifier, mechanism: str, end_point: bytes | None) -> None:
        self._verifier = verifier
        self._plus = mechanism == MECHANISM_PLUS
        self._end_point = end_point
        self._binding = b""
        self._nonce = b""
        self._messages = b""

    def first(self, message: bytes) -> bytes:
        found = _FIRST.fullmatch(message)
        if found is None:
            raise ProtocolViolation("malformed SCRAM message")
        header, kind, bare, nonce = found.groups()
        if self._plus != (kind is not None) or (self._plus and kind != BINDING):
            raise ProtocolViolation("the SCRAM message does not fit the mechanism's channel binding")
        if header.startswith(b"y") and self._end_point is not None:
            raise ProtocolViolation("SCRAM channel binding negotiation error: somebody in between has hidden it")
        self._binding = header + (self._end_point or b"" if self._plus else b"")
        self._nonce = nonce + base64.b64encode(secrets.token_bytes(NONCE_BYTES))
        salt = base64.b64encode(self._verifier.salt)
        answer = b"r=%b,s=%b,i=%d" % (self._nonce, salt, self._verifier.iterations)
        self._messages = b"%b,%b," % (bare, answer)
        return answer

    def final(self, message: bytes) -> bytes | None:
        """The proof of the server; None when the client's is wrong."""
        found = _FINAL.fullmatch(message)
        if found is None:
            raise ProtocolViolation("malformed SCRAM message")
        without_proof, binding, nonce, proof = found.groups()
        if nonce != self._nonce or _decoded(binding) != self._binding:
            raise ProtocolViolation("the SCRAM message does not belong to this exchange, or to this TLS connection")
        messages = self._messages + without_proof
        signature = hmac.digest(self._verifier.stored_key, messages, "sha256")
        given = _decoded(proof)
        client_key = bytes(a ^ b for a, b in zip(given, signature, strict=False))
        stored = hashlib.sha256(client_key).digest()
        if len(given) != len(signature) or not hmac.compare_digest(stored, self._verifier.stored_key):
            return None
        return b"v=" + base64.b64encode(hmac.digest(self._verifier.server_key, messages, "sha256"))


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ProtocolViolation("malformed SCRAM message") from exc
