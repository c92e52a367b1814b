"""`federation …` in this process, which has loaded already what the command needs."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import pytest

from federation.cli.main import main


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run_here(*args: str, stdin: str = "") -> Done:
    """To its end; its output and its exit code."""
    buffers = [io.BytesIO(data) for data in (stdin.encode(), b"", b"")]
    streams = [io.TextIOWrapper(each, "utf-8", newline="") for each in buffers]
    with pytest.MonkeyPatch.context() as patch:
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
