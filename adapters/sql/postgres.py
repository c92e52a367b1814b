"""The whitelist of PostgreSQL. Every line was compared with DuckDB over edge cases, and a test does it again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlglot import exp

from adapters.base import Collation, Column
from adapters.sql.common import (
    AVERAGE,
    COUNT,
    EXACT_NUMBER,
    LENGTH,
    ROUND,
    SUBSTRING,
    SUM,
    TEMPORAL,
    aggregate,
    arithmetic,
    combined,
    first,
    float_division,
    nonzero_int,
    nonzero_literal,
    pairs,
    product,
    rounded,
    same_node,
)
from adapters.sql.dialect import Signature, SourceDialect, Typed
from adapters.sql.types import BOOL, DATE, INT64, NUMERIC, TIMESTAMP, Kind, SqlType

_DATE_FIELDS = frozenset({"YEAR", "MONTH", "DAY", "QUARTER", "WEEK", "DOW", "ISODOW", "DOY"})
_TIME_FIELDS = _DATE_FIELDS | {"HOUR", "MINUTE"}
_TRUNC_UNITS = frozenset({"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"})


def _unit(allowed: frozenset[str]) -> Callable[[Typed], bool]:
    return lambda given: isinstance(given.node, exp.Var) and given.node.name.upper() in allowed


def _extract(node: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    """EXTRACT yields numeric there and BIGINT in DuckDB; of an infinite date it yields infinity, in DuckDB NULL. The
    year before 1 is -1 there, in DuckDB 0."""
    unit = node.this if isinstance(node, exp.Extract) else exp.var(node.key.upper())
    moment = given[-1].node
    part: exp.Expr = exp.cast(exp.Extract(this=unit.copy(), expression=moment), "BIGINT")
    if unit.name.upper() == "YEAR":
        before = exp.LT(this=part.copy(), expression=exp.Literal.number(0))
        one = exp.Case(ifs=[exp.If(this=before, true=exp.Literal.number(1))], default=exp.Literal.number(0))
        part = exp.Add(this=part, expression=one)
    return exp.Case(ifs=[exp.If(this=exp.func("isfinite", moment.copy()), true=part)])


def _trunc(node: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    """Of a date it would be a timestamptz in the session's zone."""
    return exp.TimestampTrunc(this=exp.cast(given[0].node, "TIMESTAMP"), unit=node.args["unit"].copy())


