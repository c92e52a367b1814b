"""What the caller computes is computed of rows that passed the row filter, wherever it might raise for others.

Each source has `staff`, of which callers see one region. In EU every note is a number and every salary is small; none
of the US is: so a query that raises for these alone tells whether hidden rows were looked at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from adapters.errors import DataError
from adapters.sql.dialect import FENCE
from catalog.policies import Caller
from federation.agreement import is_stable
from federation.engine import Engine
from federation.parse import parse
from federation.progress import State
from tests.policies.world import ask, rows_of
from tests.servers import Server, run_sql

ROWS = [(i, "EU", str(i), 100 * i, i % 3) for i in range(1, 7)]
ROWS += [(i, "US", f"secret {i}", 2147483647, i % 3) for i in range(11, 17)]
PLANS = [(i, i % 7) for i in range(1, 21)]
STAFF = "CREATE TABLE staff (id int PRIMARY KEY, region varchar(9) NOT NULL, note varchar(20), salary int, team int)"
PLAN = "CREATE TABLE plans (id int PRIMARY KEY, y int)"
SOURCES = ("pg", "my", "lite", "loose", "files")
#: conditions that sources can test, that they test after what is cheaper, and that none can test
FILTERS = {
    "plain": "region = current_attribute('region')",
    "masked": "region = current_attribute('region')",
    "costly": "CASE WHEN region = current_attribute('region') THEN 1 ELSE 0 END + id * 0 + id * 0 = 1",
    "local": "regexp_matches(region, '^' || current_attribute('region'))",
}
MASKS = {"note": "CASE WHEN id < 100 THEN id || '' ELSE note END", "salary": "salary // 2"}


def who(role: str, region: str = "EU") -> Caller:
    return Caller(f"oidc:x/{role}{region}", role, roles=(role,), attributes=(("region", region),))


def roles_text() -> str:
    text = []
    for role, condition in FILTERS.items():
        text.append(f'[roles.{role}]\ngrants = ["*"]\n[roles.{role}.row_filters]')
        text += [f'"{source}.staff" = "{condition}"' for source in SOURCES]
    text.append("[roles.masked.column_masks]")
    text += [f'"{source}.staff.{c}" = "{mask}"' for source in SOURCES for c, mask in MASKS.items()]
    return "\n".join(text)


def views_text() -> str:
    sql = "SELECT id, CAST(note AS INTEGER) AS n, team FROM"
    return "\n".join(f'[views."shown.{source}"]\nsql = "{sql} {source}.staff"' for source in SOURCES)


def values(rows: list[tuple[Any, ...]]) -> str:
    return ", ".join(map(repr, rows))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory, postgres_server: Server, mariadb_server: Server) -> Path:
    folder = tmp_path_factory.mktemp("fences")
    database = folder.name.replace("-", "_")
    script = f"{STAFF};{PLAN};INSERT INTO staff VALUES {values(ROWS)};INSERT INTO plans VALUES {values(PLANS)};"
    pg, my = postgres_server.create_database(database), mariadb_server.create_database(database)
    run_sql(pg, script)
    run_sql(my, script)
    for name, end in (("lite", " STRICT"), ("loose", "")):
        tables = script.replace(");", f"){end};", 2).replace("varchar(9)", "text").replace("varchar(20)", "text")
        with sqlite3.connect(folder / f"{name}.db") as connection:
            connection.executescript(tables)
        connection.close()
    (folder / "files").mkdir()
    here = duckdb.connect()
    here.execute(script)
    for table in ("staff", "plans"):
        here.execute(f"COPY {table} TO '{folder}/files/{table}.parquet'")
    here.close()
    cache = 'cache = { ttl = "1d" }'
    text = f"""
