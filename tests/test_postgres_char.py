"""char(n) of PostgreSQL, which is compared there without the blanks at the end of either side, against DuckDB."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest

from adapters.postgres import PostgresAdapter
from federation.engine import Engine
from federation.planner.keys import apply_filters
from federation.planner.nodes import Keys, RuntimeFilter
from tests.adapters.oracle import read_all
from tests.corpora.settings import Setting
from tests.servers import Server, run_sql

STORED = ["", " ", "a", "a ", "A", "ab", "  a", "a\t", "a b", "á", "日本 ", "abcd", "'", "\\", "%", None]
LITERALS = [
    "",
    " ",
    "a",
    "a ",
    "a  ",
    "A",
    "ab   ",
    "  a",
    "a\t",
    "a b",
    "á",
    "日本",
    "abcd",
    "abcde",
    "abcd ",
    "'",
    "\\",
]
SETUP = """
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN code AS char(4);
CREATE TABLE t (id int PRIMARY KEY, c char(4), d code, b bpchar, p char(4) COLLATE "C", k char(4) COLLATE ci);
"""


@pytest.fixture(scope="module")
def uri(postgres_server: Server) -> str:
    uri = postgres_server.create_database("chars")
    rows = []
    for number, value in enumerate(STORED):
        text = "NULL" if value is None else "'" + value.replace("'", "''") + "'"
        rows.append(f"INSERT INTO t VALUES ({number}, {', '.join([text] * 5)});")
    run_sql(uri, SETUP + "\n".join(rows))
    return uri


@pytest.fixture(scope="module")
def engine(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("char")
    (folder / "federation.toml").write_text(f'[sources.pg]\nadapter = "postgres"\nuri = "{uri}"\n')
    with Engine.open(folder) as engine:
        yield engine


def rows(engine: Engine, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in engine.query(sql).read_all().to_pylist()]


def quoted(literal: str) -> str:
    return "'" + literal.replace("'", "''") + "'"


CONDITIONS = [
    *(f"{{0}} {operator} {quoted(each)}" for each in LITERALS for operator in ("=", "<>")),
    *(f"{quoted(each)} = {{0}}" for each in LITERALS),
    "{0} IN ('a', 'ab', '')",
    "{0} IN ('a ', 'ab')",
    "{0} NOT IN ('a', '  a')",
    "{0} NOT IN ('a', 'ab ')",
    "NOT ({0} = 'a')",
    "({0} = 'a') IS NULL",
    "{0} IS DISTINCT FROM 'a'",
    "{0} IN ('a', NULL)",
]


@pytest.mark.parametrize("column", ["c", "d", "b", "p", "k"])
def test_conditions_mean_what_they_mean_in_duckdb(engine: Engine, column: str) -> None:
    with duckdb.connect() as plain:
        plain.execute("CREATE TABLE t (id INT, v VARCHAR)")
        plain.executemany("INSERT INTO t VALUES (?, ?)", [(i, v and v.rstrip(" ")) for i, v in enumerate(STORED)])
        for condition in CONDITIONS:
            expected = plain.execute(f"SELECT id, v FROM t WHERE {condition.format('v')} ORDER BY id").fetchall()
            asked = f"SELECT id, {column} FROM pg.t WHERE {condition.format(column)} ORDER BY id"
            assert rows(engine, asked) == expected, asked
            nested = f"SELECT id, x FROM (SELECT id, {column} AS x FROM pg.t) WHERE {condition.format('x')} ORDER BY id"
            assert rows(engine, nested) == expected, nested


@pytest.mark.parametrize(
    ("condition", "sent"),
    [
        ("c = 'a'", """("t"."c" = 'a')"""),
        ("c <> ''", """("t"."c" <> '')"""),
        ("c IN ('a', 'b')", """("t"."c" IN ('a', 'b'))"""),
        ("c = 'a '", """(CAST("t"."c" AS TEXT) = 'a ')"""),
        ("c IN ('a', 'b ')", """(CAST("t"."c" AS TEXT) IN ('a', 'b '))"""),
    ],
)
def test_indexes_and_statistics_serve_what_is_asked(engine: Engine, condition: str, sent: str) -> None:
    assert sent in engine.explain(f"SELECT id FROM pg.t WHERE {condition}").text()


@pytest.mark.parametrize("column", ["c", "d", "b", "p", "k"])
def test_groups_are_those_of_duckdb(engine: Engine, column: str) -> None:
    """Where the server groups, it does so by the column as it is stored: no cast for every row."""
    with duckdb.connect() as plain:
        plain.execute("CREATE TABLE t (id INT, v VARCHAR)")
        plain.executemany("INSERT INTO t VALUES (?, ?)", [(i, v and v.rstrip(" ")) for i, v in enumerate(STORED)])
        grouped = "SELECT {0} AS g, count(*), min(id) FROM {1} GROUP BY {0} HAVING {0} <> '%' ORDER BY g"
        asked = grouped.format(column, "pg.t")
        assert rows(engine, asked) == plain.execute(grouped.format("v", "t")).fetchall()
        assert (f'GROUP BY "t"."{column}"' in engine.explain(asked).text()) is (column != "k")


@pytest.mark.parametrize("column", ["c", "d", "b", "p", "k"])
def test_keys_of_a_runtime_filter(engine: Engine, column: str) -> None:
    """They are compared as the column is stored, which lets more rows through: the join tests them again."""
    planned = engine.plan(f"SELECT id, {column} AS v FROM pg.t").plan.fragments[0]
    with Setting(force="members").forced():
        apply_filters(planned, [(RuntimeFilter("v", Keys("v", "x")), pa.array(sorted(LITERALS)))])
    assert planned.scan is not None
    (partition,) = planned.scan.partitions
    assert (f'"t"."{column}" IN (' in partition.request) is (column != "k")
    left = dict(zip(*read_all(planned.source.adapter, planned.scan).to_pydict().values(), strict=True))
    whole = {number: value.rstrip(" ") for number, value in enumerate(STORED) if value is not None}
    assert {number: value for number, value in whole.items() if value in LITERALS}.items() <= left.items()
    assert left.items() <= {**whole, STORED.index(None): None}.items()


def test_a_plan_is_asked_for_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    ask = PostgresAdapter._ask

    def spy(self: PostgresAdapter, pool: object, sql: str) -> object:
        asked.append(sql)
        return ask(self, pool, sql)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresAdapter, "_ask", spy)
    for _ in range(2):
        engine.explain("SELECT count(*) FROM pg.t AS t WHERE id > 3")
    assert sum(each.startswith("EXPLAIN") for each in asked) == 1
