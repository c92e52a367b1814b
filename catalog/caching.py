"""`cache = { ttl = "10m", … }` of a source or a table."""

from __future__ import annotations

import base64
from collections.abc import Container
from contextlib import suppress
from dataclasses import replace
from functools import partial

from adapters.base import SupportsNativeQuery, SupportsNotifications
from adapters.errors import CatalogError
from adapters.registry import adapter_class
from catalog.model import CachePolicy
from catalog.refreshing import REFRESH_KEYS
from catalog.secrets import Redactor
from catalog.values import Section

_DURATIONS = ("ttl", "stale_while_revalidate", "stale_if_error")
TABLE_CACHE_KEYS = (*_DURATIONS, "immutable", "tags", "version_sql", *REFRESH_KEYS)
SOURCE_CACHE_KEYS = (*_DURATIONS, "max_size", "native_queries", "tags", "notify")
KEY_BYTES = 32
_EXAMPLE = 'write cache = { ttl = "10m", stale_while_revalidate = "1h" }'
#: what an adapter must be able to do for a key, and what its source lacks otherwise
_NEEDED = {
    "version_sql": (SupportsNativeQuery, "this source takes no query in its own words", "remove the key"),
    "notify": (SupportsNotifications, "this source has no channels", "postgres has; remove the key"),
}


def read_policy(
    section: Section, of_source: CachePolicy | None, kind: str | None, *, table: bool = False
) -> CachePolicy | None:
    """What the section says of caching; None where it says nothing. What a `table` does not say is as its source has
    it, whose adapter is of that `kind`."""
    value = section.values.get("cache")
    if value is None:
        return None
    if not isinstance(value, dict):
        section.fault("cache", "this must be a table", _EXAMPLE)
        return None
    inner = Section(section.file, f"{section.path}.cache", value, section.faults)
    keys = TABLE_CACHE_KEYS if table else SOURCE_CACHE_KEYS
    inner.reject_unknown(keys)
    _check_abilities(inner, kind, keys)
    if "ttl" not in value and of_source is None:
        inner.fault("ttl", "this key is missing", _EXAMPLE)
    base = of_source or CachePolicy()
    ttl, while_revalidate, if_error = (inner.duration(key, zero=True) for key in _DURATIONS)
    return CachePolicy(
        base.ttl if ttl is None else ttl,
        base.stale_while_revalidate if while_revalidate is None else while_revalidate,
        base.stale_if_error if if_error is None else if_error,
        inner.bytes("max_size") or base.max_bytes,
        inner.flag("native_queries") or base.native_queries,
        frozenset(each.lower() for each in inner.texts("immutable")),
        frozenset(inner.texts("tags")) | base.tags,
        inner.text("version_sql"),
        inner.text("notify"),
    )


def read_encryption_key(section: Section, redactor: Redactor) -> bytes | None:
    """32 bytes in base64 or hexadecimal; None where the section has no key, or a wrong one."""
    text = section.text("cache_encryption_key")
    if text is None:
        return None
    redactor.add(text)
    for read in (bytes.fromhex, partial(base64.b64decode, validate=True)):
        with suppress(ValueError):
            if len(key := read(text.strip())) == KEY_BYTES:
                return key
    section.fault(
        "cache_encryption_key",
        f"this must be {KEY_BYTES} random bytes, in base64 or hexadecimal",
        "make one with openssl rand -base64 32, and write ${env:NAME} for it",
    )
    return None


def _check_abilities(section: Section, kind: str | None, keys: Container[str]) -> None:
    try:
        adapter = adapter_class(kind) if kind is not None else None
    except CatalogError:
        return  # it has a fault already, or its driver is missing
    for key, (ability, fault, hint) in _NEEDED.items():
        if key in keys and key in section.values and adapter is not None and not issubclass(adapter, ability):
            section.fault(key, fault, hint)


def within(policy: CachePolicy, seconds: float) -> CachePolicy:
    """The policy for a caller who wants nothing that is older."""
    ttl = min(policy.ttl, seconds)
    more = seconds - ttl
    return replace(
        policy,
        ttl=ttl,
        stale_while_revalidate=min(policy.stale_while_revalidate, more),
        stale_if_error=min(policy.stale_if_error, more),
    )


def strictest(policies: list[CachePolicy | None]) -> CachePolicy | None:
    """Of what is read from several tables of one source; None where one of them is not cached."""
    known = [each for each in policies if each is not None and each.ttl > 0]
    if not known or len(known) < len(policies):
        return None
    return replace(
        known[0],
        ttl=min(each.ttl for each in known),
        stale_while_revalidate=min(each.stale_while_revalidate for each in known),
        stale_if_error=min(each.stale_if_error for each in known),
    )
