from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.base import Collation, ForeignKey, Predicate, ScanRequest, TableName
from adapters.errors import (
    SourceError,
)
from adapters.sqlite import SQLiteAdapter
from tests.adapters.conformance import AdapterConformance
from tests.adapters.oracle import read_all
from tests.adapters.sqlite_files import create_numbers, create_people, island, main, plan, read, write


class TestSqlite(AdapterConformance):
    columns = ""

    @pytest.fixture(scope="class")
    @classmethod
    def path(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("conformance") / "some 100% odd#name?.db"
        create_people(path, "people", cls.columns)
        create_numbers(path)
        return path

    @pytest.fixture
    def adapter(self, path: Path) -> Iterator[SQLiteAdapter]:
        adapter = SQLiteAdapter("lite", {"path": str(path)})
        yield adapter
        adapter.close()

    @pytest.fixture
    def vanishing(self, path: Path) -> tuple[TableName, Callable[[], None]]:
        create_people(path, "doomed")
        return TableName("main", "doomed"), lambda: write(path, "DROP TABLE doomed")

    @pytest.fixture
    def analyzed(self, path: Path, adapter: SQLiteAdapter) -> SQLiteAdapter:
        write(path, "ANALYZE")
        return adapter


class TestStrictSqlite(TestSqlite):
    """Columns that hold their type only, compared without regard to case: predicates go down."""

    columns = "id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, score REAL, born DATE, note TEXT COLLATE RTRIM"


class TestSqliteWithoutRowid(TestSqlite):
    columns = "id INTEGER PRIMARY KEY, name TEXT, score REAL, born DATE, note TEXT) WITHOUT ROWID; --"


class TestSqliteViews(TestSqlite):
    """Nothing is a scan of a whole table, so that everything runs in a process of its own."""

    @pytest.fixture(scope="class")
    @classmethod
    def path(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("conformance") / "views.db"
        create_people(path, "stored")
        create_numbers(path)
        write(path, "ALTER TABLE numbers RENAME TO counted; CREATE VIEW numbers AS SELECT * FROM counted")
        write(path, "CREATE VIEW people AS SELECT * FROM stored")
        return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "crm.db"


@pytest.fixture
def adapter(path: Path) -> Iterator[SQLiteAdapter]:
    adapter = SQLiteAdapter("lite", {"path": path})
    yield adapter
    adapter.close()


# --- metadata


def test_tables_views_and_nothing_of_sqlite_itself(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE b (x); CREATE VIEW a AS SELECT x FROM b; CREATE TABLE sqlitex (id INTEGER PRIMARY KEY);")
    write(path, "CREATE VIRTUAL TABLE f USING fts4(body); CREATE INDEX i ON b (x); ANALYZE")
    assert list(adapter.list_tables()) == [main("a"), main("b"), main("f"), main("sqlitex")]


def test_keys_and_nullability(path: Path, adapter: SQLiteAdapter) -> None:
    write(
        path,
        """
        CREATE TABLE parent (id INTEGER PRIMARY KEY, "the name" TEXT NOT NULL);
        CREATE TABLE two (b INT, a TEXT, c, PRIMARY KEY (a, b)) WITHOUT ROWID;
        CREATE TABLE child (k TEXT PRIMARY KEY, p REFERENCES parent, a TEXT, b INT,
                            FOREIGN KEY (b, a) REFERENCES two (b, a));
        CREATE TABLE descending (id INTEGER PRIMARY KEY DESC);
        """,
    )
    parent, two, child = (adapter.get_table(main(name)) for name in ("parent", "two", "child"))
    assert parent.primary_key == ("id",)
    assert [(c.name, c.nullable, c.dynamic) for c in parent.columns] == [
        ("id", False, False),
        ("the name", False, True),
    ]
    assert two.primary_key == ("a", "b")
    assert [(c.name, c.nullable) for c in two.columns] == [("b", False), ("a", False), ("c", True)]
    assert child.column("k").nullable, "SQLite lets NULL into a primary key that is not the rowid"
    assert set(child.foreign_keys) == {
        ForeignKey(("p",), main("parent"), ("id",)),
        ForeignKey(("b", "a"), main("two"), ("b", "a")),
    }
    assert adapter.get_table(main("descending")).column("id").nullable


def test_collations(path: Path, adapter: SQLiteAdapter) -> None:
    write(
        path,
        """
        CREATE TABLE t (a TEXT, b TEXT COLLATE NOCASE, c VARCHAR(9) COLLATE RTRIM, d COLLATE BINARY,
                        e COLLATE nocase, "f COLLATE NOCASE" TEXT);
        CREATE VIEW v AS SELECT b, b AS bb, b || '' AS plain, a COLLATE NOCASE AS a FROM t;
        """,
    )
    found = {c.name: c.collation for c in adapter.get_table(main("t")).columns}
    assert [name for name, collation in found.items() if collation is Collation.INSENSITIVE] == ["b", "c", "e"]
    assert {found[name] for name in ("a", "d", "f COLLATE NOCASE")} == {Collation.BINARY}
    views = {c.name: c.collation for c in adapter.get_table(main("v")).columns}
    assert views["b"] is views["bb"] is views["a"] is Collation.INSENSITIVE


def test_the_order_of_utf16_text_is_not_promised(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (x TEXT); INSERT INTO t VALUES ('é\U0001f389'), ('')")
    assert adapter.get_table(main("t")).column("x").collation is Collation.UNKNOWN
    assert read(adapter, "t", "x") == [{"x": "é\U0001f389"}, {"x": ""}]


def test_a_collation_that_is_not_there(path: Path, adapter: SQLiteAdapter) -> None:
    connection = sqlite3.connect(path)
    connection.create_collation("german", lambda a, b: (a > b) - (a < b))
    with connection:
        connection.executescript("CREATE TABLE t (x TEXT COLLATE german, y TEXT); INSERT INTO t VALUES ('ä', 'b')")
    connection.close()
    assert adapter.get_table(main("t")).column("x").collation is Collation.UNKNOWN
    assert read(adapter, "t", "y") == [{"y": "b"}]
    with pytest.raises(SourceError, match="german"):
        read(adapter, "t", "x")


def test_generated_columns_and_views(path: Path, adapter: SQLiteAdapter) -> None:
    write(
        path,
        """
        CREATE TABLE t (a INT, b INT GENERATED ALWAYS AS (a * 2) VIRTUAL, c TEXT AS ('<' || a || '>') STORED);
        CREATE VIEW v AS SELECT a, CAST(sum(b) AS INTEGER) AS total, count(*) AS untyped FROM t GROUP BY a;
        INSERT INTO t VALUES (1), (2), (2);
        """,
    )
    assert read(adapter, "t", "c", "b") == [{"c": "<1>", "b": 2}, {"c": "<2>", "b": 4}, {"c": "<2>", "b": 4}]
    assert [c.type for c in adapter.get_table(main("v")).columns] == [pa.int64(), pa.int64(), pa.string()]
    assert read(adapter, "v", "total", "untyped") == [{"total": 2, "untyped": "1"}, {"total": 8, "untyped": "2"}]


def test_changes_are_seen(path: Path, adapter: SQLiteAdapter) -> None:
    """Rows and columns alike: a kept connection holds no old state."""
    write(path, "CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")
    assert read(adapter, "t", "a") == [{"a": 1}]
    write(path, "INSERT INTO t VALUES (2); ALTER TABLE t ADD COLUMN b DATE")
    assert [c.name for c in adapter.get_table(main("t")).columns] == ["a", "b"]
    assert read(adapter, "t", "a", "b") == [{"a": 1, "b": None}, {"a": 2, "b": None}]


def test_a_replaced_file_is_seen(path: Path, adapter: SQLiteAdapter) -> None:
    """As an export does it: a new file takes the name of the old one, with as many changes of its schema."""
    write(path, "CREATE TABLE t (a INT); INSERT INTO t VALUES (1)")
    assert read(adapter, "t", "a") == [{"a": 1}]
    new = path.with_name("new.db")
    write(new, "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('new')")
    new.replace(path)
    assert read(adapter, "t", "a") == [{"a": "new"}]


# --- islands


def test_an_island_keeps_its_order_and_its_limit(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (k TEXT, n INT); INSERT INTO t VALUES ('b', 1), ('a', 2), ('c', 3), ('a', 4)")
    sql = (
        'WITH w AS (SELECT * FROM t) SELECT k AS "a k", count(*) AS "n" FROM w GROUP BY k ORDER BY "n" DESC, k LIMIT 2'
    )
    scan = plan(adapter, sql, key=pa.string(), rows=pa.int32())
    assert read_all(adapter, scan).to_pylist() == [{"key": "a", "rows": 2}, {"key": "b", "rows": 1}]
    union = 'SELECT "k" AS "k" FROM "t" UNION SELECT \'z\' ORDER BY "k" DESC'
    assert read_all(adapter, plan(adapter, union, k=pa.string()))["k"].to_pylist() == ["z", "c", "b", "a"]


def test_output_names_that_sqlite_takes_for_one_another_are_declined(adapter: SQLiteAdapter) -> None:
    query = island('SELECT 1 AS "a", 2 AS "A"')
    assert adapter.plan_query(query, pa.schema({"a": pa.int64(), "A": pa.int64()})) is None


def test_what_explain_shows_is_the_query_itself(path: Path, adapter: SQLiteAdapter) -> None:
    write(path, "CREATE TABLE t (a INTEGER PRIMARY KEY)")
    scan = adapter.plan_scan(ScanRequest(main("t"), ("a",), (Predicate("a", ">", (5,)),), limit=3))
    assert scan.residual == ()
    request = scan.partitions[0].request
    assert request.startswith('SELECT "t"."a" FROM "main"."t" AS "t" WHERE')
    assert '"t"."a" > 5' in request
    assert request.endswith("LIMIT 3")


@pytest.mark.parametrize("missing", [0, 3], ids=["all there", "with NULL"])
def test_a_statement_gives_what_a_scan_gives(path: Path, adapter: SQLiteAdapter, missing: int) -> None:
    """They are read by two drivers, in two processes."""
    write(
        path,
        """CREATE TABLE odd (n INT, x REAL, s TEXT, b BLOB) STRICT;
        WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g WHERE i < 5000)
        INSERT INTO odd SELECT (i % 7 - 3) * 3074457345618258602, CASE i % 5 WHEN 1 THEN 9e999 ELSE -i / 7.0 END,
          CASE i % 4 WHEN 1 THEN '' WHEN 2 THEN 'é😀' || i WHEN 3 THEN 'a' || char(0) || 'b' ELSE 'plain' END,
          CASE i % 3 WHEN 1 THEN x'' ELSE CAST('ß' || i AS BLOB) END FROM g""",
    )
    if missing:
        for column in "nxsb":
            write(path, f"UPDATE odd SET {column} = NULL WHERE rowid % {missing + ord(column) % 4} = 0")
    columns: dict[str, pa.DataType] = {"n": pa.int64(), "x": pa.float64(), "s": pa.string(), "b": pa.binary()}
    names = ", ".join(f'"t"."{name}" AS "{name}"' for name in columns)
    filtered = plan(adapter, f'SELECT {names} FROM "main"."odd" AS "t" WHERE "t"."rowid" > 0', **columns)
    found = read_all(adapter, filtered)
    assert found.num_rows == 5000
    found.validate(full=True)
    assert found.equals(read_all(adapter, adapter.plan_scan(ScanRequest(main("odd"), tuple(columns)))))
