"""Passwords as PostgreSQL stores them: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey` (RFC 5802, RFC 7677).

Such a verifier serves a SCRAM exchange, and can check a password that comes as text. It does not give it away.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
import stringprep
import unicodedata
from dataclasses import dataclass

ITERATIONS = 4096  # PostgreSQL's
MOST_ITERATIONS = 1_000_000  # each login costs them
SALT_BYTES = 16
KEY_BYTES = 32
_FORM = re.compile(r"SCRAM-SHA-256\$(\d{1,7}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class Verifier:
    """What a server keeps of a password."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    @classmethod
    def make(cls, password: str) -> Verifier:
        salt = secrets.token_bytes(SALT_BYTES)
        return cls(ITERATIONS, salt, *_keys(password, salt, ITERATIONS))

    @classmethod
    def parse(cls, text: str) -> Verifier | None:
        """None for what is no verifier."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        iterations = int(found[1])
        try:
            salt, stored, server = (base64.b64decode(part, validate=True) for part in found.groups()[1:])
        except binascii.Error:
            return None
        if not 0 < iterations <= MOST_ITERATIONS or len(stored) != KEY_BYTES or len(server) != KEY_BYTES:
            return None
        return cls(iterations, salt, stored, server)

    def matches(self, password: str) -> bool:
        """Whether it is the password; takes milliseconds, and as long for a wrong one."""
        stored, _ = _keys(password, self.salt, self.iterations)
        return hmac.compare_digest(stored, self.stored_key)

    def __str__(self) -> str:
        salt, stored, server = (
            base64.b64encode(part).decode() for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"


def _keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    salted = hashlib.pbkdf2_hmac("sha256", _prepared(password), salt, iterations)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")


def _prepared(password: str) -> bytes:
    """SASLprep (RFC 4013); what it forbids is taken as it is, as PostgreSQL does."""
    if password.isascii():
        return password.encode()
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each for each in password if not stringprep.in_table_b1(each)
    )
    text = unicodedata.normalize("NFKC", mapped)
    return (password if _forbidden(text) else text).encode("utf-8", "surrogatepass")


def _forbidden(text: str) -> bool:
    tables = (
        stringprep.in_table_c12,
        stringprep.in_table_c21_c22,
        stringprep.in_table_c3,
        stringprep.in_table_c4,
        stringprep.in_table_c5,
        stringprep.in_table_c6,
        stringprep.in_table_c7,
        stringprep.in_table_c8,
        stringprep.in_table_c9,
        stringprep.in_table_a1,
    )
    if not text or any(table(each) for each in text for table in tables):
        return True
    if not any(stringprep.in_table_d1(each) for each in text):
        return False
    mixed = any(stringprep.in_table_d2(each) for each in text)
    return mixed or not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1]))
