"""What the index says of one fragment, and how it is written there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from cache.payload import Written


@dataclass(frozen=True, slots=True)
class Entry:
    """`as_of` is when the source was asked, in seconds of the epoch: the rows are what it held then or later. `seconds`
    is how long it took. `tables` are the full names of all that were read. `boot` names the run of the machine in which
    the file was written. `region` is a `cache.regions.Region` as text and `shelf` where it is filed, both empty where
    the fragment answers nothing but itself. Until `pinned_until`, others make room before it. `versions` are those of
    `cache.versions`, from before it was fetched, and `renewed` is when the source last said that these rows are still
    what it has."""

    digest: str
    source: str
    tables: tuple[str, ...]
    as_of: float
    seconds: float
    rows: int
    file: str
    written: Written
    boot: str
    region: str = ""
    shelf: str = ""
    pinned_until: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict, hash=False)
    renewed: float = 0.0

    @property
    def bytes(self) -> int:
        """On disk, which is about what the rows take in memory."""
        return self.written.bytes

    def to_text(self) -> str:
        return json.dumps(asdict(self))


def read_entry(text: object) -> Entry | None:
    """None for what is not ours."""
    try:
        found = json.loads(text) if isinstance(text, str) else {}
        return Entry(**found | {"tables": tuple(found["tables"]), "written": Written(**found["written"])})
    except (ValueError, TypeError, KeyError):
        return None
