"""Where fragments are filed that may answer others: lists of digests in the index, the newest last."""

from __future__ import annotations

import json

from cache.index import Index

MOST = 256  # on one shelf; the oldest are not looked at any more
_SHELF = "shelf "


def put_on_shelf(index: Index, place: str, digest: str) -> None:
    """Within a transaction of the caller's."""
    others = [each for each in on_shelf(index, place) if each != digest]
    index.set(_SHELF + place, json.dumps([*others[1 - MOST :], digest]))


def take_off_shelf(index: Index, place: str, digest: str) -> None:
    """Within a transaction of the caller's."""
    left = [each for each in on_shelf(index, place) if each != digest]
    if left:
        index.set(_SHELF + place, json.dumps(left))
    else:
        index.delete(_SHELF + place)


def on_shelf(index: Index, place: str) -> list[str]:
    """Nothing for what is not ours."""
    try:
        found = index.get(_SHELF + place)
        return [str(each) for each in json.loads(found)] if isinstance(found, str) else []
    except ValueError:
        return []
