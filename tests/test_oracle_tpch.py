"""The differential oracle on TPC-H: federated over several layouts, pushdown on and off, against plain DuckDB."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.corpora import tpch
from tests.corpora.compare import difference
from tests.corpora.layouts import Federated, federated
from tests.corpora.tables import CorpusTable
from tests.servers import Server


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[CorpusTable]:
    folder = tmp_path_factory.mktemp("tpch-data")
    tpch.generate(folder)
    return tpch.tables(folder)


@pytest.fixture(scope="module")
def spread(
    request: pytest.FixtureRequest,
    corpus: list[CorpusTable],
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: Server,
    mariadb_server: Server,
) -> Iterator[Federated]:
    layout, folder = tpch.LAYOUTS[request.param], tmp_path_factory.mktemp("tpch")
    with federated(layout, corpus, folder, postgres_server, mariadb_server) as opened:
        yield opened


# Without pushdown tables are read whole, and the first layouts read the large ones of these two servers already.
LONG = ("all-postgres", "all-mariadb")
WAYS = [
    pytest.param(
        layout, pushdown, id=f"{layout}-{way}", marks=pytest.mark.slow if way == "off" and layout in LONG else ()
    )
    for layout in tpch.LAYOUTS
    for way, pushdown in (("on", True), ("off", False))
]


@pytest.mark.parametrize("name", tpch.QUERIES)
@pytest.mark.parametrize(("spread", "pushdown"), WAYS, indirect=["spread"], scope="module")  # or each test loads them
def test_same_answer(spread: Federated, name: str, pushdown: bool) -> None:
    sql = tpch.QUERIES[name]
    actual = spread.actual(sql, pushdown=pushdown)
    differs = difference(spread.expected(sql), actual, ordered=name not in tpch.PARTIAL_ORDER)
    assert differs is None, f"{differs}\n{sql}\n{spread.engine.explain(sql).text()}"
