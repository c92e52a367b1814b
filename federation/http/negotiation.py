"""Accept and Accept-Encoding, as RFC 9110 reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from federation.http.problems import HttpProblem

_ITEM = re.compile(r"\s*(?P<name>[^\s;,]+)(?P<rest>(?:\s*;[^,]*)?)\s*")
_QUALITY = re.compile(r";\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.IGNORECASE)


def preferred(header: str | None, offers: Sequence[str]) -> str | None:
    """The media type that is wanted most, in the order of the offers between equals; None when none is acceptable."""
    if header is None or not header.strip():
        return offers[0]
    wanted = _items(header)
    qualities = [(_quality_of(offer, wanted), -at, offer) for at, offer in enumerate(offers)]
    quality, _, offer = max(qualities)
    return offer if quality > 0 else None


@lru_cache(256)
def preferred_coding(header: str | None, offers: tuple[str, ...]) -> str:
    """The content coding that is wanted most; `identity` unless another is named. Raises HttpProblem 406 if even that
    is refused."""
    wanted = _items(header or "")
    anything = wanted.get("*")
    best = max(
        ((wanted.get(offer, anything or 0.0), -at, offer) for at, offer in enumerate(offers)), default=(0.0, 0, "")
    )
    plain = wanted.get("identity", 0.0 if anything == 0.0 else None)
    if best[0] > (plain or 0.0):
        return best[2]
    if plain == 0.0:
        raise HttpProblem(406, f"Accept-Encoding refuses all of identity, {', '.join(offers)}")
    return "identity"


def _items(header: str) -> dict[str, float]:
    items: dict[str, float] = {}
    for part in header.split(","):
        if match := _ITEM.fullmatch(part):
            quality = _QUALITY.search(match["rest"])
            items[match["name"].lower()] = float(quality[1]) if quality else 1.0
    return items


def _quality_of(offer: str, wanted: dict[str, float]) -> float:
    """The most specific range decides."""
    for pattern in (offer, offer.split("/")[0] + "/*", "*/*"):
        if pattern in wanted:
            return wanted[pattern]
    return 0.0
