"""How many reads of one source run at once, over all queries; and why that cannot end in a deadlock.

A read that has a connection may wait for its consumer, and its consumer for another read that waits for a connection:
DuckDB pulls its inputs one after the other, one query reads several sources, and a caller may leave a result half
read. Every order in which connections could be handed out meets such a ring, since nobody knows who will be pulled
next. So a read that has one never waits while another has none: it goes on without its consumer, what has no room in
memory goes to disk, and the connection comes free when the source has said all.

1. A fragment without any slot that waits for its first is urgent, and is served before further slots of others.
2. For each urgent fragment one reader that holds a slot yields, if its consumer makes it wait: see `Slot.wanted`.
3. Who has one of a connection's own and waits for that of the source around it gets it, by 1 and 2: so it ends, and the
   next one of the connection has its turn.
4. A reader never waits in the adapter for a connection, so the adapter's pool must have no fewer than there are slots.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Protocol

from adapters.base import CancelToken

DEFAULT_SIZE = 8  # no adapter's pool is smaller unless limits.concurrency says so


class Waker(Protocol):
    """One fragment, as its slots see it."""

    def wake(self) -> None:
        """Ask the slots again whether they are wanted. Takes the fragment's lock."""


class Slot:
    """One connection's worth of a source; `outer` is the one that it is within."""

    def __init__(self, slots: Slots, fragment: Waker, outer: Slot | None) -> None:
        self._slots = slots
        self._fragment = fragment
        self._outer = outer
        self.yielding = False

    def wanted(self) -> bool:
        """Whether to go on without waiting for the consumer; once it is so it remains so. May be called with the
        fragment's lock held, `release` may not."""
        if not self.yielding:
            self.yielding = self._slots._yield()
        return self.yielding or (self._outer is not None and self._outer.wanted())

    def release(self) -> None:
        if self._outer is not None:
            self._outer.release()
        self._slots._release(self._fragment, self.yielding)


class Slots:
    """Those of one source; or of one connection to it, `within` those. The fragments' locks come before the lock here,
    never after it."""

    def __init__(self, size: int = DEFAULT_SIZE, within: Slots | None = None) -> None:
        self.size = size
        self._within = within
        self._free = size
        self._yielding = 0
        self._held: Counter[Waker] = Counter()
        self._waiting: list[Waker] = []  # an entry for each that waits, in order
        self._changed = threading.Condition()

    def acquire(self, fragment: Waker, cancel: CancelToken) -> Slot:
        """Wait for a slot; a cancel ends the wait and raises its cause."""
        with self._changed:
            self._waiting.append(fragment)
        unregister = cancel.register(self._wake)
        try:
            self._ask_holders()
            with self._changed:
                while not self._is_next(fragment):
                    cancel.check()
                    self._changed.wait()
                cancel.check()
                self._free -= 1
                self._held[fragment] += 1
        finally:
            unregister()
            with self._changed:
                self._waiting.remove(fragment)
                self._changed.notify_all()
        if self._within is None:
            return Slot(self, fragment, None)
        try:
            return Slot(self, fragment, self._within.acquire(fragment, cancel))
        except BaseException:
            self._release(fragment, False)
            raise

    def _is_next(self, fragment: Waker) -> bool:
        first = next((each for each in self._waiting if not self._held[each]), self._waiting[0])
        return self._free > 0 and first is fragment

    def _in_need(self) -> bool:
        """Whether more fragments wait for their first slot than there are slots free or about to be."""
        urgent = {id(each) for each in self._waiting if not self._held[each]}
        return len(urgent) > self._free + self._yielding

    def _ask_holders(self) -> None:
        with self._changed:
            holders = list(self._held) if self._in_need() else []
        for holder in holders:
            holder.wake()

    def _yield(self) -> bool:
        with self._changed:
            needed = self._in_need()
            self._yielding += needed
            return needed

    def _release(self, fragment: Waker, yielding: bool) -> None:
        with self._changed:
            self._free += 1
            self._yielding -= yielding
            self._held[fragment] -= 1
            if not self._held[fragment]:
                del self._held[fragment]
            self._changed.notify_all()
        self._ask_holders()  # this fragment may have become one that waits for its first

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
