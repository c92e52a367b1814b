"""`federation discover URI`: the catalog file for a live source.

The source is asked for its tables, so what is written works. A password in the URI becomes a reference to an
environment variable, and a comment says which one to set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import tomlkit

from adapters.base import Adapter, TableName
from adapters.errors import CatalogError, Error, SourceUnavailable
from adapters.registry import adapter_class, make_adapter
from catalog.config import name_fault
from catalog.names import show_name
from catalog.secrets import Redactor, has_reference, resolve_references
from catalog.shared import at_once

SECONDS = 10.0
_SHOWN_TABLES = 200
_SQLITE_SUFFIXES = frozenset({".db", ".db3", ".sqlite", ".sqlite3"})
_SQLITE_MAGIC = b"SQLite format 3\0"
_WILDCARD = re.compile(r"[*?\[]")
_FORMS = "postgresql://…, mysql://…, sqlite:///file, http(s)://…, a SQLite file, or files such as data/*.parquet"


@dataclass(frozen=True, slots=True)
class Draft:
    """What will be written: `options` as the file has them, `real` as the adapter needs them now."""

    name: str
    kind: str
    options: Mapping[str, Any]
    real: Mapping[str, Any] = field(repr=False)
    comments: tuple[str, ...] = ()


def discover(uri: str, name: str | None = None, seconds: float = SECONDS) -> str:
    """TOML text with one source. Raises the source's error, or CatalogError for a URI that means nothing here."""
    redactor = Redactor()
    redactor.add_embedded(uri)
    if name is not None and (fault := name_fault(name, "source")):
        raise CatalogError(fault[0], hint=fault[1])
    try:
        draft = _draft(uri, name, redactor)
        adapter = make_adapter(draft.name, draft.kind, draft.real)
        try:
            tables = _tables(adapter, seconds)
        finally:
            adapter.close()
        return _written(draft, adapter.default_schema, tables)
    except Error as exc:
        redactor.scrub_error(exc)
        raise


def _draft(uri: str, name: str | None, redactor: Redactor) -> Draft:
    real = resolve_references(uri, Path(), redactor)
    parts = urlsplit(real)
    match parts.scheme:
        case "postgresql" | "postgres":
            return _server(uri, real, "postgres", name or _name(parts.path, "pg"))
        case "mysql" | "mariadb":
            return _server(uri, real, "mysql", name or _name(parts.path, "mysql"))
        case "http" | "https":
            name = name or _name(parts.hostname or "", "api")
            adapter_class("rest")  # says which package is missing, before the module below fails for it
            from federation.discover_rest import discover_rest

            rest = discover_rest(real, _variable(name, "SECRET"), redactor)
            return Draft(name, "rest", rest.written, rest.real, rest.comments)
        case "sqlite":
            return _sqlite(_sqlite_file(parts), name)
        case "" | "file":
            return _on_disk(unquote(parts.path) if parts.scheme else real, name)
    raise CatalogError(f'there is no source for "{parts.scheme}:"', hint=f"known forms: {_FORMS}")


def _name(path: str, otherwise: str) -> str:
    """A source's name out of the last part of a path."""
    stem = re.sub(r"\W+", "_", Path(unquote(path)).name.split(".")[0]).strip("_").lower()
    return otherwise if name_fault(stem, "source") else stem


def _variable(name: str, what: str) -> str:
    return f"{re.sub(r'[^A-Z0-9]', '_', name.upper())}_{what}"


# --- servers --------------------------------------------------------------------------------------------------------


def _server(uri: str, real: str, kind: str, name: str) -> Draft:
    variable = _variable(name, "PASSWORD")
    written = uri if has_reference(uri) else _without_password(uri, variable)
    comments: tuple[str, ...] = ()
    if written != uri:
        comments = (f"set {variable} to the password, percent-encoded as in a URI",)
    return Draft(name, kind, {"uri": written}, {"uri": real}, comments)


