"""Whether one fragment holds all that another one would fetch, and if not, what is missing.

A region says which rows of a relation a fragment holds: for each column a domain, beside conditions of any form that
are known by their text. Regions are compared within one source as seen with the same credentials, and one family: a
text that says everything else, such as tables, joins, grouping.

`contains` is never true falsely. That rows can be picked out of a fragment is another question: the columns that they
are picked by must be in it, which whoever writes the local query sees.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cache.domains import EVERYTHING, Domain, load


@dataclass(frozen=True, slots=True)
class Head:
    """The first rows in an order, whose keys are written out; without any, whichever rows came first."""

    order: tuple[str, ...]
    limit: int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Region:
    """`outputs` are the expressions that the fragment holds, and the columns that they are in. A column without a
    domain may have any value. A `loose` fragment may have rows that the domains and conditions exclude."""

    family: str
    outputs: Mapping[str, str]
    domains: Mapping[str, Domain] = field(default_factory=dict)
    conditions: frozenset[str] = frozenset()
    head: Head | None = None
    loose: bool = False

    def domain(self, column: str) -> Domain:
        return self.domains.get(column, EVERYTHING)

    def differing(self, other: Region) -> set[str]:
        """The columns whose domains are not the same."""
        return {each for each in {*self.domains, *other.domains} if self.domain(each) != other.domain(each)}

    def shelf(self) -> str:
        """What it is filed under: a region of one value of a column is of use only to those who ask for that value."""
        return min(self._points(), default="")

    def shelves(self) -> list[str]:
        """What those are filed under that may contain it."""
        return ["", *self._points()]

    def dump(self) -> str:
        """As a text that `load_region` reads."""
        head = (self.head.order, self.head.limit, self.head.offset) if self.head is not None else None
        domains = {column: domain.dump() for column, domain in self.domains.items()}
        return json.dumps([self.family, dict(self.outputs), domains, sorted(self.conditions), head, self.loose])

    def _points(self) -> list[str]:
        found = [(column, domain.point()) for column, domain in self.domains.items()]
        return [f"{column}={point!r}" for column, point in found if point is not None]


def load_region(text: str) -> Region:
    """Raises ValueError, TypeError, LookupError for what `dump` did not write."""
    family, outputs, domains, conditions, head, loose = json.loads(text)
    return Region(
        family,
        outputs,
        {column: load(dumped) for column, dumped in domains.items()},
        frozenset(conditions),
        Head(tuple(head[0]), head[1], head[2]) if head is not None else None,
        bool(loose),
    )


def contains(cached: Region, wanted: Region) -> bool:
    """Whether every row of `wanted` is in `cached`."""
    if cached.family != wanted.family or not cached.conditions <= wanted.conditions:
        return False
    if cached.head is not None:
        same = cached.conditions == wanted.conditions and not cached.differing(wanted)
        return same and wanted.head is not None and _leads(cached.head, wanted.head)
    return all(wanted.domain(column) <= domain for column, domain in cached.domains.items())


def _leads(cached: Head, wanted: Head) -> bool:
    return (
        cached.order == wanted.order
        and cached.offset <= wanted.offset
        and wanted.offset + wanted.limit <= cached.offset + cached.limit
    )


@dataclass(frozen=True, slots=True)
class Remainder:
    """The rows of a region that another does not hold are those whose `column` is in `missing`; the others it holds
    are in `held`."""

    column: str
    missing: Domain
    held: Domain


def remainder(cached: Region, wanted: Region) -> Remainder | None:
    """What `cached` lacks, where that is a matter of one column; None also where it has none of it."""
    if cached.family != wanted.family or not cached.conditions <= wanted.conditions or cached.head or wanted.head:
        return None
    lacking = [column for column, domain in cached.domains.items() if not wanted.domain(column) <= domain]
    if len(lacking) != 1:
        return None
    column = lacking[0]
    held = wanted.domain(column) & cached.domain(column)
    return Remainder(column, wanted.domain(column) - held, held) if held else None


def narrowed(wanted: Region, column: str, domain: Domain) -> Region:
    """The region with another domain of one column."""
    return replace(wanted, domains={**wanted.domains, column: domain})
