"""What MySQL and MariaDB are asked about a query and a table before anything is read."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest

from adapters.base import ColumnStatistics, Estimate, TableName, TableStatistics
from adapters.errors import Error, SourceChanged, SourceUnavailable, TableNotFound
from adapters.mysql import MySQLAdapter
from tests.adapters.mysql_islands import query
from tests.servers import Server, run_sql

Estimator = Callable[[str], Estimate]
Statistics = Callable[[str], TableStatistics]
ROWS = 10_000
LINES = 20_000
_TABLES = """
CREATE TABLE item (id bigint PRIMARY KEY, kind int, day date, at timestamp, local datetime(6), price decimal(12, 2),
  weight double, name varchar(40), flag bit(8), empty int, KEY (kind), KEY (name(3)));
INSERT INTO item SELECT seq, seq % 10, date_add('2020-01-01', INTERVAL seq % 1000 DAY),
  date_add('2024-01-01', INTERVAL seq SECOND), date_add('1969-12-31', INTERVAL seq MICROSECOND), seq / 100,
  IF(seq % 4 > 0, -seq, NULL), concat('name ', seq), b'00110001', NULL FROM seq_1_to_10000;
CREATE TABLE line (item bigint NOT NULL, amount int, KEY (item));
INSERT INTO line SELECT seq % 5000 + 1, seq FROM seq_1_to_20000;
CREATE TABLE nothing (id int);
CREATE TABLE raw (id bigint PRIMARY KEY, note text);
INSERT INTO raw SELECT seq, 'a note of some length' FROM seq_1_to_10000;
CREATE TABLE parted (id int, kind int) PARTITION BY RANGE (id)
  (PARTITION p1 VALUES LESS THAN (1000), PARTITION p2 VALUES LESS THAN (10000));
