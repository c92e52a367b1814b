"""What is installed: the package alone, or with the extra `client`, is the client of a server and nothing heavier."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.http.running import Running

ROOT = Path(__file__).parents[2]
PACKAGES = ("adapters", "cache", "catalog", "federation")
ABSENT = {"diskcache", "duckdb", "fastapi", "numpy", "pydantic", "sqlglot", "starlette", "uvicorn"}
QUERY = """
import asyncio, json, sys
from importlib.metadata import distributions
import federation, federation.aio

async def rows(url):
    async with await federation.aio.connect(url) as connection:
        return await (await connection.execute(sys.argv[2])).fetchall()

with federation.connect(sys.argv[1]) as connection:
    found = [connection.execute(sys.argv[2]).fetchall(), asyncio.run(rows(sys.argv[1]))]
    found.append(connection.execute(sys.argv[2]).fetch_arrow_table().num_rows)
try:
    federation.connect("federation.toml")
except federation.Error as exc:
    found += [type(exc).__name__, exc.hint]
print(json.dumps([*found, [each.name for each in distributions()]]))
"""


def output(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Built from a copy: building leaves files behind."""
    source = tmp_path / "source"
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    output(*pip, "--wheel-dir", tmp_path, source)
    return next(tmp_path.glob("*.whl"))


@pytest.mark.slow
def test_the_client_alone(server: Running, wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "installed"
    venv.create(home)
    python = home / "bin" / "python"
    versions = tmp_path / "versions.txt"  # those that everything else is tested with
    versions.write_text(
        "".join(f"{each.name}=={each.version}\n" for each in distributions() if each.name != "federation")
    )
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    output(*uv, "--constraint", versions, f"{wheel}[client]")

    sql = "SELECT a, b FROM f.small ORDER BY a"
    blocking, asynchronous, count, kind, hint, installed = json.loads(output(python, "-c", QUERY, server.url, sql))
    assert blocking == asynchronous == [[1, "x"], [2, None]]
    assert count == 2
    assert (kind, hint) == ("MissingDriver", 'pip install "federation[engine]"')
    assert not ABSENT & set(installed)

    for command, extra in (("query", "engine"), ("serve", "server")):
        failed = subprocess.run(
            [home / "bin" / "federation", command], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert failed.returncode == 1
        assert f'pip install "federation[{extra}]"' in failed.stderr
