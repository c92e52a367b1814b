"""Locks that are files: they hold between processes, and end with the process that has them, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Self


class FileLock:
    """One file, locked. Two of them exclude each other in one process as well as in two."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor

    @classmethod
    def attempt(cls, path: Path) -> Self | None:
        """The lock, or None while another has it. Raises OSError where the file cannot be made."""
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, path):
                    return cls(path, descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # whoever had it has removed the file since it was opened

    def touch(self) -> None:
        """A sign of life, for `idle`."""
        if self._descriptor is not None:
            os.utime(self._descriptor)

    def release(self) -> None:
        """The file goes with the lock. Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):  # a file that stays is as good as none: nobody holds it
                self._path.unlink()
            os.close(descriptor)


def idle(path: Path) -> float:
    """Seconds since the lock was made or touched; 0 without one."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def share(path: Path) -> int:
    """A descriptor that keeps others from `exclusive` until it is closed."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
