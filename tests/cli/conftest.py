"""A small catalog of real sources, and the command as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.sample import make_catalog

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return make_catalog(tmp_path)


@pytest.fixture
def command(catalog: Path) -> Command:
    """Runs `federation …` in the folder of the catalog; its output, not yet decoded newlines, and its exit code."""

    def run(*args: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {k: v for k, v in os.environ.items() if k != "FEDERATION_CATALOG"} | variables
        done = subprocess.run(
            [sys.executable, "-m", "federation", *args],
            cwd=catalog.parent,
            env=environment,
            input=stdin.encode(),
            capture_output=True,
            timeout=120,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode().replace("\r", "")
        )

    return run
