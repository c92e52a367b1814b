"""Reading single values of the catalog file, and collecting what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from adapters.errors import CatalogError
from catalog.names import nearest

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?))?B", re.IGNORECASE)


class Faults:
    """Everything that is wrong with the catalog, in the order it was found."""

    def __init__(self) -> None:
        self.errors: list[CatalogError] = []

    def add(self, file: Path, key: str, message: str, hint: str | None = None) -> None:
        where = f"{file}: {key}" if key else f"{file}"
        self.errors.append(CatalogError(f"{where}: {message}", hint=hint))


class Section:
    """One TOML table, with the file and the key path that its faults name."""

    def __init__(self, file: Path, path: str, values: Mapping[str, Any], faults: Faults) -> None:
        self.file = file
        self.path = path
        self.values = values
        self.faults = faults

    @property
    def name(self) -> str:
        """The last part of the path, without the quotation marks that TOML may want."""
        return self.path.split(".", 1)[-1].strip('"')

    def fault(self, key: str, message: str, hint: str | None = None) -> None:
        self.faults.add(self.file, ".".join(filter(None, (self.path, key))), message, hint)

    def tables(self, only: Container[str] | None = None) -> Iterator[tuple[str, Section]]:
        """The tables directly inside; anything else there is a fault."""
        for key, value in self.values.items():
            if only is not None and key not in only:
                continue
            shown = key if re.fullmatch(r"[\w-]+", key) else f'"{key}"'
            if isinstance(value, dict):
                yield key, Section(self.file, ".".join(filter(None, (self.path, shown))), value, self.faults)
            else:
                path = ".".join(filter(None, (self.path, shown)))
                self.fault(shown, "this must be a table", f"write [{path}]")

    def reject_unknown(self, known: Iterable[str]) -> None:
        known = sorted(known)
        for key in self.values:
            if key not in known:
                near = nearest(key, known, 1)
                hint = f'did you mean "{near[0]}"?' if near else f"known keys: {', '.join(known)}"
                self.fault(key, "unknown key", hint)

    def text(self, key: str, *, required: bool = False) -> str | None:
        value = self.values.get(key)
        if value is None:
            if required:
                self.fault(key, "this key is missing", f'write {key} = "…"')
            return None
        if isinstance(value, str) and value.strip():
            return value
        self.fault(key, "this must be a text that is not empty", f'write {key} = "…"')
        return None

    def texts(self, key: str) -> list[str]:
        value = self.values.get(key, [])
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return value
        self.fault(key, "this must be a list of texts", f'write {key} = ["…", "…"]')
        return []

    def texts_by_name(self, key: str) -> dict[str, str]:
        value = self.values.get(key, {})
        if isinstance(value, dict) and all(isinstance(item, str) and item.strip() for item in value.values()):
            return value
        self.fault(key, "this must be a table of texts that are not empty", f'write {key} = {{ "…" = "…" }}')
        return {}

    def count(self, key: str) -> int | None:
        value = self.values.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
            return value
        self.fault(key, "this must be a whole number above zero", f"write {key} = 4")
        return None

    def share(self, key: str) -> float | None:
        value = self.values.get(key)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1):
            return value
        self.fault(key, "this must be a share, from 0 to 1", f"write {key} = 0.01 for one in a hundred")
        return None

    def duration(self, key: str, *, zero: bool = False) -> float | None:
        """In seconds; `zero` allows none at all."""
        value = self.values.get(key)
        if value is None:
            return None
        seconds = _seconds(value) if isinstance(value, str) else None
        if seconds is not None and (zero or seconds > 0):
            return seconds
        self.fault(key, "this must be a duration", f'write {key} = "60s"; the units are ms, s, m, h and d')
        return None

    def interval(self, key: str, *, required: bool = False) -> float | None:
        """`every 15m`, in seconds, of which there is at least one."""
        value = self.values.get(key)
        if value is None and not required:
            return None
        words = value.split() if isinstance(value, str) else []
        seconds = _seconds(words[1]) if len(words) == 2 and words[0].lower() == "every" else None
        if seconds is not None and seconds >= 1:
            return seconds
        self.fault(key, "this must be an interval of a second or more", f'write {key} = "every 15m"')
        return None

    def flag(self, key: str) -> bool | None:
        value = self.values.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.fault(key, "this must be true or false", f"write {key} = true")
        return None

    def bytes(self, key: str) -> int | None:
        """A size as a number of bytes."""
        text = self.size(key)
        match = _SIZE.fullmatch(text.strip()) if text is not None else None
        if match is None:
            return None
        number, unit, binary = match.groups()
        return int(float(number) * (1024 if binary else 1000) ** (" KMGT".index(unit.upper()) if unit else 0))

    def size(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None or (isinstance(value, str) and _SIZE.fullmatch(value.strip())):
            return value
        self.fault(
            key, "this must be a size", f'write {key} = "2GB"; the units are B, KB, MB, GB, TB, KiB, MiB, GiB, TiB'
        )
        return None


def _seconds(text: str) -> float | None:
    """`90s`, `1h30m`; None when the text is not a duration."""
    total, at = 0.0, 0
    while match := _DURATION.match(text, at):
        total += float(match[1]) * _SECONDS[match[2]]
        at = match.end()
    return total if at == len(text) and at > 0 else None
