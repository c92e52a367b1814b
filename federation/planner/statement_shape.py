"""Statements that differ in nothing but the keys that they look up have one shape, and one plan.

In general a constant decides how a query is planned: whether its conditions can hold, which rule of a source's dialect
serves it. Not so the integer or the word that a column of the only table is equal to, where no other condition is about
that column: every other integer or word makes the same plan.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.types as pt
from sqlglot import exp

from adapters.base import SupportsQuery
from catalog.model import CatalogTable
from federation.native import is_native
from federation.parameters import PARAMETER
from federation.planner import filters
from federation.planner.fragments import to_sql
from federation.planner.nodes import Plan, RemoteQuery

_INTEGER = re.compile(r"0|[1-9][0-9]{0,8}")  # DuckDB's INTEGER, whatever it is
_WORD = re.compile(r"[A-Za-z0-9_-]{1,100}")  # nothing that a dialect escapes, pads or folds
_STAND_INS = {False: "0", True: "x"}  # keys themselves, so that equal texts have their keys in the same places


LookupKeys = tuple[tuple[str, bool], ...]
"""As written, and whether it is text."""


@dataclass(frozen=True, slots=True)
class Shape:
    """`text` is the query in DuckDB's dialect, with stand-ins for the `keys`. `parameters` names the placeholders that
    they were put in for, None where the statement has the key itself."""

    text: str
    keys: LookupKeys = ()
    parameters: tuple[str | None, ...] = field(default=(), compare=False)


def key_of(value: Any) -> tuple[str, bool] | None:
    """A parameter as the key that it is where it is looked up; None for one that is never such a key."""
    if type(value) is int and _INTEGER.fullmatch(str(value)):
        return str(value), False
    return (value, True) if type(value) is str and _WORD.fullmatch(value) else None


def shape_of(query: exp.Query, tables: Mapping[str, CatalogTable]) -> Shape:
    """Of a bound query, in which `tables` have identifiers. A query without keys is a shape of its own."""
    literals = _keys(query, tables)
    found = tuple((each.this, each.is_string) for each in literals)
    parameters = tuple(each.meta.get(PARAMETER) for each in literals)
    for each, (_, is_text) in zip(literals, found, strict=True):
        each.set("this", _STAND_INS[is_text])
    try:
        return Shape(to_sql(query), found, parameters)
    finally:
        for each, (key, _) in zip(literals, found, strict=True):
            each.set("this", key)


def takes_other_keys(plan: Plan, keys: LookupKeys) -> bool:
    """Whether every key stands in one place of the plan, which is one remote query."""
    if len(plan.fragments) != 1 or plan.sql is not None or len(set(keys)) < len(keys):
        return False
    (fragment,) = plan.fragments
    if not isinstance(fragment, RemoteQuery) or fragment.asked is not fragment.translated.query:
        return False
    for query in (fragment.query, fragment.asked):
        places = Counter((each.this, each.is_string) for each in query.find_all(exp.Literal))
        if any(places[key] != 1 for key in keys):
            return False
    return True


def with_keys(plan: Plan, old: LookupKeys, new: LookupKeys) -> Plan | None:
    """The plan for other keys; None where the adapter declines."""
    (fragment,) = plan.fragments
    assert isinstance(fragment, RemoteQuery)
    others = dict(zip(old, new, strict=True))
    asked = _with_others(fragment.asked, others)
    adapter = fragment.source.adapter
    assert isinstance(adapter, SupportsQuery)
    scan = adapter.plan_query(asked, fragment.wanted)
    if scan is None or scan.schema != fragment.schema:
        return None
    query, translated = _with_others(fragment.query, others), replace(fragment.translated, query=asked)
    fragments = [replace(fragment, scan=scan, query=query, translated=translated, asked=asked, notes=[])]
    return replace(plan, fragments=list(fragments), notes=list(plan.notes))


def _keys(query: exp.Query, tables: Mapping[str, CatalogTable]) -> list[exp.Literal]:
    if not isinstance(query, exp.Select) or len(tables) != 1 or len(list(query.find_all(exp.Table, exp.Query))) != 2:
        return []
    (table,) = tables.values()
    if is_native(table) or table.constraint:
        return []
    alias = next(query.find_all(exp.Table)).alias_or_name.lower()
    types = {column.name.lower(): column.type for column in table.table.columns}
    conditions = filters.where_conjuncts(query)
    named = Counter(column.name.lower() for each in conditions for column in each.find_all(exp.Column))
    found = []
    for each in conditions:
        column, literal = each.this, each.expression
        if not isinstance(each, exp.EQ) or not isinstance(column, exp.Column) or not isinstance(literal, exp.Literal):
            continue
        kind = types.get(column.name.lower())
        if kind is None or column.table.lower() not in ("", alias) or named[column.name.lower()] > 1:
            continue
        if _is_key(literal, kind):
            found.append(literal)
    return found


def _is_key(literal: exp.Literal, kind: pa.DataType) -> bool:
    if literal.is_string:
        return pt.is_string(kind) and _WORD.fullmatch(literal.this) is not None
    return pt.is_integer(kind) and _INTEGER.fullmatch(literal.this) is not None


def _with_others(query: exp.Query, others: Mapping[tuple[str, bool], tuple[str, bool]]) -> exp.Query:
    made = query.copy()
    for each in made.find_all(exp.Literal):
        other = others.get((each.this, each.is_string))
        if other is not None:
            each.set("this", other[0])
    return made
