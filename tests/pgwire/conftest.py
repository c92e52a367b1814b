"""A server for the tests that leave it as it was, and a world for those of the overlay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.http.running import write_sample
from tests.pgwire.overlay_world import World, worlds, write_catalog
from tests.pgwire.running import Postgres, start_face
from tests.servers import Server


@pytest.fixture(scope="session")
def pg_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    write_sample(folder)
    return folder


@pytest.fixture(scope="session")
def face(pg_folder: Path) -> Iterator[Postgres]:
    """Nobody has to say who asks."""
    with start_face(pg_folder) as running:
        yield running


@pytest.fixture(scope="session")
def world(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Its PostgreSQL sorts as the overlay does: by bytes."""
    postgres_server.run("CREATE DATABASE overlay TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    uri = postgres_server.uri.rsplit("/", 1)[0] + "/overlay"
    yield from worlds(uri, tmp_path_factory.mktemp("overlay"))


@pytest.fixture(scope="session")
def catalog_face(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server over the tables of the world's PostgreSQL."""
    folder = tmp_path_factory.mktemp("face")
    write_catalog(folder / "federation.toml", world.uri)
    with start_face(folder) as running:
        yield running
