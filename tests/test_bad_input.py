"""Bad input: each a typed error with its SQLSTATE, quickly, and nothing is left open."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import Error
from federation.engine import Engine
from tests.adapters.sqlite_files import write

pytestmark = pytest.mark.timeout(20)

SQLITE = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, score REAL) STRICT;
INSERT INTO customers VALUES (1, 'Ada', 1.5), (2, 'Bo', NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER) STRICT;
INSERT INTO orders VALUES (7, 1);
"""
CATALOG = """
[sources.lite]
adapter = "sqlite"
path = "crm.db"
[sources.mem]
adapter = "memory"
[sources.mem.tables]
numbers = [{ n = 1, big = 9223372036854775807 }, { n = 0, big = 1 }]
orders = [{ id = 1 }]
[views."loop.a"]
sql = "SELECT * FROM loop.b"
[views."loop.b"]
sql = "SELECT * FROM loop.a"
[views."broken.table"]
sql = "SELECT * FROM lite.custmers"
[views."broken.syntax"]
sql = "SELEC 1"
[views."broken.write"]
sql = "DELETE FROM lite.customers"
"""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("bad_input")
    write(folder / "crm.db", SQLITE)
    path = folder / "federation.toml"
    path.write_text(CATALOG)
    return path


@pytest.fixture(scope="module")
def engine(catalog: Path) -> Iterator[Engine]:
    with Engine.open(catalog) as engine:
        yield engine


def failure(engine: Engine, sql: str, params: Any = None) -> Error:
    """The error of a statement, after which nothing is open and the engine still answers."""
    before = threading.enumerate()
    with pytest.raises(Error) as caught, engine.query(sql, params) as result:
        result.read_all()
    assert [each.name for each in set(threading.enumerate()) - set(before) if each.name.startswith("fetch-")] == []
    with engine.query("SELECT count(*) AS n FROM lite.customers") as result:
        assert result.read_all().to_pydict() == {"n": [2]}
    return caught.value


# --- names, with the nearest ones and the position -----------------------------------------------------------------

NAMES = [
    ("SELECT * FROM lite.custmers", "42P01", 15, "customers"),
    ("SELECT * FROM custmers", "42P01", 15, "customers"),
    ("SELECT 1 FROM lite.customers\n  JOIN lit.orders ON true", "3F000", 37, "lite.orders"),
    ("SELECT * FROM orders", "42P09", 15, "lite.main.orders"),
    ("SELECT nam FROM lite.customers", "42703", 8, "name"),
    ("SELECT c.nam FROM lite.customers c", "42703", 10, "name"),
    ("SELECT id FROM lite.customers c JOIN lite.orders o ON o.customer_id = c.id", "42702", 8, None),
    ("SELECT x.id FROM lite.customers c", "42P01", 8, None),
    ("SELECT substrin(name, 1) FROM lite.customers", "42883", 8, "substring"),
    ("SELECT id, upper(id, name, 1, 2, 3) FROM lite.customers", "42601", None, None),
    ("SELECT name FROM lite.customers GROUP BY id", "42803", 8, None),
    ("SELECT * FROM a.b.c.d", "42P01", None, None),
    ("SELECT * FROM loop.a", "42000", None, "in the view"),
    ("SELECT * FROM broken.table", "42P01", None, "broken.table"),
    ("SELECT * FROM broken.syntax", "42601", None, "broken.syntax"),
    ("SELECT * FROM broken.write", "25006", None, None),
]


@pytest.mark.parametrize(("sql", "sqlstate", "position", "hint"), NAMES)
def test_names(engine: Engine, sql: str, sqlstate: str, position: int | None, hint: str | None) -> None:
    error = failure(engine, sql)
    assert error.sqlstate == sqlstate, error
    if position is not None:
        assert error.position == position
    if hint is not None:
        assert hint in (error.hint or "")


# --- syntax and statements that are no queries -----------------------------------------------------------------------

SYNTAX = [
    ("", None),
    ("   \n ", None),
    ("-- nothing", None),
    (";", None),
    ("SELECT 1; SELECT 2", None),
    ("SELECT 1; DROP TABLE lite.customers", None),
    ("SELECT FROM WHERE", None),
    ("SELECT name\nFROM lite.customers WHER id = 1", 38),
    ("SELECT (1", None),
    ("SELECT 'abc", None),
    ('SELECT "abc', None),
    ("SELECT 1 /* abc", None),
    ("SELECT 'a\0b'", 10),
    ("SELECT 1 \0", 10),
    ("SELECT '\ud800'", 9),
    ('SELECT * FROM lite."\udfff"', 21),
]


