"""What the tests of this folder share: data at every kind of source, catalogs over it, and a look at the servers."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pymysql

from federation.engine import Engine
from tests.adapters.rest_server import Resource, RestServer
from tests.servers import run_sql
from tests.waiting import SECONDS, eventually

ROWS = 20_000
PADDING = 200
FILL = "CREATE TABLE numbers (id int, name varchar(20), pad text)"
POSTGRES = f"""
{FILL};
INSERT INTO numbers SELECT i, 'n' || i, repeat('x', {PADDING}) FROM generate_series(1, {ROWS}) i;
CREATE VIEW endless AS SELECT generate_series(1, 1000000000) AS id, repeat('x', {PADDING}) AS pad;
CREATE VIEW sleeping AS SELECT 1 AS id, pg_sleep(1000)::text AS pad;
"""
MARIADB = f"""
{FILL};
INSERT INTO numbers SELECT seq, concat('n', seq), repeat('x', {PADDING}) FROM seq_1_to_{ROWS};
CREATE VIEW endless AS SELECT seq AS id, repeat('x', {PADDING}) AS pad FROM seq_1_to_1000000000;
CREATE VIEW sleeping AS SELECT 1 AS id, 'x' AS pad FROM seq_1_to_2 WHERE sleep(1000) = 0;
CREATE VIEW constant AS SELECT 1 AS id, sleep(1000) AS pad;
"""  # one row of constants is computed by EXPLAIN already
REST = """
[sources.crm]
adapter = "rest"
base_url = "{url}"
allow_private = true
auth = {{ kind = "bearer", token = "{token}" }}
retry = {{ attempts = 1 }}

[sources.crm.tables.numbers]
path = "/numbers"
records = "$.items"
primary_key = ["id"]
paginate = {{ kind = "page", param = "page", has_more = "$.has_more" }}
page_size = {{ param = "limit", max = 1000 }}
columns = {{ id = "int64", name = "string" }}
"""


def rest_server() -> RestServer:
    rows = [{"id": n, "name": f"n{n}"} for n in range(1, ROWS + 1)]
    return RestServer({"/numbers": Resource(rows, paging="page", page_size=1000)})


def fill_sqlite(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE numbers (id INTEGER, name TEXT, pad TEXT)")
        rows = ((n, f"n{n}", "x" * PADDING) for n in range(1, ROWS + 1))
        connection.executemany("INSERT INTO numbers VALUES (?, ?, ?)", rows)
    connection.close()


def fill_parquet(path: Path) -> None:
    ids = range(1, ROWS + 1)
    pq.write_table(pa.table({"id": pa.array(ids, pa.int32()), "name": [f"n{n}" for n in ids]}), path)


def source(name: str, adapter: str, **options: Any) -> str:
    """A section of the catalog file."""
    lines = [f"{key} = {_toml(value)}" for key, value in {"adapter": adapter, **options}.items()]
    return "\n".join([f"[sources.{name}]", *lines, ""])


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value)


@contextmanager
def engine_over(folder: Path, *sections: str) -> Iterator[Engine]:
    with Engine.open(catalog_of(folder, *sections)) as engine:
        yield engine


def catalog_of(folder: Path, *sections: str) -> Path:
    path = folder / "federation.toml"
    path.write_text("\n".join(sections), encoding="utf-8")
    return path


def rows_of(engine: Engine, sql: str) -> list[tuple[Any, ...]]:
    with engine.query(sql) as result:
        table = result.read_all()
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def running(uri: str) -> list[str]:
    """What the engine's own connections do at a server right now."""
    if uri.startswith("postgresql:"):
        sql = "SELECT left(query, 60) FROM pg_stat_activity WHERE datname = %s AND state = 'active'"
    else:
        sql = "SELECT left(info, 60) FROM information_schema.processlist WHERE db = %s AND command = 'Query'"
    return [text for (text,) in _seen(uri, sql)]


def sessions(uri: str) -> int:
    """How many connections to the database of the URI are open."""
    if uri.startswith("postgresql:"):
        ((count,),) = _seen(uri, "SELECT count(*) FROM pg_stat_activity WHERE datname = %s")
    else:
        ((count,),) = _seen(uri, "SELECT count(*) FROM information_schema.processlist WHERE db = %s")
    return int(count)


def _seen(uri: str, sql: str) -> Sequence[Sequence[Any]]:
    """What a query about the database of the URI finds, asked from outside of it."""
    with _WATCHING, _watcher(uri).cursor() as cursor:
        cursor.execute(sql, (urlsplit(uri).path.lstrip("/"),))
        rows: Sequence[Sequence[Any]] = cursor.fetchall()
    return rows


_WATCHING = threading.Lock()


@cache
def _watcher(uri: str) -> Any:
    """A connection that stays, for tests look every few milliseconds: to another database, so that it is not seen."""
    if uri.startswith("postgresql:"):
        return psycopg.connect(uri.rsplit("/", 1)[0] + "/postgres", autocommit=True)
    at = urlsplit(uri)
    assert at.hostname and at.port and at.username and at.password
    return pymysql.connect(host=at.hostname, port=at.port, user=at.username, password=at.password, autocommit=True)


def end_sessions(uri: str) -> None:
    """What an administrator does to the connections of others; they are gone then, and take no statement any more."""
    if uri.startswith("postgresql:"):
        run_sql(
            uri,
            f"SELECT pg_terminate_backend(pid, {1000 * SECONDS:.0f}) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        return
    others = "SELECT id FROM information_schema.processlist WHERE {} AND id <> connection_id()"
    found = run_sql(uri, others.format("db = database()")).split()
    if found:
        run_sql(uri, "".join(f"KILL {number};" for number in found))
        eventually(lambda: not run_sql(uri, others.format(f"id IN ({', '.join(found)})")))


def fetching() -> list[str]:
    """The threads that read from sources."""
    return [each.name for each in threading.enumerate() if each.name.startswith("fetch-")]
