"""A database of its own for this folder at each server, and an engine over everything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.engine import Engine
from tests.adapters.rest_server import TOKEN, RestServer
from tests.faults.proxy import Proxy
from tests.faults.world import (
    MARIADB,
    POSTGRES,
    REST,
    catalog_of,
    engine_over,
    fetching,
    fill_parquet,
    fill_sqlite,
    rest_server,
    source,
)
from tests.servers import Server, run_sql
from tests.waiting import eventually


@pytest.fixture(scope="session")
def pg(postgres_server: Server) -> str:
    uri = postgres_server.create_database("faults")
    run_sql(uri, POSTGRES)
    return uri


@pytest.fixture(scope="session")
def my(mariadb_server: Server) -> str:
    uri = mariadb_server.create_database("faults")
    run_sql(uri, MARIADB)
    return uri


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with lite.db and numbers.parquet."""
    folder = tmp_path_factory.mktemp("embedded")
    fill_sqlite(folder / "lite.db")
    fill_parquet(folder / "numbers.parquet")
    return folder


@pytest.fixture(scope="session")
def rest() -> Iterator[RestServer]:
    with rest_server() as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_fetched() -> None:
    """Any more, by tests from elsewhere."""
    eventually(lambda: not fetching())


@pytest.fixture(params=["pg", "my"])
def uri(request: pytest.FixtureRequest) -> str:
    """Each server in turn."""
    found: str = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def proxy(uri: str) -> Iterator[Proxy]:
    made = Proxy(uri)
    yield made
    made.stop()


@pytest.fixture
def catalog(pg: str, my: str, embedded: Path, rest: RestServer, tmp_path: Path) -> Path:
    """The sources pg, my, lite, files and crm, each with a table numbers."""
    return catalog_of(
        tmp_path,
        source("pg", "postgres", uri=pg),
        source("my", "mysql", uri=my),
        source("lite", "sqlite", path=str(embedded / "lite.db")),
        source("files", "files", path=str(embedded / "*.parquet")),
        REST.format(url=rest.url, token=TOKEN),
    )


@pytest.fixture
def engine(catalog: Path) -> Iterator[Engine]:
    with Engine.open(catalog) as engine:
        yield engine


@pytest.fixture
def beside(proxy: Proxy, embedded: Path, tmp_path: Path) -> Iterator[Engine]:
    """The sources `far`, a server behind the proxy, and `lite`."""
    kind = "postgres" if proxy.uri.startswith("postgresql:") else "mysql"
    near = source("lite", "sqlite", path=str(embedded / "lite.db"))
    with engine_over(tmp_path, source("far", kind, uri=proxy.uri), near) as engine:
        yield engine
