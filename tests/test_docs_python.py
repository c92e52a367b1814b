"""Every Python block of docs/python.md runs, over a small catalog and over a server that asks for a token."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.command import run_here
from tests.http.running import environment, start_server

PAGE = Path(__file__).parent.parent / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
CATALOG = """
[sources.crm]
adapter = "sqlite"
path = "crm.db"

[views."erp.orders"]
sql = "SELECT 1 AS id"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python")
    with closing(sqlite3.connect(folder / "crm.db")) as database:
        database.execute("CREATE TABLE customers (name TEXT, balance NUMERIC(10, 2), region TEXT)")
        database.execute("INSERT INTO customers VALUES ('Ada', 1.5, 'north')")
        database.commit()
    (folder / "federation.toml").write_text(CATALOG)
    return folder


@pytest.fixture(scope="module")
def words(folder: Path) -> Iterator[dict[str, str]]:
    """What stands in the page for an address and a token."""
    made = run_here("token", "create", "docs", "--state", str(folder / "state"), "-c", str(folder / "federation.toml"))
    with start_server(folder) as server:
        yield {"http://127.0.0.1:8470": server.url, "fed_…": made.stdout.split()[-1]}


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block_runs(number: int, folder: Path, words: dict[str, str]) -> None:
    text: str = BLOCKS[number]
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    command = [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