def _integer_division(_: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    return exp.Div(this=given[0].node, expression=given[1].node, typed=True, safe=False)


def _interval_arithmetic(node: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    return type(node)(this=exp.cast(given[0].node, "TIMESTAMP"), expression=given[1].node)


def _column(node: exp.Column, column: Column, type_: SqlType) -> Typed:
    """char(n) compares without its padding and an enum by its ordinal: both are read as the text that arrives."""
    if type_.kind is Kind.TEXT:
        source_type = column.source_type.lower()
        if source_type.startswith(("char", "bpchar")) and not source_type.startswith("character varying"):
            collation = Collation.INSENSITIVE if type_.collation is Collation.INSENSITIVE else Collation.LOCALE
            return Typed(exp.cast(node, "TEXT"), replace(type_, collation=collation), stored=node)
        if not source_type.startswith(("text", "varchar", "character varying", "name", "citext")):
            return Typed(node, SqlType(Kind.OPAQUE, nullable=type_.nullable))
        if source_type.startswith(("citext", "name")):
            return Typed(exp.cast(node, "TEXT"), replace(type_, collation=Collation.LOCALE))
    return Typed(node, type_)


def _sargable(exact: exp.Expr, column: Typed) -> exp.Expr:
    """char(n) compared as it is stored, which its indexes and statistics are about. That ignores blanks at the end of
    either side, of which the text that arrives has none: so it is the same for a literal that has none."""
    literals = exact.expressions if isinstance(exact, exp.In) else [exact.expression]
    if column.stored is None or any(each.this.endswith(" ") for each in literals):
        return exact
    same = exact.copy()
    same.set("this", column.stored.copy())
    return same


def _by_bytes(typed: Typed) -> exp.Expr | None:
    if typed.type.collation is Collation.BINARY:
        return typed.node
    if typed.type.collation is Collation.LOCALE:
        return exp.paren(exp.Collate(this=typed.node, expression=exp.to_identifier("C", quoted=True)))
    return None


def _extreme(node: exp.Expr, given: Sequence[Typed]) -> exp.Expr:
    """min and max of text go by bytes; the result keeps the collation of the column."""
    key = _by_bytes(given[0])
    if given[0].type.kind is not Kind.TEXT or key is None or key is given[0].node:
        return aggregate(node, given)
    return exp.Collate(this=type(node)(this=key), expression=exp.to_identifier("default", quoted=True))


def _extreme_operand(given: Typed) -> bool:
    if given.type.kind is Kind.TEXT:
        return given.type.collation in (Collation.BINARY, Collation.LOCALE)
    return given.type.kind in NUMERIC | TEMPORAL | {Kind.REAL, Kind.TIMESTAMPTZ}


def _like(subject: Typed, pattern: str, escape: str | None, negate: bool, insensitive: bool) -> exp.Expr | None:
    """DuckDB has no default escape character, PostgreSQL has the backslash: it is always written out."""
    if subject.type.collation not in (Collation.BINARY, Collation.LOCALE):
        return None
    kind = exp.ILike if insensitive else exp.Like
    test = kind(this=subject.node, expression=exp.Literal.string(pattern), negate=negate)
    if escape is None and "\\" not in pattern:
        return test
    return exp.Escape(this=test, expression=exp.Literal.string(escape or ""))


_NUMBERS = (NUMERIC, NUMERIC)
_EXACT = (EXACT_NUMBER, EXACT_NUMBER)
_FIELD_OF_DATE = (
    Signature((_unit(_DATE_FIELDS), TEMPORAL), INT64, _extract),
    Signature((_unit(_TIME_FIELDS), Kind.TIMESTAMP), INT64, _extract),
)
_PART = (Signature((TEMPORAL,), INT64, _extract),)
_CAST_NUMBER = (
    Signature((Kind.INT, NUMERIC), first, same_node),
    Signature((Kind.DECIMAL, NUMERIC), first, same_node),
    Signature((Kind.DOUBLE, frozenset({Kind.INT})), first, same_node),
    Signature((Kind.REAL, Kind.DOUBLE), first, same_node),
    Signature((Kind.DATE, Kind.TIMESTAMP), first, same_node),
    Signature((Kind.TIMESTAMP, Kind.DATE), first, same_node),
    Signature((Kind.INT, Kind.TEXT), first, same_node),
    Signature((Kind.DECIMAL, Kind.TEXT), first, same_node),
)


def _key_array(subject: exp.Expr, keys: Sequence[str]) -> exp.Expr:
    """One literal, which is parsed in no time however many keys it holds."""
    array = exp.cast(exp.Literal.string(f"{{{','.join(keys)}}}"), "BIGINT[]", dialect="postgres")
    return exp.EQ(this=subject, expression=exp.Any(this=exp.paren(array, copy=False)))


def _key_rows(subjects: Sequence[exp.Expr], keys: Sequence[Sequence[str]]) -> exp.Expr:
    arrays = [
        exp.cast(exp.Literal.string(f"{{{','.join(each)}}}"), "BIGINT[]", dialect="postgres", copy=False)
        for each in keys
    ]
    rows = exp.Select(expressions=[exp.Star()]).from_(exp.Unnest(expressions=arrays))
    return exp.In(this=exp.Tuple(expressions=list(subjects)), query=exp.Subquery(this=rows))


POSTGRES = SourceDialect(
    name="postgres",
    functions={
        "add": (
            Signature(_NUMBERS, arithmetic, same_node),
            Signature((Kind.DATE, Kind.INT), DATE, same_node),
            Signature((TEMPORAL, Kind.INTERVAL), TIMESTAMP, _interval_arithmetic),
        ),
        "sub": (
            Signature(_NUMBERS, arithmetic, same_node),
            Signature((Kind.DATE, Kind.INT), DATE, same_node),
            Signature((Kind.DATE, Kind.DATE), INT64, same_node),
            Signature((TEMPORAL, Kind.INTERVAL), TIMESTAMP, _interval_arithmetic),
        ),
        "mul": (Signature(_NUMBERS, product, same_node),),
        "div": (Signature((NUMERIC, nonzero_literal), Kind.DOUBLE, float_division),),
        "intdiv": (Signature((Kind.INT, nonzero_int), first, _integer_division),),
        "mod": (Signature((Kind.INT, nonzero_int), first, same_node),),
        "neg": (Signature((NUMERIC,), first, same_node),),
        "abs": (Signature((NUMERIC,), first, same_node),),
        "ceil": (Signature((Kind.DOUBLE,), Kind.DOUBLE, same_node), Signature((Kind.DECIMAL,), rounded, same_node)),
        "floor": (Signature((Kind.DOUBLE,), Kind.DOUBLE, same_node), Signature((Kind.DECIMAL,), rounded, same_node)),
        "round": ROUND,
        "dpipe": (Signature((Kind.TEXT, Kind.TEXT), combined, same_node),),
        "length": LENGTH,
        "substring": SUBSTRING,
        "replace": (Signature((Kind.TEXT, Kind.TEXT, Kind.TEXT), combined, same_node),),
        "startswith": (Signature((Kind.TEXT, Kind.TEXT), BOOL, same_node),),
        "extract": _FIELD_OF_DATE,
        "year": _PART,
        "month": _PART,
        "day": _PART,
        "quarter": _PART,
        "timestamptrunc": (Signature((TEMPORAL, _unit(_TRUNC_UNITS)), TIMESTAMP, _trunc),),
        "cast": _CAST_NUMBER,
    },
    aggregates={
        "count": COUNT,
        "sum": SUM,
        "avg": AVERAGE,
        "min": (Signature((_extreme_operand,), first, _extreme),),
        "max": (Signature((_extreme_operand,), first, _extreme),),
        "logicaland": (Signature((Kind.BOOL,), Kind.BOOL, aggregate),),
        "logicalor": (Signature((Kind.BOOL,), Kind.BOOL, aggregate),),
    },
    comparisons=pairs(*NUMERIC)
    | pairs(Kind.DATE, Kind.TIMESTAMP)
    | {(kind, kind) for kind in (Kind.TEXT, Kind.BOOL, Kind.REAL, Kind.UUID, Kind.TIMESTAMPTZ)}
    | {(Kind.REAL, Kind.DOUBLE)},
    grouping=NUMERIC | TEMPORAL | {Kind.TEXT, Kind.BOOL, Kind.REAL, Kind.UUID, Kind.TIMESTAMPTZ},
    ordering=NUMERIC | TEMPORAL | {Kind.TEXT, Kind.BOOL, Kind.REAL, Kind.TIMESTAMPTZ},
    joins=frozenset({"INNER", "LEFT", "RIGHT", "FULL", "CROSS"}),
    set_operations=frozenset({"union", "union all", "intersect", "except"}),
    aggregate_filter=True,
    offset_alone=True,
    fences=True,
    literal_collation=Collation.LOCALE,
    column=_column,
    by_bytes=_by_bytes,
    like=_like,
    sargable=_sargable,
    key_array=_key_array,
    key_rows=_key_rows,
)
