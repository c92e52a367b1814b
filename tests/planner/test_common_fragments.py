"""What two fragments ask alike is fetched once; what only looks alike is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.base import TableStatistics
from adapters.memory import MemoryAdapter
from federation import execute
from federation.engine import Engine
from federation.planner import common_fragments
from tests.corpora.settings import Setting

CATALOG = """
[sources.one]
adapter = "sqlite"
path = "one.db"
[sources.two]
adapter = "sqlite"
path = "two.db"
[sources.mem]
adapter = "memory"
[sources.mem.tables]
m = [{ id = 1, v = 1, w = 3 }, { id = 2, v = 2, w = 5 }]
n = [{ id = 1, v = 1, w = 3 }]
[views."main.totals"]
sql = "SELECT v, count(id) AS s, max(w) AS m FROM one.t GROUP BY v"
"""
B = "two.t AS b"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder: Path = tmp_path_factory.mktemp("common")
    for name, rows in (("one", 2000), ("two", 30)):
        with closing(sqlite3.connect(folder / f"{name}.db")) as database:
            database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER, w INTEGER) STRICT")
            data = ((i, i % 7 or None, i % 5) for i in range(rows))
            database.executemany("INSERT INTO t VALUES (?, ?, ?)", data)
            database.execute("ANALYZE")
            database.commit()
    (folder / "federation.toml").write_text(CATALOG, encoding="utf-8")
    with Engine.open(folder) as opened:
        yield opened


def fragments(engine: Engine, sql: str, disable: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Those of `one` and `mem`; the query has the same rows with and without them."""
    answers = []
    for options in ({"disable": [*disable]}, {"disable": [*disable, "common_fragments"]}, {"pushdown": False}):
        with engine.query(sql, options=options) as result:
            answers.append(sorted(map(repr, result.read_all().to_pylist())))
    assert answers[0] == answers[1] == answers[2]
    made = engine.explain(sql, options={"disable": [*disable]}).to_json()["fragments"]
    return [each for each in made if each["source"] != "two"]


SHARED = [
    "SELECT a.id, c.w FROM one.t AS a, two.t AS b, one.t AS c WHERE a.id = b.id AND c.id = b.v",
    "SELECT id, v FROM one.t WHERE v < 3 UNION ALL SELECT id, v FROM two.t"
    " UNION ALL SELECT w, id FROM one.t WHERE v < 3",
    f"SELECT b.id, (SELECT list(a.v ORDER BY a.id) FROM one.t AS a WHERE a.id = b.id) AS x FROM {B} WHERE EXISTS"
    " (SELECT 1 FROM one.t AS c WHERE c.id = b.v AND c.w + b.w > 3)",
    f"SELECT x.s, y.m FROM {B} JOIN main.totals AS x ON x.v = b.id JOIN main.totals AS y ON y.v = b.v",
    f"SELECT x.w, y.w AS z FROM {B} JOIN (SELECT DISTINCT w, v FROM one.t) AS x ON x.w = b.id"
    " JOIN (SELECT DISTINCT w, v FROM one.t) AS y ON y.w = b.v",
    f"SELECT (SELECT count(*) FROM one.t WHERE v = 2) AS n, (SELECT count(*) FROM one.t WHERE v = 2) AS m, id FROM {B}",
    f"SELECT x.w, y.v AS z FROM {B} LEFT JOIN mem.m AS x ON x.id = b.id JOIN mem.m AS y ON y.id = b.v",
]


@pytest.mark.parametrize("sql", SHARED)
def test_what_is_fetched_once(engine: Engine, sql: str) -> None:
    made = fragments(engine, sql)
    assert len(made) == 1
    notes = [each for each in made[0]["notes"] if each["reason"] == "FETCHED_ONCE"]
    assert [(each["where"], each["detail"]) for each in notes] == [("local", f"what {made[0]['name']} fetches")]
    assert len(engine.explain(sql, options={"disable": ["common_fragments"]}).to_json()["fragments"]) == 3


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT a.id FROM one.t AS a, {B}, one.t AS c WHERE a.id = b.id AND c.id = b.v AND c.v < 3",
        f"SELECT x.w FROM {B} JOIN (SELECT DISTINCT w FROM one.t) AS x ON x.w = b.id"
        " JOIN (SELECT DISTINCT w, v FROM one.t) AS y ON y.w = b.v",
        f"SELECT (SELECT count(*) FROM one.t) AS n, (SELECT max(v) FROM one.t) AS m, b.id FROM {B}",
        f"SELECT (SELECT max(v) FROM one.t) AS n, a.id FROM {B} JOIN one.t AS a ON a.id = b.v",
        f"SELECT x.s FROM {B} JOIN (SELECT v, max(id) AS s FROM one.t GROUP BY v) AS x ON x.v = b.id"
        " JOIN (SELECT w, max(id) AS s FROM one.t GROUP BY w) AS y ON y.w = b.v",
        f"SELECT x.id, y.v FROM {B} LEFT JOIN mem.m AS x ON x.id = b.id JOIN mem.m AS y ON y.id = b.v AND y.w = 3",
    ],
)
def test_what_is_not_the_same(engine: Engine, sql: str) -> None:
    assert len(fragments(engine, sql)) == 2


def test_columns_with_other_names(engine: Engine) -> None:
    pair = "(SELECT {0}.v AS {0}v, o.w AS {0}w FROM one.t AS {0} JOIN one.t AS o ON {0}.id = o.id)"
    sql = f"SELECT x.pv, y.qw FROM {B} JOIN {pair.format('p')} AS x ON x.pv = b.id"
    sql += f" JOIN {pair.format('q')} AS y ON y.qw = b.v AND y.qv > b.id"
    (made,) = fragments(engine, sql, ["runtime_filters"])
    assert made["columns"] == ["pv", "qw"]


def test_filters_with_the_same_keys(engine: Engine) -> None:
    """Keys of one stage, or of two that read the same."""
    sql = """
    SELECT count(*), sum(a.v) FROM two.t AS b JOIN one.t AS a ON a.id = b.id WHERE b.w = 1 AND a.v >
      (SELECT avg(c.v) FROM one.t AS c JOIN two.t AS d ON c.id = d.id WHERE d.w = 1 AND c.w <= d.w + b.w)"""
    with Setting(force="members").forced():
        (made,) = fragments(engine, sql, ["aggregate_pushdown"])
        assert [each["column"] for each in made["runtime_filters"]] == ["id"]
        plan = engine.explain(sql, options={"disable": ["aggregate_pushdown"]}).to_json()
        assert [len(plan["fragments"]), len(plan["stages"])] == [2, 2]


def test_what_is_too_large_to_be_kept_in_memory(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "KEPT_BYTES", 0)
    for sql in SHARED:
        assert len(fragments(engine, sql)) == 1


def test_what_is_expected_to_be_large_streams(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common_fragments, "SHARED_BYTES", 10)
    assert len(fragments(engine, SHARED[0])) == 2


def test_a_limit_may_end_what_nobody_knows_the_size_of(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryAdapter, "statistics", lambda *_: TableStatistics())
    sql = "SELECT x.w FROM mem.n AS x, two.t AS b, mem.n AS y WHERE x.id = b.id AND y.v = b.v LIMIT 100"
    assert len(engine.explain(sql).to_json()["fragments"]) == 3
    assert len(fragments(engine, sql)) == 1  # its size has been learned
