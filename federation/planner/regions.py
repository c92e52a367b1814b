"""Fragments as regions: what a fragment asks for, in a form in which equal things are written alike.

Tables go by their real names, relations are called `r0`, `r1`, …, conditions of inner joins stand in WHERE, derived
tables are merged. What of the fragment only says which rows are wanted becomes its region (`cache.regions`); the rest
is the text of its family. What reads one derived table that cannot be merged is answered from what answers that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import pyarrow as pa
from sqlglot import exp

from adapters.base import Column, Predicate, Table
from adapters.sql.scan import to_expression
from cache.domains import EVERYTHING, Domain, domain_of
from cache.regions import Head, Region
from catalog.model import CatalogTable
from federation.planner import filters
from federation.planner.derived_tables import derived_select, merge_derived, order_of, resolve_order
from federation.planner.domains import DomainReader
from federation.planner.fragments import Describer, restorable
from federation.planner.nodes import Fragment, RemoteQuery, TableScan
from federation.planner.rewriting import Context, Scope

MOST_KEYS = 1_000  # more are known by their digest, or not at all
_CLAUSES = frozenset("expressions distinct from_ joins where group having order limit offset".split())  # noqa: SIM905
_FORMS: Mapping[str, tuple[str, ...]] = {  # what a clause may consist of
    "distinct": (),
    "group": ("expressions",),
    "limit": ("expression",),
    "offset": ("expression",),
}
_NOT_BY_ROWS = (exp.Query, exp.Window, exp.Unnest, exp.Explode, exp.Anonymous, exp.AnonymousAggFunc)


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
    it, None where nothing but itself can be answered from that. `columns` are those of tables. `inner` is the derived
    table that is all it reads, where that can be asked for, and `types` are its outputs and their DuckDB types."""

    rows: Region
    own: Region | None
    select: exp.Select
    parts: tuple[Part, ...]
    columns: Mapping[str, Origin]
    inner: Asked | None = None
    types: Sequence[tuple[str, str]] = ()

    def regions(self) -> list[Region]:
        """What contains one of these may answer it."""
        own = [self.own] if self.own is not None else []
        return [self.rows, *own, *(self.inner.regions() if self.inner is not None else ())]


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


def _scanning(fragment: TableScan) -> exp.Select:
    alias = quoted_name("t")
    items = [exp.alias_(exp.column(quoted_name(each), alias.copy()), each, quoted=True) for each in fragment.columns]
    table = exp.Table(this=quoted_name("scanned"), alias=exp.TableAlias(this=alias))
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
        merge_derived(select, self._context.describe)
        if not _readable(select, names):
            return None
        for item, name in zip(list(select.expressions), names, strict=True):
            item.replace(exp.alias_(item.unalias().copy(), name, quoted=True))
        resolve_order(select)
        inner, types = self._inner(select)
        scope = Scope(select, self._context)
        reader = DomainReader(scope, lambda column: self._type(scope, column))
        conjuncts = [each for each in filters.where_conjuncts(select) if each != exp.true()]
        written = [(each, reader.read(each)) for each in conjuncts]
        origins = [(each, self._origin(scope, each)) for each in select.find_all(exp.Column)]
        self._rename(select)
        columns = {text_of(column): origin for column, origin in origins if origin is not None}
        found = [_part(node, domain) for node, domain in written]
        outputs = {each.alias: each.unalias() for each in select.expressions}
        relations = _relations(select)
        if any(each.column not in outputs or (scanned and len(each.values) > MOST_KEYS) for each in keys):
            return None
        if keys and not scanned and not _divisible(_own(_region(relations, found, loose=False), select)):
            rows = _region(relations, found, loose=True)  # the keys are tested on what comes of them
            return Asked(rows, None, select, tuple(part for part, _ in found), columns, inner, types)
        found += [_key_part(each, outputs[each.column], columns, optional=not scanned) for each in keys]
        rows = _region(relations, found, loose=loose or bool(keys))
        return Asked(rows, _own(rows, select), select, tuple(part for part, _ in found), columns, inner, types)

    def _inner(self, select: exp.Select) -> tuple[Asked | None, Sequence[tuple[str, str]]]:
        """The derived table that the SELECT reads and nothing else, if rows of the cache have the types of its own."""
        derived = derived_select(select.args["from_"].this)
        if derived is None or select.args.get("joins") or any(filters.own_subqueries(select)):
            return None, ()
        types = self._context.describe(derived) or ()
        if not types or not all(restorable(type_) for _, type_ in types):
            return None, ()
        return self.query(derived.copy(), [name for name, _ in types], (), loose=False), types

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
                relation.set("this", quoted_name(_identity(table.table)))
            if relation.alias:
                name = names.setdefault(relation.alias, f"r{len(names)}")
                relation.args["alias"].set("this", quoted_name(name))
        for column in select.find_all(exp.Column):
            column.set("this", quoted_name(column.name.lower()))
            if column.table in names:
                column.set("table", quoted_name(names[column.table]))


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


