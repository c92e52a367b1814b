"""Random queries of callers in turn, with a cache that they share, against plain DuckDB over views that filter and mask
the same; and for each optimisation by name, queries that it is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from catalog.policies import Caller
from federation.planner.optimizations import Optimization
from tests.corpora.compare import Answer, difference
from tests.corpora.layouts import Federated, federated, plain_answer
from tests.corpora.random_data import LAYOUTS, SHAPES, tables
from tests.corpora.random_sql import SEED, draw, indexes_of, unoptimized
from tests.corpora.settings import OFF, ON, Setting
from tests.servers import Server

QUERIES = 42  # of all layouts, of which each has its part
QUERIES_SLOW = 7_000
RAISING, RAISING_SLOW = 28, 3_500
LAYOUT = LAYOUTS["spread-1"]
SOURCES = {"postgres": "pg", "mariadb": "my", "sqlite": "lite", "parquet": "files"}

#: What each role leaves of a table that has the columns: a filter, and masks.
ROLES: Mapping[str, tuple[str | None, Mapping[str, str]]] = {
    "low": ("k < 5", {}),
    "odd": ("k % CAST(current_attribute('modulus') AS INTEGER) = 1", {"s": "upper(left(s, 1))", "k": "k % 3"}),
    "masked": (None, {"s": "'***'", "i": "NULL"}),
}
#: What is left for callers with these roles, worked out by hand.
LEFT: Mapping[str, tuple[tuple[str, ...], str, Mapping[str, str]]] = {
    "low": (("low",), "k < 5", {}),
    "odd": (("odd",), "k % 2 = 1", {"s": "upper(left(s, 1))", "k": "k % 3"}),
    "either": (("odd", "low"), "k < 5 OR k % 2 = 1", {}),
    "masked": (("masked",), "true", {"s": "'***'", "i": "NULL"}),
    "one": (("masked", "odd"), "true", {"s": "'***'"}),
    "two": (("odd", "masked"), "true", {"s": "upper(left(s, 1))"}),
}
CALLERS = {
    who: Caller(f"oidc:x/{who}", who, roles=roles, attributes=(("modulus", "2"),)) for who, (roles, *_) in LEFT.items()
}


def roles_text() -> str:
    text = []
    for role, (condition, masks) in ROLES.items():
        text.append(f'[roles.{role}]\ngrants = ["*"]')
        if condition is not None:
            text += [f"[roles.{role}.row_filters]", *(f'"{_named(table)}" = "{condition}"' for table in SHAPES)]
        text.append(f"[roles.{role}.column_masks]")
        for table, (_, columns) in SHAPES.items():
            text += [f'"{_named(table)}.{c}" = "{mask}"' for c, mask in masks.items() if c in columns.split()]
    return "\n".join(text)


def _named(table: str) -> str:
    return f"{SOURCES[LAYOUT.placement[table]]}.{table}"


@pytest.fixture(scope="module")
def opened(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: Server, mariadb_server: Server
) -> Iterator[Federated]:
    folder = tmp_path_factory.mktemp("restricted")
    settings = f'{roles_text()}\n[settings]\ncache_directory = "{folder / "cache"}"\n'
    with federated(
        LAYOUT, tables(), folder, postgres_server, mariadb_server, settings, 'cache = { ttl = "1d" }'
    ) as found:
        for who, (_, condition, masks) in LEFT.items():
            found.plain.execute(f"CREATE SCHEMA {who}")
            for table in SHAPES:
                types = dict(found.plain.execute(f"SELECT column_name, column_type FROM (DESCRIBE {table})").fetchall())
                replaced = ", ".join(f"CAST({mask} AS {types[c]}) AS {c}" for c, mask in masks.items() if c in types)
                items = f"* REPLACE ({replaced})" if replaced else "*"
                found.plain.execute(f"CREATE VIEW {who}.{table} AS SELECT {items} FROM main.{table} WHERE {condition}")
        yield found


def expected(opened: Federated, who: str, sql: str) -> Answer | None:
    """None where DuckDB refuses, or disagrees with itself."""
    opened.plain.execute(f"SET search_path = '{who}'")
    try:
        answer = plain_answer(opened.plain, sql)
        agrees = difference(answer, unoptimized(opened.plain, sql), False) is None
        return answer if agrees else None
    except duckdb.Error:
        return None
    finally:
        opened.plain.execute("SET search_path = 'main'")


def actual(opened: Federated, who: str, sql: str, setting: Setting) -> Answer:
    with setting.forced(), opened.engine.query(sql, options=setting.options, caller=CALLERS[who]) as result:
        table = result.read_all()
        rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
        return Answer(tuple(result.types), rows)


def check(opened: Federated, sql: str, settings: tuple[Setting, ...]) -> list[str]:
    """What differs, of each caller in turn."""
    wanted = {who: answer for who in CALLERS if (answer := expected(opened, who, sql)) is not None}
    found = []
    for setting in settings:
        for who, answer in wanted.items():
            if differs := difference(answer, actual(opened, who, sql, setting), False):
                found.append(f"{who} {setting.arguments}: {differs}\n{sql}")
    return found


def test_no_random_query_differs(opened: Federated) -> None:
    _check_random(opened, SEED + 60, QUERIES)


@pytest.mark.slow
def test_no_random_query_of_the_long_run_differs(opened: Federated) -> None:
    _check_random(opened, SEED + 61, QUERIES_SLOW)


def test_no_random_query_raises_for_hidden_rows(opened: Federated) -> None:
    _check_raising(opened, SEED + 62, RAISING)


@pytest.mark.slow
def test_no_random_query_of_the_long_run_raises_for_hidden_rows(opened: Federated) -> None:
    _check_raising(opened, SEED + 63, RAISING_SLOW)


def _check_raising(opened: Federated, seed: int, count: int) -> None:
    """Each table with a condition that is true of the rows that are left, and raises for all others."""
    wrong = []
    for number, index in enumerate(indexes_of(LAYOUT.name, count)):
        query, _ = draw(seed, index, opened.plain)
        who = ("low", "either")[number % 2]  # of whom no key is masked
        wanted = expected(opened, who, query.sql)
        if wanted is None:
            continue
        sql = _raising(query.sql, LEFT[who][1])
        for setting in (ON, Setting(force="members"), OFF):
            opened.engine._known_plans.forget()
            if differs := difference(wanted, actual(opened, who, sql, setting), False):
                wrong.append(f"{who} {setting.arguments}: {differs}\n{sql}")
    assert not wrong, f"{len(wrong)} differ, the first:\n\n" + "\n\n".join(wrong[:3])


#: true, or raises: by a cast that sources leave to DuckDB, by a sum that they compute themselves
RAISES = (
    "CAST(CASE WHEN {} THEN '1' ELSE 'hidden' END AS INTEGER) = 1",
    "(CASE WHEN {} THEN 0 ELSE 9223372036854775807 END) + 1 > 0",
)


def _raising(sql: str, condition: str) -> str:
    test = RAISES[len(sql) % len(RAISES)].format(condition)
    query = sqlglot.parse_one(sql, dialect="duckdb")
    for table in list(query.find_all(exp.Table)):
        if table.name in SHAPES:
            inner = exp.select("*").from_(exp.to_table(table.name)).where(sqlglot.parse_one(test, dialect="duckdb"))
            alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
            table.replace(exp.Subquery(this=inner, alias=alias))
    return query.sql("duckdb")


def _check_random(opened: Federated, seed: int, count: int) -> None:
    wrong = []
    for index in indexes_of(LAYOUT.name, count):
        query, _ = draw(seed, index, opened.plain)
        opened.engine._known_plans.forget()
        wrong += check(opened, query.sql, (ON, Setting(force="members")))
    assert not wrong, f"{len(wrong)} differ, the first:\n\n" + "\n\n".join(wrong[:3])


Opt = Optimization
WHOLE = [f"SELECT * FROM {table}" for table in SHAPES]
FOR: Mapping[Optimization, list[str]] = {
    Opt.FILTER_PUSHDOWN: ["SELECT id FROM wide WHERE s = 'A'", "SELECT id FROM tiny WHERE s LIKE '***%' OR k = 0"],
    Opt.JOIN_PUSHDOWN: ["SELECT a.id, b.id, a.s FROM wide a JOIN facts b ON a.s = b.s", WHOLE[0]],
    Opt.AGGREGATE_PUSHDOWN: ["SELECT s, count(*), max(k), min(id) FROM wide GROUP BY s"],
    Opt.TOPN_PUSHDOWN: ["SELECT s, k FROM wide ORDER BY s, k LIMIT 3", "SELECT k FROM mixed ORDER BY k DESC LIMIT 1"],
    Opt.TOPN_JOINS: ["SELECT a.k FROM wide a LEFT JOIN tiny b ON a.id = b.id ORDER BY a.k LIMIT 2"],
    Opt.LIMIT_PUSHDOWN: ["SELECT count(*) FROM (SELECT id FROM wide LIMIT 1000)"],
    Opt.QUERY_PUSHDOWN: ["SELECT count(*), min(s), max(k), count(i) FROM wide", "SELECT DISTINCT s FROM words"],
    Opt.CONTRADICTIONS: ["SELECT id FROM wide WHERE k > 6", "SELECT count(*) FROM wide WHERE s = '***' AND s = 'A'"],
    Opt.PREDICATE_TRANSFER: ["SELECT a.id FROM wide a JOIN tiny b ON a.s = b.s AND a.s = 'A'"],
    Opt.IMPLIED_FILTERS: [
        "SELECT a.id FROM wide a, names b WHERE (a.s = 'A' AND b.s = 'B') OR (a.s = '***' AND b.s = '***')"
    ],
    Opt.SHARD_PRUNING: ["SELECT count(*) FROM (SELECT id, k FROM wide UNION ALL SELECT id, k FROM tiny) WHERE k = 7"],
    Opt.UNION_AGGREGATION: [
        "SELECT s, count(*), min(k) FROM (SELECT s, k FROM wide UNION ALL SELECT s, k FROM names) GROUP BY s"
    ],
    Opt.COMPUTED_COLUMNS: ["SELECT upper(s), length(s) FROM facts JOIN tiny USING (s)"],
    Opt.EAGER_AGGREGATION: ["SELECT b.s, sum(a.k) FROM wide a JOIN names b ON a.k = b.k GROUP BY b.s"],
    Opt.RUNTIME_FILTERS: [
        "SELECT a.id, b.i FROM wide a JOIN mixed b ON a.k = b.k",
        "SELECT id FROM names SEMI JOIN wide USING (s)",
    ],
    Opt.COMMON_FRAGMENTS: ["SELECT a.id, b.s FROM tiny a JOIN tiny b ON a.s = b.s JOIN wide c ON c.k = a.k"],
    Opt.COSTS: ["SELECT a.s, count(*) FROM wide a, facts b, mixed c WHERE a.k = b.k AND b.k = c.k GROUP BY a.s"],
    Opt.CONTAINMENT: ["SELECT id, s FROM wide WHERE k = 3", "SELECT s, count(*) FROM mixed WHERE s > 'A' GROUP BY s"],
}
FORCED = {Opt.EAGER_AGGREGATION: "groups", Opt.COSTS: "alternatives"}


@pytest.mark.parametrize("optimization", list(Optimization))
def test_no_optimisation_sees_past_policies(opened: Federated, optimization: Optimization) -> None:
    """On, forced and off, by callers in turn, after the operator has had the whole tables cached."""
    if optimization is Optimization.CONTAINMENT:
        for sql in WHOLE:
            opened.engine.query(sql).read_all()
    assert all(expected(opened, who, sql) for who in CALLERS for sql in FOR[optimization])
    forced = Setting(force=FORCED.get(optimization, "members"))
    wrong = [each for sql in FOR[optimization] for each in check(opened, sql, (ON, forced, Setting((optimization,))))]
    assert not wrong, "\n\n".join(wrong[:3])
