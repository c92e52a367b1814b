"""The sources of the golden cases, loaded once, and `--rewrite`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.learned import Learned
from tests.golden.dataset import Golden, open_golden
from tests.servers import Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write what came out into the golden files")


@pytest.fixture(autouse=True)
def nothing_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan would depend on how fast the machine was just before."""
    monkeypatch.setattr(Learned, "link", lambda _self, _source: None)
    monkeypatch.setattr(Learned, "fragment", lambda _self, _source, _shape: None)


@pytest.fixture(scope="session")
def golden(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Server, mariadb_server: Server
) -> Iterator[Golden]:
    folder: Path = tmp_path_factory.mktemp("golden")
    with open_golden(folder, postgres_server, mariadb_server) as opened:
        yield opened
