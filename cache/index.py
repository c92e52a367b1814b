"""The one place that imports diskcache: small values by key in one SQLite file, for several processes at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import diskcache

if TYPE_CHECKING:
    from cache.sealing import Seal

#: what a file raises that is locked, full, or not what was written
FAILURES = (OSError, sqlite3.Error, diskcache.Timeout, ValueError)


class Index(Protocol):
    """What is used of a diskcache.Cache."""

    def __contains__(self, key: Any) -> bool: ...

    def get(self, key: Any, default: Any = None) -> Any: ...

    def set(self, key: Any, value: Any) -> Any: ...

    def add(self, key: Any, value: Any) -> Any:
        """Only where there is none yet."""

    def incr(self, key: Any, delta: Any) -> Any:
        """From 0 where there is none yet."""

    def delete(self, key: Any) -> Any: ...

    def iterkeys(self) -> Iterator[Any]: ...

    def transact(self) -> AbstractContextManager[None]:
        """Of this thread; may be nested."""

    def close(self) -> None: ...


class _NoPickles(diskcache.Disk):  # type: ignore[misc]
    """Whoever can write the file shall not run code here."""

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> Any:
        if mode == diskcache.core.MODE_PICKLE:
            raise ValueError("it holds a pickle, which nothing here writes")
        return super().fetch(mode, filename, value, read)


def is_busy(failure: Exception) -> bool:
    """Whether others hold the file, so that a later try may succeed."""
    code = getattr(failure, "sqlite_errorcode", 0) & 0xFF  # extended codes say more in the higher bits
    return isinstance(failure, diskcache.Timeout) or code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class _Sealed:
    """An Index of texts and numbers by texts, none of which can be read in the file."""

    def __init__(self, index: Index, seal: Seal) -> None:
        self._index = index
        self._seal = seal
        self.transact = index.transact
        self.close = index.close

    def __contains__(self, key: str) -> bool:
        return self._seal.seal_name(key) in self._index

    def get(self, key: str, default: Any = None) -> Any:
        """Raises ValueError for what was not written here."""
        found = self._index.get(self._seal.seal_name(key))
        return default if found is None else self._seal.open_value(key, found)

    def set(self, key: str, value: str | float) -> None:
        self._index.set(self._seal.seal_name(key), self._seal.seal_value(key, value))

    def add(self, key: str, value: str | float) -> None:
        self._index.add(self._seal.seal_name(key), self._seal.seal_value(key, value))

    def incr(self, key: str, delta: float) -> None:
        with self.transact():
            self.set(key, self.get(key, 0) + delta)

    def delete(self, key: str) -> None:
        self._index.delete(self._seal.seal_name(key))

    def iterkeys(self) -> Iterator[str]:
        for sealed in self._index.iterkeys():
            with suppress(ValueError):
                yield self._seal.open_name(sealed)


def open_index(folder: Path, *, most_bytes: int | None, seconds: float, seal: Seal | None = None) -> Index:
    """Values are numbers, text or bytes; sealed, numbers and text. What was stored longest ago goes when the file is
    full; None is no limit. A file that others have locked for `seconds` raises. Opening waits for up to a minute, and
    each thread that uses it opens it again."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / diskcache.core.DBNAME).touch(mode=0o600)  # SQLite's other files are as readable as this one
    index = diskcache.Cache(
        str(folder),
        timeout=seconds,
        disk=_NoPickles,
        disk_min_file_size=1 << 30,  # in the one file, however long
        size_limit=most_bytes if most_bytes is not None else 1 << 60,
        eviction_policy="least-recently-stored" if most_bytes is not None else "none",
    )
    return index if seal is None else _Sealed(index, seal)
