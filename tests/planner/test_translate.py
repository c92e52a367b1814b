"""Whole queries in the dialect of a source: what is written there, and why something is not."""

from __future__ import annotations

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from adapters.base import Collation, Column, Table, TableName
from adapters.sql.dialect import Declined, Reason, SourceDialect
from adapters.sql.mysql import MYSQL
from adapters.sql.postgres import POSTGRES
from adapters.sql.queries import translate_query
from adapters.sql.sqlite import SQLITE

COLUMNS = (
    Column("id", pa.int64(), nullable=False),
    Column("name", pa.string(), source_type="text", collation=Collation.LOCALE),
    Column("day", pa.date32(), source_type="date"),
)
TABLES = {"t0": Table(TableName("s", "t"), COLUMNS), "t1": Table(TableName("s", "u"), COLUMNS)}


def translate(dialect: SourceDialect, sql: str) -> str:
    query = sqlglot.parse_one(sql, read="duckdb")
    assert isinstance(query, exp.Query)
    return translate_query(dialect, query, TABLES).query.sql(dialect.name)


def reason(dialect: SourceDialect, sql: str) -> Reason:
    with pytest.raises(Declined) as caught:
        translate(dialect, sql)
    return caught.value.reason


def test_a_full_join_on_columns_of_both_sides() -> None:
    made = translate(POSTGRES, "SELECT a.id AS x FROM t0 AS a FULL JOIN t1 AS b ON a.id = b.id")
    assert 'FULL JOIN "s"."u" AS "b" ON ("a"."id" = "b"."id")' in made


@pytest.mark.parametrize(
    "on", ["a.id = 1", "a.id = a.id", "a.id < b.id", "a.id = b.id AND b.id = 2", "a.id = b.id + 1"]
)
def test_no_full_join_on_anything_else(on: str) -> None:
    assert reason(POSTGRES, f"SELECT a.id AS x FROM t0 AS a FULL JOIN t1 AS b ON {on}") is Reason.NOT_WHITELISTED


def test_a_long_union_is_not_nested() -> None:
    made = translate(POSTGRES, " UNION ALL ".join(["SELECT a.id AS id FROM t0 AS a"] * 50))
    assert "(" not in made


def test_another_operation_on_the_left_is_nested() -> None:
    one = "SELECT a.id AS id FROM t0 AS a"
    made = translate(POSTGRES, f"{one} EXCEPT {one} UNION ALL {one}")
    assert made.startswith("SELECT * FROM (")


@pytest.mark.parametrize("dialect", [POSTGRES, MYSQL, SQLITE], ids=lambda each: each.name)
def test_no_more_tables_than_a_source_takes(dialect: SourceDialect) -> None:
    def joined(count: int) -> str:
        joins = " ".join(f"JOIN t0 AS a{i} ON a{i}.id = a0.id" for i in range(1, count))
        return f"SELECT a0.id AS id FROM t0 AS a0 {joins}"

    assert translate(dialect, joined(dialect.max_tables))
    assert reason(dialect, joined(dialect.max_tables + 1)) is Reason.NOT_WHITELISTED


def test_the_tables_of_a_cte_count_for_each_of_its_uses() -> None:
    ctes = ", ".join(
        f"c{i} AS (SELECT a.id AS id FROM c{i - 1} AS a JOIN c{i - 1} AS b ON a.id = b.id)" for i in range(1, 9)
    )
    sql = f"WITH c0 AS (SELECT a.id AS id FROM t0 AS a), {ctes} SELECT c.id AS id FROM c8 AS c"
    assert reason(SQLITE, sql) is Reason.NOT_WHITELISTED


@pytest.mark.parametrize("dialect", [POSTGRES, MYSQL, SQLITE], ids=lambda each: each.name)
def test_text_with_nul_is_compared_here(dialect: SourceDialect) -> None:
    assert reason(dialect, "SELECT a.id AS id FROM t0 AS a WHERE a.name = 'x\0'") is Reason.TYPE_MISMATCH


def test_the_year_before_1() -> None:
    made = translate(POSTGRES, "SELECT year(a.day) AS y FROM t0 AS a")
    assert "< 0 THEN 1 ELSE 0 END" in made


def test_mariadb_loses_rows_of_a_distinct_in_the_order_of_a_collation() -> None:
    sorted_by = "SELECT DISTINCT t.name AS name, t.day AS day FROM t0 AS t ORDER BY {}"
    assert reason(MYSQL, sorted_by.format("t.day, t.name")) is Reason.NOT_WHITELISTED
    assert "DISTINCT" in translate(MYSQL, sorted_by.format("t.day"))
    assert "GROUP BY" in translate(MYSQL, "SELECT t.name AS name FROM t0 AS t GROUP BY t.name ORDER BY t.name")


def test_names_of_mysql_end_with_the_basic_plane() -> None:
    for named in ('SELECT t.id AS "😀" FROM t0 AS t', 'SELECT "😀".id AS id FROM t0 AS "😀"'):
        assert reason(MYSQL, named) is Reason.NOT_WHITELISTED
        assert "😀" in translate(POSTGRES, named)
    assert "= '😀'" in translate(MYSQL, "SELECT t.id AS \"é漢\" FROM t0 AS t WHERE t.name = '😀'")
