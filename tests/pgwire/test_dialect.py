"""PostgreSQL's dialect against PostgreSQL itself: the corpus over edge-case rows, there and through the engine.

Names, types and values of every answer agree, or both fail with the same SQLSTATE; else the line names a difference
that docs/pgwire-differences.md has. What is only listed there, and does not differ, is an error as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

import psycopg
import pytest

from adapters.errors import Error
from federation.engine import Engine
from federation.pgwire.dialect.context import Settings
from federation.pgwire.dialect.read import statements
from federation.pgwire.dialect.statements import Query
from federation.pgwire.dialect.translate import to_duckdb
from federation.pgwire.encoder import RowEncoder
from federation.pgwire.style import Style
from federation.pgwire.types import ARRAYS, BPCHAR, FLOAT4, FLOAT8, JSON, JSONB, NUMERIC, TEXT, VARCHAR, pg_types_of
from tests.pgwire.dialect_corpus import CORPUS, IN_A_ZONE, TABLE, Line, differences, expressions
from tests.servers import Server

Answer = tuple[list[str], list[int], list[tuple[str | None, ...]]]
# Types that are one here.
_ONE = {VARCHAR: TEXT, BPCHAR: TEXT, JSONB: JSON, ARRAYS[VARCHAR]: ARRAYS[TEXT], 19: TEXT, 18: TEXT}
_PRECISION = Decimal("1e-14")


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> Iterator[psycopg.Connection]:
    uri = postgres_server.create_database("dialect")
    with psycopg.connect(uri, autocommit=True, options="-c TimeZone=UTC") as connection:
        connection.execute(TABLE)
        yield connection


@pytest.fixture(scope="module")
def engine(database: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    info = database.info
    uri = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
    path = tmp_path_factory.mktemp("dialect") / "catalog.toml"
    path.write_text(f'[sources.pg]\nadapter = "postgres"\nuri = "{uri}"\n')
    with Engine.open(path) as opened:
        yield opened


def _theirs(database: psycopg.Connection, sql: str) -> Answer | str:
    """What PostgreSQL answers, as text; the SQLSTATE of a failure."""
    result = database.pgconn.exec_(sql.encode())
    if result.status != psycopg.pq.ExecStatus.TUPLES_OK:
        return (result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) or b"").decode()
    columns = range(result.nfields)
    rows = []
    for row in range(result.ntuples):
        values = [result.get_value(row, column) for column in columns]
        rows.append(tuple(None if value is None else value.decode() for value in values))
    return [(result.fname(each) or b"").decode() for each in columns], [result.ftype(each) for each in columns], rows


def _ours(engine: Engine, sql: str, zone: str = "UTC") -> Answer | str:
    try:
        (said,) = statements(sql)
        assert isinstance(said, Query)
        with engine.query(to_duckdb(said.tree, engine.columns, Settings(timezone=zone)).query) as result:
            types = pg_types_of(result.schema, result.types)
            encoder = RowEncoder(result.schema, types, [], Style(timezone=zone))
            rows = [row for batch in result.batches() for part in encoder.encode(batch) for row in _rows(bytes(part))]
            return [field.name for field in result.schema], [each.oid for each in types], rows
    except Error as exc:
        return exc.sqlstate


def _rows(messages: bytes) -> Iterator[tuple[str | None, ...]]:
    """The values of DataRow messages."""
    at = 0
    while at < len(messages):
        count = int.from_bytes(messages[at + 5 : at + 7], "big")
        values: list[str | None] = []
        at += 7
        for _ in range(count):
            length = int.from_bytes(messages[at : at + 4], "big", signed=True)
            at += 4
            values.append(None if length < 0 else messages[at : at + length].decode())
            at += max(length, 0)
        yield tuple(values)


def _differ(theirs: Answer | str, ours: Answer | str) -> str | None:
    if isinstance(theirs, str) or isinstance(ours, str):
        return None if theirs == ours else f"PostgreSQL: {theirs}\nhere: {ours}"
    if theirs[0] != ours[0]:
        return f"names: {theirs[0]}, here {ours[0]}"
    types = [_ONE.get(each, each) for each in theirs[1]]
    if types != [_ONE.get(each, each) for each in ours[1]]:
        return f"types: {theirs[1]}, here {ours[1]}"
    if len(theirs[2]) != len(ours[2]):
        return f"rows: {theirs[2]}, here {ours[2]}"
    for one, other in zip(theirs[2], ours[2], strict=True):
        if not all(map(_same, types, one, other)):
            return f"row: {one}, here {other}"
    return None


def _same(oid: int, one: str | None, other: str | None) -> bool:
    if one == other or one is None or other is None:
        return one == other
    if oid in (NUMERIC, FLOAT4, FLOAT8):
        return _close(one, other)
    if oid in (JSON, ARRAYS[JSON], ARRAYS[JSONB]):
        return oid == JSON and json.loads(one) == json.loads(other)
    return False


def _close(one: str, other: str) -> bool:
    try:
        left, right = Decimal(one), Decimal(other)
    except InvalidOperation:
        return False
    if not left.is_finite() or not right.is_finite():
        return False
    return abs(left - right) <= max(abs(left), abs(right), Decimal(1)) * _PRECISION


def _compare(database: psycopg.Connection, engine: Engine, line: Line) -> str | None:
    return _differ(_theirs(database, line.sql), _ours(engine, line.sql))


@pytest.mark.parametrize("lines", CORPUS.values(), ids=CORPUS.keys())
def test_the_answers_are_postgresqls(database: psycopg.Connection, engine: Engine, lines: list[Line]) -> None:
    found = [(each, _compare(database, engine, each)) for each in expressions(lines)]
    wrong = [f"{each.text}\n{what}" for each, what in found if what is not None and not each.difference]
    assert not wrong, "\n\n".join(wrong)


def test_the_answers_are_those_of_the_sessions_zone(database: psycopg.Connection, engine: Engine) -> None:
    zone = "America/New_York"
    database.execute(f"SET TimeZone = '{zone}'")
    try:
        lines = [each for lines in IN_A_ZONE.values() for each in expressions(lines)]
        found = [(each, _differ(_theirs(database, each.sql), _ours(engine, each.sql, zone))) for each in lines]
    finally:
        database.execute("SET TimeZone = 'UTC'")
    wrong = [f"{each.text}\n{what}" for each, what in found if what is not None]
    assert not wrong, "\n\n".join(wrong)


def test_every_difference_is_documented() -> None:
    used = {line.difference for lines in CORPUS.values() for line in lines if line.difference}
    assert used - differences() == set()


def test_what_is_said_to_differ_does(database: psycopg.Connection, engine: Engine) -> None:
    said = [line for lines in CORPUS.values() for line in lines if line.difference]
    same = {line.difference for line in said} - {
        line.difference for line in said if any(_compare(database, engine, each) for each in expressions([line]))
    }
    assert not same, "these do not differ any more"


@pytest.mark.parametrize(
    "sql, sqlstate, position",
    [
        ("SELECT nosuch FROM edge", "42703", 8),
        ("SELECT e.nosuch FROM edge e", "42703", 8),
        ("SELECT x.id FROM edge", "42P01", 8),
        ("SELECT 1 FROM nosuch", "42P01", 15),
        ("SELECT nosuch(1)", "42883", 8),
        ("SELECT id + t FROM edge", "42883", 8),
        ("SELECT 1::nosuch", "42704", 11),
        ("SELECT id FROM edge a, edge b", "42702", 8),
        ("SELECT 'x'::int", "22P02", None),
        ("SELECT '99999999999'::int", "22003", None),
        ("SELECT 1 / 0", "22012", None),
        ("SELECT list_sort(ARRAY[1])", "42883", 8),
        ("SELECT * FROM read_csv('x')", "42883", None),
        ("SELECT current_setting('x')", "42883", 8),
        ("SELECT id FROM edge LIMIT 'x'", "22P02", None),
        ("SELECT id FROM edge WHERE id = ANY (SELECT t FROM edge)", "42883", None),
    ],
)
def test_errors_have_codes_and_places(engine: Engine, sql: str, sqlstate: str, position: int | None) -> None:
    with pytest.raises(Error) as raised:
        (said,) = statements(sql)
        assert isinstance(said, Query)
        engine.query(to_duckdb(said.tree, engine.columns).query).read_all()
    assert raised.value.sqlstate == sqlstate
    assert position is None or raised.value.position == position


PUSHED = [
    "SELECT id FROM edge WHERE t = 'abc' AND i > 3",
    "SELECT id FROM edge WHERE t ILIKE 'A%'",
    "SELECT id FROM edge WHERE t LIKE 'a%'",
    "SELECT id FROM edge WHERE i IN (1, 2) AND dt BETWEEN '2024-01-01' AND '2024-12-31'",
    "SELECT id FROM edge WHERE i = ANY ('{1,2}')",
    "SELECT id FROM edge WHERE ts::date = '2024-01-31'",
    "SELECT id FROM edge WHERE ts >= date_trunc('month', timestamp '2024-01-31')",
    "SELECT id FROM edge WHERE extract(year FROM dt) = 2024",
    "SELECT id FROM edge WHERE t = 'abc' OR length(t) > 2",
    "SELECT id FROM edge WHERE ts > timestamp '2024-01-01' + interval '1 day'",
    "SELECT date_trunc('month', ts) AS m, count(*) FROM edge GROUP BY 1",
    "SELECT j, sum(i), count(*), min(t), max(dt), avg(d) FROM edge GROUP BY j",
    "SELECT j, sum(n) AS total FROM edge GROUP BY j ORDER BY total DESC LIMIT 3",
    "SELECT a.id, b.t FROM edge a JOIN edge b ON a.i = b.j WHERE b.bo",
    "SELECT id FROM edge ORDER BY i LIMIT 3",
    "SELECT count(*) FROM edge WHERE i / 2 = 3",
    "SELECT DISTINCT j FROM edge",
]


@pytest.mark.parametrize("sql", PUSHED)
def test_the_common_case_is_pushed_down(engine: Engine, sql: str) -> None:
    (said,) = statements(sql)
    assert isinstance(said, Query)
    plan = engine.explain(to_duckdb(said.tree, engine.columns).query).text()
    assert "RemoteQuery" in plan and "local" not in plan.replace("LocalQuery", ""), plan


def test_sums_and_counts_of_an_average_are_pushed_down(engine: Engine) -> None:
    (said,) = statements("SELECT j, avg(i), avg(n) FROM edge GROUP BY j")
    assert isinstance(said, Query)
    assert "pushed: GROUP" in engine.explain(to_duckdb(said.tree, engine.columns).query).text()


def test_deep_nesting_is_refused_in_time(engine: Engine) -> None:
    text = "SELECT " + "(1.5 / " * 40 + "2" + ")" * 40
    (said,) = statements(text)
    assert isinstance(said, Query)
    with pytest.raises(Error) as raised:
        to_duckdb(said.tree, engine.columns)
    assert raised.value.sqlstate == "54001"
