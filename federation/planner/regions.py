"""Fragments as regions, and the query that answers one from another.

A fragment is brought into a form in which equal things are written alike: tables by their real names, relations called
`r0`, `r1`, …, conditions of inner joins in WHERE. What of it only says which rows are wanted becomes its region
(`cache.regions`); the rest is the text of its family.

A fragment of plain rows answers every SELECT over the same relations whose rows it holds: DuckDB computes it. One that
is grouped answers those of the same grouping, with more conditions on the keys. One with a LIMIT answers itself with a
smaller one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b

import pyarrow as pa
import pyarrow.types as pt
from sqlglot import exp

from adapters.base import Column, Predicate, Table
from adapters.sql.scan import to_expression
from cache.domains import EVERYTHING, Domain, domain_of, predicates_of
from cache.regions import Head, Region, contains, narrowed, remainder
from catalog.model import CatalogTable
from federation.planner import filters
from federation.planner.domains import DomainReader
from federation.planner.fragments import Describer, to_sql
from federation.planner.nodes import Fragment, RemoteQuery, TableScan
from federation.planner.rewriting import Context, Scope

CACHED = "cached"  # the relation that holds the rows
REST = "rest"  # what was fetched of them
_MOST_KEYS = 10_000  # more are known by their digest
_CLAUSES = frozenset("expressions distinct from_ joins where group having order limit offset".split())  # noqa: SIM905
_FORMS: Mapping[str, tuple[str, ...]] = {  # what a clause may consist of
    "distinct": (),
    "group": ("expressions",),
    "limit": ("expression",),
    "offset": ("expression",),
}
_NOT_BY_ROWS = (exp.Query, exp.Window, exp.Unnest, exp.Explode, exp.Anonymous, exp.AnonymousAggFunc)
_SCALARS = (
    pt.is_boolean,
    pt.is_integer,
    pt.is_floating,
    pt.is_decimal,
    pt.is_string,
    pt.is_binary,
    pt.is_date,
    pt.is_timestamp,
    pt.is_time,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A conjunct of WHERE: what it says of a `column`, or by itself, as `text`. An `optional` one is tested again by
    whoever asks."""

    node: exp.Expr
    text: str
    column: str | None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """A column of a table."""

    table: CatalogTable
    column: Column


@dataclass(frozen=True, slots=True)
class Asked:
    """What a fragment asks for: a `select` over the region `rows`, of plain rows. `own` is the region of what comes of
    it, None where nothing but itself can be answered from that. `columns` are those of tables."""

    rows: Region
    own: Region | None
    select: exp.Select
    parts: tuple[Part, ...]
    columns: Mapping[str, Origin]


def ask(
    fragment: Fragment, tables: Mapping[str, CatalogTable], describer: Describer, keys: Sequence[Predicate] = ()
) -> Asked | None:
    """What a fragment asks of its source, of which only rows with the `keys`, by its outputs, can matter; of a scan
    these are all its predicates. `tables` are those that it reads by their identifiers. None for what has another
    form."""
    if isinstance(fragment, TableScan):
        (scanned,) = tables.values()
        asking = _Asking(Context({"scanned": scanned}, describer))
        return asking.query(_scanning(fragment), fragment.columns, keys, loose=True, scanned=True)
    if isinstance(fragment, RemoteQuery) and isinstance(fragment.query, exp.Select):
        loose = any(note.where == "rechecked" for note in fragment.notes)
        asking = _Asking(Context(tables, describer))
        return asking.query(fragment.query.copy(), fragment.schema.names, keys, loose=loose)
    return None


def answer(asked: Asked, cached: Region) -> str | None:
    """The query in DuckDB's dialect that answers from the fragment, under the name `CACHED`; None where that does not
    hold the rows, or not what to pick them by."""
    select = None
    if contains(cached, asked.rows):
        select = _recomputed(asked, cached)
    elif asked.own is not None and contains(cached, asked.own):
        select = _projected(asked, cached)
    return to_sql(select) if select is not None else None


@dataclass(frozen=True, slots=True)
class Union:
    """Two parts that are the answer together: the query takes what there is from `CACHED`, and the `missing` rows, by
    conditions on the fragment's outputs, from `REST`. `by` is the column that tells the parts apart."""

    query: str
    missing: tuple[Predicate, ...]
    by: Origin