[settings]
cache_directory = "{folder}/cache"
[sources.pg]
adapter = "postgres"
uri = "{pg}"
{cache}
[sources.my]
adapter = "mysql"
uri = "{my}"
{cache}
[sources.lite]
adapter = "sqlite"
path = "lite.db"
{cache}
[sources.loose]
adapter = "sqlite"
path = "loose.db"
[sources.files]
adapter = "files"
path = "files/*.parquet"
{views_text()}
{roles_text()}
"""
    (folder / "federation.toml").write_text(text)
    return folder / "federation.toml"


@pytest.fixture(scope="module")
def engine(catalog: Path) -> Iterator[Engine]:
    with Engine.open(catalog) as opened:
        yield opened


@pytest.fixture(scope="module")
def left() -> Iterator[duckdb.DuckDBPyConnection]:
    """What is left for callers of EU, with and without masks: nothing else is there."""
    with duckdb.connect() as plain:
        for schema, masked in (("plain", False), ("masked", True)):
            plain.execute(f"CREATE SCHEMA {schema}; USE {schema};")
            plain.execute(f"{PLAN};INSERT INTO plans VALUES {values(PLANS)};{STAFF};")
            plain.execute(f"INSERT INTO staff VALUES {values(ROWS[:6])}")
            if masked:
                plain.execute("UPDATE staff SET " + ", ".join(f"{c} = {mask}" for c, mask in MASKS.items()))
            plain.execute("CREATE VIEW shown AS SELECT id, CAST(note AS INTEGER) AS n, team FROM staff")
        yield plain


WHERE = [
    "SELECT id FROM {staff} WHERE CAST(note AS INTEGER) = 3",
    "SELECT id FROM {staff} WHERE note = 3",  # casts the column
    "SELECT id FROM {staff} WHERE CAST(coalesce(note, 'x') AS INTEGER) > 3 AND team = 1",
    "SELECT id FROM {staff} WHERE salary + 1 > 250",
    "SELECT id FROM {staff} WHERE salary * 2 BETWEEN 300 AND 900",
    "SELECT id FROM {staff} WHERE team IN (0, 1) AND NOT (salary + 1 < 250)",
    "SELECT id FROM {staff} WHERE team = 0 OR CAST(note AS INTEGER) = 1",
    "SELECT id FROM {staff} WHERE CASE WHEN team = 1 THEN CAST(note AS INTEGER) > 3 ELSE true END",
    "SELECT id FROM {staff} WHERE CAST(note AS INTEGER) IN (1, 2, 17)",
    "SELECT id FROM {staff} WHERE length(repeat('x', CAST(note AS INTEGER))) > 2",
    "SELECT count(*) FROM {staff} WHERE salary + 1 > 0",
    "SELECT id FROM (SELECT id, CAST(note AS INTEGER) AS n FROM {staff}) WHERE n > 3",
    "SELECT id FROM {shown} WHERE n > 3",
    "SELECT id FROM (SELECT id, salary + 1 AS s FROM {staff} UNION ALL SELECT id, y FROM {plans}) WHERE s < 300",
    "WITH a AS (SELECT id, salary + 1 AS s FROM {staff}) SELECT x.id, y.s FROM a x, a y WHERE x.s = y.s AND y.s > 250",
    "SELECT id FROM {staff} QUALIFY CAST(note AS INTEGER) > 2 AND row_number() OVER (ORDER BY id) < 5",
    "SELECT id FROM {staff} WHERE error('a row was looked at') IS NULL AND team = 17",
]
WHERE += [  # a LIMIT of the caller's own is no fence
    f"SELECT id FROM (SELECT * FROM {{staff}} WHERE CAST(note AS INTEGER) > 3 LIMIT {FENCE})",
    f"(SELECT id FROM {{staff}} WHERE salary + 1 > 250 LIMIT {FENCE}) UNION ALL SELECT id FROM {{plans}} WHERE id = 3",
]
JOINS = [
    "SELECT a.id, b.id FROM {staff} a JOIN {plans} b ON CAST(a.note AS INTEGER) = b.y",
    "SELECT a.id, b.id FROM {staff} a JOIN {plans} b ON a.note = b.y",
    "SELECT a.id, b.id FROM {staff} a JOIN {plans} b ON a.id = b.id AND a.salary + 1 > b.y",
    "SELECT a.id, b.id FROM {plans} b LEFT JOIN {staff} a ON a.id = b.id AND CAST(a.note AS INTEGER) > 2",
    "SELECT a.id, b.id FROM {staff} a LEFT JOIN {plans} b ON a.salary + 1 = b.y AND a.id = b.id",
    "SELECT a.id, b.id FROM {plans} b FULL JOIN {staff} a ON CAST(a.note AS INTEGER) = b.id",
    "SELECT a.id, b.id FROM {plans} b LEFT JOIN {staff} a ON a.id = b.id WHERE a.salary + 1 > 300",
    "SELECT id FROM {plans} WHERE id IN (SELECT CAST(note AS INTEGER) FROM {staff})",
    "SELECT id FROM {plans} b WHERE EXISTS (SELECT 1 FROM {staff} a WHERE CAST(a.note AS INTEGER) = b.id)",
    "SELECT id FROM {plans} b WHERE NOT EXISTS (SELECT 1 FROM {staff} a WHERE a.id = b.id AND a.salary + 1 > 200)",
    "SELECT id FROM {staff} a WHERE (SELECT max(y) FROM {plans} b WHERE b.id = a.id) + a.salary > 300",
    "SELECT id FROM {staff} a WHERE a.team = (SELECT b.y FROM {plans} b WHERE b.id = a.id OR b.id + 20 = a.salary)",
    "SELECT id FROM {plans} WHERE id = (SELECT max(CAST(note AS INTEGER)) FROM {staff})",
    "SELECT a.id, c.id FROM {staff} a JOIN {staff} c ON a.salary + 1 = c.salary + 1",
]
OUTPUTS = [
    "SELECT id, CAST(note AS INTEGER) FROM {staff}",
    "SELECT id, salary + 1 FROM {staff} WHERE team < 2",
    "SELECT sum(CAST(note AS INTEGER)), max(salary + 1) FROM {staff}",
    "SELECT team, sum(salary + 1) FROM {staff} GROUP BY team HAVING sum(salary + 1) > 300",
    "SELECT CAST(note AS INTEGER) AS n, count(*) FROM {staff} GROUP BY n HAVING n > 2",
    "SELECT CAST(note AS INTEGER) AS n, count(*) FROM {staff} GROUP BY n",
    "SELECT count(*) FILTER (WHERE CAST(note AS INTEGER) > 2) FROM {staff}",
    "SELECT DISTINCT salary + 1 FROM {staff}",
    "SELECT id FROM {staff} ORDER BY salary + 1 DESC LIMIT 2",
    "SELECT id FROM {staff} ORDER BY CAST(note AS INTEGER) LIMIT 2",
    "SELECT id, sum(CAST(note AS INTEGER)) OVER (ORDER BY id) FROM {staff}",
    "SELECT id FROM (SELECT id, max(salary + 1) OVER (PARTITION BY team) AS m FROM {staff}) WHERE m > 550",
    "SELECT b.y, sum(a.salary + 1) FROM {staff} a JOIN {plans} b ON a.id = b.id GROUP BY b.y",
    "SELECT b.y, sum(CAST(a.note AS INTEGER)) FROM {plans} b LEFT JOIN {staff} a ON a.id = b.id GROUP BY b.y",
    "SELECT g.s FROM (SELECT team, sum(salary + 1) AS s FROM {staff} GROUP BY team) g WHERE g.s > 500",
    "SELECT id, unnest(range(CAST(note AS INTEGER))) FROM {staff}",
]
OPTIONS: list[dict[str, Any]] = [{}, {"pushdown": False}, {"disable": ["query_pushdown"]}]


def named(sql: str, source: str, other: str) -> str:
    return sql.format(staff=f"{source}.staff", plans=f"{other}.plans", shown=f"shown.{source}")


def expected(left: duckdb.DuckDBPyConnection, role: str, sql: str) -> list[tuple[Any, ...]]:
    left.execute(f"USE {'masked' if role == 'masked' else 'plain'}")
    return rows_of(left.sql(sql.format(staff="staff", plans="plans", shown="shown")).to_arrow_table())


def check(
    engine: Engine, left: duckdb.DuckDBPyConnection, source: str, role: str, sql: str, options: dict[str, Any]
) -> list[str]:
    wanted, wrong = expected(left, role, sql), []
    for other in {source, "pg"} if "{plans}" in sql else {source}:
        text = named(sql, source, other)
        try:
            found: object = ask(engine, text, who(role), options=options)
        except DataError as exc:
            found = exc
        if found != wanted:
            wrong.append(f"{role} {options} {text}: {found!r}, not {wanted}")
    return wrong


@pytest.mark.parametrize("source", SOURCES)
def test_what_raises_for_hidden_rows_alone_is_answered(
    engine: Engine, left: duckdb.DuckDBPyConnection, source: str
) -> None:
    roles = list(FILTERS)
    wrong = []
    for number, sql in enumerate(WHERE + JOINS + OUTPUTS, SOURCES.index(source)):
        wrong += check(engine, left, source, roles[number % len(roles)], sql, OPTIONS[number % len(OPTIONS)])
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("role", FILTERS)
@pytest.mark.parametrize("options", OPTIONS, ids=["on", "off", "parts"])
def test_what_raises_for_hidden_rows_alone_is_answered_to_everybody(
    engine: Engine, left: duckdb.DuckDBPyConnection, source: str, role: str, options: dict[str, Any]
) -> None:
    wrong = [each for sql in WHERE + JOINS + OUTPUTS for each in check(engine, left, source, role, sql, options)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("source", SOURCES)
def test_what_raises_for_visible_rows_raises(engine: Engine, source: str) -> None:
    """Those of the US, of which every one does."""
    for number, sql in enumerate([WHERE[0], WHERE[2], JOINS[0], OUTPUTS[0], OUTPUTS[2]]):
        caller = who(["plain", "costly", "local"][number % 3], "US")
        with pytest.raises(DataError) as caught:
            ask(engine, named(sql, source, source), caller, options=OPTIONS[number % len(OPTIONS)])
        assert "secret" not in str(caught.value)


def test_an_expression_sees_the_masked_value(engine: Engine) -> None:
    """Whose note is a number where the column's is not."""
    for source in SOURCES:
        for options in OPTIONS:
            sql = f"SELECT id FROM {source}.staff WHERE CAST(note AS INTEGER) = id AND salary + 1 < 2147483647"
            assert len(ask(engine, sql, who("masked", "US"), options=options)) == 6


