"""Which source holds which table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Kind = Literal["postgres", "mysql", "sqlite", "files"]

KINDS: Mapping[str, Kind] = {"a": "postgres", "b": "postgres", "my": "mysql", "lite": "sqlite", "files": "files"}
REMOTE = ("a", "b", "my")  # reached over the link; the others are files on this machine, for every system
TABLES = ("region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem")

LAYOUTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "one": {"a": TABLES},
    "two": {
        "a": ("customer", "orders", "lineitem"),
        "files": ("region", "nation", "supplier", "part", "partsupp"),
    },
    "four": {
        "a": ("orders", "lineitem"),
        "b": ("customer", "nation", "region"),
        "my": ("part", "partsupp"),
        "lite": ("supplier",),
    },
}
