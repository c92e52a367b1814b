"""A small thread-safe pool: one connection per open reader, a bounded number, idle ones kept for the next."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from adapters.base import CancelToken
from adapters.errors import ConnectionLost

C = TypeVar("C")
T = TypeVar("T")


class Pool(Generic[C]):
    """At most `size` connections are out at once; `acquire` waits for one, and a cancel ends the wait."""

    def __init__(self, connect: Callable[[], C], close: Callable[[C], object], size: int = 8) -> None:
        self._connect = connect
        self._close = close
        self._free = size
        self._idle: list[C] = []
        self._changed = threading.Condition()
        self._closed = False

    def acquire(self, cancel: CancelToken | None = None) -> C:
        idle = self._idle_one(cancel)
        return self._new(cancel) if idle is None else idle

    def start(self, begin: Callable[[C], T], cancel: CancelToken | None = None) -> tuple[C, T]:
        """A connection, and what `begin` made of it: all that is done with it before anything of an answer is there.

        The source may close an idle connection at any moment, which nothing but the next use shows. So where `begin`
        raises ConnectionLost of such a one, it is called once more with a new one, as others that lie idle are
        probably closed as well. After any error the connection is closed.
        """
        connection = self._idle_one(cancel)
        if connection is not None:
            try:
                return connection, begin(connection)
            except ConnectionLost:
                self._close(connection)  # the new one takes its place
            except BaseException:
                self.release(connection, broken=True)
                raise
        connection = self._new(cancel)
        try:
            return connection, begin(connection)
        except BaseException:
            self.release(connection, broken=True)
            raise

    def _idle_one(self, cancel: CancelToken | None) -> C | None:
        """The right to one connection, with one that lay idle if there is any."""
        unregister = cancel.register(self._wake) if cancel else None
        try:
            with self._changed:
                while self._free == 0:
                    if cancel:
                        cancel.check()
                    self._changed.wait()
                if cancel:
                    cancel.check()
                self._free -= 1
                return self._idle.pop() if self._idle else None
        finally:
            if unregister:
                unregister()

    def release(self, connection: C, *, broken: bool = False) -> None:
        """`broken` (or a pool that was closed meanwhile) closes the connection instead of keeping it."""
        if broken or self._closed:
            self._close(connection)
            self._give_back()
        else:
            self._give_back(connection)

    def close(self) -> None:
        """Close the idle connections; those that are out are closed when they come back."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            self._close(connection)

    def _new(self, cancel: CancelToken | None) -> C:
        """Connecting cannot be interrupted, only left behind: what it makes after a cancel is for the next one."""
        made: Future[C] = Future()
        ended = threading.Event()
        made.add_done_callback(lambda _: ended.set())
        if cancel is None:
            self._make(made)
        else:
            threading.Thread(target=self._make, args=(made,), name="connect", daemon=True).start()
            unregister = cancel.register(ended.set)
            try:
                ended.wait()
                cancel.check()
            except BaseException:
                made.add_done_callback(self._keep)
                raise
            finally:
                unregister()
        if made.exception() is not None:
            self._give_back()
        return made.result()

    def _make(self, made: Future[C]) -> None:
        try:
            made.set_result(self._connect())
        except BaseException as exc:
            made.set_exception(exc)

    def _keep(self, made: Future[C]) -> None:
        if made.exception() is None:
            self.release(made.result())
        else:
            self._give_back()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _give_back(self, connection: C | None = None) -> None:
        with self._changed:
            self._free += 1
            if connection is not None:
                self._idle.append(connection)
            self._changed.notify()
