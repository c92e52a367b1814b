"""The one place that imports diskcache: small values by key in one SQLite file, for several processes at once."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, TypeAlias

import diskcache

#: what a file raises that is locked, full, or not what was written
FAILURES = (OSError, sqlite3.Error, diskcache.Timeout, ValueError)
Index: TypeAlias = "diskcache.Cache"


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


def open_index(folder: Path, *, most_bytes: int | None, seconds: float) -> Index:
    """Values are numbers, text or bytes. What was stored longest ago goes when the file is full; None is no limit. A
    file that others have locked for `seconds` raises. Opening waits for up to a minute, and each thread that uses it
    opens it again."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / diskcache.core.DBNAME).touch(mode=0o600)  # SQLite's other files are as readable as this one
    return diskcache.Cache(
        str(folder),
        timeout=seconds,
        disk=_NoPickles,
        disk_min_file_size=1 << 30,  # in the one file, however long
        size_limit=most_bytes if most_bytes is not None else 1 << 60,
        eviction_policy="least-recently-stored" if most_bytes is not None else "none",
    )
