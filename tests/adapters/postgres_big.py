"""A large table of PostgreSQL, and what reads it, for the tests of that adapter."""

from __future__ import annotations

import pyarrow as pa
import sqlglot

from adapters.base import Scan, TableName
from adapters.postgres import PostgresAdapter
from tests.servers import run_sql

BIG = TableName("public", "big")
ROWS = 40_000
#: pages that are nine tenths empty, so that few rows make a large table and an updated row stays near
FILL = f"""
DROP TABLE IF EXISTS big CASCADE;
CREATE TABLE big (id int, amount numeric(10, 2), pad text) WITH (fillfactor = 10, autovacuum_enabled = off);
INSERT INTO big SELECT i, i, repeat('x', 80) FROM generate_series(1, {ROWS}) i;
"""
#: which does not lie in the pages of its table
LONG_TEXT = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) i)"


def island(adapter: PostgresAdapter, sql: str, **types: pa.DataType) -> Scan:
    query = sqlglot.parse_one(sql, dialect="postgres")
    assert isinstance(query, sqlglot.exp.Query)
    scan = adapter.plan_query(query, pa.schema(types))
    assert scan is not None
    return scan


def backends(uri: str, state: str) -> int:
    """The other sessions of this database in that state."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return int(run_sql(uri, f"{sql} AND state = '{state}'"))
