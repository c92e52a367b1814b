"""A server of its own, and what connects to it in both ways."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import federation
from federation.dbapi import Connection
from tests.http.running import Running, start_server, write_sample


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Running]:
    with start_server(folder) as running:
        yield running


@pytest.fixture(params=["embedded", "remote"])
def target(request: pytest.FixtureRequest, folder: Path) -> str:
    """What to connect to."""
    if request.param == "embedded":
        return str(folder / "federation.toml")
    server: Running = request.getfixturevalue("server")
    return server.url


@pytest.fixture
def connection(target: str) -> Iterator[Connection]:
    with federation.connect(target) as connection:
        yield connection
