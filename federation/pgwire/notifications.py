"""LISTEN: sessions are told of what was invalidated, and each when it has nothing to do, as PostgreSQL does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

from federation.invalidation import Target

CHANNEL = "federation_invalidation"


class Mailbox:
    """What a session listens to, and what it has not been told yet. `put` may come from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: frozenset[str] = frozenset()
        self._wanted: frozenset[str] = frozenset()  # once the transaction is committed
        self._news: dict[tuple[str, str], None] = {}  # in order; of the same again there is no more to say
        self._wake: int | None = None

    def listen(self, channel: str) -> None:
        self._wanted |= {channel}

    def unlisten(self, channel: str | None) -> None:
        """None is all of them."""
        self._wanted = self._wanted - {channel} if channel is not None else frozenset()

    def commit(self) -> None:
        with self._lock:
            self._channels = self._wanted
            if self._channels and self._wake is None:
                self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def rollback(self) -> None:
        self._wanted = self._channels

    def wake(self) -> int | None:
        """A descriptor that can be read when there is something; None while it listens to nothing."""
        return self._wake if self._channels else None

    def put(self, channel: str, payload: str) -> None:
        with self._lock:
            if channel in self._channels and self._wake is not None:
                self._news[channel, payload] = None
                os.eventfd_write(self._wake, 1)

    def take(self) -> list[tuple[str, str]]:
        """Channels and payloads."""
        with self._lock:
            news, self._news = list(self._news), {}
            if self._wake is not None:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
        return news

    def close(self) -> None:
        with self._lock:
            wake, self._wake = self._wake, None
        if wake is not None:
            os.close(wake)


class Notifications:
    """All sessions that listen. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mailboxes: WeakKeyDictionary[Mailbox, Callable[[str], bool]] = WeakKeyDictionary()

    def add(self, mailbox: Mailbox, is_shown: Callable[[str], bool]) -> None:
        """Of names that are not to be shown it is not told."""
        with self._lock:
            self._mailboxes[mailbox] = is_shown

    def announce(self, target: Target) -> None:
        """Each source by its name, each table as source.schema.table."""
        with self._lock:
            mailboxes = list(self._mailboxes.items())
        for name in sorted(target.sources | target.tables):
            for each, is_shown in mailboxes:
                if is_shown(name):
                    each.put(CHANNEL, name)
