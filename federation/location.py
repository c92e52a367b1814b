"""Which catalog file is meant when none is named."""

from __future__ import annotations

import os
from pathlib import Path

from adapters.errors import CatalogError

VARIABLE = "FEDERATION_CATALOG"
DEFAULT = Path("federation.toml")


def catalog_path(given: str | os.PathLike[str] | None = None) -> Path:
    """The file (or folder of files) given, else what FEDERATION_CATALOG names, else ./federation.toml."""
    named = given if given is not None else os.environ.get(VARIABLE) or None
    path = Path(named) if named is not None else DEFAULT
    if path.exists():
        return path
    if named is None:
        raise CatalogError(
            f"there is no catalog file: neither {VARIABLE} is set nor is there a ./{DEFAULT}",
            hint="name one with -c FILE, or write one with: federation discover URI > federation.toml",
        )
    origin = "" if given is not None else f" (from {VARIABLE})"
    raise CatalogError(
        f"there is no catalog file {path}{origin}",
        hint="check the path, or write one with: federation discover URI > federation.toml",
    )
