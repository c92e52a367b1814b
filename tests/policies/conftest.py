"""One world for the tests that only read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.engine import Engine
from tests.policies.world import catalog_text, fill
from tests.servers import Server


@pytest.fixture(scope="session")
def policies_folder(tmp_path_factory: pytest.TempPathFactory, postgres_server: Server) -> Path:
    folder = tmp_path_factory.mktemp("policies")
    uri = fill(folder, postgres_server, folder.name.replace("-", "_"))
    (folder / "uri").write_text(uri)
    (folder / "federation.toml").write_text(catalog_text(uri))
    return folder


@pytest.fixture(scope="session")
def engine(policies_folder: Path) -> Iterator[Engine]:
    with Engine.open(policies_folder / "federation.toml") as opened:
        yield opened
