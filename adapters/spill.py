"""Folders for what has no room in memory. What a process left behind that was killed is removed by the next one."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

PREFIX = "federation-spill-"


class SpillFolder:
    """A private folder below `parent`, or below the system's own for such things. It is locked for as long as its
    process lives, however that ends."""

    def __init__(self, parent: str | None) -> None:
        parent = parent or tempfile.gettempdir()
        _remove_abandoned(parent)
        self.path = ""
        while not self.path:
            path = tempfile.mkdtemp(prefix=PREFIX, dir=parent)
            with suppress(FileNotFoundError):  # another process found it before it was locked
                self._lock: int | None = _locked(Path(path))
                self.path = path

    def remove(self) -> None:
        """Idempotent."""
        lock, self._lock = self._lock, None
        if lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(lock)


@cache  # once in a process
def _remove_abandoned(parent: str) -> None:
    for path in Path(parent).glob(PREFIX + "*"):
        with suppress(OSError):  # it is in use, somebody else's, or gone
            lock = _locked(path, fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def _locked(path: Path, how: int = 0) -> int:
    """A descriptor that holds the lock. Raises FileNotFoundError where the folder is gone."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | how)
        path.stat()
    except BaseException:
        os.close(lock)
        raise
    return lock
