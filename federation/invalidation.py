"""What a source holds has changed, and somebody knows it: what the cache has of it is not given any more.

`CALL system.invalidate('crm.accounts')` says so in SQL. The name is that of a source, of a table, of a view (for all
that it reads), or `tag:` and a tag of the catalog file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sqlglot import exp

from adapters.errors import ProgrammingError, SQLSyntaxError
from catalog.catalog import Catalog
from catalog.names import did_you_mean, nearest
from catalog.policies import Caller, Rights
from federation.bind import Binder
from federation.parse import parse

TAG = "tag:"
_PARTS = {"this", "db", "catalog"}
_CALL = re.compile(r"\s*CALL\s+system\s*\.\s*invalidate\s*\(\s*'((?:[^']|'')*)'\s*\)[\s;]*", re.IGNORECASE)


class UnknownTag(ProgrammingError, sqlstate="42704"):
    """No source or table of the catalog has that tag."""


@dataclass
class Target:
    """Whole sources, and single tables by their full names."""

    sources: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)


def called(sql: object) -> str | None:
    """The name in a call of the procedure; None for any other statement."""
    found = _CALL.fullmatch(sql) if isinstance(sql, str) else None
    return found[1].replace("''", "'") if found else None


def find_target(catalog: Catalog, binder: Binder, name: str, caller: Caller | None = None) -> Target:
    """Raises UnknownTag, SQLSyntaxError, what the catalog says of a table, or InsufficientPrivilege: who may read a
    table or a whole source may say that it has changed, and of tags those who administer the system."""
    rights = Rights(catalog, caller)
    if name.startswith(TAG):
        rights.check_administration()
        return _tagged(catalog, name.removeprefix(TAG).strip())
    sources = [each for each in catalog.sources if each.casefold() == name.strip().casefold()]
    if sources:
        if not rights.administers():
            rights.check_source(sources[0])
        return Target(sources=set(sources))
    asking = None if rights.administers() else caller
    bound = binder.bind(exp.Select(expressions=[exp.Star()]).from_(_table(name)), asking)
    return Target(tables={each.full_name for each in bound.tables.values()})


def _table(name: str) -> exp.Table:
    """Raises SQLSyntaxError for anything else."""
    try:
        query = parse(f"SELECT * FROM {name}")
    except ProgrammingError:
        query = exp.Select()
    plain = [key for key, value in query.args.items() if value] == ["expressions", "from_"]
    table = query.args["from_"].this if plain else None
    if not isinstance(table, exp.Table) or {key for key, value in table.args.items() if value} - _PARTS:
        raise SQLSyntaxError(f"{name!r} is not the name of a source or a table", hint="source.schema.table")
    return table


def _tagged(catalog: Catalog, tag: str) -> Target:
    found = Target()
    known: set[str] = set()
    for source in catalog.sources.values():
        if source.cache is not None:
            known |= source.cache.tags
            if tag in source.cache.tags:
                found.sources.add(source.name)
    for note in catalog.notes:
        if note.cache is not None:
            known |= note.cache.tags
            if tag in note.cache.tags:
                schema = note.schema or catalog.sources[note.source].adapter.default_schema
                found.tables.add(f"{note.source}.{schema}.{note.name}")
    if tag not in known:
        hint = did_you_mean(nearest(tag, known)) or f"known: {', '.join(sorted(known)) or 'none'}"
        raise UnknownTag(f'no source or table has the tag "{tag}"', hint=hint)
    return found
