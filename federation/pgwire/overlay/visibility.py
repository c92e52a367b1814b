"""What the search path of a session shows, worked out once for each path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Looked at first unless the path says where.
IMPLICIT = "pg_catalog"


@dataclass(frozen=True, slots=True)
class Visibility:
    """`schemas` are those of the path that exist, `numbers` theirs with pg_catalog. `hidden` relations have the name of
    one in an earlier schema; without a path of the session's own they are `shared`: shown, but not by the bare name."""

    schemas: tuple[str, ...]
    implicit: bool
    numbers: tuple[int, ...]
    hidden: tuple[int, ...] = ()
    shared: tuple[int, ...] = ()


def visibility(
    path: Sequence[str],
    strict: bool,
    schemas: Mapping[str, int],
    relations: Mapping[str, Mapping[str, int]],
) -> Visibility:
    """`schemas` are the numbers of all schemas, `relations` those of each schema's relations by name."""
    known = tuple(dict.fromkeys(schema for schema in path if schema in schemas))
    implicit = IMPLICIT not in known
    order = (IMPLICIT, *known) if implicit else known
    first: dict[str, int] = {}
    later: list[int] = []
    both: set[int] = set()
    for schema in order:
        for name, oid in relations.get(schema, {}).items():
            if name in first:
                later.append(oid)
                both |= {first[name], oid}
            else:
                first[name] = oid
    numbers = tuple(schemas[schema] for schema in order)
    if strict:
        return Visibility(known, implicit, numbers, hidden=tuple(later))
    return Visibility(known, implicit, numbers, shared=tuple(sorted(both)))
