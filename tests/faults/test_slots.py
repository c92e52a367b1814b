"""Fewer connections than fragments: no query waits forever for another, and no row is lost."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import federation.fetch
from adapters.errors import QueryCancelled
from federation.engine import Engine
from tests.adapters.rest_server import TOKEN, RestServer
from tests.faults.world import REST, ROWS, engine_over, fetching, rows_of, running, source
from tests.waiting import SECONDS, eventually


@pytest.fixture(autouse=True)
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Much less than the tables have, so that readers do wait for their consumer."""
    monkeypatch.setattr(federation.fetch, "QUEUE_BYTES", 200_000)


@pytest.fixture(params=["pg", "my", "lite"])
def single(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """One source `one` that takes one read at a time."""
    if request.param == "lite":
        options = {"adapter": "sqlite", "path": str(request.getfixturevalue("embedded") / "lite.db")}
    else:
        kind = {"pg": "postgres", "my": "mysql"}[request.param]
        options = {"adapter": kind, "uri": request.getfixturevalue(request.param)}
    with engine_over(tmp_path, source("one", limits={"concurrency": 1}, **options)) as engine:
        yield engine


# Both sides are fragments of their own, because no source compares lists.
JOIN = """
SELECT count(*), count(DISTINCT a.id), sum(a.id - b.id), sum(length(a.pad) - length(b.pad))
FROM one.numbers a JOIN one.numbers b ON list_value(a.id) = list_value(b.id)
"""
TWICE = {"disable": ["common_fragments"]}


def test_one_connection_is_enough_for_two_fragments(single: Engine) -> None:
    assert len([each for each in single.explain(JOIN, options=TWICE).text().splitlines() if "one" in each]) >= 2
    for pushdown in (True, False):
        with single.query(JOIN, timeout=SECONDS, options={"pushdown": pushdown, **TWICE}) as result:
            assert [tuple(row.values()) for row in result.read_all().to_pylist()] == [(ROWS, ROWS, 0, 0)]
            assert len(result.progress()) == 2


def test_a_result_left_half_read_does_not_keep_another_from_its_connection(single: Engine) -> None:
    """And its own rows are all still there, in their order."""
    text = "SELECT id, pad FROM one.numbers ORDER BY id"
    with single.query(text, timeout=SECONDS) as first:
        batches = first.batches()
        ids = next(batches).column(0).to_pylist()
        with single.query(text, timeout=SECONDS) as second:
            others = second.batches()
            ids_of_second = next(others).column(0).to_pylist()
            assert rows_of(single, "SELECT count(*) FROM one.numbers") == [(ROWS,)]
            for batch in batches:
                ids += batch.column(0).to_pylist()
            for batch in others:
                ids_of_second += batch.column(0).to_pylist()
    assert ids == ids_of_second == list(range(1, ROWS + 1))


def test_queries_that_need_two_reads_each_share_one_connection(single: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: rows_of(single, JOIN), range(8)))
    assert found == [[(ROWS, ROWS, 0, 0)]] * 8
    assert not fetching()


def test_one_that_waits_for_a_connection_can_be_cancelled(pg: str, tmp_path: Path) -> None:
    """The one that has it works without ever having a row for its consumer."""
    with engine_over(tmp_path, source("one", "postgres", uri=pg, limits={"concurrency": 1})) as engine:
        holder, waiter = engine.query("SELECT id FROM one.sleeping"), engine.query("SELECT id FROM one.numbers")
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(holder.read_all)
            eventually(lambda: running(pg))
            second = pool.submit(waiter.read_all)
            eventually(lambda: len(fetching()) == 2)
            waiter.cancel()
            with pytest.raises(QueryCancelled):
                second.result(SECONDS)
            assert running(pg)
            holder.cancel()
            with pytest.raises(QueryCancelled):
                first.result(SECONDS)
        assert rows_of(engine, "SELECT count(*) FROM one.numbers") == [(ROWS,)]


QUERIES = {
    "SELECT count(*), sum(id) FROM {0}.numbers": [(ROWS, ROWS * (ROWS + 1) // 2)],
    "SELECT id FROM {0}.numbers ORDER BY id DESC LIMIT 3": [(ROWS,), (ROWS - 1,), (ROWS - 2,)],
    "SELECT count(*) FROM {0}.numbers a JOIN {1}.numbers b USING (id) WHERE a.name = b.name": [(ROWS,)],
    "SELECT count(*) FROM {0}.numbers a JOIN {1}.numbers b ON a.id = b.id + 1 JOIN {2}.numbers c ON c.id = b.id": [
        (ROWS - 1,)
    ],
    "SELECT id FROM {0}.numbers WHERE id NOT IN (SELECT id FROM {1}.numbers WHERE id > 5) ORDER BY id": [
        (n,) for n in range(1, 6)
    ],
}


@pytest.mark.parametrize("concurrency", [1, 2, None])
def test_many_queries_at_once_over_every_source(
    pg: str, my: str, embedded: Path, rest: RestServer, tmp_path: Path, concurrency: int | None
) -> None:
    """In eight threads, over pools that are smaller than what one query needs."""
    limits = {} if concurrency is None else {"limits": {"concurrency": concurrency}}
    sections = [
        source("pg", "postgres", uri=pg, **limits),
        source("my", "mysql", uri=my, **limits),
        source("lite", "sqlite", path=str(embedded / "lite.db"), **limits),
        source("files", "files", path=str(embedded / "*.parquet")),
        REST.format(url=rest.url, token=TOKEN),
    ]
    names = ["pg", "my", "lite", "files", "crm"]
    work = [
        (text.format(*(names[(turn + step) % len(names)] for step in range(3))), expected)
        for turn in range(10)
        for text, expected in QUERIES.items()
    ]
    with engine_over(tmp_path, *sections) as engine:
        with ThreadPoolExecutor(8) as pool:
            for (text, expected), found in zip(
                work, pool.map(lambda each: rows_of(engine, each[0]), work), strict=True
            ):
                assert found == expected, text
        assert not fetching()
