"""Which of the processes of a server this one is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """`number` of `count`, from 0. The process that comes after one that has died has its number, but no process of a
    server has the `serial` of another. The `first` is alone until it is ready."""

    number: int = 0
    count: int = 1
    serial: int = 0
    first: bool = True

    @property
    def others(self) -> list[int]:
        """The numbers of its siblings."""
        return [number for number in range(self.count) if number != self.number]

    def owner(self, pid: int) -> int:
        """The number of the process that has the session of PostgreSQL's protocol with that id, see `pids`."""
        return (pid - 1) % self.count

    def pids(self) -> Iterator[int]:
        """Ids for the sessions of this process."""
        return itertools.count(1 + self.number, self.count)
