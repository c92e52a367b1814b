"""What becomes a stage runs alone: not what needs the query around it, however few keys it would give."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from federation.engine import Engine

CATALOG = """
[sources.large]
adapter = "sqlite"
path = "large.db"
[sources.small]
adapter = "sqlite"
path = "small.db"
[sources.files]
adapter = "files"
path = "few.parquet"
"""
ALONE = "SELECT count(*) FROM large.t AS w JOIN (SELECT DISTINCT id FROM files.few) AS d ON w.id = d.id"
IN_CTE = """
WITH c AS (SELECT id FROM small.t)
SELECT count(*) FROM large.t AS w
JOIN (SELECT c.id FROM files.few JOIN c USING (id) INTERSECT SELECT id FROM c) AS d ON w.id = d.id"""
CORRELATED = """
SELECT count(*) FROM files.few AS o WHERE EXISTS (
  SELECT 1 FROM large.t AS w JOIN (SELECT x.id FROM files.few AS x WHERE x.id + 1 = o.id) AS d ON w.id = d.id)"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("stages")
    for name, rows in (("large", 100_000), ("small", 30)):
        with closing(sqlite3.connect(folder / f"{name}.db")) as database:
            database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT")
            database.executemany("INSERT INTO t VALUES (?)", ((i,) for i in range(rows)))
            database.execute("ANALYZE")
            database.commit()
    pq.write_table(pa.table({"id": [1, 2]}), folder / "few.parquet")
    (folder / "federation.toml").write_text(CATALOG, encoding="utf-8")
    with Engine.open(folder) as opened:
        yield opened


@pytest.mark.parametrize(("sql", "rows", "stages"), [(ALONE, 2, 1), (IN_CTE, 2, 0), (CORRELATED, 1, 0)])
def test_what_becomes_a_stage(engine: Engine, sql: str, rows: int, stages: int) -> None:
    assert len(engine.explain(sql).to_json()["stages"]) == stages
    for pushdown in (True, False):
        with engine.query(sql, options={"pushdown": pushdown}) as result:
            assert result.read_all().to_pydict() == {result.schema.names[0]: [rows]}


def test_a_stage_has_the_types_that_the_query_has(engine: Engine) -> None:
    derived = "(SELECT DISTINCT id, id::HUGEINT * 3 AS h, TIMETZ '12:00:00+02' AS z FROM files.few) AS d"
    items = "d.h // 2 AS half, d.h % 2 AS rest, d.z = TIMETZ '10:00:00+00' AS same"
    sql = f"SELECT {items} FROM large.t AS w JOIN {derived} ON w.id = d.id"
    assert len(engine.explain(sql).to_json()["stages"]) == 1
    answers = []
    for pushdown in (True, False):
        with engine.query(f"{sql} ORDER BY 1", options={"pushdown": pushdown}) as result:
            answers.append((result.schema.types, result.read_all().to_pylist()))
    assert answers[0] == answers[1]
    assert [row["half"] for row in answers[0][1]] == [1, 3]
