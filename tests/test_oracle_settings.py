"""The differential oracle under every setting of the planner: each optimisation off, every runtime filter made, stages
that are too large to keep, and the plan that moves more. See `tests.corpora.settings`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpora import tpch
from tests.corpora.compare import difference
from tests.corpora.layouts import Federated, Layout, federated
from tests.corpora.random_data import LAYOUTS, tables
from tests.corpora.random_sql import SEED, check, indexes_of
from tests.corpora.settings import FORCING, SETTINGS, Setting, settings_of
from tests.corpora.tables import CorpusTable
from tests.servers import Server

QUERIES = 140
QUERIES_SLOW = 20_000
PER_QUERY = 4  # settings for each query
SHOWN = 3
#: TPC-H's queries with joins over several tables, and with subqueries of every kind
QUICK = ("q05", "q17", "q20", "q21")
#: where everything is at one source there is less to force: one such layout is enough but for the long run
LONG = ("all-mariadb", "all-sqlite")


@pytest.fixture(scope="module", params=LAYOUTS)
def spread(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: Server,
    mariadb_server: Server,
) -> Iterator[tuple[str, Federated]]:
    layout = LAYOUTS[request.param]
    with federated(layout, tables(), tmp_path_factory.mktemp("settings"), postgres_server, mariadb_server) as opened:
        yield layout.name, opened


def test_no_query_differs(spread: tuple[str, Federated]) -> None:
    _check_all(spread, SEED + 2, QUERIES)


@pytest.mark.slow
def test_no_query_of_the_long_run_differs(spread: tuple[str, Federated]) -> None:
    _check_all(spread, SEED + 3, QUERIES_SLOW)


def _check_all(spread: tuple[str, Federated], seed: int, count: int) -> None:
    layout, opened = spread
    indexes = indexes_of(layout, count)
    wrong = [found for index in indexes if (found := check(opened, seed, index, settings_of(index, PER_QUERY)))]
    shown = "\n\n".join(wrong[:SHOWN])
    assert not wrong, f"{len(wrong)} of {len(indexes)} queries of seed {seed} differ, the first:\n\n{shown}"


def test_every_layout_has_every_setting() -> None:
    for layout in LAYOUTS:
        used = {setting for index in indexes_of(layout, QUERIES) for setting in settings_of(index, PER_QUERY)}
        assert used == set(SETTINGS)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[CorpusTable]:
    folder = tmp_path_factory.mktemp("tpch-data")
    tpch.generate(folder)
    return tpch.tables(folder)


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in tpch.LAYOUTS],
)
def warehouse(
    request: pytest.FixtureRequest,
    corpus: list[CorpusTable],
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: Server,
    mariadb_server: Server,
) -> Iterator[Federated]:
    layout: Layout = tpch.LAYOUTS[request.param]
    folder: Path = tmp_path_factory.mktemp("tpch-settings")
    with federated(layout, corpus, folder, postgres_server, mariadb_server) as opened:
        yield opened


@pytest.mark.parametrize("setting", FORCING, ids=lambda each: str(each.force))
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in tpch.QUERIES]
)
def test_tpch_has_the_same_answer(warehouse: Federated, name: str, setting: Setting) -> None:
    sql = tpch.QUERIES[name]
    differs = difference(
        warehouse.expected(sql), warehouse.actual(sql, setting=setting), ordered=name not in tpch.PARTIAL_ORDER
    )
    assert differs is None, f"{setting.arguments}: {differs}\n{sql}"
