"""Ctrl-C and SIGTERM cancel the running query down to the source.

Python runs a signal's handler only between two steps of the main thread, which may be inside a driver for minutes.
The interpreter does write the signal to a file descriptor at once: a thread that reads it cancels.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """`signum` is the signal that came, None before. Until `target` is set there is nothing to cancel, and a signal
    raises KeyboardInterrupt as usual: `raised` is the signal that has."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.raised: int | None = None
        self._cancel: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def target(self, cancel: Callable[[], None]) -> None:
        with self._lock:
            self._cancel = cancel
            came = self.signum is not None
        if came:
            cancel()

    def came(self, signum: int) -> None:
        """The second one does not wait for anything."""
        with self._lock:
            if self.signum is not None:
                os._exit(128 + signum)
            self.signum = signum
            cancel = self._cancel
        if cancel is not None:
            cancel()

    def handle(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 -- a signal handler's signature
        if self._cancel is None:
            self.raised = signum
            raise KeyboardInterrupt


@contextlib.contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Watch for the signals; only the main thread may."""
    state = Interrupts()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(reader, state), name="signals", daemon=True)
    watcher.start()
    before = {signum: signal.signal(signum, state.handle) for signum in SIGNALS}
    descriptor = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield state
    finally:
        signal.set_wakeup_fd(descriptor)
        for signum, handler in before.items():
            signal.signal(signum, handler)
        writer.close()
        watcher.join()
        reader.close()


def _watch(reader: socket.socket, state: Interrupts) -> None:
    while received := reader.recv(64):
        for signum in received:
            if signum in SIGNALS:
                state.came(signum)
