"""Fragments over two tables of edge-case rows: made at random, asked, and computed by DuckDB."""

from __future__ import annotations

import random
from collections import Counter

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from adapters.base import Column, Predicate, Table, TableName
from adapters.duck import Duck
from adapters.memory import MemoryAdapter
from adapters.sql.dialect import Reason
from adapters.sql.scan import to_expression
from catalog.model import CatalogTable, Source
from federation.local import LocalSchema
from federation.planner import filters
from federation.planner.answers import CACHED, answer
from federation.planner.nodes import Note, RemoteQuery, TableScan
from federation.planner.regions import Asked, ask, quoted_name
from tests.cache.test_domains import COLUMNS, random_predicate

SOURCE = Source("lite", "memory", MemoryAdapter("lite", {}))

SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 12))]  # of random islands


class Bench:
    """Two tables of one source, and fragments over them, computed by DuckDB."""

    def __init__(self) -> None:
        rng = random.Random("rows")
        self._duck = Duck()
        self._cursor = self._duck.cursor()
        self._local = LocalSchema(self._duck)
        size = 300
        columns = {
            name: pa.array([rng.choice([*values, None]) for _ in range(size)], type_)
            for name, (type_, values, _) in COLUMNS.items()
        }
        left = pa.table(
            {"id": pa.array(range(size), pa.int64()), "kind": [f"k{n % 5}" for n in range(size)], **columns}
        )
        right = pa.table({"k": [f"k{n}" for n in range(4)], "label": ["x", "y", "x", None]})
        self.data = {"left": left, "right": right}
        self.tables: dict[str, CatalogTable] = {}
        self.rows: dict[str, pa.Table] = {}
        for name, data in self.data.items():
            fields = tuple(Column(field.name, field.type) for field in data.schema)
            table = CatalogTable(SOURCE, Table(TableName("main", name), fields))
            identifier = self._local.identify(table)
            self.tables[identifier] = table
            self.rows[identifier] = data
        self.names = {table.table.name.name: identifier for identifier, table in self.tables.items()}

    def island(self, sql: str, *, rechecked: bool = False) -> RemoteQuery:
        """`left`, `right` are the tables; everything is qualified."""
        tree = sqlglot.parse_one(sql, read="duckdb")
        assert isinstance(tree, exp.Query)
        for table in tree.find_all(exp.Table):
            table.set("this", exp.to_identifier(self.names[table.name], quoted=True))
        schema = self._local.arrow_schema(self._local.describe(tree.sql("duckdb")))
        notes = [Note("", "rechecked", Reason.EXACT)] if rechecked else []
        read = {table.name for table in tree.find_all(exp.Table)}
        tables = tuple(self.tables[name] for name in read)
        return RemoteQuery("f0", SOURCE, schema, notes, tables, schema, query=tree)

    def ask(self, fragment: RemoteQuery | TableScan, *keys: Predicate) -> Asked | None:
        tables = {self._local.identify(table): table for table in fragment.tables}
        predicates = fragment.predicates if isinstance(fragment, TableScan) else ()
        return ask(fragment, tables, self._local, (*predicates, *keys))

    def fetched(self, fragment: RemoteQuery) -> pa.Table:
        """What the source would answer. DuckDB knows the tables by their identifiers, empty."""
        tree = fragment.query.copy()
        for table in tree.find_all(exp.Table):
            table.set("this", exp.to_identifier(f"full_{table.name}"))
        return self.run(tree.sql("duckdb"), {f"full_{name}": rows for name, rows in self.rows.items()})

    def run(self, sql: str, registered: dict[str, pa.Table]) -> pa.Table:
        return self._duck.run(self._cursor, sql, registered).read_all()

    def answered(self, asked: Asked, cached: Asked, rows: pa.Table) -> pa.Table | None:
        """The answer from the other fragment's rows, if it is said to have one."""
        region = cached.own
        made = answer(asked, region) if region is not None else None
        return self.run(made.query, {CACHED: rows}) if made is not None else None

    def close(self) -> None:
        self._duck.close()


def counted(table: pa.Table) -> Counter[str]:
    """The rows of a result; NaN is NaN, 0.0 is -0.0."""
    return Counter(str(row).replace("-0.0", "0.0") for row in zip(*(c.to_pylist() for c in table.columns), strict=True))


EXTRA = ["length(t.name) = 1", "t.number % 2 = 1", "t.ratio + 1 > 2", "t.tiny < t.number"]


def random_condition(rng: random.Random, columns: list[str]) -> str:
    column = rng.choice(columns)
    one, other = (to_expression(random_predicate(rng, column)).sql("duckdb") for _ in range(2))
    extra = rng.choice(EXTRA)
    return rng.choices([one, f"({one} OR {other})", f"NOT ({one})", extra], [8, 1, 1, 1])[0]


def random_island(rng: random.Random) -> tuple[str, list[str], str, list[str]]:
    """Outputs, conditions, what comes after them, and columns that more conditions may be about."""
    columns = rng.sample(list(COLUMNS), 2)
    conditions = [random_condition(rng, columns) for _ in range(rng.randrange(3))]
    shape = rng.random()
    if shape < 0.5:
        names = list(dict.fromkeys(["id", *rng.sample(list(COLUMNS), 7), *columns]))
        return ", ".join(f"t.{each} AS {each}" for each in names), conditions, "", names[1:]
    if shape < 0.8:
        keys = ", ".join(f"t.{each} AS g{place}" for place, each in enumerate(columns))
        having = rng.choice(["", " HAVING count(*) > 1"])
        tail = f"GROUP BY {', '.join(f't.{each}' for each in columns)}{having}"
        return f"{keys}, count(*) AS n, min(t.id) AS low", conditions, tail, columns
    return f"DISTINCT {', '.join(f't.{each} AS {each}' for each in columns)}", conditions, "", columns


