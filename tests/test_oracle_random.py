"""The differential oracle on random queries: pushdown on and off, against plain DuckDB. See `tests.corpora`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.corpora.layouts import Federated, federated
from tests.corpora.random_data import LAYOUTS, tables
from tests.corpora.random_sql import SEED, check, indexes_of
from tests.servers import Server

QUERIES = 1_050
QUERIES_SLOW = 31_050
SHOWN = 3


@pytest.fixture(scope="module", params=LAYOUTS)
def spread(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: Server,
    mariadb_server: Server,
) -> Iterator[tuple[str, Federated]]:
    layout = LAYOUTS[request.param]
    with federated(layout, tables(), tmp_path_factory.mktemp("random"), postgres_server, mariadb_server) as opened:
        yield layout.name, opened


def test_no_query_differs(spread: tuple[str, Federated]) -> None:
    layout, opened = spread
    _check_all(opened, SEED, indexes_of(layout, QUERIES))


@pytest.mark.slow
def test_no_query_of_the_long_run_differs(spread: tuple[str, Federated]) -> None:
    layout, opened = spread
    _check_all(opened, SEED + 1, indexes_of(layout, QUERIES_SLOW))


def _check_all(opened: Federated, seed: int, indexes: range) -> None:
    found = [(index, wrong) for index in indexes if (wrong := check(opened, seed, index))]
    shown = "\n\n".join(wrong for _, wrong in found[:SHOWN])
    assert not found, f"{len(found)} of {len(indexes)} queries of seed {seed} differ, the first:\n\n{shown}"
