"""What the files of a table are known by, without reading them: their names, sizes and times."""

from __future__ import annotations

import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

_SECOND = 1_000_000_000
_TICK = 100_000_000  # ns; the clock of a file system ticks every 10 ms at the slowest
_COARSE_TICK = 2 * _SECOND  # where it has whole seconds only


def version_of(files: Sequence[Path]) -> str | None:
    """None while another change of a file could have the same time as the last one, and for a file that is gone.

    The time of a change of the inode cannot be set back, as that of the content can: a copy that keeps its time shows.
    """
    try:
        found = [(str(path), path.stat()) for path in files]
    except OSError:
        return None
    now = time.time_ns()
    if any(now - state.st_ctime_ns < _tick(state.st_ctime_ns) for _, state in found):
        return None
    marks = [(path, each.st_mtime_ns, each.st_ctime_ns, each.st_size, each.st_ino) for path, each in found]
    return blake2b(repr(marks).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _tick(changed: int) -> int:
    return _TICK if changed % _SECOND else _COARSE_TICK