# --- what is sent --------------------------------------------------------------------------------------------------

HARMLESS = [
    "id = 3 AND note <> 'x'",
    "salary BETWEEN 100 AND 300.5 OR team IS NULL",
    "note LIKE '%1' AND NOT team IN (1, 2)",
    "lower(note) = 'x' AND length(note) < 5",
    "id IN (SELECT id FROM {plans} WHERE y > 2)",
    "EXISTS (SELECT 1 FROM {plans} b WHERE b.id = staff.id)",
    "team % 2 = 1 AND TRY_CAST(note AS INTEGER) = 3",
    "CASE WHEN team = 1 THEN salary ELSE id END > 5",
    "salary < (SELECT max(y) FROM {plans}) AND coalesce(note, 'x') = 'x'",
]


def plan_of(engine: Engine, sql: str, caller: Caller | None = None) -> dict[str, Any]:
    return engine.explain(sql, caller=caller).to_json()


def sent(plan: dict[str, Any]) -> list[str]:
    return [request for fragment in plan["fragments"] for request in fragment["requests"]]


@pytest.mark.parametrize("source", SOURCES)
def test_harmless_conditions_are_planned_as_if_they_were_written_beside_the_filter(engine: Engine, source: str) -> None:
    for condition in HARMLESS:
        where = named(condition, source, source)
        mine = f"SELECT team, sum(salary + 1) FROM {source}.staff WHERE {where} GROUP BY team HAVING sum(salary) > 5"
        filtered = f"(SELECT * FROM {source}.staff WHERE region = 'EU') AS staff"
        theirs = mine.replace(f"FROM {source}.staff", f"FROM {filtered}", 1)
        assert sent(plan_of(engine, mine, who("plain"))) == sent(plan_of(engine, theirs)), condition


