"""What is known of an SQLite table without reading it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.base import ColumnStatistics, SupportsEstimate, TableStatistics
from adapters.errors import SourceUnavailable, TableNotFound
from adapters.sqlite import SQLiteAdapter
from tests.adapters.sqlite_files import main, write

Statistics = Callable[[str], TableStatistics]
ROWS = 2000
_NUMBERS = f"WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {ROWS})"
_ITEM = f"""
CREATE TABLE item (id INTEGER PRIMARY KEY, kind INTEGER, name TEXT UNIQUE, note TEXT);
CREATE INDEX by_kind ON item (kind, note); CREATE INDEX some ON item (note) WHERE kind = 1;
CREATE INDEX by_expression ON item (kind + 1);
{_NUMBERS} INSERT INTO item SELECT i, i % 10, 'name ' || i, 'a note' FROM r;
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "crm.db"


@pytest.fixture
def statistics(path: Path) -> Iterator[Statistics]:
    adapter = SQLiteAdapter("lite", {"path": path})
    yield lambda name: adapter.statistics(main(name))
    adapter.close()


# --- what cannot be known


def test_no_table(path: Path, statistics: Statistics) -> None:
    write(path, "CREATE TABLE t (a)")
    with pytest.raises(TableNotFound) as caught:
        statistics("no_such_table")
    assert caught.value.source == "lite"


def test_no_file(statistics: Statistics) -> None:
    with pytest.raises(SourceUnavailable):
        statistics("t")


def test_sqlite_tells_no_rows_of_a_query(path: Path) -> None:
    assert not isinstance(SQLiteAdapter("lite", {"path": path}), SupportsEstimate)


def test_views_and_virtual_tables_have_none(path: Path, statistics: Statistics) -> None:
    write(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT a FROM t;")
    write(path, "CREATE VIRTUAL TABLE f USING fts4(body); INSERT INTO f VALUES ('text')")
    assert statistics("v") == statistics("f") == TableStatistics()


def test_a_table_without_rowid_that_was_never_analyzed(path: Path, statistics: Statistics) -> None:
    write(path, "CREATE TABLE t (a INTEGER PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO t VALUES (1, 2)")
    assert statistics("t") == TableStatistics()


def test_a_table_whose_columns_hide_the_rowid(path: Path, statistics: Statistics) -> None:
    write(path, "CREATE TABLE t (rowid, _ROWID_, oid); INSERT INTO t VALUES (70, 80, 90)")
    assert statistics("t") == TableStatistics()
    write(path, "CREATE TABLE u (rowid); INSERT INTO u VALUES (70)")
    assert statistics("u") == TableStatistics(1)


def test_statistics_that_somebody_wrote(path: Path, statistics: Statistics) -> None:
    write(path, _ITEM + "ANALYZE; DELETE FROM sqlite_stat1;")
    write(path, "INSERT INTO sqlite_stat1 VALUES ('item', 'by_kind', 'nonsense'), ('item', 'by_kind', '7 0'),"
                "('item', 'gone', '7 1'), ('item', NULL, x'00'), (NULL, NULL, '5')")  # fmt: skip
    assert statistics("item").rows == 7


# --- after ANALYZE


def test_an_analyzed_table(path: Path, statistics: Statistics) -> None:
    write(path, _ITEM + "ANALYZE")
    assert statistics("item") == TableStatistics(
        ROWS,
        None,
        {
            "id": ColumnStatistics(ROWS, 0, 1, ROWS),
            "kind": ColumnStatistics(10),
            "name": ColumnStatistics(ROWS),
        },
    )


def test_analyzed_without_rowid(path: Path, statistics: Statistics) -> None:
    write(path, f"CREATE TABLE t (a, b, PRIMARY KEY (b, a)) WITHOUT ROWID; {_NUMBERS} INSERT INTO t SELECT i, i % 4 "
                "FROM r; ANALYZE")  # fmt: skip
    assert statistics("t") == TableStatistics(ROWS, None, {"b": ColumnStatistics(4)})


def test_an_odd_name(path: Path, statistics: Statistics) -> None:
    write(path, """CREATE TABLE "it's "" odd" ("a "" b" INTEGER PRIMARY KEY); INSERT INTO "it's "" odd" VALUES (5), (7);
                   ANALYZE""")  # fmt: skip
    found = statistics("it's \" odd")
    assert found.columns == {'a " b': ColumnStatistics(2, 0, 5, 7)}


# --- without it


def test_the_rows_of_a_small_table_are_counted(path: Path, statistics: Statistics) -> None:
    write(path, "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE vacant (a)")
    write(path, f"INSERT INTO t VALUES ({-(2**63)}), (0), ({2**63 - 1})")
    assert statistics("t") == TableStatistics(3, None, {"id": ColumnStatistics(3, 0, -(2**63), 2**63 - 1)})
    assert statistics("vacant") == TableStatistics(0)


@pytest.mark.parametrize("step", [1, 10])
def test_the_rows_of_a_large_table_are_guessed_by_their_numbers(path: Path, statistics: Statistics, step: int) -> None:
    write(path, f"CREATE TABLE t (id INTEGER PRIMARY KEY, b TEXT);"
                f"{_NUMBERS} INSERT INTO t SELECT i * {step}, 'b' FROM r")  # fmt: skip
    found = statistics("t")
    assert found.rows == pytest.approx(ROWS, rel=0.02)
    assert found.columns["id"].maximum == ROWS * step


def test_numbers_that_are_far_apart_make_no_more_rows_than_fit(path: Path, statistics: Statistics) -> None:
    write(path, f"CREATE TABLE t (id INTEGER PRIMARY KEY); {_NUMBERS} INSERT INTO t SELECT i FROM r;"
                f"INSERT INTO t VALUES ({2**63 - 1})")  # fmt: skip
    found = statistics("t")
    assert found.rows is not None and ROWS <= found.rows <= path.stat().st_size
