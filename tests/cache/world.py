"""A source that counts what it is asked, and an engine over it whose clock the test sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from federation.engine import Engine
from tests.adapters.rest_server import TOKEN, Resource, RestServer
from tests.faults.world import catalog_of

POLICY = 'cache = { ttl = "10s", stale_while_revalidate = "20s", stale_if_error = "100s" }'
REST = """
[settings]
cache_directory = "{folder}"
{settings}

[sources.crm]
adapter = "rest"
base_url = "{url}"
allow_private = true
auth = {{ kind = "bearer", token = "{token}" }}
retry = {{ attempts = 1 }}
{policy}

[sources.crm.tables.people]
path = "/people"
records = "$"
primary_key = ["id"]
columns = {{ id = "int64", name = "string" }}
filters = {{ id = {{ param = "id", exact = true }} }}
"""


class Clock:
    """Seconds of the epoch, as the test says."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def people(*names: str) -> Resource:
    rows = [{"id": number, "name": name} for number, name in enumerate(names, 1)]
    return Resource(rows, filters={"id": ("id", "=")})


def catalog_text(url: str, folder: Path, *, policy: str = POLICY, settings: str = "", token: str = TOKEN) -> str:
    return REST.format(url=url, folder=folder, policy=policy, settings=settings, token=token)


@contextmanager
def engine_of(folder: Path, clock: Clock, text: str) -> Iterator[Engine]:
    with Engine.open(catalog_of(folder, text)) as engine:
        if engine.cache is not None:
            engine.cache.store.clock = clock
        yield engine


def ask(engine: Engine, sql: str, **more: Any) -> list[tuple[Any, ...]]:
    with engine.query(sql, **more) as result:
        table = result.read_all()
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def states(engine: Engine, sql: str) -> Sequence[str]:
    """Where the rows of the fragments came from."""
    with engine.query(sql) as result:
        result.read_all()
        return [str(each.state) for each in result.freshness()]


__all__ = ["Clock", "RestServer", "ask", "catalog_text", "engine_of", "people", "states"]
