"""The differential oracle on TPC-DS: federated over six layouts, pushdown on and off, against plain DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from tests.corpora import tpcds
from tests.corpora.compare import difference
from tests.corpora.layouts import Federated, federated
from tests.corpora.tables import CorpusTable
from tests.servers import Server

# One of each kind: set operations, windows, ROLLUP, outer joins, EXISTS, correlated subqueries, CTEs read many times.
QUICK = {
    *("q01", "q02", "q05", "q08", "q10", "q16", "q22", "q24", "q27", "q35"),
    *("q38", "q41", "q49", "q51", "q64", "q70", "q78", "q87", "q88", "q97"),
}


def _slow_unless(quick: bool, parameter: Any) -> Any:
    return pytest.param(parameter, marks=() if quick else pytest.mark.slow)


@pytest.fixture(scope="module")
def data() -> Path:
    return tpcds.generate()


@pytest.fixture(scope="module")
def corpus(data: Path) -> list[CorpusTable]:
    return tpcds.tables(data)


@pytest.fixture(scope="module", params=[_slow_unless(each == "by-channel", each) for each in tpcds.LAYOUTS])
def spread(
    request: pytest.FixtureRequest,
    corpus: list[CorpusTable],
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: Server,
    mariadb_server: Server,
) -> Iterator[Federated]:
    layout, folder = tpcds.LAYOUTS[request.param], tmp_path_factory.mktemp("tpcds")
    with federated(layout, corpus, folder, postgres_server, mariadb_server) as opened:
        yield opened


@pytest.mark.parametrize("name", [_slow_unless(each in QUICK, each) for each in tpcds.QUERIES])
@pytest.mark.parametrize("pushdown", [_slow_unless(each, each) for each in (True, False)], ids=["on", "off"])
def test_same_answer(spread: Federated, data: Path, name: str, pushdown: bool) -> None:
    sql = (data / f"{name}.sql").read_text()
    expected = spread.expected(sql)
    assert expected.rows, "the parameters find nothing"
    if cut := len(expected.rows) == _limit(sql):
        sql = _in_total_order(sql, len(expected.types))
        expected = spread.expected(sql)
    differs = difference(expected, spread.actual(sql, pushdown=pushdown), ordered=cut)
    assert differs is None, f"{differs}\n{sql}\n{spread.engine.explain(sql).text()}"


def _limit(sql: str) -> int | None:
    limit = sqlglot.parse_one(sql, dialect="duckdb").args.get("limit")
    return int(limit.expression.name) if limit else None


def _in_total_order(sql: str, columns: int) -> str:
    """Which of several equal rows a LIMIT leaves out is nobody's promise: every column decides."""
    query = sqlglot.parse_one(sql, dialect="duckdb")
    assert isinstance(query, exp.Query)
    order = query.order_by(*map(str, range(1, columns + 1)), dialect="duckdb", copy=False)
    return order.sql(dialect="duckdb")
