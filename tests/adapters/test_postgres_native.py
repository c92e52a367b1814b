"""Native queries of PostgreSQL: nothing is written, whatever the text; types are those of tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from adapters.base import CancelToken, Column, TableName
from adapters.errors import (
    ColumnNotFound,
    DuplicateColumn,
    Error,
    ReadOnlyError,
    SourceChanged,
    SQLSyntaxError,
    TableNotFound,
)
from adapters.postgres import PostgresAdapter
from tests.adapters.oracle import read_all, run_bounded
from tests.servers import Server, run_sql

SETUP = """
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE DOMAIN price AS numeric(9,3) CHECK (VALUE >= 0);
CREATE TABLE t (id int PRIMARY KEY, note text);
INSERT INTO t VALUES (1, 'one'), (2, NULL);
CREATE TABLE every (
  a bool, b int2, c int4, d int8, e oid, f float4, g float8, h money, i text, j varchar(9), k char(3), l bytea, m date,
  n time, o timestamp, p timestamptz, q interval, r uuid, s json, t jsonb, u numeric, v numeric(10,2), w numeric(5,-2),
  x mood, y price, z int[], aa text[], ab inet, ac int4range, ad timetz, ae name, af bit(3));
INSERT INTO every VALUES (true, 1, 2, 3, 4, 0.1, 0.1, 12.34, 'x', 'y', 'z', '\\x00ff', '2024-02-29', '12:34:56.789',
  '2024-02-29 12:00', '2024-02-29 12:00+02', '1 month 2 days', '00000000-0000-0000-0000-000000000001', '{"a": 1}',
  '[1]', 1.5, 1.25, 1200, 'low', 3.125, '{1,NULL}', '{a}', '10.0.0.1', '[1,5)', '12:00+02', 'n', '101');
INSERT INTO every DEFAULT VALUES;
CREATE SEQUENCE counter;
CREATE FUNCTION writes() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO t VALUES (3, ''new'') RETURNING 1';
CREATE FUNCTION lies() RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN DELETE FROM t; RETURN 1; END';
CREATE PROCEDURE erases() LANGUAGE sql AS 'DELETE FROM t';
CREATE FUNCTION opens() RETURNS int LANGUAGE plpgsql VOLATILE AS
  'BEGIN SET TRANSACTION READ WRITE; DELETE FROM t; RETURN 1; END';
