"""A small catalog of real sources: a SQLite file, a CSV file and a Parquet file."""

from __future__ import annotations

import datetime
import sqlite3
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CATALOG = """
[sources.lite]
adapter = "sqlite"
path = "crm.db"
[sources.files]
adapter = "files"
path = "data/*"
[views."customer.names"]
sql = "SELECT id, name FROM lite.customers"
"""
TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, region TEXT, balance NUMERIC(10,2));
INSERT INTO customers VALUES
  (1, 'Ada', 'north', 10.5), (2, 'Bo, the "second"', '', -0.25), (3, '日本', NULL, NULL);
CREATE TABLE "Order Items" (order_id INTEGER, sku TEXT);
CREATE TABLE numbers (n INTEGER);
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5000) INSERT INTO numbers SELECT n FROM r;
"""
TICKETS = "customer_id,subject\n1,late\n1,broken\n3,lost\n"

UTC = datetime.UTC
PAYMENTS = pa.table(
    {
        "customer_id": pa.array([1, 1, 3], pa.int32()),
        "amount": pa.array([Decimal("10.00"), Decimal("2.50"), None], pa.decimal128(12, 2)),
        "paid_at": pa.array([datetime.datetime(2024, 5, 1, 12, 30, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC")),
    }
)


def make_catalog(folder: Path) -> Path:
    """A catalog file beside its sources."""
    with sqlite3.connect(folder / "crm.db") as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(TABLES)
    connection.close()
    (folder / "data").mkdir()
    (folder / "data" / "tickets.csv").write_text(TICKETS)
    pq.write_table(PAYMENTS, folder / "data" / "payments.parquet")
    path = folder / "federation.toml"
    path.write_text(CATALOG)
    return path