@pytest.mark.parametrize("source", SOURCES)
def test_harmless_conditions_go_along_where_others_wait(engine: Engine, source: str) -> None:
    sql = f"SELECT id FROM {source}.staff WHERE team = 1 AND CAST(note AS INTEGER) > 3 AND id < 9"
    plan = plan_of(engine, sql, who("plain"))
    told = [note["text"] for note in plan["notes"] if note["where"] == "fenced"]
    assert [each.replace('"', "") for each in told] == ["CAST(staff.note AS INT) > 3"]
    for request in sent(plan):
        assert "team" in request
        assert "9223372036854775807" not in request
        assert "CAST(" not in request or "INT" not in request
    assert len(sent(plan)) == (source != "files")


def test_what_a_source_computes_itself_is_behind_its_own_fence(engine: Engine) -> None:
    sql = "SELECT team, count(*) FROM {source}.staff WHERE salary + 1 > 200 GROUP BY team"
    (request,) = sent(plan_of(engine, sql.format(source="pg"), who("plain")))
    inner = request[request.index("(SELECT") : request.index("LIMIT 9223372036854775807")]
    assert "EU" in inner
    assert "+ 1" not in inner
    for source in ("my", "lite"):
        (request,) = sent(plan_of(engine, sql.format(source=source), who("plain")))
        assert "+ 1" not in request
        assert "count" not in request.lower()


