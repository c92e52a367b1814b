"""Native queries of MariaDB: nothing is written, whatever the text; types are those of tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from adapters.base import CancelToken, TableName
from adapters.errors import (
    ColumnNotFound,
    DuplicateColumn,
    Error,
    NotSupportedError,
    SourceChanged,
    SQLSyntaxError,
    TableNotFound,
)
from adapters.mysql import MySQLAdapter
from tests.adapters.oracle import read_all, run_bounded
from tests.servers import Server, run_sql

SETUP = """
CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(20));
INSERT INTO t VALUES (1, 'one'), (2, NULL);
CREATE TABLE loose (id INT) ENGINE=MyISAM;
CREATE TABLE every (a DECIMAL(10,2), b DECIMAL(40,5) UNSIGNED, c FLOAT, d JSON, e UUID, f BIT(9), g YEAR,
  h VARCHAR(9), i TINYINT(1), j DATETIME(3), k TIMESTAMP NULL, l TIME, m INET6, n ENUM('a','b'), o BLOB, p POINT,
  q BIGINT UNSIGNED, r MEDIUMINT, s CHAR(3) CHARACTER SET latin1, u DOUBLE, v DATE, w BINARY(2), x SET('a','b'),
  y DECIMAL(5,0), z BIT(1));
INSERT INTO every VALUES (1.25, 7, 0.1, '{}', '00000000-0000-0000-0000-000000000001', b'101', 2024, 'x', 1,
  '2024-02-29 12:00:00.125', '2024-02-29 12:00:00', '12:34:56', '::1', 'b', 'y', POINT(1, 2), 18446744073709551615, -5,
  'zz', 0.1, '2024-02-29', 'ab', 'a,b', 12345, b'1'), (DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT,
  DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT,
  DEFAULT, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
CREATE SEQUENCE counter;
DELIMITER //
CREATE FUNCTION writes() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO t VALUES (3, 'new'); RETURN 1; END//
CREATE FUNCTION loosely() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO loose VALUES (3); RETURN 1; END//
CREATE FUNCTION sets() RETURNS INT MODIFIES SQL DATA BEGIN SET SESSION time_zone = '+09:00'; RETURN 1; END//
CREATE FUNCTION opens() RETURNS INT MODIFIES SQL DATA
  BEGIN SET SESSION TRANSACTION READ WRITE; INSERT INTO t VALUES (3, 'new'); RETURN 1; END//
CREATE PROCEDURE erases() BEGIN DELETE FROM t; END//
"""
STATE = """SELECT count(*), max(id), max(note) FROM t; SELECT count(*) FROM loose;
SELECT next_not_cached_value FROM counter;
SELECT count(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE();"""
WRITES = [
    "INSERT INTO t VALUES (3, 'new')",
    "INSERT INTO t VALUES (3, 'new') RETURNING id",
    "REPLACE INTO t VALUES (1, 'new') RETURNING id",
    "UPDATE t SET note = 'x'",
    "DELETE FROM t",
    "DELETE FROM t RETURNING id",
    "TRUNCATE t",
    "DROP TABLE t",
    "CREATE TABLE u AS SELECT * FROM t",
    "CREATE TEMPORARY TABLE u (id INT)",
    "ALTER TABLE t ADD COLUMN x INT",
    "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t",
    "SET SESSION TRANSACTION READ WRITE",
    "SET @a = 1",
    "START TRANSACTION READ WRITE",
    "COMMIT",
    "ROLLBACK",
    "LOCK TABLES t WRITE",
    "CALL erases()",
    "BEGIN NOT ATOMIC DELETE FROM t; END",
    "EXPLAIN DELETE FROM t",
    "ANALYZE DELETE FROM t",
    "SHOW TABLES",
    "SELECT id FROM t INTO @a",
    "SELECT writes()",
    "SELECT loosely()",
    "SELECT opens()",
    "SELECT NEXTVAL(counter)",
    "SELECT id FROM t FOR UPDATE",
]
SEVERAL = [
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE t",
    "SELECT id FROM t) AS q; DROP TABLE t; -- ",
    "SELECT id FROM t) AS q, (SELECT 1 AS one",
    "SELECT id FROM t /*",
    "SELECT id FROM t /*!",
    "SELECT 'open",
]


@pytest.fixture(scope="module")
def uri(mariadb_server: Server) -> str:
    uri = mariadb_server.create_database("native")
    run_sql(uri, SETUP)
    return uri


@pytest.fixture(scope="module")
def adapter(uri: str) -> Iterator[MySQLAdapter]:
    adapter = MySQLAdapter("my", {"uri": uri})
    yield adapter
    adapter.close()


def rows(adapter: MySQLAdapter, sql: str) -> list[dict[str, object]]:
    return read_all(adapter, adapter.plan_native(sql, adapter.describe_native(sql))).to_pylist()


@pytest.mark.parametrize("sql", WRITES)
def test_a_write_is_refused_and_nothing_is_written(adapter: MySQLAdapter, uri: str, sql: str) -> None:
    before = run_sql(uri, STATE)
    with pytest.raises(Error) as caught:
        rows(adapter, sql)
    assert caught.value.sqlstate in ("25006", "0A000")
    assert caught.value.source == "my"
    assert run_sql(uri, STATE) == before


@pytest.mark.parametrize("into", ["OUTFILE", "DUMPFILE"])
def test_no_file_is_written(adapter: MySQLAdapter, tmp_path: Path, into: str) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(NotSupportedError):
        rows(adapter, f"SELECT 1 INTO {into} '{tmp_path}/out'")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sql", SEVERAL)
def test_one_whole_statement_or_none(adapter: MySQLAdapter, uri: str, sql: str) -> None:
    before = run_sql(uri, STATE)
    with pytest.raises(SQLSyntaxError):
        adapter.describe_native(sql)
    assert run_sql(uri, STATE) == before


def test_describing_runs_nothing(adapter: MySQLAdapter) -> None:
    run_bounded(lambda: adapter.describe_native("SELECT sleep(600) AS x FROM t"))


@pytest.mark.parametrize("comment", ["-- ) AS q", "# ) AS q", "/* ) AS q */"])
def test_a_comment_at_the_end(adapter: MySQLAdapter, comment: str) -> None:
    assert rows(adapter, f"SELECT id FROM t {comment}") == [{"id": 1}, {"id": 2}]


def test_mistakes(adapter: MySQLAdapter) -> None:
    with pytest.raises(SQLSyntaxError, match="near 'SELEC 1' at line 1"):
        adapter.describe_native("SELEC 1")
    with pytest.raises(ColumnNotFound):
        adapter.describe_native("SELECT nope FROM t")
    with pytest.raises(TableNotFound):
        adapter.describe_native("SELECT * FROM nope")
    with pytest.raises(Error) as caught:
        adapter.describe_native("SELECT ? AS a")
    assert caught.value.sqlstate == "0A000"


@pytest.mark.parametrize("sql", ["SELECT 1 AS a, 2 AS a", "SELECT 1 AS a, 2 AS A", "SELECT '' FROM t"])
def test_columns_of_one_name_or_none(adapter: MySQLAdapter, sql: str) -> None:
    with pytest.raises(DuplicateColumn):
        adapter.describe_native(sql)


def test_every_type_arrives_as_from_its_table(adapter: MySQLAdapter) -> None:
    table = adapter.get_table(TableName("native", "every"))
    found = adapter.describe_native("SELECT * FROM every")
    assert [(each.name, each.type) for each in found] == [(each.name, each.type) for each in table.columns]
    first, second = rows(adapter, "SELECT * FROM every ORDER BY a IS NULL")
    assert (first["c"], first["f"], first["q"], first["s"]) == (pytest.approx(0.1), 5, 18446744073709551615, "zz")
    assert set(second.values()) == {None}


def test_expressions_have_the_types_of_the_protocol(adapter: MySQLAdapter) -> None:
    found = adapter.describe_native(
        "SELECT count(*) AS n, sum(id) AS s, avg(id) AS a, 1 + 1.5 AS d, now() AS t, NULL AS u, concat(note, 'x') AS c,"
        " CAST(note AS BINARY) AS b, 1 = 1 AS e, max(note) AS m FROM t"
    )
    assert {each.name: each.type for each in found} == {
        "n": pa.int64(),
        "s": pa.decimal128(32, 0),
        "a": pa.decimal128(14, 4),
        "d": pa.decimal128(3, 1),
        "t": pa.timestamp("us"),
        "u": pa.string(),
        "c": pa.string(),
        "b": pa.binary(),
        "e": pa.int32(),
        "m": pa.string(),
    }


def test_what_has_no_table_is_read_as_text(adapter: MySQLAdapter) -> None:
    """MariaDB's protocol tells JSON and UUID from text only by the column that they come from."""
    sql = "SELECT d, e FROM (SELECT * FROM every LIMIT 5) AS x"
    assert [each.type for each in adapter.describe_native(sql)] == [pa.string(), pa.string()]
    assert rows(adapter, sql)[0] == {"d": "{}", "e": "00000000-0000-0000-0000-000000000001"}


def test_some_columns_in_another_order(adapter: MySQLAdapter) -> None:
    sql = "SELECT id, note, count(*) FROM t WHERE id = 1 GROUP BY id"
    _, note, count = adapter.describe_native(sql)
    scan = adapter.plan_native(sql, (count, note))
    assert read_all(adapter, scan).to_pylist() == [{"count(*)": 1, "note": "one"}]


def test_no_column_still_counts_rows(adapter: MySQLAdapter) -> None:
    assert read_all(adapter, adapter.plan_native("SELECT id FROM t", ())).num_rows == 2


def test_what_a_text_sets_is_for_nobody_else(adapter: MySQLAdapter) -> None:
    """Settings, variables, locks: the session ends with the read."""
    rows(adapter, "SELECT sets() AS a, @x := 5 AS b, GET_LOCK('native', 0) AS c")
    for _ in range(4):
        sql = "SELECT @@time_zone AS zone, CAST(@x AS CHAR) AS x, IS_FREE_LOCK('native') AS free"
        assert rows(adapter, sql) == [{"zone": "+00:00", "x": None, "free": 1}]


def test_a_changed_column_is_an_error(adapter: MySQLAdapter, uri: str) -> None:
    run_sql(uri, "CREATE TABLE changing (a INT, b INT); INSERT INTO changing VALUES (1, 2)")
    sql = "SELECT * FROM changing"
    columns = adapter.describe_native(sql)
    run_sql(uri, "ALTER TABLE changing DROP COLUMN a")
    with pytest.raises(SourceChanged):
        read_all(adapter, adapter.plan_native(sql, columns))
    run_sql(uri, "DROP TABLE changing")
    with pytest.raises(SourceChanged):
        read_all(adapter, adapter.plan_native(sql, columns))


def test_a_cancel_ends_it(adapter: MySQLAdapter) -> None:
    sql = "SELECT sleep(600) AS x"
    scan = adapter.plan_native(sql, adapter.describe_native(sql))
    cancel = CancelToken()
    reader = adapter.read(scan.partitions[0], cancel)
    threading.Timer(0.3, cancel.cancel).start()
    with pytest.raises(Error) as caught:
        run_bounded(reader.read_all)
    assert caught.value.sqlstate == "57014"
