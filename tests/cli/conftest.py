"""A small catalog of real sources, and the command as a user runs it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.cli.main import main
from tests.cli.sample import make_catalog


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Done]


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return make_catalog(tmp_path)


@pytest.fixture
def command(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `federation …` in the folder of the catalog, in this process; its output and its exit code."""

    def run(*args: str, stdin: str = "", **variables: str) -> Done:
        buffers = [io.BytesIO(data) for data in (stdin.encode(), b"", b"")]
        streams = [io.TextIOWrapper(each, "utf-8", newline="") for each in buffers]
        with monkeypatch.context() as patch:
            patch.chdir(catalog.parent)
            patch.delenv("FEDERATION_CATALOG", raising=False)
            for name, value in variables.items():
                patch.setenv(name, value)
            for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
                patch.setattr(sys, name, stream)
            try:
                code = main(args)
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
        for stream in streams[1:]:
            stream.flush()
        out, err = (each.getvalue().decode() for each in buffers[1:])
        return Done(code, out, err)

    return run
