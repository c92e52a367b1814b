"""What connects in both ways to the sample of `tests.http`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import federation
from federation.dbapi import Connection
from tests.http.conftest import folder, server
from tests.http.running import Running

__all__ = ["folder", "server"]


@pytest.fixture(params=["embedded", "remote"])
def target(request: pytest.FixtureRequest, folder: Path) -> str:
    """What to connect to."""
    if request.param == "embedded":
        return str(folder / "federation.toml")
    running: Running = request.getfixturevalue("server")
    return running.url


@pytest.fixture
def connection(target: str) -> Iterator[Connection]:
    with federation.connect(target) as connection:
        yield connection
