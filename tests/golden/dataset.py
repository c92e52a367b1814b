"""A small fixed dataset over every kind of source, each behind a recording adapter.

pg      PostgreSQL in en_US.UTF-8: orders, items
my      MariaDB, case-insensitive: accounts, logins
lite    SQLite: customers and tags (STRICT), notes (any type in any column)
files   payments.parquet, tickets.csv
mem     regions
lookup  contacts, which can be read only with a filter on customer_id
"""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from adapters.base import Table, TableName
from adapters.memory import MemoryAdapter
from adapters.registry import make_adapter
from catalog.catalog import Catalog
from catalog.config import read_config
from catalog.model import Source
from federation.engine import Engine
from tests.adapters.recording import RecordingAdapter, record
from tests.servers import Server, run_sql

CATALOG = """
[sources.pg]
adapter = "postgres"
uri = "{postgres}"
[sources.my]
adapter = "mysql"
uri = "{mariadb}"
[sources.lite]
adapter = "sqlite"
path = "crm.db"
[sources.files]
adapter = "files"
path = "data/*"
[sources.mem]
adapter = "memory"
[sources.mem.tables]
regions = [
  {{ code = "north", name = "North", quota = 1.5 }},
  {{ code = "south", name = "South", quota = 2.5 }},
  {{ code = "void", name = "Nowhere", quota = 0.0 }},
]
[views."sales.open_orders"]
sql = "SELECT id, customer_id, amount, status FROM pg.orders WHERE status <> 'closed'"
[views."sales.by_customer"]
sql = "SELECT customer_id, sum(amount) AS total, count(*) AS n FROM sales.open_orders GROUP BY customer_id"
[views."sales.newest"]
sql = "SELECT id, customer_id, placed FROM pg.orders ORDER BY placed DESC, id LIMIT 3"
[views."sales.contacts"]
sql = "SELECT c.id, c.name, a.email FROM lite.customers AS c LEFT JOIN my.accounts AS a ON a.customer_id = c.id"
[views."sales.codes"]
sql = "SELECT * FROM query('pg', 'SELECT lower(code) AS code, count(*) AS n FROM orders GROUP BY 1')"
[views."broken.native"]
sql = "SELECT * FROM query('pg', 'SELECT nope FROM orders')"
[views."broken.table"]
sql = "SELECT * FROM lite.custmers"
[views."broken.column"]
sql = "SELECT nam AS id FROM lite.customers"
[views."broken.first"]
sql = "SELECT * FROM broken.second"
[views."broken.second"]
sql = "SELECT * FROM broken.first"
"""
SQLITE = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, region TEXT, score REAL) STRICT;
INSERT INTO customers VALUES (1, 'Ada', 'north', 1.5), (2, 'bob', 'south', NULL), (3, 'Zoë', NULL, -2.0),
  (4, 'ada', 'north', 7.0);
CREATE TABLE tags (customer_id INTEGER NOT NULL, tag TEXT COLLATE NOCASE NOT NULL) STRICT;
INSERT INTO tags VALUES (1, 'vip'), (1, 'EU'), (2, 'VIP'), (4, 'eu');
CREATE TABLE notes (id INTEGER PRIMARY KEY, customer_id INTEGER, body TEXT, day DATE);
INSERT INTO notes VALUES (1, 1, 'called', '2024-01-05'), (2, 2, 'wrote', '2024-03-01'), (3, NULL, NULL, NULL);
"""
POSTGRES = """
CREATE TYPE size AS ENUM ('small', 'large');
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id integer NOT NULL, amount numeric(10,2), placed date,
  shipped timestamp, status text NOT NULL, code char(4), size size, ratio real, paid boolean, ref uuid);
INSERT INTO orders VALUES
  (10, 1, 99.50, '2024-01-10', '2024-01-11 08:30:00', 'open', 'ab', 'small', 0.1, true,
   '00000000-0000-0000-0000-000000000001'),
  (11, 1, 20.00, '2024-02-01', NULL, 'Open', 'AB', 'large', 0.5, false, NULL),
  (12, 2, NULL, '2024-02-29', '2024-03-02 23:59:59', 'closed', NULL, NULL, NULL, NULL, NULL),
  (13, 9, 7.25, NULL, NULL, 'Zürich', 'zz', 'small', 2.0, true, NULL);
