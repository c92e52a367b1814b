"""A line on standard error while a query runs longer than a second: per source, rows and bytes."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TextIO

PATIENCE = 1.0
EVERY = 0.1
CLEAR = "\r\x1b[K"


class Fragment(Protocol):
    """What the engine tells of one fragment."""

    @property
    def source(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def done(self) -> bool: ...


class Progress:
    """Drawn by a thread of its own. `watch` says where the figures come from, `hide` ends it for good."""

    def __init__(self, stream: TextIO, patience: float) -> None:
        self._stream = stream
        self._patience = patience
        self._figures: Callable[[], Sequence[Fragment]] = lambda: ()
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="progress", daemon=True)
        self._thread.start()

    def watch(self, figures: Callable[[], Sequence[Fragment]]) -> None:
        self._figures = figures

    def hide(self) -> None:
        self._ended.set()
        self._thread.join()

    def _draw(self) -> None:
        if self._ended.wait(self._patience):
            return
        try:
            while True:
                line = summary(self._figures(), time.monotonic() - self._started)
                self._stream.write(CLEAR + line[: shutil.get_terminal_size().columns - 1])
                self._stream.flush()
                if self._ended.wait(EVERY):
                    return
        finally:
            self._stream.write(CLEAR)
            self._stream.flush()


@contextlib.contextmanager
def progress(stream: TextIO, patience: float = PATIENCE) -> Iterator[Progress | None]:
    """None when `stream` is not a terminal."""
    if not stream.isatty():
        yield None
        return
    shown = Progress(stream, patience)
    try:
        yield shown
    finally:
        shown.hide()


def summary(fragments: Sequence[Fragment], seconds: float) -> str:
    """`pg 1,200,000 rows 34.1 MB · my ✓ 10 rows 1.2 kB · 3.4 s`: one part per source."""
    sources: dict[str, list[Fragment]] = {}
    for fragment in fragments:
        sources.setdefault(fragment.source, []).append(fragment)
    parts = [
        f"{name}{' ✓' if all(f.done for f in group) else ''} {sum(f.rows for f in group):,} rows "
        f"{in_bytes(sum(f.bytes for f in group))}"
        for name, group in sources.items()
    ]
    return " · ".join([*(parts or ["planning"]), f"{seconds:.1f} s"])


def in_bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