@pytest.mark.parametrize(("sql", "position"), SYNTAX)
def test_syntax(engine: Engine, sql: str, position: int | None) -> None:
    error = failure(engine, sql)
    assert error.sqlstate == "42601", error
    if position is not None:
        assert error.position == position


WRITES = [
    "INSERT INTO lite.customers VALUES (3, 'x', 0)",
    "UPDATE lite.customers SET name = 'x'",
    "DELETE FROM lite.customers",
    "MERGE INTO lite.customers USING lite.orders ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE lite.customers",
    "CREATE TABLE x (a INTEGER)",
    "CREATE TABLE x AS SELECT 1 AS a",
    "CREATE OR REPLACE VIEW x AS SELECT 1",
    "DROP TABLE lite.customers",
    "ALTER TABLE lite.customers ADD COLUMN x INTEGER",
    "COPY lite.customers TO '/tmp/x.csv'",
    "ATTACH '/etc/passwd' AS x",
    "DETACH x",
    "WITH x AS (DELETE FROM lite.customers RETURNING id) SELECT * FROM x",
    "SELECT * INTO x FROM lite.customers",
    "SELECT * FROM lite.customers FOR UPDATE",
    "GRANT SELECT ON lite.customers TO me",
    "COMMENT ON TABLE lite.customers IS 'x'",
]


@pytest.mark.parametrize("sql", WRITES)
def test_writes(engine: Engine, sql: str) -> None:
    assert failure(engine, sql).sqlstate == "25006"


OTHER_STATEMENTS = [
    "PRAGMA database_list",
    "PRAGMA memory_limit='1GB'",
    "SET threads = 1",
    "RESET threads",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL httpfs",
    "CALL duckdb_settings()",
    "EXPORT DATABASE '/tmp/x'",
    "IMPORT DATABASE '/tmp/x'",
    "CHECKPOINT",
    "FORCE CHECKPOINT",
    "VACUUM",
    "USE lite",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "EXPLAIN SELECT 1",
    "DESCRIBE lite.customers",
    "SHOW TABLES",
    "SUMMARIZE lite.customers",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "PIVOT lite.customers ON name",
]


@pytest.mark.parametrize("sql", OTHER_STATEMENTS)
def test_statements_that_are_no_queries(engine: Engine, sql: str) -> None:
    error = failure(engine, sql)
    assert error.sqlstate in ("0A000", "42601"), error


FILES = [
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM 'file.csv'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM read_parquet('/tmp/x.parquet')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('t0')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM pragma_database_list()",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM sqlite_scan('crm.db', 'customers')",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM t0",
    "SELECT (SELECT content FROM read_text('/etc/passwd'))",
    "WITH x AS (FROM read_text('/etc/passwd')) SELECT * FROM x",
    "SELECT * FROM lite.customers c, LATERAL (SELECT * FROM glob('/*')) g",
    "SELECT * FROM lite.customers c, LATERAL glob('/*') g",
    "SELECT * FROM LATERAL duckdb_tables() AS d",
    "SELECT * FROM LATERAL query('SELECT * FROM t0') AS q",
    "SELECT * FROM ROWS FROM (query('SELECT 1'))",
]


@pytest.mark.parametrize("sql", FILES)
def test_nothing_but_the_catalog_can_be_read(engine: Engine, sql: str) -> None:
    error = failure(engine, sql)
    assert error.sqlstate in ("0A000", "42P01", "3F000", "42883"), error
    assert "root:" not in str(error)


@pytest.mark.parametrize("function", ["getenv('HOME')", "current_setting('temp_directory')", "which_secret('a', 'b')"])
def test_functions_that_tell_about_the_host(engine: Engine, function: str) -> None:
    error = failure(engine, f"SELECT {function} AS x FROM lite.customers")
    assert os.environ["HOME"] not in str(error) or os.environ["HOME"] == "/"


# --- types and values ------------------------------------------------------------------------------------------------