def unite(asked: Asked, cached: Region) -> Union | None:
    """How the fragment is a part of the answer; None where it is not, or one condition cannot say what is missing."""
    if asked.own is None:
        return None
    parts = remainder(cached, asked.own)
    output = asked.own.outputs.get(parts.column) if parts is not None else None
    sorted_ = all(_text(each.this) in asked.own.outputs for each in _order(asked.select))
    if parts is None or output is None or parts.column not in asked.columns or not sorted_:
        return None
    origin = asked.columns[parts.column]
    missing = predicates_of(output, parts.missing, origin.column.type)
    rows, own = (narrowed(each, parts.column, parts.held) for each in (asked.rows, asked.own))
    held = answer(replace(asked, rows=rows, own=own), cached)
    if missing is None or held is None:
        return None
    tests = [to_expression(each) for each in missing]
    rest = exp.select("*").from_(exp.Table(this=_name(REST), alias=exp.TableAlias(this=_name("t")))).where(*tests)
    both = f"SELECT * FROM ({held}) UNION ALL {to_sql(rest)}"
    if _order(asked.select):
        both = f"SELECT * FROM ({both}) ORDER BY {', '.join(_sorted(each, asked.own) for each in _order(asked.select))}"
    return Union(both, missing, origin)


def _sorted(key: exp.Expr, own: Region) -> str:
    """The key of ORDER BY over the outputs."""
    key = key.copy()
    key.set("this", exp.column(_name(own.outputs[_text(key.this)])))
    return to_sql(key)


# --- what a fragment asks for -----------------------------------------------------------------------------------------


def _scanning(fragment: TableScan) -> exp.Select:
    items = [exp.alias_(exp.column(_name(each), _name("t")), each, quoted=True) for each in fragment.columns]
    table = exp.Table(this=_name("scanned"), alias=exp.TableAlias(this=_name("t")))
    select = exp.Select(expressions=items).from_(table, copy=False)
    return select if fragment.limit is None else select.limit(fragment.limit, copy=False)


