"""What MySQL and MariaDB know of a table: information_schema, and MariaDB's own statistics where it keeps them.

InnoDB counts and samples roughly: what is said of a table may be off by half.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from adapters.base import Column, ColumnStatistics, Table, TableStatistics
from adapters.mysql_schema import Rows
from adapters.statistics import extremes

ADVICE_SECONDS = 3
#: What is only good to know is not waited for behind someone's lock. MySQL 8 would tell numbers that are a day old, and
#: has a second form of its EXPLAIN.
SETTINGS = f"""SET SESSION lock_wait_timeout = {ADVICE_SECONDS}
 /*!80003 , information_schema_stats_expiry = 0 */ /*!80300 , explain_json_format_version = 1 */"""
#: MariaDB's, after ANALYZE TABLE … PERSISTENT FOR …; a user may be refused them.
COLUMNS = """SELECT column_name, CAST(min_value AS CHAR), CAST(max_value AS CHAR), nulls_ratio, avg_length,
 avg_frequency FROM mysql.column_stats WHERE db_name = %s AND table_name = %s"""
_TABLE = """SELECT TABLE_NAME, TABLE_ROWS, DATA_LENGTH FROM information_schema.TABLES
 WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND TABLE_TYPE <> 'VIEW'"""
_INDEXES = """SELECT TABLE_NAME, COLUMN_NAME, CARDINALITY FROM information_schema.STATISTICS
 WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND SEQ_IN_INDEX = 1 AND SUB_PART IS NULL AND COLUMN_NAME IS NOT NULL
 AND INDEX_TYPE = 'BTREE' AND CARDINALITY > 0"""


def read_statistics(rows: Rows, table: Table, details: Iterable[tuple[Any, ...]]) -> TableStatistics:
    """`details` are rows of COLUMNS. Of a view nothing is known."""
    where = (table.name.schema, table.name.name)
    about = [row for row in rows(_TABLE, *where) if row[0] == table.name.name]
    if not about:
        return TableStatistics()
    _, count, size = about[0]
    if not count:
        return TableStatistics(count, size)
    # The first column of an index has as many values as the index has prefixes of one column.
    columns = {
        column: ColumnStatistics(distinct=min(found, count))
        for name, column, found in rows(_INDEXES, *where)
        if name == table.name.name
    }
    types = {column.name: column for column in table.columns}
    columns |= {row[0]: _column(types[row[0]], row, count) for row in details if row[0] in types}
    return TableStatistics(count, size, columns)


def _column(column: Column, row: tuple[Any, ...], count: int) -> ColumnStatistics:
    _, smallest, largest, missing, width, frequency = row
    minimum = maximum = None
    if smallest is not None and largest is not None and not _is_ambiguous(column):
        minimum, maximum = extremes([smallest, largest], column.type)
    return ColumnStatistics(
        distinct=count * (1 - float(missing)) / float(frequency) if frequency else None,
        null_fraction=float(missing) if missing is not None else None,
        minimum=minimum,
        maximum=maximum,
        bytes=float(width) if width is not None else None,
    )


def _is_ambiguous(column: Column) -> bool:
    """A TIMESTAMP was written in the zone of whoever analyzed, a BIT as the bytes that it holds."""
    return column.source_type.startswith("bit") or (pa.types.is_timestamp(column.type) and column.type.tz is not None)
