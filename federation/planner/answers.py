"""The query that answers a fragment from a cached one.

A fragment of plain rows answers every SELECT over the same relations whose rows it holds: DuckDB computes it. One that
is grouped answers those of the same grouping, with more conditions on the keys. One with a LIMIT answers itself with a
smaller one. What answers a derived table answers what asks nothing but that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.types as pt
from sqlglot import exp

from adapters.base import Predicate
from adapters.sql.scan import to_expression
from cache.domains import predicates_of
from cache.regions import Region, contains, narrowed, remainder
from federation.planner import filters
from federation.planner.derived_tables import TYPE, order_of
from federation.planner.fragments import restorable, restored, restoring, to_sql
from federation.planner.regions import Asked, Origin, Part, quoted_name, text_of

CACHED = "cached"  # the relation that holds the rows
REST = "rest"  # what was fetched of them
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
class Answer:
    """The query in DuckDB's dialect that answers from a fragment, under the name `CACHED`. `conditions` are what it
    tests on single columns of that, as far as this can be said so."""

    query: str
    conditions: tuple[Predicate, ...] = ()


def answer(asked: Asked, cached: Region) -> Answer | None:
    """None where the fragment does not hold the rows, or not what to pick them by."""
    found = _answered(asked, cached)
    return Answer(to_sql(found[0]), _conditions(found[1], cached)) if found is not None else None


def _answered(asked: Asked, cached: Region) -> tuple[exp.Select, Asked] | None:
    """The query, and that of its derived tables, or itself, which reads the fragment."""
    select = None
    if contains(cached, asked.rows):
        select = _recomputed(asked, cached)
    elif asked.own is not None and contains(cached, asked.own):
        select = _projected(asked, cached)
    if select is not None:
        return select, asked
    inner = _answered(asked.inner, cached) if asked.inner is not None else None
    return (_above(asked, inner[0]), inner[1]) if inner is not None else None


def _above(asked: Asked, derived: exp.Select) -> exp.Select:
    """The SELECT over what answers its derived table."""
    select = asked.select.copy()
    relation = select.args["from_"].this
    inner = restoring(exp.Subquery(this=derived, alias=exp.TableAlias(this=quoted_name(CACHED))), asked.types)
    relation.set("this", inner.this)
    return select


def _conditions(asked: Asked, cached: Region) -> tuple[Predicate, ...]:
    found: list[Predicate] = []
    for column, domain in asked.rows.domains.items():
        tested = cached.loose or cached.domain(column) != domain
        if tested and column in _known(asked, cached):
            found += predicates_of(cached.outputs[column], domain, asked.columns[column].column.type) or ()
    return tuple(found)


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
    sorted_ = all(text_of(each.this) in asked.own.outputs for each in order_of(asked.select))
    if parts is None or output is None or parts.column not in asked.columns or not sorted_:
        return None
    origin = asked.columns[parts.column]
    missing = predicates_of(output, parts.missing, origin.column.type)
    rows, own = (narrowed(each, parts.column, parts.held) for each in (asked.rows, asked.own))
    held = answer(replace(asked, rows=rows, own=own), cached)
    if missing is None or held is None:
        return None
    table = exp.Table(this=quoted_name(REST), alias=exp.TableAlias(this=quoted_name("t")))
    rest = exp.select("*").from_(table).where(*(to_expression(each) for each in missing))
    both = f"SELECT * FROM ({held.query}) UNION ALL {to_sql(rest)}"
    order = ", ".join(_sorted(each, asked.own) for each in order_of(asked.select))
    both = f"SELECT * FROM ({both}) ORDER BY {order}" if order else both
    return Union(both, missing, origin)


def _sorted(key: exp.Expr, own: Region) -> str:
    """The key of ORDER BY over the outputs."""
    key = key.copy()
    key.set("this", exp.column(quoted_name(own.outputs[text_of(key.this)])))
    return to_sql(key)


def _recomputed(asked: Asked, cached: Region) -> exp.Select | None:
    """The SELECT over the rows of its relations."""
    return _over(asked.select.copy(), asked, cached)


def _projected(asked: Asked, cached: Region) -> exp.Select | None:
    """Rows of what the SELECT makes of its relations."""
    select = asked.select.copy()
    for key in ("distinct", "group", "having"):
        select.set(key, None)
    kept = all(text_of(each.this) in cached.outputs for each in select.expressions)
    sorted_ = all(text_of(each.this) in cached.outputs or filters.plain(each.this) for each in order_of(select))
    if not kept or not sorted_:
        return None
    offset = select.args.get("offset")
    if offset is not None and cached.head is not None:
        select = select.offset(int(offset.expression.this) - cached.head.offset, copy=False)
    return _over(select, asked, cached)


def _over(select: exp.Select, asked: Asked, cached: Region) -> exp.Select | None:
    """The SELECT, in place, from the fragment in the place of its relations."""
    known = _known(asked, cached)
    tests = [each for each in asked.parts if _undecided(each, asked, cached)]
    tests = [each for each in tests if not each.optional or _columns(each.node) <= known]
    filters.set_where(select, [each.node.copy() for each in tests])
    select.set("from_", exp.From(this=exp.Table(this=quoted_name(CACHED))))
    select.set("joins", None)
    for holder in [*select.expressions, *order_of(select)]:
        found = cached.outputs.get(text_of(holder.this))
        if found is not None and (isinstance(holder.this, exp.Column) or not select.args.get("group")):
            holder.set("this", _column(found))
    _take_computed(select, cached)
    left = [each for each in select.find_all(exp.Column) if each.table != CACHED]
    subqueries = any(each is not select for each in select.find_all(exp.Query))
    if subqueries or not {text_of(each) for each in left} <= known:
        return None
    for column in left:
        column.replace(_column(cached.outputs[text_of(column)]))
    return select


def _take_computed(select: exp.Select, cached: Region) -> None:
    """Columns that a derived table computes come from the fragment, in place, where that holds them."""
    for node in list(select.walk()):
        type_ = node.meta.get(TYPE, "")
        found = cached.outputs.get(text_of(node)) if restorable(type_) else None
        if found is not None:
            node.replace(restored(_column(found), type_))


def _known(asked: Asked, cached: Region) -> set[str]:
    """The columns of tables that the fragment holds."""
    return {each for each in cached.outputs if each in asked.columns and _scalar(asked.columns[each].column.type)}


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
    return {text_of(each) for each in node.find_all(exp.Column)}


def _column(name: str) -> exp.Column:
    return exp.column(quoted_name(name), quoted_name(CACHED))
