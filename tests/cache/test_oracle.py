"""The differential oracle with everything cached: each query twice, so that fragments of it and of others are given
again, against plain DuckDB."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.corpora.layouts import Federated, federated
from tests.corpora.random_data import LAYOUTS, tables
from tests.corpora.random_sql import SEED, check, indexes_of
from tests.corpora.settings import OFF, ON, Setting
from tests.servers import Server

QUERIES = 70
QUERIES_SLOW = 20_035
SHOWN = 3
SETTINGS = (ON, ON, OFF, Setting(force="members"), Setting(force="members"), OFF)


@pytest.fixture(scope="module", params=LAYOUTS)
def spread(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: Server,
    mariadb_server: Server,
) -> Iterator[tuple[str, Federated]]:
    layout, folder = LAYOUTS[request.param], tmp_path_factory.mktemp("cached")
    settings = f'[settings]\ncache_directory = "{folder / "cache"}"\n'
    policy = 'cache = { ttl = "1d" }'
    with federated(layout, tables(), folder, postgres_server, mariadb_server, settings, policy) as opened:
        yield layout.name, opened


def test_no_query_differs(spread: tuple[str, Federated]) -> None:
    _check_all(spread, SEED + 4, QUERIES)


@pytest.mark.slow
def test_no_query_of_the_long_run_differs(spread: tuple[str, Federated]) -> None:
    _check_all(spread, SEED + 5, QUERIES_SLOW)


def _check_all(spread: tuple[str, Federated], seed: int, count: int) -> None:
    layout, opened = spread
    wrong = [found for index in indexes_of(layout, count) if (found := check(opened, seed, index, SETTINGS))]
    assert not wrong, f"{len(wrong)} queries of seed {seed} differ with a cache, the first:\n\n" + "\n\n".join(
        wrong[:SHOWN]
    )
    assert opened.engine.cache is not None
    assert any(True for _ in opened.engine.cache.store.entries()) or "parquet" in layout
