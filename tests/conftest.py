"""Fixtures for every test. Servers start when the first test asks for one, once for each pytest process."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from tests.servers import Server, start_mariadb, start_postgres

# GNU readline, which pytest loads, exports the size of its own terminal, and the workers of xdist inherit it.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)

# It looks for pandas with the first array, and never again: a command that runs in this process hides that from it.
pa.array([0])


@pytest.fixture
def change(tmp_path: Path) -> Callable[[str], None]:
    """Runs a script in lite.db, which has a table p of three people."""

    def run(script: str) -> None:
        with closing(sqlite3.connect(tmp_path / "lite.db")) as lite:
            lite.execute("PRAGMA synchronous = OFF")
            lite.executescript(script)

    run("CREATE TABLE p (id INTEGER PRIMARY KEY, name TEXT) STRICT; INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c');")
    return run


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    server = start_postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    server = start_mariadb()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_uri(postgres_server: Server) -> str:
    """`postgresql://user:pw@127.0.0.1:port/db`: a superuser, a database in en_US.UTF-8."""
    return postgres_server.uri


@pytest.fixture(scope="session")
def mariadb_uri(mariadb_server: Server) -> str:
    """`mysql://user:pw@127.0.0.1:port/db`: all rights, utf8mb4_general_ci."""
    return mariadb_server.uri