VALUES = [
    ("SELECT id FROM lite.customers WHERE name > 3", None, "42804"),
    ("SELECT name + 1 FROM lite.customers", None, "42883"),
    ("SELECT sum(name) FROM lite.customers", None, "42883"),
    ("SELECT CAST(name AS INTEGER) FROM lite.customers", None, "22P02"),
    ("SELECT CAST('x' AS DATE)", None, "22007"),
    ("SELECT DATE '2024-02-30'", None, "22008"),
    ("SELECT 1 // 0 FROM lite.customers", None, "22012"),
    ("SELECT n FROM mem.numbers WHERE 1 % n = 0", None, "22012"),
    ("SELECT (SELECT id FROM lite.customers) AS x", None, "21000"),
    ("SELECT big + n FROM mem.numbers", None, "22003"),
    ("SELECT CAST(big AS SMALLINT) FROM mem.numbers", None, "22003"),
    ("SELECT CAST(big AS DECIMAL(5,2)) FROM mem.numbers", None, "22003"),
    ("SELECT " + "9" * 500_000, None, "22003"),
    ("SELECT id FROM lite.customers WHERE id = $1", None, "42P02"),
    ("SELECT id FROM lite.customers WHERE id = $id", {"di": 1}, "42P02"),
    ("SELECT id FROM lite.customers WHERE id = ?", [], "42P02"),
    ("SELECT id FROM lite.customers WHERE id = ?", [1, 2], "42000"),
    ("SELECT id FROM lite.customers WHERE id = ?", [object()], "42000"),
    ("SELECT id FROM lite.customers WHERE id = ?", ["x"], "22P02"),
    ("SELECT id FROM lite.customers WHERE name = ?", [1], "22P02"),
    ("SELECT id FROM lite.customers WHERE name = ?", ["\ud800"], "42000"),
    ("SELECT * FROM ?", ["/etc/passwd"], "42P01"),
    ("SELECT id FROM lite.customers LIMIT -1", None, None),
    ("SELECT id, id FROM lite.customers UNION SELECT 1", None, "42000"),
    ("SELECT (SELECT 1, 2)", None, "42000"),
]


@pytest.mark.parametrize(("sql", "params", "sqlstate"), VALUES)
def test_values(
    engine: Engine, sql: str, params: Mapping[str, Any] | Sequence[Any] | None, sqlstate: str | None
) -> None:
    error = failure(engine, sql, params)
    assert sqlstate is None or error.sqlstate == sqlstate, error
    assert error.sqlstate != "XX000"


def test_a_parameter_with_nul_is_a_value(engine: Engine) -> None:
    with engine.query("SELECT id FROM lite.customers WHERE name = ?", ["Ada\0"]) as result:
        assert result.read_all().num_rows == 0


# --- size ------------------------------------------------------------------------------------------------------------

DEEP = 5_000
CUSTOMERS = "lite.customers"
TOO_COMPLEX = {
    "100 MB": lambda: "SELECT " + "1," * 50_000_000 + "1",
    "100 MB of comment": lambda: "SELECT 1 /*" + "x" * 100_000_000 + "*/",
    "tokens": lambda: "SELECT " + "1," * 150_000 + "1",
    "AND": lambda: f"SELECT * FROM {CUSTOMERS} WHERE " + " AND ".join(["id = 1"] * 20_000),
    "OR": lambda: f"SELECT * FROM {CUSTOMERS} WHERE " + " OR ".join(["id = 1"] * 20_000),
    "parentheses": lambda: "SELECT " + "(" * DEEP + "1" + ")" * DEEP,
    "CASE": lambda: "SELECT " + "CASE WHEN true THEN " * DEEP + "1" + " END" * DEEP,
    "subqueries in FROM": lambda: "SELECT * FROM " + "(SELECT * FROM " * DEEP + CUSTOMERS + ")" * DEEP,
    "subqueries as values": lambda: "SELECT " + "(SELECT " * DEEP + "1" + ")" * DEEP,
    "NOT": lambda: "SELECT " + "NOT " * DEEP + "true",
    "minus": lambda: "SELECT " + "- " * DEEP + "1",
    "casts": lambda: "SELECT 1" + "::INTEGER" * DEEP,
    "brackets": lambda: "SELECT " + "[" * DEEP + "1" + "]" * DEEP,
    "subscripts": lambda: "SELECT name" + "[1]" * DEEP + f" FROM {CUSTOMERS}",
    "braces": lambda: "SELECT " + "{'a':" * DEEP + "1" + "}" * DEEP,
    "dots": lambda: "SELECT a" + ".b" * DEEP + f" FROM {CUSTOMERS}",
    "methods": lambda: "SELECT name" + ".lower()" * DEEP + f" FROM {CUSTOMERS}",
    "comparisons": lambda: "SELECT " + " = ".join(["1"] * DEEP),
    "lambdas": lambda: "SELECT " + "list_transform([1], lambda x: " * 40 + "1" + ")" * 40,
    "plus": lambda: "SELECT 1" + " + 1" * DEEP,
    "PIVOT": lambda: f"SELECT * FROM {CUSTOMERS}" + " PIVOT (sum(id) FOR name IN ('a'))" * DEEP,
    "unions": lambda: " UNION ALL ".join([f"SELECT id FROM {CUSTOMERS}"] * 1_000),
    "joins": lambda: (
        f"SELECT count(*) FROM {CUSTOMERS} t0 "
        + " ".join(f"JOIN {CUSTOMERS} t{i} ON t{i}.id = t0.id" for i in range(1, 1_000))
    ),
    "CTEs": lambda: (
        "WITH c0 AS (SELECT 1 AS id), "
        + ", ".join(f"c{i} AS (SELECT id FROM c{i - 1})" for i in range(1, 500))
        + " SELECT * FROM c499"
    ),
}