def _part(node: exp.Expr, found: tuple[exp.Column, Domain] | None) -> tuple[Part, Domain | None]:
    """After renaming."""
    if found is None:
        return Part(node, text_of(node), None), None
    return Part(node, "", text_of(found[0])), found[1]


def _key_part(
    key: Predicate, output: exp.Expr, columns: Mapping[str, Origin], *, optional: bool
) -> tuple[Part, Domain | None]:
    text = text_of(output)
    if len(key.values) > MOST_KEYS:
        digest = blake2b(repr(key.values).encode(), digest_size=16).hexdigest()
        return Part(exp.true(), f"{text} {key.op} {digest}", None, optional), None
    condition = to_expression(key).transform(lambda node: output.copy() if isinstance(node, exp.Column) else node)
    domain = domain_of(columns[text].column.type, key.op, key.values) if text in columns else None
    if domain is None:
        return Part(condition, text_of(condition), None, optional), None
    return Part(condition, "", text, optional), domain


def _region(family: str, found: Sequence[tuple[Part, Domain | None]], *, loose: bool) -> Region:
    domains: dict[str, Domain] = {}
    for part, domain in found:
        if part.column is not None and domain is not None:
            domains[part.column] = domains.get(part.column, EVERYTHING) & domain
    conditions = frozenset(part.text for part, _ in found if part.column is None)
    return Region(_digest(family), {}, domains, conditions, loose=loose)


def _relations(select: exp.Select) -> str:
    joins = [text_of(each) for each in select.args.get("joins") or []]
    return " ".join([text_of(select.args["from_"]), *joins])


def _own(rows: Region, select: exp.Select) -> Region | None:
    """The region of the rows that the SELECT makes of those, where more conditions could be tested on them."""
    items = [each.unalias() for each in select.expressions]
    columns = [each for each in items if isinstance(each, exp.Column)]
    group, having, distinct = (select.args.get(key) for key in ("group", "having", "distinct"))
    family, head = rows.family, _head(select)
    if head is not None and rows.loose:
        return None  # how many of its rows count is not known
    if group is not None or having is not None or distinct is not None or not all(map(filters.plain, items)):
        keys = [text_of(each) for each in (group.expressions if group is not None else items if distinct else [])]
        if any(each.find(*_NOT_BY_ROWS) for each in items) or (distinct and group):
            return None
        if not {text_of(each) for each in columns} <= set(keys):
            return None
        family = _digest(" ".join([family, *sorted(keys), "having", text_of(having) if having is not None else ""]))
    outputs = {text_of(item): each.alias for item, each in zip(items, select.expressions, strict=True)}
    return Region(family, outputs, rows.domains, rows.conditions, head, loose=rows.loose)


def _divisible(own: Region | None) -> bool:
    """Whether conditions on the outputs may be tested before the SELECT makes them."""
    return own is not None and own.head is None


def _head(select: exp.Select) -> Head | None:
    limit, offset = select.args.get("limit"), select.args.get("offset")
    if limit is None:
        return None
    return Head(
        tuple(map(text_of, order_of(select))),
        int(limit.expression.this),
        int(offset.expression.this) if offset is not None else 0,
    )


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def text_of(node: exp.Expr) -> str:
    return node.sql("duckdb", identify=True, comments=False)


def quoted_name(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)