INSERT INTO parted SELECT seq, seq % 10 FROM seq_0_to_9999;
CREATE VIEW seen AS SELECT * FROM item;
CREATE TABLE `Odd `` Name` (`a b` int) ENGINE = MyISAM; INSERT INTO `Odd `` Name` VALUES (1), (2), (2);
CREATE TABLE zero (d date); INSERT INTO zero VALUES ('0000-00-00'), ('2024-01-01');
ANALYZE TABLE item, `Odd `` Name`, zero PERSISTENT FOR ALL; ANALYZE TABLE line, nothing, parted;
"""


@pytest.fixture(scope="module")
def uri(mariadb_server: Server) -> str:
    found = mariadb_server.create_database("statistics")
    run_sql(found, _TABLES)
    return found


@pytest.fixture
def adapter(uri: str) -> Iterator[MySQLAdapter]:
    made = MySQLAdapter("my", {"uri": uri})
    yield made
    made.close()


@pytest.fixture
def estimate(adapter: MySQLAdapter) -> Estimator:
    return lambda sql: adapter.estimate(query(sql)[0])


@pytest.fixture
def statistics(adapter: MySQLAdapter) -> Statistics:
    return lambda name: adapter.statistics(TableName("statistics", name))


# --- estimates: what cannot be asked


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT id FROM statistics.no_such_table", SourceChanged),
        ("SELECT no_such_column FROM statistics.item", SourceChanged),
        ("SELECT no_such_function(id) FROM statistics.item", Error),
    ],
)
def test_a_query_that_the_source_refuses_is_its_error(estimate: Estimator, sql: str, error: type[Error]) -> None:
    with pytest.raises(error) as caught:
        estimate(sql)
    assert caught.value.source == "my"
    assert estimate("SELECT id FROM statistics.item").rows == ROWS


def test_nothing_is_run(estimate: Estimator) -> None:
    begun = time.monotonic()
    estimate("SELECT sleep(60) AS s FROM statistics.item")
    assert estimate("SELECT sleep(60) AS s").rows == 1
    assert time.monotonic() - begun < 30


def test_an_estimate_does_not_wait_for_a_lock(estimate: Estimator, uri: str) -> None:
    run_sql(uri, "CREATE OR REPLACE TABLE held (id int)")
    estimate("SELECT id FROM held")
    parts = urlsplit(uri)
    assert parts.hostname and parts.username and parts.password and parts.port
    place = {"host": parts.hostname, "port": parts.port, "database": "statistics"}
    with pymysql.connect(user=parts.username, password=parts.password, **place) as holder, holder.cursor() as cursor:
        cursor.execute("LOCK TABLES held WRITE")
        with pytest.raises(Error) as caught:
            estimate("SELECT id FROM held")
        assert caught.value.source == "my"
        assert estimate("SELECT id FROM item").rows == ROWS


def test_a_server_that_is_gone() -> None:
    adapter = MySQLAdapter("my", {"uri": "mysql://user:sesame@127.0.0.1:1/db"})
    with pytest.raises(SourceUnavailable) as caught:
        adapter.estimate(query("SELECT 1 AS one")[0])
    assert "sesame" not in str(caught.value)
    adapter.close()


# --- estimates


@pytest.mark.parametrize(
    ("sql", "least", "most"),
    [
        ("SELECT * FROM item", ROWS, ROWS),
        ("SELECT name FROM item WHERE id = 5", 1, 1),
        ("SELECT name FROM item WHERE id = 50000", 0, 1),
        ("SELECT name FROM item WHERE id IN (1, 2, 3)", 3, 3),
        ("SELECT id FROM item WHERE kind = 3", 500, 2000),
        ("SELECT id FROM item WHERE weight > -1000", 500, 2000),
        ("SELECT id FROM item WHERE name LIKE '%9'", 1, ROWS),
        ("SELECT id FROM item WHERE false", 0, 0),
        ("SELECT count(*) AS n FROM item", 1, 1),
        ("SELECT count(*) AS n FROM item WHERE false", 1, 1),
        ("SELECT count(*) + 1 AS n, (SELECT max(id) FROM line) AS m FROM item", 1, 1),
        ("SELECT sum(id) OVER () AS n FROM item", ROWS, ROWS),
        ("SELECT (SELECT max(item) FROM line) AS m FROM item", ROWS, ROWS),
        ("SELECT i.kind, count(*) AS n FROM statistics.item i GROUP BY i.kind", 10, 11),
        ("SELECT kind AS k, count(*) AS n FROM statistics.item GROUP BY 1", 10, 11),
        ("SELECT kind AS k, count(*) AS n FROM statistics.item GROUP BY k LIMIT 4", 4, 4),
        ("SELECT kind, day FROM statistics.item GROUP BY kind, day", ROWS, ROWS),
        ("SELECT kind + 1 AS k FROM item GROUP BY kind + 1", 200, 200),
        ("SELECT DISTINCT i.kind FROM statistics.item i", 10, 11),
        ("SELECT DISTINCT i.kind FROM statistics.item i WHERE i.id < 5", 1, 4),
        ("SELECT id FROM item ORDER BY name LIMIT 7", 7, 7),
        ("SELECT id FROM item LIMIT 7 OFFSET 9998", 2, 2),
        ("SELECT i.name FROM item i JOIN line l ON l.item = i.id", ROWS / 2, LINES * 2),
        ("SELECT i.name FROM item i LEFT JOIN line l ON l.item = i.id AND l.amount < 10", ROWS, LINES * 2),
        ("SELECT i.name FROM item i, line l", ROWS * LINES / 2, ROWS * LINES * 2),
        ("SELECT i.name FROM item i WHERE EXISTS (SELECT 1 FROM line l WHERE l.item = i.id)", 1, ROWS),
        ("SELECT i.name FROM item i WHERE NOT EXISTS (SELECT 1 FROM line l WHERE l.item = i.id)", 1, ROWS),
        ("SELECT id FROM item UNION ALL SELECT item FROM line", LINES, LINES * 2),
        ("(SELECT id FROM item LIMIT 3) UNION ALL (SELECT item FROM line LIMIT 4) ", 7, 7),
        ("SELECT id FROM item UNION SELECT item FROM line LIMIT 5", 5, 5),
        ("SELECT id FROM item UNION ALL SELECT kind FROM item UNION ALL SELECT 1", 2 * ROWS + 1, 2 * ROWS + 1),
        ("SELECT id FROM item EXCEPT SELECT item FROM line", 1, ROWS),
        ("SELECT id FROM item WHERE id < 9 INTERSECT SELECT item FROM line", 1, 9),
        ("SELECT id FROM seen WHERE kind = 3", 500, 2000),
        ("SELECT * FROM parted", ROWS * 0.7, ROWS * 1.3),
        ("SELECT * FROM parted WHERE id < 1000", 700, 1300),
        ("SELECT * FROM raw", ROWS * 0.5, ROWS * 2),
        ("SELECT * FROM nothing", 0, 1),
        ("WITH few AS (SELECT id FROM item LIMIT 3) SELECT * FROM few", 3, 3),
        ("SELECT q.n FROM (SELECT kind, count(*) AS n FROM item GROUP BY kind) q", 1, ROWS),
        ("SELECT 'it''s' AS a", 1, 1),
    ],
)
def test_rows(estimate: Estimator, sql: str, least: float, most: float) -> None:
    found = estimate(sql)
    assert found.rows is not None and least <= found.rows <= most
    assert found.cost is not None and found.cost >= 0
    assert found.bytes is None


def test_a_key_costs_less_than_a_scan(estimate: Estimator) -> None:
    by_key, scan = (
        estimate("SELECT id FROM item WHERE id = 5"),
        estimate("SELECT id FROM item WHERE day = '2020-01-05'"),
    )
    assert by_key.cost is not None and scan.cost is not None and by_key.cost * 100 < scan.cost


# --- statistics


def test_statistics_of_what_is_no_table(statistics: Statistics) -> None:
    with pytest.raises(TableNotFound):
        statistics("no_such_table")


def test_an_analyzed_table(statistics: Statistics) -> None:
    found = statistics("item")
    assert found.rows == pytest.approx(ROWS, rel=0.2)
    assert found.bytes is not None and ROWS * 50 <= found.bytes <= ROWS * 300
    day = datetime.date
    local = datetime.datetime(1969, 12, 31)
    micro = datetime.timedelta(microseconds=1)

    def near(distinct: float, *others: Any) -> ColumnStatistics:
        some: Any = pytest.approx(distinct, rel=0.2)
        return ColumnStatistics(some, *others)

    expected = {
        "id": near(ROWS, 0, 1, ROWS, 8),
        "kind": near(10, 0, 0, 9, 4),
        "day": near(1000, 0, day(2020, 1, 1), day(2022, 9, 26), 3),
        "at": near(ROWS, 0, None, None, found.columns["at"].bytes),
        "local": near(ROWS, 0, local + micro, local + ROWS * micro, found.columns["local"].bytes),
        "price": near(ROWS, 0, Decimal("0.01"), Decimal("100.00"), 6),
        "weight": near(ROWS * 0.75, 0.25, -9999.0, -1.0, 8),
        "name": near(ROWS, 0, None, None, found.columns["name"].bytes),
        "flag": near(1, 0, None, None, 1),
        "empty": ColumnStatistics(None, 1, None, None, found.columns["empty"].bytes),
    }
    assert dict(found.columns) == expected


def test_an_index_tells_how_many_values_there_are(statistics: Statistics) -> None:
    found = statistics("line")
    assert found.rows == pytest.approx(LINES, rel=0.2)
    assert set(found.columns) == {"item"}
    distinct = found.columns["item"].distinct
    assert distinct is not None and found.rows is not None and 1000 <= distinct <= found.rows


def test_a_table_that_was_never_analyzed(statistics: Statistics) -> None:
    found = statistics("raw")
    assert found.rows is not None and ROWS / 2 <= found.rows <= ROWS * 2


def test_an_empty_table(statistics: Statistics) -> None:
    assert statistics("nothing").rows == 0
    assert not statistics("nothing").columns


def test_a_view_has_none(statistics: Statistics) -> None:
    assert statistics("seen") == TableStatistics()


def test_a_partitioned_table(statistics: Statistics) -> None:
    assert statistics("parted").rows == pytest.approx(ROWS, rel=0.3)


def test_values_that_python_has_not_are_unknown(statistics: Statistics) -> None:
    zero = statistics("zero").columns["d"]
    assert (zero.minimum, zero.maximum) == (None, None)


def test_names_are_exact(statistics: Statistics) -> None:
    found = statistics("Odd ` Name")
    assert found.rows == 3
    assert found.columns["a b"].distinct == 2


def test_a_reader_without_the_right_learns_no_value(uri: str) -> None:
    run_sql(uri, "DROP USER IF EXISTS blind; CREATE USER blind IDENTIFIED BY 'blind';"
                 "GRANT SELECT ON statistics.* TO blind")  # fmt: skip
    blind = MySQLAdapter("my", {"uri": f"mysql://blind:blind@{uri.split('@')[1]}"})
    found = blind.statistics(TableName("statistics", "item"))
    blind.close()
    assert found.rows == pytest.approx(ROWS, rel=0.2)
    assert {name for name, each in found.columns.items() if each.distinct} == {"id", "kind"}
    assert {each.minimum for each in found.columns.values()} == {None}
