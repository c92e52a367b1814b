"""A server of its own in a process of its own, over real files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.running import Running, start_server, write_sample


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Running]:
    """Shared by all tests that leave it as it was; nobody has to say who asks."""
    with start_server(folder) as running:
        yield running
