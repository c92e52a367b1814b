"""What a fragment is kept under: everything that its rows depend on. On disk a key is a digest; no secret goes in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from adapters.base import Predicate, ScanRequest


@dataclass(frozen=True)
class FragmentKey:
    """`request` is what the source is asked, in words that are the same for the same request: a query in its dialect,
    or `scan_text`. `schema` is what is wanted of it. `credentials` is a `fingerprint`."""

    source: str
    credentials: str
    request: str
    schema: pa.Schema

    @cached_property
    def digest(self) -> str:
        return self.place(self.request, *(f"{field.name} {field.type}" for field in self.schema))

    @property
    def principal(self) -> str:
        return principal(self.source, self.credentials)

    def place(self, *parts: str) -> str:
        """A digest of these parts, for the same source and credentials."""
        return _digest(self.source, self.credentials, *parts)


def principal(source: str, credentials: str) -> str:
    """Names a source with credentials, which it does not give away."""
    return _digest(source, credentials)


def pin_name(name: str, principals: Iterable[str]) -> str:
    """What is pinned, as those see it who ask with these principals."""
    return _digest("pin", name, *sorted(principals))


def fingerprint(kind: str, options: Mapping[str, Any], salt: bytes) -> str:
    """Who a source is asked as, and how: a digest of all its options. Slow on purpose, for they may hold a password."""
    text = json.dumps([kind, dict(options)], sort_keys=True, default=repr)
    return hashlib.scrypt(text.encode("utf-8", "surrogatepass"), salt=salt, n=2**12, r=8, p=1, dklen=16).hex()


def scan_text(request: ScanRequest) -> str:
    """A scan in words, but for its columns: these are the schema. The order of conditions does not matter."""
    tests = sorted(_written(each) for each in request.predicates)
    return json.dumps(["scan", request.table.schema, request.table.name, tests, request.limit])


def _written(predicate: Predicate) -> str:
    """1, 1.0 and True apart."""
    values = [f"{type(each).__name__} {each!r}" for each in predicate.values]
    return json.dumps([predicate.column, predicate.op, sorted(set(values)) if predicate.op == "in" else values])


def _digest(*parts: str) -> str:
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        hashed.update(len(text).to_bytes(8, "little") + text)
    return hashed.hexdigest()