def _without_password(uri: str, variable: str) -> str:
    """The URI with references in the place of its passwords, before the host or among its parameters."""
    parts = urlsplit(uri)
    credentials, at, host = parts.netloc.rpartition("@")
    user, colon, password = credentials.partition(":")
    netloc = f"{user}:${{env:{variable}}}@{host}" if at and colon and password else parts.netloc
    query = re.sub(r"(?<![^&])(password|passwd|pwd)=[^&]+", rf"\1=${{env:{variable}}}", parts.query)
    return parts._replace(netloc=netloc, query=query).geturl()


# --- files ----------------------------------------------------------------------------------------------------------


def _sqlite_file(parts: SplitResult) -> str:
    """`sqlite:///crm.db` is a relative path and `sqlite:////var/crm.db` an absolute one; but a path that exists only
    when it is taken as absolute is meant to be."""
    relative = unquote(parts.path).removeprefix("/") if parts.netloc == "" else parts.netloc + unquote(parts.path)
    return relative if Path(relative).exists() or not Path(f"/{relative}").exists() else f"/{relative}"


def _sqlite(path: str, name: str | None) -> Draft:
    if not Path(path).is_file():
        raise CatalogError(f"there is no file {path}", hint="check the path; nothing is created")
    real = {"path": str(Path(path).absolute())}
    return Draft(name or _name(path, "sqlite"), "sqlite", {"path": path}, real, _relative(path))


def _on_disk(text: str, name: str | None) -> Draft:
    path = Path(text).expanduser()
    if path.is_file() and (path.suffix.lower() in _SQLITE_SUFFIXES or _is_sqlite(path)):
        return _sqlite(str(path), name)
    if not path.exists() and not _WILDCARD.search(text):
        raise CatalogError(f"there is no file {text}", hint=f"known forms: {_FORMS}")
    fixed = path.absolute()
    while _WILDCARD.search(fixed.name):
        fixed = fixed.parent
    real = {"path": str(path.absolute())}
    return Draft(name or _name(str(fixed), "files"), "files", {"path": str(path)}, real, _relative(str(path)))


def _relative(path: str) -> tuple[str, ...]:
    if Path(path).is_absolute():
        return ()
    return ("a relative path starts at the folder of this file",)


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC


# --- writing --------------------------------------------------------------------------------------------------------


def _tables(adapter: Adapter, seconds: float) -> list[TableName]:
    ask: Callable[[], list[TableName]] = lambda: list(adapter.list_tables())  # noqa: E731
    answer = at_once({adapter.name: ask}, seconds)[adapter.name]
    if isinstance(answer, TimeoutError):
        raise SourceUnavailable(
            str(answer), source=adapter.name, hint="check that the server is up and its port is reachable"
        ) from answer
    if isinstance(answer, Exception):
        raise answer
    return sorted(answer, key=lambda table: (table.schema, table.name))


def _written(draft: Draft, default_schema: str, tables: list[TableName]) -> str:
    document = tomlkit.document()
    for line in draft.comments:
        document.add(tomlkit.comment(line))
    source = tomlkit.table()
    source.add("adapter", draft.kind)
    for key, value in draft.options.items():
        source.add(key, value)
    schemas = {table.schema for table in tables}
    if draft.kind == "postgres" and len(schemas) == 1 and default_schema not in schemas:
        [default_schema] = schemas
        source.add("schema", default_schema)
    document.add("sources", tomlkit.table(is_super_table=True).add(draft.name, source))
    return tomlkit.dumps(document) + _listed(draft.name, default_schema, tables)


def _listed(source: str, default_schema: str, tables: list[TableName]) -> str:
    """The tables as comments, written as a statement names them."""
    lines = [f"{len(tables)} tables" if len(tables) != 1 else "1 table"]
    for table in tables[:_SHOWN_TABLES]:
        parts = (source, table.name) if table.schema == default_schema else (source, table.schema, table.name)
        lines.append("  " + show_name(parts))
    if len(tables) > _SHOWN_TABLES:
        lines.append(f"  and {len(tables) - _SHOWN_TABLES} more")
    return "\n" + "".join(f"# {_printable(line)}\n" for line in lines)


def _printable(text: str) -> str:
    """A line break in a table's name must not end the comment."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
