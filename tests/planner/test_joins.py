"""Links between relations, query by query. Each is tried: with the consumer's rows restricted by hand to the producer's
keys, DuckDB gives the same rows.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from federation.normalize import normalize
from federation.planner import filters
from federation.planner.joins import KEY, Link, Relation, composites, conditions, links

SEED = 11
QUERIES = 60
QUERIES_SLOW = 4_000
ALONE = 3  # links that are tried one by one
ROWS = 14
#: `x` is DOUBLE, everything else INTEGER: few values, many ties and NULLs
TABLES = {
    "r": ("id", "k", "j", "x"),
    "s": ("id", "k", "j", "x"),
    "t": ("id", "k", "j", "x"),
    "u": ("id", "k", "j", "x"),
}
COLUMNS = {
    name: {column: "DOUBLE" if column == "x" else "INT" for column in columns} for name, columns in TABLES.items()
}


@pytest.fixture(scope="module")
def plain() -> duckdb.DuckDBPyConnection:
    rng = random.Random(SEED)
    connection = duckdb.connect(config={"threads": 1})
    for name in TABLES:
        connection.execute(f"CREATE TABLE {name} (id INT, k INT, j INT, x DOUBLE)")
        values = [None, None, None, 0, 1, 2, 3, 4, 5, 6]
        rows = [(number, *(rng.choice(values) for _ in range(3))) for number in range(ROWS)]
        connection.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?)", rows)
    return connection


def normalized(sql: str) -> exp.Query:
    parsed = sqlglot.parse_one(sql, read="duckdb")
    assert isinstance(parsed, exp.Query)
    for table in parsed.find_all(exp.Table):  # as the binder does
        if table.name in TABLES and not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
    query = normalize(parsed, COLUMNS, _no_constants)
    assert query is not None, sql
    return query


def _no_constants(expressions: Sequence[str]) -> list[tuple[str, str | None]]:
    raise AssertionError(expressions)


def exact(columns: Sequence[tuple[str, str]]) -> bool:
    return all(name != "x" for _, name in columns)


def drawn(query: exp.Query) -> list[Link]:
    return links(query, exact)


def shown(query: exp.Query) -> set[str]:
    def name(relation: Relation, column: str) -> str:
        return "IN" if relation.alias.startswith("IN ") else f"{relation.alias}.{column}"

    return {
        f"{name(each.producer, each.producer_column)} -> {name(each.consumer, each.consumer_column)}"
        for each in drawn(query)
    }


class Restricting:
    """Takes away, link by link, the rows that are said not to matter: what was taken before gives no keys any more."""

    def __init__(self) -> None:
        self._nodes: dict[str, exp.Expr] = {}

    def restrict(self, link: Link) -> None:
        alias = link.consumer.alias
        node = self._nodes.get(alias, link.consumer.node)
        inner = node.this if isinstance(node, exp.Subquery) else exp.select("*").from_(exp.to_identifier(node.name))
        keys = self._keys(link.producer, link.producer_column)
        column = exp.column(exp.to_identifier(link.consumer_column, quoted=True), "restricted")
        query = exp.select("*").from_(exp.Subquery(this=inner.copy(), alias=exp.TableAlias(this="restricted")))
        query = query.where(exp.In(this=column, query=exp.Subquery(this=keys)))
        made = exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias)))
        node.replace(made)
        self._nodes[alias] = made

    def restrict_together(self, together: Sequence[Link]) -> None:
        """By a row of the producer that has all the values."""
        alias = together[0].consumer.alias
        node = self._nodes.get(alias, together[0].consumer.node)
        inner = node.this if isinstance(node, exp.Subquery) else exp.select("*").from_(exp.to_identifier(node.name))
        names = [each.producer_column for each in together]
        columns = [exp.column(exp.to_identifier(each, quoted=True), together[0].producer.alias) for each in names]
        producer = exp.select(*columns).from_(
            self._nodes.get(together[0].producer.alias, together[0].producer.node).copy()
        )
        filters.set_where(producer, [each.copy() for each in conditions(together[0].producer)])
        same = [
            exp.EQ(
                this=exp.column(exp.to_identifier(each.consumer_column, quoted=True), "restricted"),
                expression=exp.column(f"c{number}", "keys"),
            )
            for number, each in enumerate(together)
        ]
        keys = exp.TableAlias(
            this=exp.to_identifier("keys"), columns=[exp.to_identifier(f"c{number}") for number in range(len(names))]
        )
        found = exp.select("1").from_(exp.Subquery(this=producer, alias=keys)).where(*same)
        query = exp.select("*").from_(exp.Subquery(this=inner.copy(), alias=exp.TableAlias(this="restricted")))
        query = query.where(exp.Exists(this=found))
        made = exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias)))
        node.replace(made)
        self._nodes[alias] = made

    def _keys(self, producer: Relation, column: str) -> exp.Select:
        if column == KEY:
            named = exp.TableAlias(this=exp.to_identifier("members"), columns=[exp.to_identifier(KEY)])
            return exp.select(KEY).from_(exp.Subquery(this=producer.node.unnest().copy(), alias=named))
        query = exp.select(exp.column(exp.to_identifier(column, quoted=True), producer.alias))
        query = query.from_(self._nodes.get(producer.alias, producer.node).copy())
        filters.set_where(query, [each.copy() for each in conditions(producer)])
        return query


def answer(plain: duckdb.DuckDBPyConnection, query: exp.Query | str) -> Counter[str]:
    sql = query if isinstance(query, str) else query.sql("duckdb")
    try:
        return Counter(map(repr, plain.execute(sql).fetchall()))
    except duckdb.InternalException:  # of its optimizer, for some restricted queries
        plain.execute("PRAGMA disable_optimizer")
        try:
            return Counter(map(repr, plain.execute(sql).fetchall()))
        finally:
            plain.execute("PRAGMA enable_optimizer")


def check(plain: duckdb.DuckDBPyConnection, sql: str, rng: random.Random) -> int:
    """Some links alone, then all of them, in some order; how many there were."""
    expected, whole = answer(plain, sql), normalized(sql)
    count = len(drawn(whole))
    orders = [[number] for number in rng.sample(range(count), min(ALONE, count))]
    for order in [*orders, rng.sample(range(count), count)]:
        query = whole.copy()
        found, restricting = drawn(query), Restricting()
        for number in order:
            restricting.restrict(found[number])
        names = [f"{each.producer.alias} -> {each.consumer.alias}" for each in (found[number] for number in order)]
        assert answer(plain, query) == expected, f"{sql}\n{names}\n{query.sql('duckdb')}"
    for number in range(len(composites(drawn(whole)))):
        query = whole.copy()
        Restricting().restrict_together(composites(drawn(query))[number])
        assert answer(plain, query) == expected, f"{sql}\n{query.sql('duckdb')}"
    return count


BOTH = {"r.k -> s.k", "s.k -> r.k"}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        # inner joins
        ("SELECT r.id FROM r JOIN s ON r.k = s.k", BOTH),
        ("SELECT r.id FROM r, s WHERE r.k = s.k", BOTH),
        ("SELECT r.id FROM r JOIN s USING (k)", BOTH),
        ("SELECT r.id FROM r JOIN s ON r.k = s.k AND r.j < s.j", BOTH),
        ("SELECT count(*) FROM r JOIN s ON r.k = s.k HAVING count(*) > 3", BOTH),
        ("SELECT r.id FROM r JOIN s ON r.k = s.k ORDER BY r.id LIMIT 3", BOTH),
        ("SELECT DISTINCT r.id, row_number() OVER (ORDER BY r.id, s.id) AS n FROM r JOIN s ON r.k = s.k", BOTH),
        ("SELECT r.id FROM r, s, t WHERE r.k = s.k AND s.j = t.j", BOTH | {"s.j -> t.j", "t.j -> s.j"}),
        (
            "SELECT r.id FROM r, s, t WHERE r.k = s.k AND s.k = t.k",
            BOTH | {"s.k -> t.k", "t.k -> s.k", "r.k -> t.k", "t.k -> r.k"},
        ),
        (
            "SELECT r.id FROM r, s, t WHERE r.k = s.x AND s.x = t.k",
            {"r.k -> s.x", "s.x -> r.k", "s.x -> t.k", "t.k -> s.x"},
        ),
        # not towards a preserved side
        ("SELECT r.id FROM r LEFT JOIN s ON r.k = s.k", {"r.k -> s.k"}),
        ("SELECT r.id FROM r RIGHT JOIN s ON r.k = s.k", {"s.k -> r.k"}),
        ("SELECT r.id, s.id AS q FROM r FULL JOIN s ON r.k = s.k", set()),
        ("SELECT r.id FROM r LEFT JOIN s ON r.k = s.k AND r.j = 1 AND s.j = 2", {"r.k -> s.k"}),
        (
            "SELECT r.id FROM r LEFT JOIN s ON r.k = s.k LEFT JOIN t ON s.j = t.j",
            {"r.k -> s.k", "s.j -> t.j"},
        ),
        ("SELECT r.id FROM r LEFT JOIN s ON r.k = s.k WHERE s.j = r.j", {"r.k -> s.k", "r.j -> s.j", "s.j -> r.j"}),
        (
            "SELECT r.id, t.id AS q FROM r JOIN s ON r.k = s.k FULL JOIN t ON t.k = r.k",
            BOTH,
        ),
        ("SELECT r.id, s.id AS q FROM r FULL JOIN s ON r.k = s.k JOIN t ON t.j = r.j", {"t.j -> r.j", "r.j -> t.j"}),
        ("SELECT r.id FROM r SEMI JOIN s ON r.k = s.k", set()),
        ("SELECT r.id FROM r ANTI JOIN s ON r.k = s.k", set()),
        # what is no equality of two columns
        ("SELECT r.id FROM r JOIN s ON r.k = s.k + 1", set()),
        ("SELECT r.id FROM r JOIN s ON r.k < s.k", set()),
        ("SELECT r.id FROM r JOIN s ON r.k IS NOT DISTINCT FROM s.k", set()),
        ("SELECT r.id FROM r JOIN s ON r.k = s.k OR r.j = s.j", set()),
        ("SELECT r.id FROM r, s WHERE NOT (r.k = s.k)", set()),
        ("SELECT r.id, s.id AS q FROM r POSITIONAL JOIN s WHERE r.k = s.k", set()),
        ("SELECT r.id, s.id AS q FROM r ASOF JOIN s ON r.k = s.k AND r.id >= s.id", set()),
        # subqueries
        ("SELECT r.id FROM r WHERE EXISTS (SELECT 1 FROM s WHERE s.k = r.k)", BOTH),
        ("SELECT r.id FROM r WHERE EXISTS (SELECT s.j FROM s WHERE s.k = r.k AND s.j > 1)", BOTH),
        ("SELECT r.id FROM r WHERE EXISTS (SELECT 1 FROM s WHERE s.k = r.k) OR r.j = 1", {"r.k -> s.k"}),
        ("SELECT r.id FROM r WHERE EXISTS (SELECT count(*) FROM s WHERE s.k = r.k)", {"r.k -> s.k"}),
        (
            "SELECT r.id FROM r WHERE EXISTS (SELECT max(s.j) FROM s WHERE s.k = r.k HAVING count(*) > 1)",
            {"r.k -> s.k"},
        ),
        ("SELECT r.id FROM r WHERE EXISTS (SELECT 1 FROM s WHERE s.k = r.k LIMIT 0)", {"r.k -> s.k"}),
        ("SELECT r.id FROM r WHERE NOT EXISTS (SELECT 1 FROM s WHERE s.k = r.k)", {"r.k -> s.k"}),
        ("SELECT r.id, (SELECT sum(s.j) FROM s WHERE s.k = r.k) AS n FROM r", {"r.k -> s.k"}),
        ("SELECT r.id FROM r WHERE r.j < (SELECT max(s.j) FROM s WHERE s.k = r.k)", {"r.k -> s.k"}),
        ("SELECT r.id FROM r WHERE r.k IN (SELECT s.k FROM s)", {"IN -> r.k", "r.k -> s.k"}),
        ("SELECT r.id FROM r WHERE r.k IN (SELECT max(s.k) FROM s)", {"IN -> r.k"}),
        (
            "SELECT r.id FROM r WHERE r.k IN (SELECT s.k FROM s GROUP BY s.k HAVING count(*) > 1)",
            {"IN -> r.k", "r.k -> s.k"},
        ),
        ("SELECT r.id FROM r WHERE r.k IN (SELECT s.k FROM s ORDER BY s.id LIMIT 3)", {"IN -> r.k"}),
        ("SELECT r.id FROM r WHERE r.k IN (SELECT s.k FROM s WHERE s.j = r.j)", {"r.k -> s.k", "r.j -> s.j"}),
        ("SELECT r.id FROM r WHERE r.k NOT IN (SELECT s.k FROM s)", set()),
        ("SELECT r.id FROM r WHERE r.k NOT IN (SELECT s.k FROM s WHERE s.j = r.j)", {"r.j -> s.j"}),
        ("SELECT r.id, r.k IN (SELECT s.k FROM s) AS q FROM r", set()),
        ("SELECT r.id FROM r WHERE r.k IN (SELECT s.k FROM s) OR r.j = 1", set()),
        (
            "SELECT r.id FROM r LEFT JOIN t ON r.j = t.j WHERE t.k IN (SELECT s.k FROM s)",
            {"r.j -> t.j", "IN -> t.k", "t.k -> s.k"},
        ),
        # derived tables
        (
            "SELECT r.id FROM r JOIN (SELECT k, count(*) AS n FROM s GROUP BY k) q ON q.k = r.k",
            {"q.k -> r.k", "r.k -> s.k"},
        ),
        ("SELECT r.id FROM r JOIN (SELECT k, max(j) AS n FROM s GROUP BY k) q ON q.n = r.k", {"q.n -> r.k"}),
        ("SELECT r.id FROM r JOIN (SELECT k, j FROM s GROUP BY ROLLUP (k, j)) q ON q.k = r.k", {"q.k -> r.k"}),
        ("SELECT r.id FROM r JOIN (SELECT DISTINCT k, j FROM s) q ON q.k = r.k", {"q.k -> r.k", "r.k -> s.k"}),
        ("SELECT r.id FROM r JOIN (SELECT k FROM s ORDER BY id LIMIT 3) q ON q.k = r.k", {"q.k -> r.k"}),
        ("SELECT r.id FROM r JOIN (SELECT k FROM s ORDER BY id OFFSET 3) q ON q.k = r.k", {"q.k -> r.k"}),
        (
            "SELECT r.id, q.n FROM r JOIN (SELECT k, rank() OVER (ORDER BY j) AS n FROM s) q ON q.k = r.k",
            {"q.k -> r.k"},
        ),
        (
            "SELECT r.id FROM r JOIN (SELECT k FROM s QUALIFY row_number() OVER (ORDER BY id) < 4) q ON q.k = r.k",
            {"q.k -> r.k"},
        ),
        ("SELECT r.id FROM r LEFT JOIN (SELECT k, count(*) AS n FROM s GROUP BY k) q ON q.k = r.k", {"r.k -> s.k"}),
        ("SELECT r.id FROM r RIGHT JOIN (SELECT k, count(*) AS n FROM s GROUP BY k) q ON q.k = r.k", {"q.k -> r.k"}),
        (
            "SELECT r.id FROM r JOIN (SELECT k FROM s UNION ALL SELECT k FROM t) q ON q.k = r.k",
            {"q.k -> r.k", "r.k -> s.k", "r.k -> t.k"},
        ),
        ("SELECT r.id FROM r JOIN (SELECT k FROM s UNION ALL SELECT x FROM t) q ON q.k = r.k", {"q.k -> r.k"}),
        ("SELECT r.id FROM r JOIN (SELECT k FROM s UNION ALL SELECT k + 0.5 FROM t) q ON q.k = r.k", {"q.k -> r.k"}),
        ("SELECT r.id FROM r JOIN (SELECT k FROM s UNION SELECT k FROM t) q ON q.k = r.k", {"q.k -> r.k"}),
        ("SELECT r.id FROM r JOIN (SELECT k FROM s EXCEPT SELECT k FROM t) q ON q.k = r.k", {"q.k -> r.k"}),
        ("SELECT r.id FROM r JOIN (SELECT s.k FROM s POSITIONAL JOIN t) q ON q.k = r.k", {"q.k -> r.k"}),
        ("SELECT r.id FROM r JOIN (SELECT t.k FROM s ASOF JOIN t ON s.id >= t.id) q ON q.k = r.k", {"q.k -> r.k"}),
        (
            "SELECT r.id FROM r JOIN (SELECT s.k, t.j FROM s LEFT JOIN t ON s.id = t.id) q ON q.k = r.k AND q.j = r.j",
            {"q.k -> r.k", "q.j -> r.j", "r.k -> s.k", "r.j -> t.j", "s.id -> t.id"},
        ),
        # common table expressions
        (
            "WITH q AS (SELECT k FROM s WHERE j > 1) SELECT r.id FROM r JOIN q ON q.k = r.k",
            {"q.k -> r.k", "r.k -> s.k"},
        ),
        ("WITH q AS (SELECT k FROM s) SELECT r.id FROM r, q a, q b WHERE a.k = r.k AND b.k = a.k", set()),
    ],
)
def test_links(plain: duckdb.DuckDBPyConnection, sql: str, expected: set[str]) -> None:
    assert shown(normalized(sql)) == expected
    check(plain, sql, random.Random(SEED))


@pytest.mark.parametrize(
    ("sql", "alias", "expected"),
    [
        ("SELECT r.id FROM r JOIN s ON r.k = s.k AND s.j > 1 WHERE r.j = 2", "r", ["r.j = 2"]),
        ("SELECT r.id FROM r JOIN s ON r.k = s.k AND s.j > 1 WHERE r.j = 2", "s", ["s.j > 1"]),
        ("SELECT r.id FROM r LEFT JOIN s ON r.k = s.k AND s.j > 1 WHERE s.k IS NULL", "s", []),
        ("SELECT r.id FROM r LEFT JOIN s ON r.k = s.k AND r.j > 1", "r", []),
        ("SELECT s.id FROM r RIGHT JOIN s ON r.k = s.k WHERE r.j = 1", "r", []),
        ("SELECT r.id FROM r WHERE r.k > random()", "r", []),
        ("SELECT r.id FROM r WHERE r.k IN (SELECT k FROM s)", "r", []),
        ("SELECT r.id FROM r ANTI JOIN s ON r.k = s.k AND s.j = 1", "s", []),
    ],
)
def test_conditions(sql: str, alias: str, expected: list[str]) -> None:
    query = normalized(sql)
    select = next(each for each in query.find_all(exp.Select))
    node = next(each for each in filters.relations(select) if each.alias_or_name == alias)
    assert [each.sql().replace('"', "") for each in conditions(Relation(alias, select, node))] == expected


class Maker:
    """Random queries in which relations are joined in every way that links look at."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._aliases = 0

    def query(self) -> str:
        body, columns = self._select(2)
        if self._rng.random() < 0.2:
            return f"SELECT count(*) AS n, sum({self._rng.choice(columns)}) AS m {body}"
        items = ", ".join(f"{each} AS c{n}" for n, each in enumerate(self._rng.sample(columns, min(3, len(columns)))))
        return f"SELECT {items}{self._scalar(columns) if self._rng.random() < 0.2 else ''} {body}"

    def _select(self, depth: int) -> tuple[str, list[str]]:
        """FROM and WHERE, and the columns in scope."""
        text, columns = self._relation(depth)
        text = f"FROM {text}"
        for _ in range(self._rng.choice((0, 1, 1, 2, 2, 3))):
            other, more = self._relation(depth)
            word = self._rng.choice(
                ["JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"]
            )
            on = self._equality(columns, more)
            if self._rng.random() < 0.3:
                on += f" AND {self._condition(columns + more, depth)}"
            text += f" {word} {other} ON {on}"
            columns = columns if word in ("SEMI JOIN", "ANTI JOIN") else columns + more
        parts = [self._condition(columns, depth) for _ in range(self._rng.choice((0, 1, 1, 2)))]
        return text + (f" WHERE {' AND '.join(parts)}" if parts else ""), columns

    def _relation(self, depth: int) -> tuple[str, list[str]]:
        alias = self._alias()
        if depth == 0 or self._rng.random() < 0.6:
            return f"{self._rng.choice(list(TABLES))} AS {alias}", [f"{alias}.{each}" for each in ("id", "k", "j")]
        return f"({self._derived(depth - 1)}) AS {alias}", [f"{alias}.k", f"{alias}.j"]

    def _derived(self, depth: int) -> str:
        """A query of the columns k and j."""
        if self._rng.random() < 0.25:
            branches = [self._derived(0) for _ in range(2)]
            return f"({branches[0]}) {self._rng.choice(['UNION ALL', 'UNION ALL', 'UNION', 'EXCEPT'])} ({branches[1]})"
        body, columns = self._select(depth)
        k, j = self._rng.choice(columns), self._rng.choice(columns)
        return self._rng.choice(
            [
                f"SELECT {k} AS k, {j} AS j {body}",
                f"SELECT {k} AS k, {j} AS j {body}",
                f"SELECT DISTINCT {k} AS k, {j} AS j {body}",
                f"SELECT {k} AS k, count({j}) AS j {body} GROUP BY {k}",
                f"SELECT {k} AS k, max({j}) AS j {body} GROUP BY {k} HAVING count(*) > 1",
                f"SELECT {k} AS k, sum({j}) AS j {body} GROUP BY GROUPING SETS (({k}), ())",
                f"SELECT max({k}) AS k, min({j}) AS j {body}",
                f"SELECT {k} AS k, count(*) OVER (PARTITION BY {j}) AS j {body}",
                f"SELECT {k} AS k, {j} + 1 AS j {body}",
                f"SELECT {k} AS k, {j} AS j {body} ORDER BY {k}, {j} LIMIT 4",
            ]
        )

    def _condition(self, columns: list[str], depth: int) -> str:
        column, roll = self._rng.choice(columns), self._rng.random()
        if roll < 0.3 or depth == 0:
            operator = self._rng.choice(["= 1", "> 2", "<= 4", "IS NULL", "IS NOT NULL", "<> 3", "IN (1, 3, 5)"])
            return f"{column} {operator}"
        if roll < 0.45:
            return f"{column} = {self._rng.choice(columns)}"
        if roll < 0.55:
            return f"({self._condition(columns, 0)} OR {self._condition(columns, depth)})"
        word = "NOT " if self._rng.random() < 0.35 else ""
        body, inside = self._select(depth - 1)
        joiner = " AND " if " WHERE " in body.rsplit(")", 1)[-1] else " WHERE "
        correlated = f"{joiner}{self._equality(columns, inside)}"
        if roll < 0.75:
            item = self._rng.choice(["1", self._rng.choice(inside), "count(*)", f"max({self._rng.choice(inside)})"])
            return f"{word}EXISTS (SELECT {item} {body}{correlated})"
        more = correlated if self._rng.random() < 0.4 else ""
        return f"{column} {word}IN (SELECT {self._rng.choice(inside)} {body}{more})"

    def _scalar(self, columns: list[str]) -> str:
        alias = self._alias()
        table = self._rng.choice(list(TABLES))
        aggregate = self._rng.choice(["count(*)", f"sum({alias}.id)", f"max({alias}.j)"])
        return f", (SELECT {aggregate} FROM {table} AS {alias} WHERE {alias}.k = {self._rng.choice(columns)}) AS q"

    def _equality(self, left: list[str], right: list[str]) -> str:
        sides = [self._rng.choice(left), self._rng.choice(right)]
        self._rng.shuffle(sides)
        return " = ".join(sides)

    def _alias(self) -> str:
        self._aliases += 1
        return f"a{self._aliases}"


def _check_all(plain: duckdb.DuckDBPyConnection, seed: int, count: int) -> None:
    tried = 0
    for index in range(count):
        rng = random.Random(f"{seed}:{index}")
        sql = Maker(rng).query()
        try:
            answer(plain, sql)
        except duckdb.Error:  # a form of correlation that DuckDB does not run
            continue
        tried += check(plain, sql, rng) > 0
    assert tried > count / 2


def test_no_link_of_random_queries_changes_the_answer(plain: duckdb.DuckDBPyConnection) -> None:
    _check_all(plain, SEED, QUERIES)


@pytest.mark.slow
def test_no_link_of_many_random_queries_changes_the_answer(plain: duckdb.DuckDBPyConnection) -> None:
    _check_all(plain, SEED + 1, QUERIES_SLOW)