"""
STATE = """SELECT count(*), max(id), max(note) FROM t; SELECT last_value, is_called FROM counter;
SELECT count(*) FROM pg_class"""
WRITES = [
    "INSERT INTO t VALUES (3, 'new')",
    "INSERT INTO t VALUES (3, 'new') RETURNING id",
    "UPDATE t SET note = 'x'",
    "UPDATE t SET note = 'x' RETURNING *",
    "DELETE FROM t",
    "DELETE FROM t RETURNING *",
    "WITH gone AS (DELETE FROM t RETURNING id) SELECT * FROM gone",
    "WITH new AS (INSERT INTO t VALUES (3, 'new') RETURNING id) SELECT 1 AS one",
    "MERGE INTO t USING (VALUES (1)) AS v (id) ON t.id = v.id WHEN MATCHED THEN DELETE",
    "TRUNCATE t",
    "DROP TABLE t",
    "CREATE TABLE u AS SELECT * FROM t",
    "CREATE TEMP TABLE u (id int)",
    "SELECT * INTO u FROM t",
    "ALTER TABLE t ADD COLUMN x int",
    "GRANT ALL ON t TO PUBLIC",
    "COPY t TO PROGRAM 'touch /tmp/federation-native'",
    "COPY t FROM PROGRAM 'echo 3'",
    "COPY t TO STDOUT",
    "SET default_transaction_read_only = off",
    "SET TRANSACTION READ WRITE",
    "BEGIN READ WRITE",
    "COMMIT",
    "ROLLBACK",
    "DO 'BEGIN DELETE FROM t; END'",
    "CALL erases()",
    "LOCK TABLE t",
    "VACUUM t",
    "EXPLAIN ANALYZE DELETE FROM t",
    "SELECT id FROM t FOR UPDATE",
    "SELECT nextval('counter')",
    "SELECT setval('counter', 9)",
    "SELECT writes()",
    "SELECT lies()",
    "SELECT opens()",
    "SELECT set_config('transaction_read_only', 'off', true), writes()",
    "SHOW server_version",
]
SEVERAL = [
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE t",
    "SELECT 1; COMMIT; DROP TABLE t",
    "SELECT id FROM t) AS q; DROP TABLE t; --",
    "SELECT id FROM t) AS q, (SELECT 1 AS one",
    "SELECT id FROM t /*",
    "SELECT 'open",
]


@pytest.fixture(scope="module")
def uri(postgres_server: Server) -> str:
    uri = postgres_server.create_database("native")
    run_sql(uri, SETUP)
    return uri


@pytest.fixture(scope="module")
def adapter(uri: str) -> Iterator[PostgresAdapter]:
    adapter = PostgresAdapter("pg", {"uri": uri})
    yield adapter
    adapter.close()


def rows(adapter: PostgresAdapter, sql: str) -> list[dict[str, object]]:
    return read_all(adapter, adapter.plan_native(sql, adapter.describe_native(sql))).to_pylist()


@pytest.mark.parametrize("sql", WRITES)
def test_a_write_is_refused_and_nothing_is_written(adapter: PostgresAdapter, uri: str, sql: str) -> None:
    before = run_sql(uri, STATE)
    with pytest.raises(Error) as caught:
        rows(adapter, sql)
    assert caught.value.sqlstate in ("25006", "0A000")
    assert caught.value.source == "pg"
    assert run_sql(uri, STATE) == before


@pytest.mark.parametrize("sql", SEVERAL)
def test_one_whole_statement_or_none(adapter: PostgresAdapter, uri: str, sql: str) -> None:
    before = run_sql(uri, STATE)
    with pytest.raises(SQLSyntaxError):
        adapter.describe_native(sql)
    assert run_sql(uri, STATE) == before


def test_what_the_server_lets_through_is_rolled_back(adapter: PostgresAdapter, uri: str) -> None:
    """Before version 16 large objects could be made in a transaction that only reads."""
    with suppress(ReadOnlyError):
        rows(adapter, "SELECT lo_create(0)")
    assert run_sql(uri, "SELECT count(*) FROM pg_largeobject_metadata") == "0\n"


def test_describing_runs_nothing(adapter: PostgresAdapter) -> None:
    run_bounded(lambda: adapter.describe_native("SELECT pg_sleep(600)::text AS x, 1 / 0 AS y FROM t"))


def test_a_comment_at_the_end(adapter: PostgresAdapter) -> None:
    assert rows(adapter, "SELECT id FROM t -- ) AS q") == [{"id": 1}, {"id": 2}]


def test_the_place_of_a_mistake(adapter: PostgresAdapter) -> None:
    with pytest.raises(SQLSyntaxError, match=r'at or near "t" \(at character 16 of the native query\)'):
        adapter.describe_native("SELECT id FORM t x")
    with pytest.raises(ColumnNotFound, match="at character 8"):
        adapter.describe_native("SELECT nope FROM t")
    with pytest.raises(TableNotFound):
        adapter.describe_native("SELECT * FROM nope")


@pytest.mark.parametrize("sql", ["SELECT 1 AS a, 2 AS a", 'SELECT 1 AS a, 2 AS "A"', "SELECT 1, 2"])
def test_columns_of_one_name(adapter: PostgresAdapter, sql: str) -> None:
    with pytest.raises(DuplicateColumn):
        adapter.describe_native(sql)


def test_a_parameter_has_no_value(adapter: PostgresAdapter) -> None:
    with pytest.raises(Error) as caught:
        rows(adapter, "SELECT $1::int AS a")
    assert caught.value.sqlstate != "XX000"


def test_every_type_arrives_as_from_its_table(adapter: PostgresAdapter) -> None:
    table = adapter.get_table(TableName("public", "every"))
    found = adapter.describe_native("SELECT * FROM every")
    assert [(each.name, each.type) for each in found] == [(each.name, each.type) for each in table.columns]
    first, second = rows(adapter, "SELECT * FROM every ORDER BY a NULLS LAST")
    assert first["h"].__str__() == "12.34"
    assert (first["e"], first["k"], first["x"], first["z"], first["ab"]) == (4, "z", "low", [1, None], "10.0.0.1/32")
    assert set(second.values()) == {None}


def test_a_value_that_does_not_fit_is_named(adapter: PostgresAdapter) -> None:
    with pytest.raises(Error, match='"big"') as caught:
        rows(adapter, "SELECT 1e40::numeric AS big")
    assert caught.value.sqlstate == "22P02"


def test_some_columns_in_another_order(adapter: PostgresAdapter) -> None:
    sql = 'SELECT id, note, 1 AS "?column?" FROM t WHERE id = 1'
    _, note, one = adapter.describe_native(sql)
    scan = adapter.plan_native(sql, (one, note))
    assert scan.schema.names == ["?column?", "note"]
    assert read_all(adapter, scan).to_pylist() == [{"?column?": 1, "note": "one"}]


def test_no_column_still_counts_rows(adapter: PostgresAdapter) -> None:
    assert read_all(adapter, adapter.plan_native("SELECT id FROM t", ())).num_rows == 2


def test_what_a_text_sets_is_for_nobody_else(adapter: PostgresAdapter) -> None:
    """Settings, locks: the session ends with the read."""
    rows(adapter, "SELECT set_config('TimeZone', 'Asia/Tokyo', false) AS a, pg_advisory_lock(7)::text AS b")
    for _ in range(4):
        (row,) = rows(adapter, "SELECT current_setting('TimeZone') AS zone")
        assert row == {"zone": "UTC"}
    locks = "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory'"
    assert rows(adapter, locks) == [{"n": 0}]


def test_a_changed_column_is_an_error(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, "CREATE TABLE changing (a int, b text); INSERT INTO changing VALUES (1, 'x')")
    sql = "SELECT * FROM changing"
    columns: tuple[Column, ...] = adapter.describe_native(sql)
    run_sql(uri, "ALTER TABLE changing ALTER a TYPE numeric USING 1.5")
    with pytest.raises(SourceChanged):
        read_all(adapter, adapter.plan_native(sql, columns))
    run_sql(uri, "DROP TABLE changing")
    with pytest.raises(SourceChanged):
        read_all(adapter, adapter.plan_native(sql, columns))


def test_a_cancel_ends_it(adapter: PostgresAdapter) -> None:
    sql = "SELECT pg_sleep(600)::text AS x"
    scan = adapter.plan_native(sql, adapter.describe_native(sql))
    cancel = CancelToken()
    reader = adapter.read(scan.partitions[0], cancel)
    threading.Timer(0.3, cancel.cancel).start()
    with pytest.raises(Error) as caught:
        run_bounded(reader.read_all)
    assert caught.value.sqlstate == "57014"
