"""Keys mean the same only between columns that DuckDB compares as what they are: here 2^53 and 2^53 + 1 are equal as
DOUBLE. And no key takes away a row that a sample, an ASOF or a POSITIONAL join counts on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from federation.engine import Engine
from tests.corpora.settings import FORCING, OFF, ON, Setting

BIG = 2**53
ROWS = {
    "large": [(1, BIG + 1, 1.0), (2, 5, 2.0), (3, 7, float(BIG)), *((n, 3 * n, n / 2) for n in range(10, 5_000))],
    "small": [(1, BIG, 5.0), (2, 5, 1.0)],
    "other": [(1, BIG, float(BIG)), (2, 6, 6.0)],
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("types")
    catalog = []
    for name, rows in ROWS.items():
        with closing(sqlite3.connect(folder / f"{name}.db")) as database:
            database.execute("CREATE TABLE t (id INTEGER NOT NULL, v INTEGER, f REAL) STRICT")
            database.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
            database.execute("ANALYZE")
            database.commit()
        catalog.append(f'[sources.{name}]\nadapter = "sqlite"\npath = "{name}.db"\n')
    (folder / "federation.toml").write_text("".join(catalog), encoding="utf-8")
    with Engine.open(folder) as opened:
        yield opened


@pytest.mark.parametrize("setting", [ON, OFF, *FORCING], ids=lambda each: each.arguments or "on")
@pytest.mark.parametrize(
    ("sql", "count"),
    [
        (
            "SELECT c.id FROM small.t AS c JOIN (SELECT v FROM large.t UNION ALL SELECT f FROM large.t) AS d"
            " ON d.v = c.v",
            4,
        ),
        ("SELECT d.id FROM small.t AS a, other.t AS b, large.t AS d WHERE a.v = b.f AND b.f = d.v", 1),
        (
            "SELECT d.v FROM other.t AS c JOIN (SELECT b.v FROM large.t b POSITIONAL JOIN small.t) AS d ON d.v = c.id",
            0,
        ),
        (
            "SELECT x.id FROM small.t AS x JOIN large.t AS b ON (x.id = 1 AND b.id = 2) OR (x.id = 2 AND b.id = 1)"
            " RIGHT JOIN large.t AS c ON c.v = x.v",
            4_993,
        ),
        ("SELECT d.id FROM large.t AS d TABLESAMPLE 0 ROWS", 0),
        ("SELECT d.id FROM small.t AS c JOIN (SELECT * FROM large.t TABLESAMPLE 0 ROWS) AS d ON d.v = c.v", 0),
        ("SELECT product(id) AS p FROM small.t GROUP BY id", 2),
    ],
)
def test_how_many_rows(engine: Engine, sql: str, count: int, setting: Setting) -> None:
    with setting.forced(), engine.query(sql, options=setting.options) as result:
        assert result.read_all().num_rows == count
