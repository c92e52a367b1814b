"""Conditions of a runtime filter: an output of a translated query must be one of many values, or lie between two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from adapters.base import Predicate
from adapters.sql.dialect import Declined, Reason, SourceDialect
from adapters.sql.expressions import OutputColumn, Scope, quoted_column
from adapters.sql.queries import translate_conjunct
from adapters.sql.scan import to_expression
from adapters.sql.types import Kind, from_arrow

_ALIAS = "q"
_MARKS = {
    Kind.INT: exp.Literal.number(1),
    Kind.DECIMAL: exp.Literal.number("1.5"),
    Kind.TEXT: exp.Literal.string("a"),
    Kind.DATE: exp.cast(exp.Literal.string("2000-01-01"), "DATE"),
    Kind.TIMESTAMP: exp.cast(exp.Literal.string("2000-01-01 00:00:00"), "TIMESTAMP"),
}
_NUMBERS = frozenset({Kind.INT, Kind.DECIMAL})
_SHAPING = ("with_", "group", "having", "distinct", "limit", "offset", "order", "windows", "qualify")


def comparable(column: pa.DataType, keys: pa.DataType) -> bool:
    """Whether DuckDB compares the two as what they are, so that a key means the same in a literal."""
    mine, other = from_arrow(column).kind, from_arrow(keys).kind
    if Kind.TIMESTAMP in (mine, other):
        return column == keys == pa.timestamp("us")
    return mine in _MARKS and (mine is other or (mine in _NUMBERS and other in _NUMBERS))


def restricted(
    dialect: SourceDialect,
    query: exp.Query,
    outputs: Sequence[OutputColumn],
    column: str,
    values: pa.Array[Any],
    *,
    members: bool,
) -> exp.Query:
    """The translated `query`, its rows restricted to those whose `column` is among the values, or with `members` off
    between the first and the last of them. The source may let more rows through. Raises Declined."""
    scope: Scope = {_ALIAS: {each.name.lower(): each for each in outputs}}
    kind = from_arrow(values.type).kind
    subject = quoted_column(column, _ALIAS)
    if members and dialect.key_array is not None and values.type == pa.uint64():
        values = values.filter(pc.less_equal(values, pa.scalar(2**63 - 1, pa.uint64())))  # no integer there is larger
    texts = _texts(values, kind)
    if members:
        pushed = translate_conjunct(dialect, exp.In(this=subject, expressions=[_MARKS[kind].copy()]), {}, scope).node
        for found in list(pushed.find_all(exp.In)):
            _fill(dialect, found, texts, kind)
    else:
        lower, upper = (_with_text(_MARKS[kind], text) for text in texts)
        between = exp.Between(this=subject, low=lower, high=upper)
        pushed = translate_conjunct(dialect, between, {}, scope).node
    # What the source takes for the same as a key comes along: more rows are allowed, and an index finds them.
    stored = {each.name: each.stored for each in outputs if each.stored is not None} if members else {}
    return _under(query, pushed, stored)


def restricted_to_rows(
    dialect: SourceDialect,
    query: exp.Query,
    outputs: Sequence[OutputColumn],
    columns: Sequence[str],
    values: Sequence[pa.Array[Any]],
) -> exp.Query:
    """The translated `query`, its rows restricted to those whose integer `columns` are together one row of the values,
    which come by column. The source may let more rows through. Raises Declined."""
    if dialect.key_rows is None:
        raise Declined(Reason.NOT_WHITELISTED, "a key of several columns")
    scope: Scope = {_ALIAS: {each.name.lower(): each for each in outputs}}
    subjects = []
    for column in columns:
        test = exp.In(this=quoted_column(column, _ALIAS), expressions=[_MARKS[Kind.INT].copy()])
        pushed = translate_conjunct(dialect, test, {}, scope).node.unnest()
        if not isinstance(pushed, exp.In):  # a column that may hold other types
            raise Declined(Reason.DYNAMIC_TYPE, column)
        subjects.append(pushed.this)
    return _under(query, dialect.key_rows(subjects, [_texts(each, Kind.INT) for each in values]), {})


def restricted_by(
    dialect: SourceDialect, query: exp.Query, outputs: Sequence[OutputColumn], predicates: Sequence[Predicate]
) -> exp.Query:
    """The translated `query`, its rows restricted by predicates over its outputs. The source may let more rows through.
    Raises Declined."""
    scope: Scope = {_ALIAS: {each.name.lower(): each for each in outputs}}
    for predicate in predicates:
        condition = to_expression(predicate)
        for column in condition.find_all(exp.Column):
            column.set("table", exp.to_identifier(_ALIAS))
        query = _under(query, translate_conjunct(dialect, condition, {}, scope).node, {})
    return query


def _texts(values: pa.Array[Any], kind: Kind) -> list[str]:
    texts = [str(each) for each in pc.cast(values, pa.string()).to_pylist()]
    if kind is Kind.TEXT and any("\0" in each for each in texts):
        raise Declined(Reason.TYPE_MISMATCH, "text with NUL")
    if kind in (Kind.DATE, Kind.TIMESTAMP) and any(
        not "0001" <= each[:4] <= "9999" or each[4] != "-" for each in texts
    ):
        raise Declined(Reason.TYPE_MISMATCH, "a year of other than four digits")
    return texts


def _fill(dialect: SourceDialect, found: exp.In, texts: list[str], kind: Kind) -> None:
    """Put the keys into a membership that was translated for one of them."""
    if kind is Kind.INT and dialect.key_array is not None:
        found.replace(dialect.key_array(found.this, texts))
        return
    mark = found.expressions[0]
    found.set("expressions", [_with_text(mark, each) for each in texts])


def _with_text(mark: exp.Expr, text: str) -> exp.Expr:
    if isinstance(mark, exp.Literal):
        return exp.Literal(this=text, is_string=mark.is_string)
    made = mark.copy()
    literal = made.find(exp.Literal)
    assert literal is not None
    literal.set("this", text)
    return made


def _under(query: exp.Query, condition: exp.Expr, stored: Mapping[str, exp.Expr]) -> exp.Query:
    """Inside the query where it only projects, so that the source sees a plain scan; around it otherwise."""
    query = query.copy()
    if isinstance(query, exp.Select) and not any(query.args.get(key) for key in _SHAPING):
        outputs = {each.alias_or_name: each.unalias() for each in query.expressions}
        if not any(each.find(exp.AggFunc, exp.Window, exp.Anonymous, exp.Query) for each in outputs.values()):
            inside = exp.paren(condition, copy=False)
            for column in list(inside.find_all(exp.Column)):
                if column.table == _ALIAS:
                    column.replace(stored.get(column.name, outputs[column.name]).copy())
            return query.where(inside.this, copy=False)
    names = [quoted_column(each.alias_or_name, _ALIAS) for each in query.selects]
    return exp.select(*names).from_(query.subquery(exp.to_identifier(_ALIAS, quoted=True))).where(condition)