@pytest.mark.parametrize("condition", ["region = 'EU'", "left(region, 1) = 'E'", "region || '!' = 'EU!'"])
@pytest.mark.parametrize("table", ["staff", "'{folder}/files/staff.parquet'"])
def test_duckdb_moves_no_condition_through_a_fence(catalog: Path, table: str, condition: str) -> None:
    here = duckdb.connect()
    here.execute(f"{STAFF}; INSERT INTO staff VALUES {values(ROWS)}; {PLAN};")
    table = table.format(folder=catalog.parent)
    for where in ("note <> '77'", "CAST(note AS INTEGER) <> 77"):
        sql = f"SELECT id FROM (SELECT * FROM {table} WHERE {condition} LIMIT {FENCE}) WHERE {where}"
        lines = here.execute(f"EXPLAIN {sql}").fetchall()[0][1].splitlines()
        mine = next(number for number, line in enumerate(lines) if "77" in line)
        assert "Filter" in next(line for line in reversed(lines[:mine]) if "─ " in line)
        theirs = next(number for number, line in enumerate(lines) if "region" in line)
        assert mine < theirs
        assert any("─ " in line for line in lines[mine:theirs])  # another operator
    here.close()


def test_callers_share_what_is_cached(engine: Engine) -> None:
    for source in ("pg", "my", "lite"):
        engine.query(f"SELECT * FROM {source}.staff").read_all()
        for sql in (WHERE[0], WHERE[5], OUTPUTS[2]):
            for role in ("plain", "costly", "masked"):
                with engine.query(named(sql, source, source), caller=who(role)) as result:
                    result.read_all()
                    assert {each.state for each in result.freshness()} == {State.FRESH}, sql


def test_a_statement_with_fences_has_one_answer(engine: Engine) -> None:
    bound = engine._binder.bind(parse("SELECT id FROM pg.staff WHERE salary + 1 > 0"), who("plain"))
    assert str(FENCE) in bound.query.sql()
    assert is_stable(bound.query)
