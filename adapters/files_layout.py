"""Which files make which table.

A pattern gives a table per file, named by its stem, unless it reaches through `**` or through directories such as
`year=2024`: then all its files are one table, named by the directory above the first wildcard or `key=value`. A
declared table takes its name from the catalog file.
"""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.errors import CatalogError

FORMATS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
COMPRESSED = (".gz", ".zst")  # of text formats; DuckDB goes by the same endings
_HIVE = re.compile(r"\w+=[^=]*")


@dataclass(frozen=True, slots=True)
class Declared:
    """One entry of `tables`, or the settings of a source for the tables that it finds."""

    patterns: tuple[str, ...]
    format: str | None = None
    csv: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileTable:
    """The files of one table, in the order of their names. `keys` are the columns that directories give."""

    name: str
    files: tuple[Path, ...]
    settings: Declared
    keys: tuple[str, ...] = ()
    declared: bool = False

    @property
    def format(self) -> str:
        """Raises CatalogError where the files leave it open."""
        if self.settings.format:
            return self.settings.format
        formats = {format_of(path) for path in self.files}
        if len(formats) == 1 and (only := formats.pop()) is not None:
            return only
        raise CatalogError(
            f'the files of "{self.name}" have no one known format',
            hint='say format = "csv", or narrow the pattern; known endings: ' + ", ".join(FORMATS),
        )


def format_of(path: Path) -> str | None:
    return FORMATS.get(_plain(path).suffix.lower())


def stem_of(path: Path) -> str:
    return _plain(path).stem


def _plain(path: Path) -> Path:
    return path.with_suffix("") if path.suffix.lower() in COMPRESSED else path


def root_of(pattern: str) -> Path:
    """The directory above the first wildcard, `key=value` directory, or file."""
    root, rest = _split(pattern)
    if not rest and not root.is_dir():
        root = root.parent
    for index, part in enumerate(root.parts):
        if _HIVE.fullmatch(part):
            return Path(*root.parts[:index])
    return root


def _split(pattern: str) -> tuple[Path, str]:
    """What is literal, and the pattern from the first wildcard on. A name that exists is literal, whatever it holds:
    the catalog file may lie in a folder with brackets."""
    parts = Path(pattern).parts
    for index, part in enumerate(parts):
        if glob.has_magic(part) and not Path(*parts[: index + 1]).exists():
            return Path(*parts[:index]), str(Path(*parts[index:]))
    return Path(pattern), ""


def expand(pattern: str) -> list[Path]:
    """The files that match, in order. A directory stands for the files in it, not for those below."""
    root, rest = _split(pattern)
    if rest:
        found: Iterable[Path] = (root / name for name in glob.iglob(rest, root_dir=root, recursive=True))  # noqa: PTH207
    elif root.is_dir():
        found = root.iterdir()
    else:
        return [root] if root.is_file() else []
    return sorted(
        (path for path in found if path.is_file() and not path.name.startswith(".")), key=lambda each: each.parts
    )


def found_tables(settings: Declared) -> dict[str, FileTable]:
    """The tables that patterns give. Two files of one stem go by their whole names, both of them."""
    tables: dict[str, FileTable] = {}
    loose: dict[Path, str] = {}  # with their stems
    for pattern in settings.patterns:
        root, files = root_of(pattern), expand(pattern)
        if files != [Path(pattern)]:  # a file that is named is a table, whatever its ending
            files = [path for path in files if settings.format or format_of(path)]
        keys = _keys(root, files)
        if files and (keys or "**" in Path(pattern).parts):
            merged = (*tables[root.name].files, *files) if root.name in tables else files
            tables[root.name] = FileTable(root.name, tuple(sorted(set(merged))), settings, keys)
        else:
            loose |= {path: stem_of(path) for path in files}
    alike = Counter(loose.values())
    for path, stem in loose.items():
        name = stem if alike[stem] == 1 and stem not in tables else path.name
        tables[name] = FileTable(name, (path,), settings)
    return tables


def declared_table(name: str, settings: Declared) -> FileTable:
    files = sorted({path for pattern in settings.patterns for path in expand(pattern)})
    keys = _keys(root_of(settings.patterns[0]), files)
    return FileTable(name, tuple(files), settings, keys, declared=True)


def _keys(root: Path, files: Sequence[Path]) -> tuple[str, ...]:
    """The names of the `key=value` directories below `root`; a file that lacks one would lose its place silently."""
    found = {tuple(_keys_of(root, directory)) for directory in {path.parent for path in files}}
    if len(found) > 1:
        raise CatalogError(
            f'the files below "{root}" do not lie in the same key=value directories',
            hint="declare a table for each kind of them under tables",
        )
    return found.pop() if found else ()


def _keys_of(root: Path, directory: Path) -> list[str]:
    parts = directory.relative_to(root).parts if directory.is_relative_to(root) else ()
    return [part.partition("=")[0] for part in parts if _HIVE.fullmatch(part)]
