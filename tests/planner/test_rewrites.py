"""All rules together and one by one, on random queries over rows rich in NULLs: DuckDB gives the same types and rows
before and after.
"""

from __future__ import annotations

import random

import pytest

from federation.planner.rewrites import RULES, Rule
from tests.planner.rewriting import TABLES, Bench

SEED = 7
QUERIES = 200
QUERIES_SLOW = 5_000

_LITERALS = {
    "int32": ["1", "5", "7", "2.5", "-1", "NULL", "1 + 4"],
    "int64": ["1", "2", "4", "40", "5.0", "NULL"],
    "string": ["'a'", "'A'", "'b'", "''", "NULL"],
    "date32": ["DATE '2025-12-31'", "'2026-01-01'", "DATE '2025-03-01'", "TIMESTAMP '2025-12-31 12:00:00'"],
    "double": ["0.5", "0", "-0.0", "1e300", "'nan'::DOUBLE"],
    "decimal128": ["1.5", "0", "-2.25"],
    "bool": ["true", "false"],
}


class Maker:
    """One random query from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._aliases = 0

    def query(self) -> str:
        kind = self._random.random()
        if kind < 0.25:
            return self._over_union()
        if kind < 0.4:
            operation = self._random.choice(["UNION ALL", "UNION ALL", "UNION", "INTERSECT", "EXCEPT"])
            return f"{self._keys()} {operation} {self._keys()}"
        return self._select()

    def _pick(self, *choices: str) -> str:
        return self._random.choice(choices)

    def _relation(self) -> tuple[str, dict[str, str]]:
        """A relation with its alias, and its qualified columns with their kinds."""
        alias = f"r{self._aliases}"
        self._aliases += 1
        if self._random.random() < 0.2:
            return f"({self._union()}) AS {alias}", {f"{alias}.id": "int64", f"{alias}.q": "int32"}
        name = self._pick(*TABLES)
        columns = {f"{alias}.{column}": _kind(str(type_)) for column, type_ in TABLES[name][1].items()}
        return f"{name} AS {alias}", columns

    def _union(self) -> str:
        branches = [self._keys() for _ in range(self._random.randint(2, 3))]
        return f" {self._pick('UNION ALL', 'UNION ALL', 'UNION')} ".join(branches)

    def _keys(self) -> str:
        """A SELECT of two columns that fit those of any other."""
        name = self._pick("a", "b", "c", "o25", "o26")
        value = {"a": "x", "b": "k", "c": "k", "o25": "v", "o26": "v"}[name]
        alias = f"r{self._aliases}"
        self._aliases += 1
        columns = {f"{alias}.{column}": _kind(str(type_)) for column, type_ in TABLES[name][1].items()}
        where = f" WHERE {self._condition(columns)}" if self._random.random() < 0.4 else ""
        return f"SELECT {alias}.id AS id, {alias}.{value} AS q FROM {name} AS {alias}{where}"

    def _over_union(self) -> str:
        union = self._union()
        columns = {"u.id": "int64", "u.q": "int32"}
        where = f" WHERE {self._condition(columns)}" if self._random.random() < 0.6 else ""
        aggregate = self._pick("count(*)", "sum(u.q)", "min(u.id)", "avg(u.q)", "max(u.q)", "count(u.q)", "u.id")
        if aggregate == "u.id":
            return f"SELECT u.id, u.q FROM ({union}) AS u{where}"
        if self._random.random() < 0.5:
            return f"SELECT {aggregate} AS n, count(*) AS m FROM ({union}) AS u{where}"
        return f"SELECT u.q AS k, {aggregate} AS n FROM ({union}) AS u{where} GROUP BY u.q"

    def _select(self) -> str:
        relation, columns = self._relation()
        text = relation
        for _ in range(self._random.randint(0, 2)):
            other, more = self._relation()
            join = self._pick("JOIN", "JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN")
            on = [self._equality(columns, more)]
            if self._random.random() < 0.4:
                on.append(self._condition(more))
            columns |= more
            text += f" {join} {other} ON {' AND '.join(on)}"
        where = f" WHERE {self._condition(columns)}" if self._random.random() < 0.9 else ""
        if self._random.random() < 0.3:
            return f"SELECT count(*) AS n, max({next(iter(columns))}) AS m FROM {text}{where}"
        chosen = self._random.sample(sorted(columns), min(3, len(columns)))
        items = ", ".join(f"{column} AS c{number}" for number, column in enumerate(chosen))
        return f"SELECT {items} FROM {text}{where}"

    def _equality(self, left: dict[str, str], right: dict[str, str]) -> str:
        pairs = [(a, b) for a, kind in left.items() for b, other in right.items() if _family(kind) == _family(other)]
        alike = [pair for pair in pairs if left[pair[0]] == right[pair[1]]]
        a, b = self._random.choice(alike or pairs)
        return f"{a} = {b}"

    def _condition(self, columns: dict[str, str]) -> str:
        parts = [self._part(columns) for _ in range(self._random.randint(1, 3))]
        return " AND ".join(parts)

    def _part(self, columns: dict[str, str]) -> str:
        if self._random.random() < 0.15:
            return f"(({self._condition(columns)}) OR ({self._condition(columns)}))"
        if self._random.random() < 0.1:
            return f"NOT ({self._part(columns)})"
        column = self._random.choice(sorted(columns))
        literals = _LITERALS[columns[column]]
        one, two = self._random.choice(literals), self._random.choice(literals)
        operator = self._pick("=", "=", "<", "<=", ">", ">=", "<>")
        return self._pick(
            f"{column} {operator} {one}",
            f"{column} {operator} {one}",
            f"{one} {operator} {column}",
            f"{column} BETWEEN {one} AND {two}",
            f"{column} IN ({one}, {two})",
            f"{column} NOT IN ({one}, {two})",
            f"{column} IS NULL",
            f"{column} IS NOT NULL",
            f"{column} IN (SELECT {column} WHERE {one} = {two})",
            self._pick("1 = 0", "true", "NULL", "'a' < 'b'"),
        )


def _kind(type_: str) -> str:
    return type_.split("(")[0].split("[")[0]


def _family(kind: str) -> str:
    return "int" if kind.startswith("int") else kind


def _check(bench: Bench, seed: int, rules: tuple[Rule, ...]) -> bool:
    """Whether the rules changed something."""
    sql = Maker(seed).query()
    before = bench.shown(bench.normalized(sql))
    query, _ = bench.rewritten(sql, *rules)
    return bench.shown(query) != before


def test_all_rules_together(bench: Bench) -> None:
    rules = tuple(rule for _, rule in RULES)
    changed = sum(_check(bench, SEED + number, rules) for number in range(QUERIES))
    assert changed > QUERIES / 3


# The random queries have no LIMIT over a LEFT JOIN: `test_topn_joins.py`.
@pytest.mark.parametrize("name", sorted({str(name) for name, _ in RULES} - {"topn_joins"}))
def test_each_rule_alone(bench: Bench, name: str) -> None:
    rules = tuple(rule for each, rule in RULES if each == name)
    changed = sum(_check(bench, 10_000 + number, rules) for number in range(QUERIES // 3))
    assert changed > 0


@pytest.mark.slow
def test_the_long_run(bench: Bench) -> None:
    rules = tuple(rule for _, rule in RULES)
    for number in range(QUERIES_SLOW):
        _check(bench, 100_000 + number, rules)
