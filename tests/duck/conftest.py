"""One locked-down DuckDB, and the files that it may and may not read."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.duck import Duck


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that queries may read, with one CSV file; beside it, `secret.csv`, which they may not."""
    inside = tmp_path_factory.mktemp("duck") / "it's [here]"
    inside.mkdir()
    (inside / "a.csv").write_text("i\n1\n2\n")
    (inside.parent / "secret.csv").write_text("i\n42\n")
    (inside.parent / "one.csv").write_text("i\n7\n")
    return inside


@pytest.fixture(scope="module")
def duck(folder: Path) -> Iterator[Duck]:
    opened = Duck([str(folder), str(folder.parent / "one.csv")], threads=2)
    yield opened
    opened.close()
