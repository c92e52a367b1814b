"""What PostgreSQL is asked about a query and a table before anything is read."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
import sqlglot
from adbc_driver_postgresql import dbapi

from adapters.base import ColumnStatistics, Estimate, TableName, TableStatistics
from adapters.errors import Error, QueryTimeout, ReadOnlyError, SourceChanged, SourceUnavailable, TableNotFound
from adapters.postgres import PostgresAdapter
from tests.servers import Server, run_sql

Estimator = Callable[[str], Estimate]
Statistics = Callable[[str], TableStatistics]
ROWS = 10_000
_TABLES = """
CREATE TABLE item (id bigint PRIMARY KEY, kind int, day date, at timestamptz, local timestamp, price numeric(12, 2),
  weight double precision, name text, flag boolean, empty int);
INSERT INTO item SELECT i, i % 10, date '2020-01-01' + i % 1000, timestamptz '2024-01-01 00:00Z' + i * interval '1 s',
  timestamp '1969-12-31' + i * interval '1 us', i / 100.0, CASE WHEN i % 4 > 0 THEN -i END, 'name ' || i,
  i % 2 = 0, NULL
  FROM generate_series(1, 10000) i;
CREATE TABLE line (item bigint, amount int);
INSERT INTO line SELECT i % 5000 + 1, i FROM generate_series(1, 20000) i;
CREATE TABLE nothing (id int);
CREATE TABLE raw (id bigint, note text) WITH (autovacuum_enabled = off);
INSERT INTO raw SELECT i, 'a note of some length' FROM generate_series(1, 10000) i;
CREATE TABLE parted (id int, kind int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (10000);
INSERT INTO parted SELECT i, i % 10 FROM generate_series(0, 9999) i;
CREATE TABLE base (id int);
CREATE TABLE derived (more int) INHERITS (base);
INSERT INTO base SELECT generate_series(1, 100); INSERT INTO derived SELECT i, i FROM generate_series(101, 1000) i;
CREATE VIEW seen AS SELECT * FROM item;
CREATE MATERIALIZED VIEW kept AS SELECT kind, count(*) AS n FROM item GROUP BY kind;
CREATE TABLE odd (a double precision, b numeric, c date, d timestamp, e date);
INSERT INTO odd SELECT 'NaN', 'NaN', 'infinity', '0044-03-15 BC', date '2024-01-01' + i FROM generate_series(1, 50) i;
CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE away (id int) SERVER far;
CREATE TABLE "Odd "" Name" ("a b" int); INSERT INTO "Odd "" Name" VALUES (1), (2), (2);
ANALYZE item, line, nothing, parted, base, derived, kept, odd, "Odd "" Name";
"""


@pytest.fixture(scope="module")
def uri(postgres_server: Server) -> str:
    found = postgres_server.create_database("statistics")
    run_sql(found, _TABLES)
    return found


@pytest.fixture
def adapter(uri: str) -> Iterator[PostgresAdapter]:
    made = PostgresAdapter("pg", {"uri": uri})
    yield made
    made.close()


@pytest.fixture
def estimate(adapter: PostgresAdapter) -> Estimator:
    return lambda sql: estimated(adapter, sql)


@pytest.fixture
def statistics(adapter: PostgresAdapter) -> Statistics:
    return lambda name: adapter.statistics(TableName("public", name))


def estimated(adapter: PostgresAdapter, sql: str) -> Estimate:
    query = sqlglot.parse_one(sql, dialect="postgres")
    assert isinstance(query, sqlglot.exp.Query)
    return adapter.estimate(query)


# --- estimates: what cannot be asked


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT id FROM no_such_table", TableNotFound),
        ("SELECT no_such_column FROM item", SourceChanged),
        ("SELECT no_such_function(id) FROM item", Error),
    ],
)
def test_a_query_that_the_source_refuses_is_its_error(adapter: PostgresAdapter, sql: str, error: type[Error]) -> None:
    with pytest.raises(error) as caught:
        estimated(adapter, sql)
    assert caught.value.source == "pg"
    assert estimated(adapter, "SELECT id FROM item").rows == ROWS


def test_nothing_is_run(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, "DROP SEQUENCE IF EXISTS used; CREATE SEQUENCE used")
    assert estimated(adapter, "SELECT nextval('used') FROM item").rows == ROWS
    assert estimated(adapter, "SELECT pg_sleep(60)").rows == 1
    assert run_sql(uri, "SELECT is_called FROM used").strip() == "f"
    with pytest.raises(ReadOnlyError):
        adapter._ask(adapter._advisers, "CREATE TABLE written (id int)")


def test_an_estimate_does_not_wait_for_a_lock(adapter: PostgresAdapter, uri: str) -> None:
    """Nor does it wait for ever: an error says that nothing is known."""
    run_sql(uri, "DROP TABLE IF EXISTS held; CREATE TABLE held (id int)")
    estimated(adapter, "SELECT id FROM held")
    with closing(dbapi.connect(uri)) as holder, closing(holder.cursor()) as cursor:
        cursor.execute("LOCK TABLE held")
        with pytest.raises(QueryTimeout):
            estimated(adapter, "SELECT id FROM held WHERE id > 0")
        with pytest.raises(QueryTimeout):
            adapter.statistics(TableName("public", "held"))
        assert estimated(adapter, "SELECT id FROM item").rows == ROWS


def test_a_server_that_is_gone() -> None:
    adapter = PostgresAdapter("pg", {"uri": "postgresql://user:sesame@127.0.0.1:1/db"})
    with pytest.raises(SourceUnavailable) as caught:
        estimated(adapter, "SELECT 1 AS one")
    assert "sesame" not in str(caught.value)
    adapter.close()


# --- estimates


@pytest.mark.parametrize(
    ("sql", "least", "most"),
    [
        ("SELECT * FROM item", ROWS, ROWS),
        ("SELECT name FROM item WHERE id = 5", 1, 1),
        ("SELECT name FROM item WHERE id = 5 AND kind = 11", 1, 1),
        ("SELECT id FROM item WHERE kind = 3", 800, 1200),
        ("SELECT id FROM item WHERE day < '2020-07-01'", 1500, 2100),
        ("SELECT count(*) FROM item", 1, 1),
        ("SELECT kind, count(*) FROM item GROUP BY kind", 10, 10),
        ("SELECT DISTINCT kind FROM item", 10, 10),
        ("SELECT id FROM item ORDER BY id LIMIT 7", 7, 7),
        ("SELECT i.name FROM item i JOIN line l ON l.item = i.id", 18_000, 22_000),
        ("SELECT i.name FROM item i, line l", ROWS * 20_000, ROWS * 20_000),
        ("SELECT id FROM item UNION ALL SELECT item FROM line", 30_000, 30_000),
        ("SELECT id FROM seen WHERE kind = 3", 800, 1200),
        ("SELECT * FROM parted", ROWS, ROWS),
        ("SELECT * FROM parted WHERE id < 1000", 1000, 1000),
        ("SELECT * FROM base", 1000, 1000),
        ("SELECT * FROM raw", ROWS / 2, ROWS * 2),
        ("WITH few AS (SELECT id FROM item LIMIT 3) SELECT * FROM few", 3, 3),
        ("SELECT 'it''s' AS a", 1, 1),
    ],
)
def test_rows(estimate: Estimator, sql: str, least: float, most: float) -> None:
    found = estimate(sql)
    assert found.rows is not None and least <= found.rows <= most
    assert found.bytes is not None and 0 <= found.bytes <= found.rows * 200
    assert found.cost is not None and found.cost >= 0


def test_width_and_cost(estimate: Estimator) -> None:
    narrow, wide = estimate("SELECT id FROM item"), estimate("SELECT id, name FROM item")
    assert narrow.bytes == ROWS * 8
    assert wide.bytes is not None and ROWS * (8 + 9) <= wide.bytes <= ROWS * (8 + 12)
    by_key, whole = estimate("SELECT id FROM item WHERE id = 5"), estimate("SELECT id FROM item WHERE kind = 5")
    assert by_key.cost is not None and whole.cost is not None and by_key.cost * 5 < whole.cost


def test_a_column_without_operators_is_estimated_as_it_is_read(adapter: PostgresAdapter, uri: str) -> None:
    run_sql(uri, "DROP TABLE IF EXISTS paid; CREATE TABLE paid (price money);"
                 "INSERT INTO paid VALUES (1), (2), (2); ANALYZE paid")  # fmt: skip
    assert estimated(adapter, "SELECT price FROM paid WHERE price > 1.5").rows == 1
    assert adapter.statistics(TableName("public", "paid")).columns["price"].minimum is None


# --- statistics


@pytest.mark.parametrize("name", ["no_such_table", "item_pkey"])
def test_statistics_of_what_is_no_table(statistics: Statistics, name: str) -> None:
    with pytest.raises(TableNotFound):
        statistics(name)


def test_an_analyzed_table(statistics: Statistics) -> None:
    found = statistics("item")
    assert found.rows == ROWS
    assert found.bytes is not None and ROWS * 50 <= found.bytes <= ROWS * 200
    day, second, micro = datetime.date, datetime.timedelta(seconds=1), datetime.timedelta(microseconds=1)
    at, local = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), datetime.datetime(1969, 12, 31)
    name = found.columns["name"]
    assert dict(found.columns) == {
        "id": ColumnStatistics(ROWS, 0, 1, ROWS, 8),
        "kind": ColumnStatistics(10, 0, 0, 9, 4),
        "day": ColumnStatistics(1000, 0, day(2020, 1, 1), day(2022, 9, 26), 4),
        "at": ColumnStatistics(ROWS, 0, at + second, at + ROWS * second, 8),
        "local": ColumnStatistics(ROWS, 0, local + micro, local + ROWS * micro, 8),
        "price": ColumnStatistics(ROWS, 0, Decimal("0.01"), Decimal("100.00"), found.columns["price"].bytes),
        "weight": ColumnStatistics(ROWS * 0.75, 0.25, -9999.0, -1.0, 8),
        "name": ColumnStatistics(ROWS, 0, None, None, name.bytes),
        "flag": ColumnStatistics(2, 0, None, None, 1),
        "empty": ColumnStatistics(None, 1, None, None, 4),
    }
    assert name.bytes is not None and 9 <= name.bytes <= 11


def test_rows_that_were_added_since_the_analyze(statistics: Statistics, uri: str) -> None:
    run_sql(uri, "DROP TABLE IF EXISTS growing; CREATE TABLE growing (id int) WITH (autovacuum_enabled = off);"
                 "INSERT INTO growing SELECT generate_series(1, 10000); ANALYZE growing;"
                 "INSERT INTO growing SELECT generate_series(1, 10000)")  # fmt: skip
    found = statistics("growing")
    assert found.rows is not None and 19_000 <= found.rows <= 21_000


def test_a_table_that_was_never_analyzed(statistics: Statistics) -> None:
    found = statistics("raw")
    assert found.rows is not None and ROWS / 2 <= found.rows <= ROWS * 2
    assert not found.columns


def test_an_empty_table(statistics: Statistics, uri: str) -> None:
    assert statistics("nothing") == TableStatistics(0, 0)
    run_sql(uri, "DROP TABLE IF EXISTS bare, fresh; CREATE TABLE bare (); CREATE TABLE fresh (id int)")
    assert statistics("bare") == statistics("fresh") == TableStatistics(0, 0)


def test_a_view_has_none_and_a_materialized_one_has(statistics: Statistics) -> None:
    assert statistics("seen") == TableStatistics()
    assert statistics("kept").rows == 10
    assert statistics("kept").columns["n"].minimum == 1000


@pytest.mark.parametrize(("name", "rows"), [("parted", ROWS), ("parted_1", 1000), ("base", 1000), ("derived", 900)])
def test_a_table_counts_with_all_that_inherits_from_it(statistics: Statistics, name: str, rows: int) -> None:
    assert statistics(name).rows == rows


def test_columns_of_the_whole_tree(statistics: Statistics) -> None:
    assert statistics("parted").columns["id"] == ColumnStatistics(ROWS, 0, 0, 9999, 4)
    assert statistics("base").columns["id"] == ColumnStatistics(1000, 0, 1, 1000, 4)


def test_partitions_that_were_analyzed_by_themselves(statistics: Statistics, uri: str) -> None:
    """As autovacuum does it, which leaves the partitioned table alone."""
    run_sql(uri, "DROP TABLE IF EXISTS split; CREATE TABLE split (id int, kind int, note text, gap int)"
                 " PARTITION BY RANGE (id);"
                 "CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM (0) TO (1000);"
                 "CREATE TABLE split_2 PARTITION OF split FOR VALUES FROM (1000) TO (10000);"
                 "CREATE TABLE split_3 PARTITION OF split DEFAULT;"
                 "INSERT INTO split SELECT i, i % 10, 'note', CASE WHEN i < 1000 THEN NULL ELSE 5 END"
                 " FROM generate_series(0, 3999) i; ANALYZE split_1; ANALYZE split_2; ANALYZE split_3")  # fmt: skip
    found = statistics("split")
    assert found.rows == 4000
    nearly: Any = pytest.approx(4000, rel=0.02)
    assert found.columns == {
        "id": ColumnStatistics(nearly, 0, 0, 3999, 4),
        "kind": ColumnStatistics(10, 0, 0, 9, 4),
        "note": ColumnStatistics(1, 0, None, None, 5),
        "gap": ColumnStatistics(1, 0.25, 5, 5, 4),
    }


def test_a_partition_that_was_not_analyzed_leaves_the_columns_open(statistics: Statistics, uri: str) -> None:
    run_sql(uri, "DROP TABLE IF EXISTS fresh_parted; CREATE TABLE fresh_parted (id int) PARTITION BY RANGE (id);"
                 "CREATE TABLE fresh_1 PARTITION OF fresh_parted FOR VALUES FROM (0) TO (1000);"
                 "INSERT INTO fresh_parted SELECT generate_series(0, 999)")  # fmt: skip
    found = statistics("fresh_parted")
    assert found.rows is not None and 500 <= found.rows <= 2000
    assert not found.columns


def test_a_foreign_table_that_was_never_analyzed(statistics: Statistics) -> None:
    assert statistics("away") == TableStatistics()


def test_values_that_python_has_not_are_unknown(statistics: Statistics) -> None:
    columns = statistics("odd").columns
    assert {name for name, column in columns.items() if column.minimum is not None} == {"e"}
    assert columns["e"].maximum == datetime.date(2024, 2, 20)


def test_names_are_exact(statistics: Statistics) -> None:
    found = statistics('Odd " Name')
    assert found.rows == 3
    assert found.columns["a b"].distinct == pytest.approx(2)


def test_a_sample_that_kept_some_of_the_values_says_nothing_of_the_range(statistics: Statistics, uri: str) -> None:
    run_sql(uri, "DROP TABLE IF EXISTS few; CREATE TABLE few (a int, b int);"
                 "INSERT INTO few VALUES (1, 7), (2, 7), (2, 7), (2, NULL); ANALYZE few")  # fmt: skip
    columns = statistics("few").columns
    assert (columns["a"].minimum, columns["a"].maximum) == (None, None)
    assert columns["b"] == ColumnStatistics(1, 0.25, 7, 7, 4)


def test_a_reader_without_the_right_learns_no_value(uri: str) -> None:
    run_sql(uri, "DROP ROLE IF EXISTS blind; CREATE ROLE blind LOGIN PASSWORD 'blind'")
    host = uri.split("@")[1]
    blind = PostgresAdapter("pg", {"uri": f"postgresql://blind:blind@{host}"})
    found = blind.statistics(TableName("public", "item"))
    blind.close()
    assert not found.columns
    assert found.rows == ROWS