CREATE TABLE items (order_id bigint NOT NULL REFERENCES orders, sku text, qty integer NOT NULL);
INSERT INTO items VALUES (10, 'pen', 3), (10, 'ink', 1), (11, 'pen', 5), (13, NULL, 2);
ANALYZE;
"""
MARIADB = """
CREATE TABLE accounts (id INT PRIMARY KEY, customer_id INT NOT NULL, email VARCHAR(50), fee DECIMAL(8,2), opened DATE);
INSERT INTO accounts VALUES (100, 1, 'Ada@example.com', 5.00, '2023-12-31'), (101, 2, 'bob@example.com', NULL, NULL),
  (102, 2, 'BOB@example.com ', 7.50, '2024-02-29');
CREATE TABLE logins (account_id INT NOT NULL, at DATETIME NOT NULL, seconds INT);
INSERT INTO logins VALUES (100, '2024-01-01 10:00:00', 30), (100, '2024-01-02 11:00:00', 45), (102, '2024-03-01', NULL);
"""
PAYMENTS = pa.table(
    {
        "order_id": pa.array([10, 10, 11], pa.int64()),
        "amount": pa.array([Decimal("50.00"), Decimal("49.50"), Decimal("20.00")], pa.decimal128(10, 2)),
        "paid_on": pa.array([datetime.date(2024, 1, d) for d in (10, 20, 30)], pa.date32()),
    }
)
TICKETS = "id,customer_id,subject\n1,1,late\n2,1,broken\n3,3,lost\n"
CONTACTS = pa.table(
    {
        "customer_id": pa.array([1, 1, 2, 5], pa.int32()),
        "phone": ["+49 1", "+49 2", "+44 3", "+1 4"],
        "city": ["Kiel", "Bonn", "York", "Reno"],
    }
)
TABLES = (
    *("pg.orders", "pg.items", "my.accounts", "my.logins", "lite.customers", "lite.tags", "lite.notes"),
    *("files.payments", "files.tickets", "mem.regions", "lookup.contacts"),
)


class LookupAdapter(MemoryAdapter):
    """Tables in memory that can be read only by `customer_id`, as many web APIs can."""

    def get_table(self, name: TableName) -> Table:
        table = super().get_table(name)
        columns = tuple(replace(each, required_filter=each.name == "customer_id") for each in table.columns)
        return replace(table, columns=columns)


@dataclass(frozen=True)
class Golden:
    """The engine, and what each source was asked."""

    engine: Engine
    adapters: dict[str, RecordingAdapter]

    def forget(self) -> None:
        for adapter in self.adapters.values():
            adapter.forget()


@contextmanager
def open_golden(folder: Path, postgres: Server, mariadb: Server) -> Iterator[Golden]:
    with sqlite3.connect(folder / "crm.db") as connection:
        connection.executescript(SQLITE)
    connection.close()
    (folder / "data").mkdir()
    pq.write_table(PAYMENTS, folder / "data" / "payments.parquet")
    (folder / "data" / "tickets.csv").write_text(TICKETS)
    uris = {"postgres": postgres.create_database("golden"), "mariadb": mariadb.create_database("golden")}
    run_sql(uris["postgres"], POSTGRES)
    run_sql(uris["mariadb"], MARIADB)
    path = folder / "federation.toml"
    path.write_text(CATALOG.format(**uris))
    config, faults = read_config(path)
    assert not faults
    adapters = {each.name: record(make_adapter(each.name, each.kind, each.options)) for each in config.sources}
    adapters["lookup"] = record(LookupAdapter("lookup", {"tables": {"contacts": CONTACTS}}))
    sources = [Source(name, "test", adapter) for name, adapter in adapters.items()]
    catalog = Catalog(sources, config.views, config.settings, config.notes, config.redactor)
    with Engine(catalog) as engine:
        for table in TABLES:  # in a fixed order: EXPLAIN shows the numbers that they get
            engine.describe(f"SELECT * FROM {table}")
        yield Golden(engine, adapters)
