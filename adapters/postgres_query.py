"""From an island to the statements that fetch it: every output column cast, and a large table read in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
from sqlglot import exp

from adapters.base import Column, TableName
from adapters.postgres_packed import SOON_PAGES, Packed, codes
from adapters.postgres_schema import Described
from adapters.postgres_types import SCALED_DIGITS, Misfit, Travel, travel

SPLIT_PAGES = 4000  # a table below it is read by one connection
SPLIT_PARTS = 4
REPEATED = 10_000  # characters of a condition that each of many statements may repeat
_BLOCKING = (
    "group",
    "having",
    "distinct",
    "limit",
    "offset",
    "order",
    "windows",
    "qualify",
    "joins",
    "laterals",
    "with_",
)
_NOT_BY_ROW = (exp.AggFunc, exp.Window, exp.Query, exp.Fetch)


@dataclass(frozen=True, slots=True)
class Fetch:
    """An island, its statements and what to do with their answers: the columns of `schema`, then a truth value for each
    misfit."""

    island: str
    sqls: tuple[str, ...]
    schema: pa.Schema
    columns: tuple[Travel, ...]
    misfits: tuple[tuple[int, Misfit], ...]  # the column it is about
    packed: Packed | None = None

    def statements(self) -> Iterable[str]:
        return self.packed.statements() if self.packed else self.sqls


@dataclass(frozen=True, slots=True)
class Part:
    """The pages from `start` to before `stop` (None: to the end); `pieces` are queries for the same."""

    query: exp.Query
    start: int
    stop: int | None
    pieces: tuple[exp.Query, ...]


def fetches(query: exp.Query, schema: pa.Schema, parts: Sequence[Part]) -> tuple[pa.Schema, list[Fetch]] | None:
    """None when a wanted type cannot be had. The schema of the answer is the wanted one, modulo decimal width."""
    travels = [travel(field.type) for field in schema]
    columns = tuple(each for each in travels if each is not None)
    if len(columns) != len(travels):
        return None
    arriving = pa.schema([field.with_type(each.type) for field, each in zip(schema, columns, strict=True)])
    names = [f"c{number}" for number in range(max(len(columns), 1))]
    selected = [each.select(f"q.{name}") for each, name in zip(columns, names, strict=False)]
    misfits = []
    for number, each in enumerate(columns):
        for condition, misfit in each.misfits:
            selected.append(condition.format(f"q.c{number}"))
            misfits.append((number, misfit))
    made = []
    for whole, pieces in [(each.query, each.pieces) for each in parts] or [(query, (query,))]:
        islands = [each.sql("postgres") for each in pieces]
        sqls = tuple(f"SELECT {', '.join(selected)} FROM ({each}) AS q ({', '.join(names)})" for each in islands)
        made.append(Fetch(whole.sql("postgres"), sqls, arriving, columns, tuple(misfits)))
    return arriving, made


def blame_sql(fetch: Fetch) -> str | None:
    """The number of a column with a value that no scaled int8 holds, NaN included; None when no column is scaled."""
    bad = {
        number: f"NOT abs(q.c{number}::numeric) < 1e{SCALED_DIGITS - each.type.scale}"
        for number, each in enumerate(fetch.columns)
        if each.scaled
    }
    if not bad:
        return None
    names = ", ".join(f"c{number}" for number in range(len(fetch.columns)))
    cases = " ".join(f"WHEN {condition} THEN {number}" for number, condition in bad.items())
    where = " OR ".join(bad.values())
    return f"SELECT CASE {cases} END FROM ({fetch.island}) AS q ({names}) WHERE {where} LIMIT 1"


def tables_of(query: exp.Query, default_schema: str) -> list[tuple[exp.Table, TableName]]:
    """The tables that a query names, without its common table expressions."""
    common = {cte.alias for cte in query.find_all(exp.CTE)}
    found = []
    for node in query.find_all(exp.Table):
        if isinstance(node.this, exp.Identifier) and (node.db or node.name not in common):
            found.append((node, TableName(node.db or default_schema, node.name)))
    return found


def with_stand_ins(query: exp.Query, described: Callable[[TableName], Described], schema: str) -> exp.Query:
    """The same query, in which columns of types without operators are read cast to the type they arrive as."""
    for node, name in tables_of(query, schema):
        table = described(name)
        if table.stand_ins:
            columns = [_read(column.name, table.stand_ins.get(column.name)) for column in table.table.columns]
            bare = exp.table_(name.name, db=name.schema, quoted=True)
            alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name.name, quoted=True))
            node.replace(exp.Subquery(this=exp.select(*columns).from_(bare), alias=alias.copy()))
    return query


def _read(name: str, stand_in: str | None) -> exp.Expr:
    column = exp.column(exp.to_identifier(name, quoted=True))
    return exp.alias_(exp.cast(column, stand_in), name, quoted=True) if stand_in else column


def split(query: exp.Query, pages: int | None) -> list[Part]:
    """The query once for each range of pages; empty when it does not go row by row over one large table."""
    node = _only_table(query)
    if pages is None or pages < SPLIT_PAGES or node is None:
        return []
    alias = node.alias_or_name
    step = -(-pages // SPLIT_PARTS)
    parts = []
    for first in range(0, pages, step):
        # Without an end the last one also takes what was added after the pages were counted.
        last = None if first + step >= pages else first + step
        part = _between(query, alias, first, last)
        pieces: tuple[exp.Query, ...] = (part,)
        if not first:
            pieces = (_between(query, alias, 0, SOON_PAGES), _between(query, alias, SOON_PAGES, last))
        parts.append(Part(part, first, last, pieces))
    return parts


def _between(query: exp.Query, alias: str, first: int, last: int | None) -> exp.Query:
    part = query.copy()
    assert isinstance(part, exp.Select)
    if first:
        part.where(exp.GTE(this=_ctid(alias), expression=_tid(first)), copy=False)
    if last is not None:
        part.where(exp.LT(this=_ctid(alias), expression=_tid(last)), copy=False)
    return part


def pack(query: exp.Query, made: Sequence[Fetch], parts: Sequence[Part], table: Described) -> list[Fetch]:
    """The same parts, whole columns at once, when all columns can be joined."""
    node = _only_table(query)
    if node is None or table.pages is None:
        return list(made)
    declared = [_declared(each, table) for each in query.selects]
    packed = codes(made[0].columns, declared, with_texts=table.texts_in_pages)
    if packed is None:
        return list(made)
    with_page = query.copy()
    assert isinstance(with_page, exp.Select)
    island = with_page.select(_ctid(node.alias_or_name), copy=False).sql("postgres")
    nullable = tuple(each is None or each.nullable for each in declared)
    filtered = query.args.get("where") is not None
    if filtered and len(island) > REPEATED:  # the keys of a runtime filter
        return list(made)
    return [
        replace(fetch, packed=Packed(island, packed, nullable, filtered, part.start, part.stop, table.pages))
        for fetch, part in zip(made, parts, strict=True)
    ]


def _declared(selected: exp.Expr, table: Described) -> Column | None:
    """None for what is computed."""
    column = selected.unalias()
    if not isinstance(column, exp.Column):
        return None
    return next((each for each in table.table.columns if each.name == column.name), None)


def _ctid(alias: str) -> exp.Expr:
    return exp.column("ctid", table=exp.to_identifier(alias, quoted=True))


def _tid(page: int) -> exp.Expr:
    kind = exp.DataType(this=exp.DataType.Type.USERDEFINED, kind="tid")
    return exp.Cast(this=exp.Literal.string(f"({page},0)"), to=kind)


def _only_table(query: exp.Query) -> exp.Table | None:
    if not isinstance(query, exp.Select) or any(query.args.get(key) for key in _BLOCKING):
        return None
    source = query.args.get("from_")
    node = source.this if source is not None else None
    if not isinstance(node, exp.Table) or node.args.get("joins"):
        return None
    return None if any(each is not query for each in query.find_all(*_NOT_BY_ROW)) else node
