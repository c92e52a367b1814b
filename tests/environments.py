"""Environments of their own for programs whose packages do not go with the project's."""

from __future__ import annotations

import fcntl
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def environment(name: str) -> Path:
    """The Python that has what `requirements/NAME.lock` says. It is made once for all processes, from the package
    index, and again when the lock has changed."""
    wanted, folder = ROOT / "requirements" / f"{name}.lock", ROOT / "build" / "environments" / name
    python, installed = folder / "bin" / "python", folder / "installed.lock"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".turn").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
            venv.create(folder, with_pip=True, clear=True)
            options = ["--quiet", "--no-deps", "--require-hashes"]  # a lock has all of them
            subprocess.run([python, "-m", "pip", "install", *options, "-r", wanted], check=True)
            installed.write_bytes(wanted.read_bytes())
    return python
