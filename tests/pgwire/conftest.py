"""A server for the tests that leave it as it was; nobody has to say who asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.running import write_sample
from tests.pgwire.running import Postgres, start_face


@pytest.fixture(scope="session")
def pg_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def face(pg_folder: Path) -> Iterator[Postgres]:
    with start_face(pg_folder) as running:
        yield running
