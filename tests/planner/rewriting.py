"""Rewriting rules under test: DuckDB runs what goes in and what comes out, over rows rich in NULLs."""

from __future__ import annotations

import datetime
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import exp

from adapters.base import Column, Table, TableName
from adapters.duck import Duck
from adapters.registry import make_adapter
from catalog.constraints import read_constraint
from catalog.model import CatalogTable, Source
from federation.local import LocalSchema
from federation.normalize import normalize
from federation.planner.rewrites import Rule
from federation.planner.rewriting import Context

DAY = datetime.date(2025, 12, 31)

#: name -> (source, columns and types, rows); the column `id` is NOT NULL
TABLES: dict[str, tuple[str, dict[str, pa.DataType], list[tuple[Any, ...]]]] = {
    "a": (
        "one",
        {"id": pa.int64(), "k": pa.int32(), "x": pa.int32(), "s": pa.string(), "d": pa.date32(), "f": pa.float64()},
        [
            (1, 1, 5, "a", DAY, 0.5),
            (2, 2, None, "A", datetime.date(2026, 1, 1), float("nan")),
            (3, None, 7, None, None, None),
            (4, 5, 5, "", datetime.date(2025, 1, 1), -0.0),
            (5, 5, None, "b", None, 1e300),
        ],
    ),
    "b": (
        "two",
        {"id": pa.int64(), "k": pa.int32(), "y": pa.int64(), "s": pa.string(), "n": pa.decimal128(12, 2)},
        [
            (1, 1, 10, "a", Decimal("1.50")),
            (2, 5, None, "A", None),
            (3, None, 30, "b", Decimal("-2.25")),
            (4, 5, 40, None, Decimal("0.00")),
            (6, 7, 2**40, "zz", Decimal("9999999999.99")),
        ],
    ),
    "c": (
        "one",
        {"id": pa.int64(), "k": pa.int64(), "b": pa.bool_()},
        [(1, 1, True), (2, None, False), (3, 5, None), (4, 9, True)],
    ),
    "o25": (
        "one",
        {"id": pa.int64(), "d": pa.date32(), "v": pa.int32()},
        [(1, datetime.date(2025, 3, 1), 10), (2, DAY, None), (3, None, 30)],
    ),
    "o26": (
        "two",
        {"id": pa.int64(), "d": pa.date32(), "v": pa.int32()},
        [(4, datetime.date(2026, 1, 1), 10), (5, datetime.date(2026, 7, 1), 25), (6, None, None)],
    ),
}

CONSTRAINTS = {
    "o25": "d >= DATE '2025-01-01' AND d < DATE '2026-01-01'",
    "o26": "d >= DATE '2026-01-01' AND d < DATE '2027-01-01'",
}


class Bench:
    """The tables, as the planner knows them and as plain DuckDB holds them under the same identifiers."""

    def __init__(self, folder: Path) -> None:
        self.local = LocalSchema(Duck([]))
        self.plain = duckdb.connect()
        self.tables: dict[str, CatalogTable] = {}
        self.identifiers: dict[str, str] = {}
        sources = {
            name: Source(name, "sqlite", make_adapter(name, "sqlite", {"path": str(folder / f"{name}.db")}))
            for name in ("one", "two")
        }
        for name, (source, columns, rows) in TABLES.items():
            made = tuple(Column(column, type_, nullable=column != "id") for column, type_ in columns.items())
            table = CatalogTable(sources[source], Table(TableName("main", name), made))
            if name in CONSTRAINTS:
                table = CatalogTable(sources[source], table.table, constraint=read_constraint(CONSTRAINTS[name]))
            identifier = self.local.identify(table)
            self.tables[identifier], self.identifiers[name] = table, identifier
            data = [dict(zip(columns, row, strict=True)) for row in rows]
            arrow = pa.Table.from_pylist(data, pa.schema(list(columns.items())))  # noqa: F841 -- DuckDB reads it
            self.plain.execute(f'CREATE TABLE "{identifier}" AS SELECT * FROM arrow')

    def normalized(self, sql: str) -> exp.Query:
        query = sqlglot.parse_one(sql, read="duckdb")
        assert isinstance(query, exp.Query)
        ctes = {cte.alias for cte in query.find_all(exp.CTE)}
        for table in list(query.find_all(exp.Table)):
            if table.name in self.identifiers and table.name not in ctes:
                alias = table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(table.name))
                table.replace(exp.Table(this=exp.to_identifier(self.identifiers[table.name]), alias=alias))
        known = {identifier: self.local.columns(identifier) for identifier in self.tables}
        normalized = normalize(query, known, self.local.evaluate)
        assert normalized is not None, sql
        return normalized

    def context(self, query: exp.Query) -> Context:
        return Context(self.tables, self.local, collated=query.find(exp.Collate) is not None)

    def rewritten(self, sql: str, *rules: Rule) -> tuple[exp.Query, Context]:
        """The query after the rules; DuckDB gave the same types and rows before and after."""
        query = self.normalized(sql)
        before = query.sql("duckdb", identify=True)
        context = self.context(query)
        for rule in rules:
            query = rule(query, context)
        after = query.sql("duckdb", identify=True)
        assert self._answer(after) == self._answer(before), f"\n{before}\n{after}"
        return query, context

    def asked(self, query: exp.Query) -> set[str]:
        """The names of the tables that are left in the query."""
        return {
            self.tables[each.name].table.name.name for each in query.find_all(exp.Table) if each.name in self.tables
        }

    def shown(self, query: exp.Query) -> str:
        """The query with the tables' own names."""
        query = query.copy()
        for table in query.find_all(exp.Table):
            if table.name in self.tables:
                table.set("this", exp.to_identifier(self.tables[table.name].table.name.name))
        return query.sql("duckdb")

    def _answer(self, sql: str) -> tuple[list[tuple[str, str]], Counter[str]]:
        result = self.plain.sql(sql)
        described = [(name, str(type_)) for name, type_ in zip(result.columns, result.types, strict=True)]
        return described, Counter(map(repr, result.fetchall()))
