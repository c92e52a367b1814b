"""Noticing that a client has gone away while its statement runs and nothing is sent to it."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watch:
    """One thread for all connections, until `close`."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._gone: dict[int, Callable[[], object]] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="postgres-watch", daemon=True).start()

    @contextmanager
    def watching(self, descriptor: int, gone: Callable[[], object]) -> Iterator[None]:
        """Call `gone`, in a thread of its own, when the client behind the socket closes it meanwhile."""
        self._gone[descriptor] = gone
        self._poll.register(descriptor, select.EPOLLRDHUP | select.EPOLLONESHOT)
        try:
            yield
        finally:
            self._poll.unregister(descriptor)
            del self._gone[descriptor]

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.is_set():
            for descriptor, _ in self._poll.poll(1.0):
                gone = self._gone.get(descriptor)
                if gone is not None:
                    threading.Thread(target=gone, name="postgres-gone", daemon=True).start()
        self._poll.close()
