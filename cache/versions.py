"""By what version a source knew a table when it was last asked, for all who share the folder.

A fragment has the versions of what it was read from. As long as the source has the same, its rows are as new as the
question. A version is a text that means nothing here; the empty one is none, and never the same as another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cache.entry import Entry
from cache.index import FAILURES, Index
from cache.locks import FileLock

_VERSION = "version "


@dataclass(frozen=True, slots=True)
class Known:
    """`versions` by what has them: the place of a table's version, or nothing for what one fragment was read from. They
    were asked for at `asked`, in seconds of the epoch, or later."""

    versions: Mapping[str, str] = field(default_factory=dict)
    asked: float = 0.0


def agree(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether nothing has changed between the two; False where that is not known."""
    return bool(one) and all(one.values()) and dict(one) == dict(other)


class VersionNotes:
    """Thread-safe. What the index refuses is not noted."""

    def __init__(
        self,
        index: Callable[[], Index | None],
        lock_path: Callable[[str], Path],
        complain: Callable[[Exception], None],
    ) -> None:
        self._index = index
        self._lock_path = lock_path
        self._complain = complain

    def get(self, place: str) -> tuple[str, float]:
        """The version as it was last asked for, and when; none at 0 where it was not."""
        index = self._index()
        try:
            found = index.get(_VERSION + place) if index is not None else None
            version, asked = json.loads(found) if isinstance(found, str) else ("", 0.0)
            return str(version), float(asked)
        except FAILURES as exc:
            self._complain(exc)
            return "", 0.0

    def put(self, place: str, version: str, asked: float) -> None:
        """For all processes."""
        index = self._index()
        try:
            if index is not None:
                index.set(_VERSION + place, json.dumps([version, asked]))
        except FAILURES as exc:
            self._complain(exc)

    @contextmanager
    def turn(self, place: str) -> Iterator[bool]:
        """Whether it is the caller's turn to ask for a version: nobody else does, in any process."""
        lock, mine = None, True
        if self._index() is not None:
            try:
                lock = FileLock.attempt(self._lock_path(place))
                mine = lock is not None
            except FAILURES as exc:
                self._complain(exc)
        try:
            yield mine
        finally:
            if lock is not None:
                lock.release()

    def confirmed(self, entry: Entry) -> float:
        """When its source was last asked and had the versions that the entry has; 0 where that is not known."""
        asked = []
        for place, version in entry.versions.items():
            now, at = self.get(place) if place else ("", 0.0)
            asked.append(at if version and version == now else 0.0)
        return max(entry.renewed, min(asked, default=0.0))
