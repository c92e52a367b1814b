"""What `federation check` finds: every fault of a catalog file, of its sources and of its views, not only the first.

1. The file: each fault with its place and a hint.
2. The sources that can be read from it: all asked at once for their tables, none waited for too long.
3. The notes on tables, the views, and what roles grant, filter and mask: each must name something, each view must be a
   query that can be described, and each policy must fit its table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from adapters.base import TableName
from adapters.errors import Error, SchemaNotFound
from catalog.catalog import Catalog
from catalog.config import read_config
from catalog.load import build_catalog
from catalog.model import CatalogTable, TableNote, View
from catalog.names import did_you_mean, nearest, show_name
from catalog.policies import find_table
from catalog.roles import Grant, Policy, Role
from catalog.shared import at_once
from federation.parse import parse
from federation.versions import check_version_query

# Describes a view against the running engine, or fits a policy to its table; raises what is wrong with it.
Describe = Callable[[Catalog, View], object]
Fit = Callable[[Catalog, Policy], object]

SOURCE_SECONDS = 10.0
_VIEWS_AT_ONCE = 4


Kind: TypeAlias = Literal["file", "source", "table", "view", "role"]


@dataclass(frozen=True, slots=True)
class Finding:
    kind: Kind
    name: str
    ok: bool
    message: str
    hint: str | None = None


def check(
    path: Path, describe: Describe | None = None, fit: Fit = find_table, seconds: float = SOURCE_SECONDS
) -> list[Finding]:
    """Every finding, the good ones too. `describe` is left out where only the texts of views can be checked, and `fit`
    where policies can only be checked by the names in them."""
    config, faults = read_config(path)
    catalog, more = build_catalog(config)
    try:
        findings = [Finding("file", str(path), False, fault.message, fault.hint) for fault in (*faults, *more)]
        if not findings:
            counts = f"{_count(len(catalog.sources), 'source')}, {_count(len(catalog.views), 'view')}"
            findings.append(Finding("file", str(path), True, counts))
        listings = _listings(catalog, seconds)
        findings += [_source_finding(catalog, name, answer) for name, answer in listings.items()]
        findings += [finding for note in catalog.notes if (finding := _note_finding(catalog, note, listings))]
        findings += _view_findings(catalog, describe, seconds)
        findings += [
            found for role in catalog.access.roles.values() for found in _role_findings(catalog, role, fit, listings)
        ]
        return findings
    finally:
        # An adapter that still waits for its server may not be able to close; this must end all the same.
        at_once({"close": catalog.close}, seconds)


Answer = list[TableName] | Exception


def _listings(catalog: Catalog, seconds: float) -> Mapping[str, Answer]:
    def lister(name: str) -> Callable[[], list[TableName]]:
        return lambda: catalog.tables(name)

    return at_once({name: lister(name) for name in catalog.sources}, seconds)


def _source_finding(catalog: Catalog, name: str, answer: Answer) -> Finding:
    if isinstance(answer, Exception):
        return _failed(catalog, "source", name, answer)
    hint = None if answer else "check its path or schema, and what its user may see"
    return Finding("source", name, True, _count(len(answer), "table"), hint)


def _note_finding(catalog: Catalog, note: TableNote, listings: Mapping[str, Answer]) -> Finding | None:
    """A note on a table that does not exist, or whose version cannot be asked for; a source that failed is a finding
    already."""
    if isinstance(listings.get(note.source, Exception()), Exception):
        return None
    parts = [part for part in (note.source, note.schema, note.name) if part is not None]
    try:
        table = catalog.resolve(parts, [True] * len(parts))
        if isinstance(table, CatalogTable):
            check_version_query(table)
    except Error as exc:
        return _failed(catalog, "table", show_name(parts), exc)
    return None


def _view_findings(catalog: Catalog, describe: Describe | None, seconds: float) -> list[Finding]:
    def test(view: View) -> Callable[[], object]:
        def run() -> object:
            parse(view.sql)
            return describe(catalog, view) if describe else None

        return run

    findings = []
    views = list(catalog.views.items())
    for start in range(0, len(views), _VIEWS_AT_ONCE):
        answers = at_once({name: test(view) for name, view in views[start : start + _VIEWS_AT_ONCE]}, seconds)
        for name, answer in answers.items():
            shown = show_name(name)
            if isinstance(answer, Exception):
                findings.append(_failed(catalog, "view", shown, answer))
            else:
                findings.append(Finding("view", shown, True, "valid" if describe else "valid SQL"))
    return findings


def _role_findings(catalog: Catalog, role: Role, fit: Fit, listings: Mapping[str, Answer]) -> list[Finding]:
    """What a source that failed has cannot be told; that is a finding already."""

    def test(name: str, source: str, run: Callable[[], object]) -> None:
        if not isinstance(listings.get(source), list):
            return
        try:
            run()
        except Exception as exc:
            found.append(_failed(catalog, "role", f"{role.name}: {name}", exc))

    found: list[Finding] = []
    sources = {name.casefold(): name for name in catalog.sources}
    for grant in role.grants:
        if len(grant.parts) > 1 and (source := sources.get(grant.parts[0].casefold())) is not None:
            test(str(grant), source, lambda grant=grant: _find_granted(catalog, grant))  # type: ignore[misc]
    for policy in role.policies:
        test(policy.name, policy.table[0], lambda policy=policy: fit(catalog, policy))  # type: ignore[misc]
    counts = f"{_count(len(role.grants), 'grant')}, {_count(len(role.policies), 'policy', 'policies')}"
    return found or [Finding("role", role.name, True, counts)]


def _find_granted(catalog: Catalog, grant: Grant) -> None:
    """Raises SchemaNotFound, TableNotFound, AmbiguousTable."""
    if not grant.wild:
        catalog.resolve(grant.parts, [True] * len(grant.parts))
        return
    source, schema = grant.parts
    schemas = {table.schema for table in catalog.tables(source)}
    if schema.casefold() not in {each.casefold() for each in schemas}:
        hint = did_you_mean(show_name((source, near)) for near in nearest(schema, sorted(schemas)))
        raise SchemaNotFound(f"there is no schema {show_name(grant.parts)}", hint=hint)


def _failed(catalog: Catalog, kind: Kind, name: str, failure: Exception) -> Finding:
    scrub = catalog.redactor.scrub
    if isinstance(failure, Error):
        hint = scrub(failure.hint) if failure.hint else None
        place = f" (at character {failure.position})" if failure.position else ""
        return Finding(kind, name, False, scrub(failure.message) + place, hint)
    if isinstance(failure, TimeoutError):
        return Finding(kind, name, False, scrub(str(failure)), "check that the server is up and its port is reachable")
    return Finding(kind, name, False, scrub(f"{type(failure).__name__}: {failure}"), "this is a bug: please report it")


def _count(number: int, noun: str, several: str | None = None) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {several or f'{noun}s'}"
