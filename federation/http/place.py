"""Which of the processes of a server this one is."""

from __future__ import annotations

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
