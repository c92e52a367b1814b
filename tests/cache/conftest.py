"""A cached web API of two people, and what its tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.duck import Duck
from federation.engine import Engine
from tests.adapters.rest_server import RestServer
from tests.cache.islands import Bench
from tests.cache.world import Clock, catalog_text, engine_of, people


@pytest.fixture(autouse=True)
def _prune_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is true of large fragments alone is tried with small ones too."""
    monkeypatch.setattr("federation.containment.PRUNED_ROWS", 0)


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer({"/people": people("Ada", "Bo")}) as made:
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(server: RestServer, clock: Clock, tmp_path: Path) -> Iterator[Engine]:
    with engine_of(tmp_path, clock, catalog_text(server.url, tmp_path / "cache")) as opened:
        yield opened


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def duck() -> Iterator[Duck]:
    made = Duck()
    yield made
    made.close()
