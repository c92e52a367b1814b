"""What is said of a fragment to people and to whoever fetches it again: apart from its entry, which look-ups read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from cache.index import Index

_ABOUT = "about "


@dataclass(frozen=True, slots=True)
class About:
    """`principal` is whose credentials it was fetched with, as `keys.FragmentKey.principal`. `statement` is what the
    source was asked, without the constants in it. `boundary` is the SQL literal that a fetch of what is new begins at,
    by the columns that are named in `increment`; both are empty where that is not known."""

    principal: str = ""
    columns: tuple[str, ...] = ()
    statement: str = ""
    increment: str = ""
    boundary: str = ""


NOTHING_SAID = About()


def put_about(index: Index, digest: str, about: About) -> None:
    """Within a transaction of the caller's."""
    index.set(_ABOUT + digest, json.dumps(asdict(about)))


def read_about(index: Index, digest: str) -> About:
    """Raises ValueError, TypeError for what is not ours."""
    found = index.get(_ABOUT + digest)
    if not isinstance(found, str):
        return About()
    values = json.loads(found)
    return About(**values | {"columns": tuple(values["columns"])})


def forget_about(index: Index, digest: str) -> None:
    """Within a transaction of the caller's."""
    index.delete(_ABOUT + digest)
