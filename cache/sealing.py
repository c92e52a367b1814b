"""Encryption at rest: what is written with one key is read with no other, and nobody changes it unnoticed.

Every purpose has a key of its own, derived from the one that is given (HKDF). Names and values of the index are sealed
with AES-256-SIV, a value together with its name, so that it says nothing under another one. A file has a key derived
from its name and a random salt, at its beginning; its bytes are sealed in chunks with AES-256-GCM, whose nonce is the
number of the chunk and whether it is the last one. So a file that is cut off, put together anew or given another name
cannot be read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = 1 << 18  # bytes that are sealed together, and that reading holds in memory
_SALT = 32
_TAG = 16
_OTHER = "it is not what was written with this key"


class Seal:
    """Thread-safe. `key` has 32 random bytes; `name` tells keys apart, and nothing else of them. What was not written
    with the key, in its place, raises ValueError."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.name = self._derived(8, "name").hex()
        self._siv = AESSIV(self._derived(64, "index"))

    def seal_name(self, name: str) -> bytes:
        """The same for the same name."""
        return self._siv.encrypt(name.encode(), [b"name"])

    def open_name(self, sealed: object) -> str:
        return self._opened(sealed, b"name").decode()

    def seal_value(self, name: str, value: str | float) -> bytes:
        return self._siv.encrypt(json.dumps(value).encode(), [b"value", name.encode()])

    def open_value(self, name: str, sealed: object) -> str | float:
        return json.loads(self._opened(sealed, b"value", name.encode()))  # type: ignore[no-any-return]

    def seal_file(self, name: str) -> SealingChunks:
        return SealingChunks(self, name)

    def open_file(self, descriptor: int, name: str, size: int) -> OpeningChunks:
        """What a file of that size holds; the caller closes it."""
        return OpeningChunks(self, descriptor, name, size)

    def file_key(self, name: str, salt: bytes) -> AESGCM:
        return AESGCM(self._derived(32, f"file {name}", salt))

    def _derived(self, length: int, purpose: str, salt: bytes | None = None) -> bytes:
        info = f"federation cache: {purpose}".encode()
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(self._key)

    def _opened(self, sealed: object, *place: bytes) -> bytes:
        try:
            return self._siv.decrypt(sealed if isinstance(sealed, bytes) else b"", list(place))
        except (InvalidTag, ValueError) as exc:
            raise ValueError(_OTHER) from exc


class SealingChunks:
    """Bytes on their way into a file."""

    def __init__(self, seal: Seal, name: str) -> None:
        salt = os.urandom(_SALT)
        self._cipher = seal.file_key(name, salt)
        self._waiting = bytearray()
        self._done = salt  # and not written yet
        self._number = 0

    def add(self, data: bytes) -> Iterator[bytes]:
        """What can be written now. The last chunk, which is marked, is held back."""
        self._waiting += data
        while len(self._waiting) > CHUNK:
            yield self._sealed(CHUNK, last=False)

    def end(self) -> bytes:
        """What is left to be written."""
        return self._sealed(len(self._waiting), last=True)

    def _sealed(self, size: int, *, last: bool) -> bytes:
        sealed = self._cipher.encrypt(_nonce(self._number, last), bytes(self._waiting[:size]), None)
        del self._waiting[:size]
        self._number += 1
        before, self._done = self._done, b""
        return before + sealed


class OpeningChunks:
    """The bytes of a sealed file, in order, and from the start whenever they are asked for."""

    def __init__(self, seal: Seal, descriptor: int, name: str, size: int) -> None:
        salt = os.pread(descriptor, _SALT, 0)
        self._cipher = seal.file_key(name, salt)
        self._descriptor = descriptor
        self._chunks = max(-(-(size - _SALT) // (CHUNK + _TAG)), 1)

    def __iter__(self) -> Iterator[bytes]:
        for number in range(self._chunks):
            sealed = os.pread(self._descriptor, CHUNK + _TAG, _SALT + number * (CHUNK + _TAG))
            try:
                yield self._cipher.decrypt(_nonce(number, number == self._chunks - 1), sealed, None)
            except (InvalidTag, ValueError) as exc:
                raise ValueError(_OTHER) from exc


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