class _Asking:
    """Reads one fragment."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def query(
        self, select: exp.Select, names: Sequence[str], keys: Sequence[Predicate], *, loose: bool, scanned: bool = False
    ) -> Asked | None:
        """`select` is used up; its outputs have these names. It has a WHERE beside the keys, unless it is `scanned`."""
        if not _readable(select, names):
            return None
        if filters.plain_joins(select):
            filters.join_conditions_to_where(select)
        for item, name in zip(list(select.expressions), names, strict=True):
            item.replace(exp.alias_(item.unalias().copy(), name, quoted=True))
        _resolve_order(select)
        scope = Scope(select, self._context)
        reader = DomainReader(scope, lambda column: self._type(scope, column))
        conjuncts = [each for each in filters.where_conjuncts(select) if each != exp.true()]
        written = [(each, reader.read(each)) for each in conjuncts]
        origins = [(each, self._origin(scope, each)) for each in select.find_all(exp.Column)]
        self._rename(select)
        columns = {_text(column): origin for column, origin in origins if origin is not None}
        found = [_part(node, domain) for node, domain in written]
        outputs = {each.alias: each.unalias() for each in select.expressions}
        relations = _relations(select)
        if any(each.column not in outputs for each in keys):
            return None
        if keys and not scanned and not _divisible(_own(_region(relations, found, loose=False), select)):
            rows = _region(relations, found, loose=True)  # the keys are tested on what comes of them
            return Asked(rows, None, select, tuple(part for part, _ in found), columns)
        found += [_key_part(each, outputs[each.column], columns) for each in keys]
        rows = _region(relations, found, loose=loose or bool(keys))
        return Asked(rows, _own(rows, select), select, tuple(part for part, _ in found), columns)

    def _origin(self, scope: Scope, column: exp.Column) -> Origin | None:
        table = self._context.base(scope.relations.get(column.table))
        columns = table.table.columns if table is not None else ()
        found = next((each for each in columns if each.name.lower() == column.name.lower()), None)
        return Origin(table, found) if table is not None and found is not None else None

    def _type(self, scope: Scope, column: exp.Column) -> pa.DataType | None:
        found = self._origin(scope, column)
        return found.column.type if found is not None else None

    def _rename(self, select: exp.Select) -> None:
        """In place: names that do not depend on how the statement was written."""
        names: dict[str, str] = {}
        for relation in select.find_all(exp.Table, exp.Subquery):
            table = self._context.base(relation)
            if table is not None:
                relation.set("this", _name(_identity(table.table)))
            if relation.alias:
                name = names.setdefault(relation.alias, f"r{len(names)}")
                relation.args["alias"].set("this", _name(name))
        for column in select.find_all(exp.Column):
            column.set("this", _name(column.name.lower()))
            if column.table in names:
                column.set("table", _name(names[column.table]))


@lru_cache(1024)
def _identity(table: Table) -> str:
    """The table and what it looks like: a column of another type makes another table of it."""
    columns = "\0".join(f"{each.name}\0{each.type}" for each in table.columns)
    return f"{table.name.schema}\0{table.name.name}\0{blake2b(columns.encode(), digest_size=8).hexdigest()}"


def _readable(select: exp.Select, names: Sequence[str]) -> bool:
    args = select.args
    if any(value and key not in _CLAUSES for key, value in args.items()) or not args.get("from_"):
        return False
    if any(args.get(key) and not _only(args[key], known) for key, known in _FORMS.items()) or filters.volatile(select):
        return False
    counts = [args[key].expression for key in ("limit", "offset") if args.get(key)]
    if not all(isinstance(each, exp.Literal) and each.is_int for each in counts) or (counts and not args.get("limit")):
        return False
    return len({name.lower() for name in names}) == len(names) == len(select.expressions) and not select.is_star


def _only(node: exp.Expr, known: Sequence[str]) -> bool:
    return not any(value and key not in known for key, value in node.args.items())


def _resolve_order(select: exp.Select) -> None:
    """ORDER BY an output becomes one by its expression."""
    outputs = {each.alias.lower(): each.unalias() for each in select.expressions}
    for key in _order(select):
        if isinstance(key.this, exp.Column) and not key.this.table and key.this.name.lower() in outputs:
            key.set("this", outputs[key.this.name.lower()].copy())


def _part(node: exp.Expr, found: tuple[exp.Column, Domain] | None) -> tuple[Part, Domain | None]:
    """After renaming."""
    if found is None:
        return Part(node, _text(node), None), None
    return Part(node, "", _text(found[0])), found[1]


def _key_part(key: Predicate, output: exp.Expr, columns: Mapping[str, Origin]) -> tuple[Part, Domain | None]:
    text = _text(output)
    known = text in columns and len(key.values) <= _MOST_KEYS
    domain = domain_of(columns[text].column.type, key.op, key.values) if known else None
    if domain is not None:
        condition = to_expression(key).transform(lambda node: output.copy() if isinstance(node, exp.Column) else node)
        return Part(condition, "", text, optional=True), domain
    digest = blake2b(repr(key.values).encode(), digest_size=16).hexdigest()
    return Part(exp.true(), f"{text} {key.op} {digest}", None, optional=True), None


def _region(family: str, found: Sequence[tuple[Part, Domain | None]], *, loose: bool) -> Region:
    domains: dict[str, Domain] = {}
    for part, domain in found:
        if part.column is not None and domain is not None:
            domains[part.column] = domains.get(part.column, EVERYTHING) & domain
    conditions = frozenset(part.text for part, _ in found if part.column is None)
    return Region(_digest(family), {}, domains, conditions, loose=loose)


def _relations(select: exp.Select) -> str:
    joins = [_text(each) for each in select.args.get("joins") or []]
    return " ".join([_text(select.args["from_"]), *joins])


def _own(rows: Region, select: exp.Select) -> Region | None:
    """The region of the rows that the SELECT makes of those, where more conditions could be tested on them."""
    items = [each.unalias() for each in select.expressions]
    columns = [each for each in items if isinstance(each, exp.Column)]
    group, having, distinct = (select.args.get(key) for key in ("group", "having", "distinct"))
    family, head = rows.family, _head(select)
    if head is not None and rows.loose:
        return None  # how many of its rows count is not known
    if group is not None or having is not None or distinct is not None or not all(map(filters.plain, items)):
        keys = [_text(each) for each in (group.expressions if group is not None else items if distinct else [])]
        if any(each.find(*_NOT_BY_ROWS) for each in items) or (distinct and group):
            return None
        if not {_text(each) for each in columns} <= set(keys):
            return None
        family = _digest(" ".join([family, *sorted(keys), "having", _text(having) if having is not None else ""]))
    outputs = {_text(item): each.alias for item, each in zip(items, select.expressions, strict=True)}
    return Region(family, outputs, rows.domains, rows.conditions, head, loose=rows.loose)


def _divisible(own: Region | None) -> bool:
    """Whether conditions on the outputs may be tested before the SELECT makes them."""
    return own is not None and own.head is None


def _head(select: exp.Select) -> Head | None:
    limit, offset = select.args.get("limit"), select.args.get("offset")
    if limit is None:
        return None
    return Head(
        tuple(map(_text, _order(select))),
        int(limit.expression.this),
        int(offset.expression.this) if offset is not None else 0,
    )


# --- answering --------------------------------------------------------------------------------------------------------


def _recomputed(asked: Asked, cached: Region) -> exp.Select | None:
    """The SELECT over the rows of its relations."""
    return _over(asked.select.copy(), asked, cached)


def _projected(asked: Asked, cached: Region) -> exp.Select | None:
    """Rows of what the SELECT makes of its relations."""
    select = asked.select.copy()
    for key in ("distinct", "group", "having"):
        select.set(key, None)
    kept = all(_text(each.this) in cached.outputs for each in select.expressions)
    sorted_ = all(_text(each.this) in cached.outputs or filters.plain(each.this) for each in _order(select))
    if not kept or not sorted_:
        return None
    offset = select.args.get("offset")
    if offset is not None and cached.head is not None:
        select = select.offset(int(offset.expression.this) - cached.head.offset, copy=False)
    return _over(select, asked, cached)


def _over(select: exp.Select, asked: Asked, cached: Region) -> exp.Select | None:
    """The SELECT, in place, from the fragment in the place of its relations."""
    known = {each for each in cached.outputs if each in asked.columns and _scalar(asked.columns[each].column.type)}
    tests = [each for each in asked.parts if _undecided(each, asked, cached)]
    tests = [each for each in tests if not each.optional or _columns(each.node) <= known]
    filters.set_where(select, [each.node.copy() for each in tests])
    select.set("from_", exp.From(this=exp.Table(this=_name(CACHED))))
    select.set("joins", None)
    for holder in [*select.expressions, *_order(select)]:
        found = cached.outputs.get(_text(holder.this))
        if found is not None and (isinstance(holder.this, exp.Column) or not select.args.get("group")):
            holder.set("this", _column(found))
    left = [each for each in select.find_all(exp.Column) if each.table != CACHED]
    subqueries = any(each is not select for each in select.find_all(exp.Query))
    if subqueries or not {_text(each) for each in left} <= known:
        return None
    for column in left:
        column.replace(_column(cached.outputs[_text(column)]))
    return select


def _scalar(type_: pa.DataType) -> bool:
    """Whether DuckDB reads from the fragment the same type as from the table."""
    return any(test(type_) for test in _SCALARS)


def _undecided(part: Part, asked: Asked, cached: Region) -> bool:
    """Whether rows of the fragment may not fulfil the condition."""
    if cached.loose:
        return True
    if part.column is not None:
        return cached.domain(part.column) != asked.rows.domain(part.column)
    return part.text not in cached.conditions


def _columns(node: exp.Expr) -> set[str]:
    return {_text(each) for each in node.find_all(exp.Column)}


def _order(select: exp.Select) -> list[exp.Expr]:
    order = select.args.get("order")
    return order.expressions if order is not None else []


def _column(name: str) -> exp.Column:
    return exp.column(_name(name), _name(CACHED))


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _text(node: exp.Expr) -> str:
    return node.sql("duckdb", identify=True, comments=False)


def _name(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)
