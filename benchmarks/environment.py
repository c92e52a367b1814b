"""A second virtual environment, for the programs that are compared with us and those that only a benchmark needs."""

from __future__ import annotations

import hashlib
import subprocess
import venv
from pathlib import Path

WORK = Path.home() / ".cache" / "federation-benchmarks"  # what the next run can use again
DUCKDB = "1.5.5"
PACKAGES = (
    f"duckdb=={DUCKDB}",
    "duckdb-extensions",
    *(f"duckdb-extension-{name}-scanner=={DUCKDB}" for name in ("postgres", "mysql", "sqlite")),
    "pyarrow",
    "matplotlib",
)


def peers_python(work: Path = WORK) -> str:
    """The environment's interpreter; the environment is made at the first call, and when PACKAGES have changed."""
    folder = work / "peers"
    wanted = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()
    ready, python = folder / "ready", folder / "bin" / "python"
    if not ready.exists() or ready.read_text() != wanted:
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        ready.write_text(wanted)
    return str(python)
