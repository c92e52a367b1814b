"""The folder of the fragments: one for each version, in use by any number of processes.

A folder of another version is removed once nobody uses it. Each process that uses one holds a shared lock on a file in
it; whoever gets that lock alone may remove the folder.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from cache.locks import FileLock, share

_KIND = "fragments-"
_IN_USE = "in-use"


class Folder:
    """In use until it is closed. Raises OSError."""

    def __init__(self, root: Path, version: str) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = root / f"{_KIND}{version}"
        self._held: int | None = self._use()
        for other in root.glob(f"{_KIND}*"):
            if other != self.path:
                _remove_unused(other)

    def clear(self) -> bool:
        """Begin with an empty folder; False where others use it."""
        self.close()
        cleared = _remove_unused(self.path)
        self._held = self._use()
        return cleared

    def close(self) -> None:
        """Idempotent."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    def _use(self) -> int:
        while True:
            self.path.mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):  # just removed by another
                return share(self.path / _IN_USE)


def _remove_unused(folder: Path) -> bool:
    with suppress(OSError):
        lock = FileLock.attempt(folder / _IN_USE)
        if lock is not None:
            try:
                shutil.rmtree(folder)
            finally:
                lock.release()
            return True
    return False


def this_boot() -> str:
    """Names the run of the machine: what was written in it is in its memory, however a process ended."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return os.urandom(16).hex()
