"""A PostgreSQL database, and the overlay over an engine that reads it: what is asked of one is asked of the other."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from federation.engine import Engine
from federation.pgwire.dialect.read import statements
from federation.pgwire.dialect.statements import Query
from federation.pgwire.overlay import Overlay, SessionInfo

TABLES = """
DROP SCHEMA public;
CREATE SCHEMA shop;
CREATE TABLE shop.customers (
  id integer PRIMARY KEY, name text NOT NULL, born date, score numeric(10,2), seen timestamp with time zone);
COMMENT ON TABLE shop.customers IS 'people who buy';
COMMENT ON COLUMN shop.customers.name IS 'as it is on the card';
CREATE TABLE shop.orders (
  id bigint, line smallint, customer integer REFERENCES shop.customers, paid boolean, at timestamp without time zone,
  tags text[], code uuid, weight double precision, size real, photo bytea, took interval, due time without time zone,
  PRIMARY KEY (id, line));
CREATE TABLE shop."Odd Name" ("A b" integer, "select" text, plain text);
SET track_counts = off;  -- the overlay has no statistics either
INSERT INTO shop.customers VALUES
  (1, 'Ada', '1815-12-10', 12.50, '2024-03-31 12:00:00.25+02'), (2, 'Grüße', NULL, NULL, NULL);
INSERT INTO shop.orders VALUES
  (1, 1, 1, true, '2024-02-29 10:20:30.000001', '{a,NULL,"b c"}', '01234567-89ab-cdef-0123-456789abcdef', 0.1, 1.5,
   '\\x00ff', '1 year 2 days 03:04:05.6', '23:59:59.999999'),
  (1, 2, 1, false, NULL, '{}', NULL, -1e300, NULL, '\\x', '-1 day', NULL),
  (2, 1, 2, NULL, '0001-01-01', NULL, NULL, NULL, -0.0, NULL, NULL, '00:00');
INSERT INTO shop."Odd Name" VALUES (1, 'it''s', 'öäü €');
RESET track_counts;
"""


TYPES = {
    "VARCHAR": "text",
    "VARCHAR[]": "text[]",
    "BIGINT": "bigint",
    "DOUBLE": "double precision",
    "BOOLEAN": "boolean",
    "TIMESTAMP WITH TIME ZONE": "timestamp with time zone",
}


@dataclass(frozen=True, slots=True)
class World:
    """`database`, at `uri`, names the same objects as `overlay`: the source, at `source`, is called as the schema that
    it reads, and there is a schema for the tables of the system as well."""

    uri: str
    source: str
    database: psycopg.Connection
    overlay: Overlay
    who: SessionInfo

    def theirs(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names and rows of PostgreSQL's answer."""
        found = self.database.execute(sql)
        return [each.name for each in found.description or ()], found.fetchall()

    def their_types(self, sql: str) -> list[int]:
        return [each.type_code for each in self.database.execute(sql).description or ()]

    def ours(self, sql: str, who: SessionInfo | None = None) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Those of the overlay's."""
        with self.overlay.query(tree(sql), who or self.who) as answer:
            table = answer.read_all()
        return table.column_names, list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def our_types(self, sql: str) -> list[int]:
        return [each.oid for each in self.overlay.describe(tree(sql), self.who)[1]]

    def named_oids(self) -> dict[str, tuple[int, int]]:
        """Numbers of relations and schemas by name, PostgreSQL's and ours."""
        sql = """SELECT c.oid, n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
            WHERE c.oid >= 16384 UNION ALL SELECT oid, 'schema ' || nspname FROM pg_namespace WHERE oid >= 16384"""
        own = {name: oid for oid, name in self.ours(sql)[1]}
        return {name: (oid, own[name]) for oid, name in self.theirs(sql)[1] if name in own}

    def psql(self, command: str) -> list[str]:
        """The queries that psql sends for a command."""
        done = subprocess.run(
            ["psql", "-X", "-E", "-d", self.uri, "-c", "SET search_path = shop", "-c", command],
            capture_output=True,
            text=True,
            env=dict(os.environ, PGCLIENTENCODING="UTF8"),
        )
        return re.findall(r"^\*+ QUERY \*+\n(.*?)\n\*+$", done.stdout + done.stderr, re.DOTALL | re.MULTILINE)


def tree(sql: str) -> Any:
    (parsed,) = statements(sql)
    assert isinstance(parsed, Query)
    return parsed.tree


def write_catalog(file: Path, uri: str) -> None:
    file.write_text(f'[sources.shop]\nadapter = "postgres"\nuri = "{uri}"\nschema = "shop"\n')


def worlds(uri: str, source: str, folder: Path) -> Iterator[World]:
    """The world over two empty databases."""
    file = folder / "catalog.toml"
    write_catalog(file, source)
    with psycopg.connect(source, autocommit=True) as sources:
        sources.execute(TABLES)
    with psycopg.connect(uri, autocommit=True) as database:
        database.execute(TABLES)
        database.execute("SET search_path = shop")
        user, name = database.info.user, database.info.dbname
        with Engine.open(file) as engine:
            database.execute("CREATE SCHEMA system")
            for table in engine.catalog.tables("system"):
                _, columns = engine.describe(f"SELECT * FROM system.{table.name}")
                fields = ", ".join(f'"{column}" {TYPES[type_]}' for column, type_ in columns)
                database.execute(f"CREATE TABLE system.{table.name} ({fields})")
            overlay = Overlay(engine)
            yield World(uri, source, database, overlay, SessionInfo(user, name, ("shop",)))
            overlay.close()
