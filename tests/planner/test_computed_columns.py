"""What a source computes in place of a text; what else looks at the text keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from federation.engine import Engine
from federation.planner.computed_columns import compute, restore
from tests.servers import Server, run_sql

TEXTS = ["", "a", "ab\u00e1c", "  x ", "50%", "a_b", "\U0001f600\U0001f600z", "A'b", "\\", "abcdefgh"]
SETUP = """
CREATE TABLE t (id int PRIMARY KEY, s text, v varchar(20), c char(10), k int);
"""


@pytest.fixture(scope="module")
def engine(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder: Path = tmp_path_factory.mktemp("computed")
    uri = postgres_server.create_database("computed")
    values = ["'" + each.replace("'", "''") + "'" for each in TEXTS] + ["NULL"]
    rows = "".join(f"INSERT INTO t VALUES ({n}, {v}, {v}, {v}, {n % 3});\n" for n, v in enumerate(values))
    run_sql(uri, SETUP + rows)
    keys = ", ".join(f"{{ k = {n}, w = {n} }}" for n in (0, 1, 1, 5))
    catalog = f'[sources.pg]\nadapter = "postgres"\nuri = "{uri}"\n'
    catalog += f'[sources.m]\nadapter = "memory"\ntables = {{ k = [{keys}] }}\n'
    (folder / "federation.toml").write_text(catalog, encoding="utf-8")
    with Engine.open(folder) as opened:
        yield opened


@pytest.mark.parametrize(
    ("select", "columns"),
    [
        ("length(t.{0})", ["{0}_length"]),
        ("substr(t.{0}, 2, 3), sum(m.w)", ["{0}_substring"]),
        ("sum(CASE WHEN t.{0} LIKE 'a%' THEN m.w END), count(*) FILTER (WHERE t.{0} LIKE 'a%')", ["{0}_like"]),
        ("max(length(t.{0})) + min(length(t.{0}))", ["{0}_length"]),
        ("length(t.{0}), t.{0}", ["{0}"]),
        ("length(t.{0}), substr(t.{0}, 1, 2)", ["{0}"]),
        ("substr(t.{0}, 2, m.w)", ["{0}"]),
        ("substr(t.{0}, 2)", ["{0}"]),
        ("t.{0} LIKE chr(97) || '%'", ["{0}"]),
        ("t.{0} LIKE '%!%' ESCAPE '!'", ["{0}"]),
        ("NOT t.{0} LIKE 'a%'", ["{0}_like"]),
    ],
)
@pytest.mark.parametrize("column", ["s", "v", "c"])
def test_what_travels(engine: Engine, select: str, columns: list[str], column: str) -> None:
    select = select.format(column)
    group = " GROUP BY 1" if ", sum(" in select else ""
    sql = f"SELECT {select} FROM pg.t AS t JOIN m.k AS m ON m.k = t.k{group}"
    answers = []
    for options in ({}, {"disable": ["computed_columns"]}, {"pushdown": False}):
        with engine.query(sql, options=options) as result:
            answers.append(sorted(map(repr, result.read_all().to_pylist())))
    assert answers[0] == answers[1] == answers[2]
    for options, expected in (({}, columns), ({"disable": ["computed_columns"]}, ["{0}"])):
        (made,) = [
            each for each in engine.explain(sql, options=options).to_json()["fragments"] if each["source"] == "pg"
        ]
        assert set(made["columns"]) - {"k"} == {each.format(column) for each in expected}


def test_outer_joins_fill_with_null_what_was_not_computed(engine: Engine) -> None:
    sql = "SELECT m.w, t.s LIKE 'a%' AS x FROM m.k AS m LEFT JOIN pg.t AS t ON m.k = t.k AND t.id < 2"
    (made,) = [each for each in engine.explain(sql).to_json()["fragments"] if each["source"] == "pg"]
    assert "s" in made["columns"]
    with engine.query(sql) as result, engine.query(sql, options={"pushdown": False}) as other:
        assert sorted(map(repr, result.read_all().to_pylist())) == sorted(map(repr, other.read_all().to_pylist()))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT LENGTH(t.s) AS n FROM t",
        "SELECT t.s LIKE 'a%' AS x, t.s_like FROM t",
        "SELECT SUBSTRING(t.S, 1, 2) AS n FROM t WHERE EXISTS(SELECT 1 FROM b WHERE b.x = SUBSTRING(t.S, 1, 2))",
    ],
)
def test_it_can_be_undone(sql: str) -> None:
    select = sqlglot.parse_one(sql, read="duckdb")
    assert isinstance(select, exp.Select)
    before = select.sql("duckdb")
    computed = compute(select, {"t"})
    assert bool(computed) == (select.sql("duckdb") != before) == ("s_like" not in sql)
    restore(select, computed)
    assert select.sql("duckdb") == before
