"""How far a session's time zone is from UTC.

Arrow knows the transitions of a zone up to 2037. Later times, which are rare, are asked of `zoneinfo`, which goes by
the zone's rule.
"""

from __future__ import annotations

import datetime
import re
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa

from adapters.errors import ProgrammingError
from federation.pgwire.encoding.segments import Numbers, numbers, pc

_POSIX = re.compile(r"(?:<[^>]+>|[A-Za-z]{3,})([+-]?)(\d{1,2})(?::(\d{2})(?::(\d{2}))?)?")
_CYCLE = 146_097 * 86_400  # seconds of 400 years, after which the calendar repeats
_FIRST = -(2**33)  # 1697: before any transition
_LAST = 2**31 - 86_400  # the last day of 32 bits
_LATEST = int(datetime.datetime(9999, 12, 30, tzinfo=datetime.UTC).timestamp())


class UnknownTimeZone(ProgrammingError, sqlstate="22023"):
    """No time zone has that name."""


def offsets_from_utc(name: str, seconds: Numbers) -> Numbers:
    """The seconds to be added at each time (in seconds since 1970, UTC) for the local one. Raises UnknownTimeZone."""
    zone = find_zone(name)
    if isinstance(zone, int):
        return np.full(len(seconds), zone)
    near = np.clip(seconds, _FIRST, _LAST)
    local = pc.local_timestamp(pa.array(near, pa.timestamp("s", zone.key)))
    found: Numbers = numbers(local, "i8") - near
    late = seconds > _LAST
    if late.any():
        times, where = np.unique(seconds[late], return_inverse=True)
        found[late] = np.array([_by_rule(zone, int(time)) for time in times])[where]
    return found


def _by_rule(zone: ZoneInfo, seconds: int) -> int:
    offset = datetime.datetime.fromtimestamp(_near(seconds), zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _near(seconds: int) -> int:
    """A time that `datetime` has, at which the zone has the same offset."""
    while seconds > _LATEST:
        seconds -= _CYCLE
    return max(seconds, _FIRST)


def offset_of_local(name: str, seconds: int) -> int:
    """The seconds east of UTC at a local time (in seconds since 1970). Where clocks are put forward or back, the
    standard time counts, as in PostgreSQL. Raises UnknownTimeZone."""
    zone = find_zone(name)
    if isinstance(zone, int):
        return zone
    local = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=_near(seconds))
    both = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return min(int(offset.total_seconds()) for offset in both if offset is not None)


@lru_cache(256)
def find_zone(name: str) -> ZoneInfo | int:
    """A zone of the tz database, or the seconds east of UTC of a POSIX name such as `GMT-05:30` or `<+05>-5`, whose
    sign says how far west it is. Raises UnknownTimeZone."""
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        fixed = _POSIX.fullmatch(name)
        if fixed is None or int(fixed[2]) > 167:
            raise UnknownTimeZone(f'time zone "{name}" is not known', hint="such as Europe/Berlin") from None
        hours, minutes, second = (int(part or 0) for part in fixed.groups()[1:])
        west = hours * 3600 + minutes * 60 + second
        return west if fixed[1] == "-" else -west
    return 0 if name in ("UTC", "Etc/UTC") else zone