@pytest.mark.parametrize("name", TOO_COMPLEX)
def test_too_large_or_too_deep(engine: Engine, name: str) -> None:
    error = failure(engine, TOO_COMPLEX[name]())
    assert error.sqlstate == "54001", error
    assert len(str(error)) < 1_000


def in_list(count: int) -> str:
    return f"SELECT count(*) AS n FROM {CUSTOMERS} WHERE id IN ({', '.join(map(str, range(count)))})"


ALLOWED = {
    "IN of 10,000": (in_list(10_000), 2),
    "900 AND": (f"SELECT count(*) AS n FROM {CUSTOMERS} WHERE " + " AND ".join(["id < 9"] * 900), 2),
    "90 parentheses": ("SELECT " + "(" * 90 + "count(*)" + ")" * 90 + f" AS n FROM {CUSTOMERS}", 2),
    "100 unions": (
        "SELECT count(*) AS n FROM (" + " UNION ALL ".join([f"SELECT id FROM {CUSTOMERS}"] * 100) + ") u",
        200,
    ),
    "70 joins": (
        f"SELECT count(*) AS n FROM {CUSTOMERS} t0 "
        + " ".join(f"JOIN {CUSTOMERS} t{i} ON t{i}.id = t0.id" for i in range(1, 70)),
        2,
    ),
    "CTEs that double": (
        f"WITH c0 AS (SELECT id FROM {CUSTOMERS}), "
        + ", ".join(f"c{i} AS (SELECT a.id FROM c{i - 1} a JOIN c{i - 1} b ON a.id = b.id)" for i in range(1, 40))
        + " SELECT count(*) AS n FROM c39",
        2,
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_large_but_allowed(engine: Engine, name: str) -> None:
    sql, expected = ALLOWED[name]
    with engine.query(sql) as result:
        assert result.read_all().to_pydict() == {"n": [expected]}


@pytest.mark.parametrize("sql", ["SELECT {} FROM lite.customers", "SELECT * FROM lite.{}", "SELECT * FROM {}.x"])
def test_huge_identifiers(engine: Engine, sql: str) -> None:
    assert failure(engine, sql.format("x" * 500_000)).sqlstate in ("42703", "42P01", "3F000")


# --- the command -----------------------------------------------------------------------------------------------------


def command(catalog: Path, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "federation", *args, "-c", str(catalog)]
    return subprocess.run(run, input=stdin, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("SELECT nam FROM lite.customers", "name"),
        ("DELETE FROM lite.customers", "writable"),
        ("SELECT " + "(" * 5_000 + "1" + ")" * 5_000, "nested"),
        ("SELECT 1 // 0 AS x FROM lite.customers", "division by zero"),
    ],
)
@pytest.mark.timeout(90)
def test_the_command_says_what_is_wrong(catalog: Path, sql: str, shown: str) -> None:
    done = command(catalog, "query", sql)
    assert done.returncode != 0
    assert shown in done.stderr
    assert "Traceback" not in done.stderr


# --- secrets ---------------------------------------------------------------------------------------------------------
