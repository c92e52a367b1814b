"""A single-table scan of a source that speaks SQL: `ScanRequest` into a query of its dialect."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlglot import exp

from adapters.base import Predicate, ScanRequest, Table
from adapters.sql.dialect import Declined, SourceDialect
from adapters.sql.expressions import quoted_column
from adapters.sql.queries import table_scope, translate_conjunct

_OPERATORS: Mapping[str, type[exp.Binary]] = {
    "=": exp.EQ,
    "<>": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}


def scan_query(dialect: SourceDialect, table: Table, request: ScanRequest) -> tuple[exp.Select, tuple[Predicate, ...]]:
    """The query that answers `request` and the residual predicates. No column at all selects a constant."""
    tables = {table.name.name: table}
    scope = table_scope({"t": table})
    query = exp.Select().from_(
        exp.Table(
            this=exp.to_identifier(table.name.name, quoted=True),
            db=exp.to_identifier(table.name.schema, quoted=True) if table.name.schema else None,
            alias=exp.TableAlias(this=exp.to_identifier("t", quoted=True)),
        )
    )
    residual = []
    for predicate in request.predicates:
        try:
            pushed = translate_conjunct(dialect, to_expression(predicate), tables, scope)
        except Declined:
            residual.append(predicate)
            continue
        query = query.where(pushed.node, copy=False)
        if not pushed.exact:
            residual.append(predicate)
    names = [quoted_column(each, "t") for each in request.columns]
    query.set("expressions", names or [exp.alias_(exp.Literal.number(1), "one")])
    if request.limit is not None and not residual:
        query = query.limit(request.limit)
    return query, tuple(residual)


def to_expression(predicate: Predicate) -> exp.Expr:
    """The predicate as a DuckDB expression over the alias `t`."""
    column = exp.column(exp.to_identifier(predicate.column, quoted=True), exp.to_identifier("t"))
    if predicate.op in ("is null", "is not null"):
        test = exp.Is(this=column, expression=exp.Null())
        return test if predicate.op == "is null" else exp.Not(this=test)
    values = [literal(each) for each in predicate.values]
    if predicate.op == "in":
        return exp.In(this=column, expressions=values) if values else exp.false()
    return _OPERATORS[predicate.op](this=column, expression=values[0])


def literal(value: Any) -> exp.Expr:
    """A Python value as a DuckDB literal of the same type."""
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, (int, Decimal)):
        number = format(value.copy_abs(), "f") if isinstance(value, Decimal) else str(abs(value))
        return exp.Neg(this=exp.Literal.number(number)) if value < 0 else exp.Literal.number(number)
    if isinstance(value, float):
        text = repr(value) if math.isfinite(value) else str(value)
        return exp.cast(exp.Literal.string(text), "DOUBLE")
    if isinstance(value, datetime.datetime):
        kind = "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP"
        return exp.cast(exp.Literal.string(value.isoformat(sep=" ")), kind)
    if isinstance(value, datetime.date):
        return exp.cast(exp.Literal.string(value.isoformat()), "DATE")
    return exp.Literal.string(str(value))
