"""A folder for files, and adapters over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.files import FilesAdapter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A name that must be quoted for SQL and that DuckDB would take for a pattern."""
    inside = tmp_path / "it's [here]"
    inside.mkdir()
    return inside


@pytest.fixture
def files(folder: Path) -> Iterator[Callable[..., FilesAdapter]]:
    made: list[FilesAdapter] = []

    def make(path: str | list[str] | None = "", **options: Any) -> FilesAdapter:
        if path is not None:
            options["path"] = [str(folder / p) for p in path] if isinstance(path, list) else str(folder / path)
        made.append(FilesAdapter("files", options))
        return made[-1]

    yield make
    for adapter in made:
        adapter.close()
