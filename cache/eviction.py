"""Which fragments go when there is no room: those that were not used for long, are large, and were quick to fetch; what
is pinned after all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cache.entry import Entry

SHARE = 0.9  # of the limit, which is what remains
_SMALL = 4096  # bytes that any fragment takes
_QUICK = 1e-3  # seconds that any fetch takes


def victims(used: Iterable[tuple[Entry, float]], now: float, clock: float, excess: float) -> Iterator[Entry]:
    """Enough of them to free `excess` bytes. `used` has the time of the last use of each, `now` is of the same clock;
    `clock` is that of pins."""

    def order(each: tuple[Entry, float]) -> tuple[bool, float]:
        entry, last = each
        return entry.pinned_until > clock, -_weight(entry, last, now)

    for entry, _ in sorted(used, key=order):
        if excess <= 0:
            return
        excess -= entry.bytes
        yield entry


def _weight(entry: Entry, last: float, now: float) -> float:
    return max(now - last, 0.0) * max(entry.bytes, _SMALL) / max(entry.seconds, _QUICK)
