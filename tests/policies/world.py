"""A PostgreSQL, an SQLite file and Parquet files, a catalog over them with roles, and people who have these."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from catalog.policies import Caller, user_caller
from catalog.scram import Verifier
from federation.engine import Engine
from tests.servers import Server, run_sql

PASSWORD = "pencil"
VERIFIER = str(Verifier.make(PASSWORD))
POSTGRES = """
CREATE TABLE orders (id int PRIMARY KEY, region text, customer int NOT NULL, amount int NOT NULL, note text);
INSERT INTO orders SELECT i, CASE i % 3 WHEN 0 THEN 'EU' WHEN 1 THEN 'US' END, i % 5, i, 'note ' || i
  FROM generate_series(1, 60) i;
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE, salary int NOT NULL,
  region text);
INSERT INTO customers SELECT i, 'name' || i, 'person' || i || '@example.org', i * 1000,
  CASE WHEN i < 3 THEN 'EU' ELSE 'US' END FROM generate_series(0, 4) i;
CREATE SCHEMA hidden;
CREATE TABLE hidden.secrets (id int, secret text);
INSERT INTO hidden.secrets VALUES (1, 'hidden value');
"""
CATALOG = """
[sources.pg]
adapter = "postgres"
uri = "{uri}"
{policy}
[sources.crm]
adapter = "sqlite"
path = "crm.db"
{policy}
[sources.files]
adapter = "files"
path = "*.parquet"

[views."shown.customers"]
sql = "SELECT id, name, email, region FROM pg.customers"
[views."shown.spending"]
sql = "SELECT c.name, c.email, sum(o.amount) AS spent FROM shown.customers c JOIN pg.orders o ON o.customer = c.id \
GROUP BY ALL"
[views."kept.native"]
sql = "SELECT * FROM query('pg', 'SELECT count(*) AS n FROM orders')"

[roles.admin]
grants = ["*", "system.*"]
[roles.everything]
grants = ["pg.*", "crm.*", "files.*", "shown.*", "kept.*"]
[roles.regional]
grants = ["pg.orders", "pg.customers", "shown.*"]
row_filters = {{ "pg.orders" = "region = current_attribute('region')" }}
[roles.american]
grants = ["pg.public.orders"]
row_filters = {{ "pg.public.orders" = "region = 'US'" }}
[roles.masked]
grants = ["pg.*", "crm.accounts", "files.*", "shown.*", "kept.*"]
[roles.masked.column_masks]
"pg.customers.email" = "regexp_replace(email, '.+@', '***@')"
"pg.public.customers.salary" = "round(salary, -4)"
"crm.accounts.email" = "regexp_replace(email, '.+@', '***@')"
"files.items.price" = "NULL"
[roles.nulled]
grants = ["pg.customers"]
column_masks = {{ "pg.customers.email" = "NULL" }}
[roles.viewer]
grants = ["shown.*"]
row_filters = {{ "pg.orders" = "region = current_attribute('region')" }}
[roles.owner]
grants = ["crm.accounts"]
row_filters = {{ "crm.accounts" = "owner = current_user" }}
[roles.eu_items]
grants = ["files.*"]
row_filters = {{ "files.items" = "region = 'EU'" }}
[roles.shown]
grants = ["shown.spending"]
{roles}
"""
USERS = {
    "root": (["admin"], {}),
    "all": (["everything"], {}),
    "eu": (["regional"], {"region": "EU"}),
    "us": (["regional"], {"region": "US"}),
    "nowhere": (["regional"], {}),
    "both": (["regional", "american"], {"region": "EU"}),
    "lifted": (["regional", "everything"], {"region": "EU"}),
    "mask": (["masked"], {}),
    "null": (["nulled", "masked"], {}),
    "mask_null": (["masked", "nulled"], {}),
    "unmasked": (["masked", "regional"], {"region": "EU"}),
    "viewer": (["viewer"], {"region": "EU"}),
    "ada": (["owner"], {}),
    "items": (["eu_items"], {}),
    "shown": (["shown"], {}),
    "none": ([], {}),
}


def fill(folder: Path, server: Server, database: str) -> str:
    """Make the data; the address of the PostgreSQL database."""
    uri = server.create_database(database)
    run_sql(uri, POSTGRES)
    with sqlite3.connect(folder / "crm.db") as lite:
        lite.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, email TEXT, owner TEXT, customer INTEGER) STRICT")
        rows = [(i, f"account{i}@example.org", "ada" if i % 2 else "eve", i % 5) for i in range(1, 11)]
        lite.executemany("INSERT INTO accounts VALUES (?, ?, ?, ?)", rows)
    lite.close()
    items = "SELECT i AS id, CASE i % 2 WHEN 0 THEN 'EU' ELSE 'US' END AS region, i * 10 AS price FROM range(20) t(i)"
    duckdb.sql(f"COPY ({items}) TO '{folder / 'items.parquet'}'")
    return uri


def catalog_text(uri: str, *, policy: str = "", roles: str = "") -> str:
    users = "".join(
        f"[users.{name}]\npassword = '{VERIFIER}'\nroles = {given}\n"
        + (f"[users.{name}.attributes]\n" + "".join(f"{k} = '{v}'\n" for k, v in attributes.items()))
        for name, (given, attributes) in USERS.items()
    )
    return CATALOG.format(uri=uri, policy=policy, roles=roles) + users


def ask(engine: Engine, sql: str, caller: Caller | str | None = None, **more: Any) -> list[tuple[Any, ...]]:
    """The rows, sorted; a text names a user of the catalog."""
    who = user_caller(caller) if isinstance(caller, str) else caller
    with engine.query(sql, caller=who, **more) as result:
        return rows_of(result.read_all())


def rows_of(table: Any) -> list[tuple[Any, ...]]:
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return sorted(rows, key=lambda row: [(value is not None, str(value).rjust(20)) for value in row])


def column(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [row[0] for row in rows]
