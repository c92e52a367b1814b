"""A small catalog of real sources, and the command as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.sample import make_catalog
from tests.command import Done, run_here

Command = Callable[..., Done]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return make_catalog(tmp_path)


@pytest.fixture
def command(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `federation …` in the folder of the catalog, in this process; its output and its exit code."""

    def run(*args: str, stdin: str = "", **variables: str) -> Done:
        with monkeypatch.context() as patch:
            patch.chdir(catalog.parent)
            patch.delenv("FEDERATION_CATALOG", raising=False)
            for name, value in variables.items():
                patch.setenv(name, value)
            return run_here(*args, stdin=stdin)

    return run