def written(items: str, conditions: list[str], tail: str, *, joined: bool = False) -> str:
    source = "left AS t JOIN right AS r ON t.kind = r.k" if joined else "left AS t"
    return f"SELECT {items} FROM {source} WHERE {' AND '.join(conditions) or 'true'} {tail}"


def narrower(rng: random.Random, items: str, conditions: list[str], tail: str, columns: list[str]) -> str:
    """Less of the same: more conditions, fewer outputs, an aggregate, a head."""
    more = [random_condition(rng, columns) for _ in range(rng.randrange(3))]
    outputs = items.split(", ")
    if "GROUP" in tail or "DISTINCT" in items:
        kept = outputs if "DISTINCT" in items else rng.sample(outputs, rng.randrange(1, len(outputs) + 1))
        return written(", ".join(kept), conditions + more, tail)
    key = rng.choice(columns)
    return written(
        *rng.choice(
            [
                (", ".join(rng.sample(outputs, rng.randrange(1, len(outputs)))), conditions + more, ""),
                (items, conditions + more, f"ORDER BY {rng.choice(['t.id', 'id DESC'])} LIMIT {rng.randrange(1, 20)}"),
                (f"t.{key} AS g, count(*) AS n, max(t.id) AS high", conditions + more, f"GROUP BY t.{key}"),
                ("sum(t.id) AS total", conditions + more, ""),
                (f"DISTINCT t.{key} AS only", conditions + more, ""),
            ]
        )
    )


_COMPUTED = (exp.Length, exp.Mod, exp.Add)


def in_derived(rng: random.Random, sql: str) -> str:
    """The same, over a derived table in the place of `t`: with some of the conditions, columns that bear each other's
    names or new ones, and some that are computed there."""
    select = sqlglot.parse_one(sql, read="duckdb")
    assert isinstance(select, exp.Select)
    (table,) = [each for each in filters.relations(select) if each.alias == "t"]
    alias = table.args["alias"].name + "_" * rng.randrange(1, 9)
    parts = filters.where_conjuncts(select)
    movable = "t" not in filters.null_extended(select)  # for of the NULLs of a join nothing is computed below it
    inside = [each for each in parts if movable and filters.tables_of(each) == {"t"} and rng.random() < 0.5]
    filters.set_where(select, [each for each in parts if each not in inside])
    found = [each for each in select.find_all(*_COMPUTED) if movable and filters.tables_of(each) == {"t"}]
    computed = [each for each in found if rng.random() < 0.5]
    used = [each for each in select.find_all(exp.Column) if each.table == "t"]
    taken = list(dict.fromkeys([*(each.copy() for each in computed), *(each.copy() for each in used)]))
    names = [*(each.name for each in used), *(f"c{number}" for number in range(len(taken)))]
    outputs = dict(zip(taken, rng.sample(list(dict.fromkeys(names)), len(taken)), strict=True))
    for node in [*computed, *used]:
        if node in outputs:  # not below one that was replaced
            node.replace(exp.column(quoted_name(outputs[node]), alias))
    items = [exp.alias_(each.copy(), name, quoted=True) for each, name in outputs.items()] or [exp.column("id", "t")]
    derived = exp.select(*items).from_(table.copy())
    filters.set_where(derived, [each.copy() for each in inside])
    table.replace(exp.Subquery(this=derived, alias=exp.TableAlias(this=exp.to_identifier(alias))))
    return select.sql("duckdb")


def over(rng: random.Random, schema: pa.Schema, sql: str) -> str:
    """Less of the outputs of an island, by what only they tell: an aggregate's value, a row's place."""
    kinds = {str(type_): name for name, (type_, *_) in COLUMNS.items()}
    known = [each for each in schema if str(each.type) in kinds]
    conditions = ["true"]
    for field in rng.sample(known, min(len(known), rng.randrange(3))):
        text = to_expression(random_predicate(rng, kinds[str(field.type)])).sql("duckdb")
        conditions.append(text.replace(f't."{kinds[str(field.type)]}"', f"o.{field.name}"))
    names = schema.names
    kept = rng.sample(names, rng.randrange(1, len(names) + 1))
    picked = ", ".join(f"o.{each} AS {each}" for each in kept)
    key, other = rng.choice(names), rng.choice(names)
    items, tail = rng.choice(
        [
            (picked, ""),
            (picked, f"ORDER BY {', '.join(f'o.{each}' for each in names)} LIMIT {rng.randrange(9)}"),
            (f"DISTINCT {picked}", ""),
            (f"o.{key} AS k, count(*) AS n, min(o.{other}) AS low", f"GROUP BY o.{key}"),
            ("count(*) AS n", ""),
        ]
    )
    return f"SELECT {items} FROM ({sql}) AS o WHERE {' AND '.join(conditions)} {tail}"


def check(bench: Bench, cached: RemoteQuery, wanted: RemoteQuery) -> bool:
    """Whether one is answered from the other; then it must be the answer."""
    one, other = bench.ask(cached), bench.ask(wanted)
    assert one is not None
    assert other is not None
    found = bench.answered(other, one, bench.fetched(cached))
    if found is None:
        return False
    pair = cached.query.sql("duckdb"), wanted.query.sql("duckdb")
    true = bench.fetched(wanted)
    assert found.schema.equals(true.schema), pair
    assert counted(found) == counted(true), pair
    if wanted.query.args.get("order") and "id" in true.schema.names:
        assert found.column("id").equals(true.column("id")), pair
    return True
