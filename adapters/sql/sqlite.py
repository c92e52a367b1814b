"""The whitelist of SQLite.

A column of a table that is not STRICT may hold values of any type. Reading such a value raises, so a filter may not
drop it unseen: the filter that is pushed lets it through, and DuckDB filters again.

LENGTH, SUBSTRING and LIKE stay local: SQLite's end at the first NUL character of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from adapters.base import Collation, Column
from adapters.sql.common import COUNT, aggregate, among_rows, combined, first, nonzero_int, same_node
from adapters.sql.dialect import Signature, SourceDialect, Typed
from adapters.sql.types import Kind, SqlType

_STORED_AS = {Kind.INT: ("integer",), Kind.DOUBLE: ("real", "integer"), Kind.TEXT: ("text",)}


def _column(node: exp.Column, column: Column, type_: SqlType) -> Typed:  # noqa: ARG001 - the hook's shape
    if type_.kind is Kind.TEXT and type_.collation is Collation.INSENSITIVE:
        collated = exp.Collate(this=node, expression=exp.var("BINARY"))
        return Typed(exp.paren(collated), replace(type_, collation=Collation.BINARY))
    if (
        type_.kind in (Kind.INT, Kind.DOUBLE)
        or (type_.kind is Kind.TEXT and type_.collation is Collation.BINARY)
        or (type_.kind is Kind.DATE and type_.dynamic)
    ):
        return Typed(node, type_)
    return Typed(node, SqlType(Kind.OPAQUE, nullable=type_.nullable))


def _guard(typed: Typed) -> exp.Expr | None:
    bare = typed.node.find(exp.Column)
    if bare is None:
        return None
    if typed.type.kind is Kind.DATE:
        # date() gives NULL or another text for what is not a date in ISO form.
        return exp.NullSafeNEQ(this=bare.copy(), expression=exp.func("date", bare.copy()))
    stored = exp.func("typeof", bare.copy())
    return exp.Not(this=stored.isin("null", *_STORED_AS[typed.type.kind]))


def _literal(text: str, type_: SqlType) -> exp.Expr:  # noqa: ARG001 - the hook's shape
    """Dates are stored as ISO text."""
    return exp.Literal.string(text)


_EXTREME = (Signature((frozenset({Kind.INT, Kind.DOUBLE, Kind.TEXT}),), first, aggregate),)


def _key_rows(subjects: Sequence[exp.Expr], keys: Sequence[Sequence[str]]) -> exp.Expr:
    """Its lists hold no rows, but it takes those of a VALUES."""
    listed = among_rows(subjects, keys)
    listed.set("expressions", [exp.Values(expressions=listed.expressions)])
    return listed


SQLITE = SourceDialect(
    name="sqlite",
    functions={
        "mod": (Signature((Kind.INT, nonzero_int), first, same_node),),
        "dpipe": (Signature((Kind.TEXT, Kind.TEXT), combined, same_node),),
    },
    aggregates={"count": COUNT, "min": _EXTREME, "max": _EXTREME},
    comparisons=frozenset({(Kind.INT, Kind.INT)})
    | {(Kind.DOUBLE, Kind.DOUBLE), (Kind.DOUBLE, Kind.DECIMAL), (Kind.TEXT, Kind.TEXT), (Kind.DATE, Kind.DATE)},
    grouping=frozenset({Kind.INT, Kind.DOUBLE, Kind.TEXT}),
    ordering=frozenset({Kind.INT, Kind.DOUBLE, Kind.TEXT}),
    set_operations=frozenset({"union", "union all", "intersect", "except"}),
    aggregate_filter=True,
    max_tables=60,  # 64 in one join
    scalar_subquery=False,
    literal=_literal,
    column=_column,
    guard=_guard,
    key_rows=_key_rows,
)
