"""A server for the tests that leave it as it was, and a world for those of the overlay."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.scram import Verifier
from tests.command import run_here
from tests.http.running import write_sample
from tests.pgwire.overlay_world import World, worlds, write_catalog
from tests.pgwire.running import PASSWORD, STRANGE, Postgres, start_face
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
    for name in ("overlay", "overlay_source"):
        postgres_server.run(f"CREATE DATABASE {name} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    uri = postgres_server.uri.rsplit("/", 1)[0] + "/overlay"
    yield from worlds(uri, f"{uri}_source", tmp_path_factory.mktemp("overlay"))


@pytest.fixture(scope="session")
def catalog_face(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server over the tables of the world's PostgreSQL."""
    folder = tmp_path_factory.mktemp("face")
    write_catalog(folder / "federation.toml", world.source)
    with start_face(folder) as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of cert.pem and key.pem, for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -keyout key.pem"
    make += " -out cert.pem -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(make.split(), cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a catalog with users."""
    folder = tmp_path_factory.mktemp("guarded")
    users = "".join(
        f"\n[users.{name}]\npassword = '{Verifier.make(password)}'\n"
        for name, password in (("ada", PASSWORD), ("eve", STRANGE))
    )
    write_sample(folder, users)
    return folder


@pytest.fixture(scope="session")
def token(catalog: Path) -> str:
    """An API token for `guarded`."""
    done = run_here("token", "create", "ci", "-c", str(catalog / "federation.toml"), "--state", str(catalog / "state"))
    return done.stdout.strip()


@pytest.fixture(scope="session")
def guarded(catalog: Path, token: str, certificate: Path) -> Iterator[Postgres]:
    """A server with TLS that lets in users and tokens alone."""
    assert token
    options = ("--tls-cert", str(certificate / "cert.pem"), "--tls-key", str(certificate / "key.pem"))
    with start_face(catalog, *options, scheme="https") as running:
        yield running
