"""Reads the catalog file: one TOML file, or a folder of them merged.

1. `_documents` parses each file.
2. `_merge` puts the sections together; a name that two files define is a fault.
3. One reader per section turns it into the dataclasses of `catalog.model`, and notes every fault on the way.

Nothing is contacted. A section with a fault is left out of the `Config`, so that the rest can still be checked.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlglot import exp

from adapters.errors import CatalogError, MissingDriver
from adapters.registry import adapter_class
from catalog.access import Access, read_access
from catalog.caching import read_encryption_key, read_policy
from catalog.constraints import read_constraint
from catalog.model import Limits, Settings, SourceConfig, TableNote, View
from catalog.names import did_you_mean, nearest, show_name, split_name
from catalog.refreshing import read_refresh, read_view_refresh
from catalog.roles import read_roles
from catalog.secrets import Redactor, has_reference, resolve_references
from catalog.values import Faults, Section

SECTIONS = ("settings", "sources", "tables", "views", "roles", "users", "oidc", "callbacks")
ACCESS = ("users", "oidc", "callbacks")
EXACT = ("roles", *ACCESS)  # names that are as they are written
UNNAMED = ("settings", "callbacks")  # one table for all files, not one for each name
SETTINGS = (
    "search_path",
    "memory_limit",
    "spill_directory",
    "threads",
    "timeout",
    "metadata_ttl",
    "verify_sample",
    "statistics_directory",
    "cache_directory",
    "cache_size",
    "cache_encryption_key",
)
SOURCE_KEYS = ("adapter", "limits", "cache")
LIMIT_KEYS = ("concurrency", "timeout")
TABLE_KEYS = ("owner", "comment", "constraint", "cache")
VIEW_KEYS = ("sql", "cache")

# What a reference stands for in these is shown: EXPLAIN without the names of files would say little.
NOT_SECRET = frozenset({"path", "schema", *SETTINGS}) - {"cache_encryption_key"}

RESERVED = frozenset({"system", "information_schema", "pg_catalog"})
_NAME = re.compile(r"[^\W\d][\w-]*")


@dataclass(frozen=True, slots=True)
class Config:
    """The readable part of a catalog file."""

    settings: Settings
    sources: tuple[SourceConfig, ...]
    views: tuple[View, ...]
    notes: tuple[TableNote, ...]
    redactor: Redactor
    access: Access


def read_config(path: Path) -> tuple[Config, list[CatalogError]]:
    """The configuration in a file or a folder, and every fault in it. Nothing is raised."""
    faults, redactor = Faults(), Redactor()
    merged = _merge(_documents(path, faults), faults)
    source_names = {name for name, _ in merged["sources"]}
    sources = tuple(_sources(merged["sources"], redactor))
    notes = tuple(_notes(merged["tables"], source_names, {source.name: source for source in sources}))
    cached = any(source.cache for source in sources) or any(note.cache for note in notes)
    views = tuple(_views(merged["views"], source_names, cached=cached))
    settings = _settings(merged["settings"], source_names | {view.schema for view in views}, redactor)
    view_names = [name for text, _ in merged["views"] if (name := split_name(text)) is not None and len(name) == 2]
    roles = read_roles([part for _, part in merged["roles"]], source_names, view_names)
    users, providers, callbacks = ([_secret(part, redactor) for _, part in merged[kind]] for kind in ACCESS)
    access = read_access(users, providers, callbacks, roles)
    for error in faults.errors:
        redactor.scrub_error(error)
    return Config(settings, sources, views, notes, redactor, access), faults.errors


def _documents(path: Path, faults: Faults) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    files = sorted(path.glob("*.toml")) if path.is_dir() else [path]
    if not files:
        faults.add(path, "", "the folder holds no *.toml file")
    for file in files:
        try:
            yield file, tomllib.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            faults.add(file, "", "there is no such file", "name the catalog file with -c, or set FEDERATION_CATALOG")
        except OSError as exc:
            faults.add(file, "", f"the file cannot be read: {exc.strerror}")
        except UnicodeDecodeError:
            faults.add(file, "", "the file is not UTF-8 text")
        except tomllib.TOMLDecodeError as exc:
            faults.add(file, "", f"this is not TOML: {exc}")
        except RecursionError:
            faults.add(file, "", "the file is nested too deeply")


Named = tuple[str, Section]


def _merge(documents: Iterator[tuple[Path, Mapping[str, Any]]], faults: Faults) -> dict[str, list[Named]]:
    """Per kind of section, its named parts from all files, each name once. `settings` comes as one part per file."""
    merged: dict[str, list[Named]] = {kind: [] for kind in SECTIONS}
    seen: dict[tuple[str, object], Section] = {}
    for file, document in documents:
        top = Section(file, "", document, faults)
        top.reject_unknown(SECTIONS)
        for kind, section in top.tables(only=SECTIONS):
            if kind in UNNAMED:
                for key in section.values:
                    _first(seen, (kind, key), key, section)
                merged[kind].append((kind, section))
            else:
                parts = section.tables()
                merged[kind] += [(name, part) for name, part in parts if _first(seen, _key(kind, name), "", part)]
    return merged


def _key(kind: str, name: str) -> tuple[str, object]:
    """Two names with the same key cannot both be defined: matching ignores case."""
    if kind in EXACT:
        return kind, name
    parts = (name,) if kind == "sources" else split_name(name) or (name,)
    return kind, tuple(part.casefold() for part in parts)


def _first(seen: dict[tuple[str, object], Section], key: tuple[str, object], at: str, section: Section) -> bool:
    """Whether nothing before had this key; a fault that names both places otherwise."""
    earlier = seen.setdefault(key, section)
    if earlier is section:
        return True
    where = f"in {earlier.file} and in {section.file}" if earlier.file != section.file else f"twice in {section.file}"
    section.fault(at, f"this is defined {where}", "keep one of them; names that differ only in case are the same name")
    return False


def _settings(parts: list[Named], searchable: set[str], redactor: Redactor) -> Settings:
    found: dict[str, Any] = {}
    for _, part in parts:
        part.reject_unknown(SETTINGS)
        section = _resolved(part, redactor)
        found |= {
            "memory_limit": section.size("memory_limit") or found.get("memory_limit"),
            "threads": section.count("threads") or found.get("threads"),
            "timeout": section.duration("timeout") or found.get("timeout"),
            "verify_sample": section.share("verify_sample") or found.get("verify_sample", 0.0),
        }
        if (ttl := section.duration("metadata_ttl", zero=True)) is not None:
            found["metadata_ttl"] = ttl
        if (size := section.bytes("cache_size")) is not None:
            found["cache_size"] = size
        if (key := read_encryption_key(section, redactor)) is not None:
            found["cache_key"] = key
        for name in ("spill_directory", "statistics_directory", "cache_directory"):
            if folder := section.text(name):
                found[name] = Path(_beside(section.file, folder))
        if entries := section.texts("search_path"):
            found["search_path"] = tuple(_search_path(section, entries, searchable))
    return Settings(**found)


def _search_path(section: Section, entries: list[str], searchable: set[str]) -> Iterator[tuple[str, ...]]:
    known = {name.casefold() for name in searchable}
    for entry in entries:
        parts = split_name(entry)
        if parts is None or len(parts) > 2:
            section.fault("search_path", f'"{entry}" is not a name', "write a source, source.schema or a view schema")
        elif parts[0].casefold() not in known:
            hint = did_you_mean(nearest(parts[0], sorted(searchable))) or "name a source or a view schema of this file"
            section.fault("search_path", f'there is no source or view schema "{parts[0]}"', hint)
        else:
            yield parts


def _sources(parts: list[Named], redactor: Redactor) -> Iterator[SourceConfig]:
    for name, part in parts:
        before = len(part.faults.errors)
        _check_name(part, name, "source")
        section = _resolved(part, redactor)
        # In the declared tables a key is the name of a column or a parameter: "token" there is no secret.
        redactor.add_options({key: value for key, value in section.values.items() if key != "tables"})
        kind = section.text("adapter", required=True)
        taken = _taken_options(section, kind) if kind is not None else None
        limits = _limits(section, taken)
        cache = read_policy(section, None, kind)
        if kind is not None and len(part.faults.errors) == before:
            options = {key: value for key, value in section.values.items() if key not in SOURCE_KEYS}
            if "path" in options:
                options["path"] = _paths(section.file, options["path"])
            if taken is not None and "limits" in taken:
                options["limits"] = asdict(limits)
            yield SourceConfig(name, kind, section.file, options, limits, cache)


def name_fault(name: str, what: str) -> tuple[str, str] | None:
    """Why this cannot be the name of a source or a view schema, and what to do."""
    if name.casefold() in RESERVED:
        return f'the name "{name}" is reserved', f"give the {what} another name"
    if not _NAME.fullmatch(name):
        return f'"{name}" cannot name a {what}', "use letters, digits, _ and -, and begin with a letter or _"
    return None


def _check_name(section: Section, name: str, what: str) -> None:
    if fault := name_fault(name, what):
        section.fault("", *fault)


def _taken_options(section: Section, kind: str) -> frozenset[str] | None:
    """The keys that the adapter takes, after any other was found fault with; None where they cannot be known."""
    try:
        options = adapter_class(kind).options
    except MissingDriver:
        return None  # the other sources still work; the fault comes with the source's first use
    except CatalogError as exc:
        section.fault("adapter", exc.message, exc.hint)
        return None
    section.reject_unknown({*options, *SOURCE_KEYS})
    return options


def _limits(section: Section, taken: frozenset[str] | None) -> Limits:
    """The engine keeps `concurrency` for every source; `timeout` is for adapters that can end a statement by time."""
    value = section.values.get("limits", {})
    if not isinstance(value, dict):
        section.fault("limits", "this must be a table", 'write limits = { concurrency = 8, timeout = "60s" }')
        return Limits()
    inner = Section(section.file, f"{section.path}.limits", value, section.faults)
    inner.reject_unknown(LIMIT_KEYS)
    if "timeout" in value and taken is not None and "limits" not in taken:
        inner.fault("timeout", "this adapter has no time limit of its own", "set timeout in [settings]")
    return Limits(inner.count("concurrency"), inner.duration("timeout"))


def _views(parts: list[Named], source_names: set[str], *, cached: bool) -> Iterator[View]:
    folded = {name.casefold() for name in source_names}
    for text, section in parts:
        before = len(section.faults.errors)
        name = split_name(text)
        if name is None or len(name) != 2:
            section.fault("", "a view is named schema.name", 'write [views."schema.name"], with the quotation marks')
            continue
        section.reject_unknown(VIEW_KEYS)
        _check_name(section, name[0], "view schema")
        if name[0].casefold() in folded:
            section.fault("", f'"{name[0]}" is a source already', "put the view into a schema with another name")
        sql = section.text("sql", required=True)
        if sql is not None and has_reference(sql):
            section.fault("sql", "a view cannot hold a ${…} reference", "references are for sources and settings")
        refresh = read_view_refresh(section, cached=cached)
        if sql is not None and len(section.faults.errors) == before:
            yield View(*name, sql, refresh)


def _notes(parts: list[Named], source_names: set[str], known: Mapping[str, SourceConfig]) -> Iterator[TableNote]:
    by_folded = {name.casefold(): name for name in source_names}
    for text, section in parts:
        name = split_name(text)
        if name is None or len(name) not in (2, 3):
            section.fault("", "a table is named source.table or source.schema.table", 'write [tables."source.table"]')
        elif name[0].casefold() not in by_folded:
            hint = did_you_mean([show_name([near]) for near in nearest(name[0], sorted(source_names))])
            section.fault("", f'there is no source "{name[0]}"', hint)
        else:
            section.reject_unknown(TABLE_KEYS)
            owner, comment = section.text("owner"), section.text("comment")
            source, schema = by_folded[name[0].casefold()], name[1] if len(name) == 3 else None
            of = known.get(source)
            cache = read_policy(section, of.cache if of else None, of.kind if of else None, table=True)
            refresh = read_refresh(section, cache)
            yield TableNote(source, schema, name[-1], owner, comment, _constraint(section), cache, refresh)


def _constraint(section: Section) -> tuple[exp.Expr, ...]:
    text = section.text("constraint")
    try:
        return read_constraint(text) if text is not None else ()
    except CatalogError as exc:
        at = f" (at character {exc.position})" if exc.position else ""
        section.fault("constraint", exc.message + at, exc.hint)
        return ()


def _secret(section: Section, redactor: Redactor) -> Section:
    """The section with its references replaced, and what is secret in it known."""
    resolved = _resolved(section, redactor)
    redactor.add_options(dict(resolved.values))
    return resolved


def _resolved(section: Section, redactor: Redactor) -> Section:
    """The section with the references in its values replaced."""
    folder = section.file.parent

    def resolve(value: Any, at: str) -> Any:
        if isinstance(value, dict):
            return {key: resolve(item, f"{at}.{key}" if at else key) for key, item in value.items()}
        if isinstance(value, list):
            return [resolve(item, f"{at}[{index}]") for index, item in enumerate(value)]
        if not isinstance(value, str):
            return value
        secret = at.split("[")[0] not in NOT_SECRET or "://" in value
        try:
            return resolve_references(value, folder, redactor if secret else None)
        except CatalogError as exc:
            section.fault(at, exc.message, exc.hint)
            return value

    return Section(section.file, section.path, resolve(dict(section.values), ""), section.faults)


def _paths(file: Path, value: Any) -> Any:
    """`path` may be one or a list; what is neither is for the adapter to refuse."""
    if isinstance(value, list):
        return [_paths(file, item) for item in value]
    return _beside(file, value) if isinstance(value, str) else value


def _beside(file: Path, path: str) -> str:
    """A relative path starts at the catalog file's folder; an address, and SQLite's :memory:, are none."""
    if "://" in path or path == ":memory:":
        return path
    return str(file.parent.absolute() / Path(path).expanduser())
