"""Comparisons and logic, in DuckDB's words."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from adapters.errors import NotSupportedError, SQLSyntaxError
from federation.pgwire.dialect.casts import Typed
from federation.pgwire.dialect.context import Context, Handlers
from federation.pgwire.dialect.errors import place
from federation.pgwire.dialect.kinds import BOOL, RECORD, TEXT, UNKNOWN
from federation.pgwire.dialect.operators import COMPARISONS, compared
from federation.pgwire.dialect.problems import WrongObject
from federation.pgwire.dialect.templates import filled, wrapped


def comparison(t: Context, node: exp.Expr) -> Typed:
    symbol, right = COMPARISONS[type(node)], node.expression
    if isinstance(right, (exp.Any, exp.All)) or _is_quantified(right):
        return _quantified(t, node)
    if isinstance(node.this, exp.Tuple) or _is_row(node.this):
        return _rows(t, node)
    one, other = compared(symbol, t.expression(node.this), t.expression(right), t.casts, node)
    return Typed(type(node)(this=wrapped(one), expression=wrapped(other)), BOOL)


def _is_row(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and str(node.name).upper() == "ROW"


def _items(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.Tuple) or _is_row(node):
        return list(node.expressions)
    raise NotSupportedError("a row is compared with a row only", position=place(node))


def _rows(t: Context, node: exp.Expr) -> Typed:
    lefts, rights = _items(node.this), _items(node.expression)
    if len(lefts) != len(rights):
        raise SQLSyntaxError("unequal number of entries in row expressions", position=place(node))
    symbol = COMPARISONS[type(node)]
    pairs = [
        compared(symbol, t.expression(a), t.expression(b), t.casts, node) for a, b in zip(lefts, rights, strict=True)
    ]
    if isinstance(node, exp.EQ):
        return Typed(
            exp.Paren(this=exp.and_(*(exp.EQ(this=wrapped(a), expression=wrapped(b)) for a, b in pairs))), BOOL
        )
    if isinstance(node, exp.NEQ):
        return Typed(
            exp.Paren(this=exp.or_(*(exp.NEQ(this=wrapped(a), expression=wrapped(b)) for a, b in pairs))), BOOL
        )
    if not isinstance(node, (exp.LT, exp.LTE, exp.GT, exp.GTE)):
        raise NotSupportedError(f"{symbol} of rows is not supported", position=place(node))
    return Typed(_ordered(symbol, pairs), BOOL)


def _ordered(symbol: str, pairs: Sequence[tuple[exp.Expr, exp.Expr]]) -> exp.Expr:
    """The first pair that is not equal decides; DuckDB's own order of rows knows no NULL."""
    one, other = pairs[0]
    if len(pairs) == 1:
        return filled(f"$1 {symbol} $2", one, other)
    return filled(f"($1 {symbol[0]} $2 OR ($1 = $2 AND $3))", one, other, _ordered(symbol, pairs[1:]))


def _is_quantified(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.upper() in ("ALL", "SOME")


def _quantified(t: Context, node: exp.Expr) -> Typed:
    """`x = ANY (array)` and `x = ANY (SELECT …)`, ALL and SOME as well."""
    right, symbol = node.expression, COMPARISONS[type(node)]
    every = isinstance(right, exp.All) or (isinstance(right, exp.Anonymous) and right.name.upper() == "ALL")
    inner = right.expressions[0] if isinstance(right, exp.Anonymous) else right.this
    while isinstance(inner, exp.Paren):
        inner = inner.this
    left = t.expression(node.this)
    quantifier = exp.All if every else exp.Any
    query = inner.unnest() if isinstance(inner, exp.Subquery) else inner
    if isinstance(query, exp.Query):
        made, columns = t.subquery(query)
        one, other = compared(symbol, left, Typed(exp.column("v"), columns[0].kind), t.casts, node)
        if not isinstance(other, exp.Column):
            raise NotSupportedError(f"{symbol} ANY over values of another type", position=place(node))
        return Typed(type(node)(this=wrapped(one), expression=quantifier(this=exp.Subquery(this=made))), BOOL)
    return _with_array(t, node, left, _array_operand(t, left, inner), quantifier)


def _array_operand(t: Context, left: Typed, node: exp.Expr) -> Typed:
    array = t.expression(node)
    if array.kind == UNKNOWN:
        return t.casts.settle(array, (TEXT if left.kind == UNKNOWN else left.kind).array())
    if not array.kind.is_array:
        raise WrongObject("op ANY/ALL (array) requires array on right side", position=place(node))
    return array


def _with_array(t: Context, node: exp.Expr, left: Typed, array: Typed, quantifier: type[exp.Expr]) -> Typed:
    symbol = COMPARISONS[type(node)]
    value = Typed(exp.column("v"), array.kind.element)
    one, other = compared(symbol, left, value, t.casts, node)
    values = array.node
    if not isinstance(other, exp.Column):
        values = filled(f"list_transform($1, lambda v: {other.sql('duckdb')})", values)
    literals = values.this if isinstance(values, exp.Cast) else values
    if isinstance(node, exp.EQ) and quantifier is exp.Any and _is_list(literals):
        return Typed(exp.In(this=wrapped(one), expressions=[each.copy() for each in literals.expressions]), BOOL)
    made = type(node)(this=wrapped(one), expression=quantifier(this=exp.Paren(this=values)))
    if isinstance(literals, exp.Array):
        return Typed(made, BOOL)
    return Typed(filled("CASE WHEN $1 IS NOT NULL THEN $2 END", values, exp.Paren(this=made)), BOOL)


def _is_list(node: exp.Expr) -> bool:
    """An array that is written out: IN over its elements is pushed down."""
    return isinstance(node, exp.Array) and bool(node.expressions) and not node.find(exp.Query)


def _in(t: Context, node: exp.In) -> Typed:
    if len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Values):
        rows = exp.select("*").from_(node.expressions[0])
        node = exp.In(this=node.this, query=exp.Subquery(this=rows))
    if isinstance(node.this, exp.Tuple):
        return _rows_in(t, node)
    left = t.expression(node.this)
    if node.args.get("query"):
        query, columns = t.subquery(node.args["query"].unnest())
        if len(columns) != 1:
            raise SQLSyntaxError("subquery has too many columns", position=place(node))
        one, other = compared("=", left, Typed(exp.column("v"), columns[0].kind), t.casts, node)
        if not isinstance(other, exp.Column):
            query = _converted(query, other)
        return Typed(exp.In(this=wrapped(one), query=exp.Subquery(this=query)), BOOL)
    if not node.expressions:
        raise SQLSyntaxError("syntax error: IN takes a list or a subquery in parentheses", position=place(node))
    members = [t.expression(each) for each in node.expressions]
    if left.kind == UNKNOWN:
        settled, _ = t.calls.matched([left, *members], "IN")
        left = settled[0]
    pairs = [compared("=", left, each, t.casts, node) for each in members]
    if any(one != pairs[0][0] for one, _ in pairs):
        return Typed(
            exp.Paren(this=exp.or_(*(exp.EQ(this=wrapped(one), expression=wrapped(other)) for one, other in pairs))),
            BOOL,
        )
    return Typed(exp.In(this=wrapped(pairs[0][0]), expressions=[other for _, other in pairs]), BOOL)


def _converted(query: exp.Query, value: exp.Expr) -> exp.Query:
    inner = exp.Subquery(
        this=query, alias=exp.TableAlias(this=exp.to_identifier("q"), columns=[exp.to_identifier("v")])
    )
    return exp.select(value).from_(inner)


def _rows_in(t: Context, node: exp.In) -> Typed:
    if node.args.get("query"):
        query, columns = t.subquery(node.args["query"].unnest())
        lefts = [t.expression(each) for each in node.this.expressions]
        if len(lefts) != len(columns):
            raise SQLSyntaxError("subquery has too many or too few columns", position=place(node))
        pairs = [
            compared("=", left, Typed(exp.column("v"), each.kind), t.casts, node)
            for left, each in zip(lefts, columns, strict=True)
        ]
        if not all(isinstance(other, exp.Column) for _, other in pairs):
            raise NotSupportedError("rows of other types in a subquery", position=place(node))
        return Typed(
            exp.In(this=exp.Tuple(expressions=[one for one, _ in pairs]), query=exp.Subquery(this=query)), BOOL
        )
    each_equal = [_rows(t, exp.EQ(this=node.this, expression=each)).node for each in node.expressions]
    return Typed(exp.Paren(this=exp.or_(*each_equal)), BOOL)


def _between(t: Context, node: exp.Between) -> Typed:
    subject, low, high = (t.expression(each) for each in (node.this, node.args["low"], node.args["high"]))
    if node.args.get("symmetric"):
        low, high = (
            Typed(
                filled(f"{name}($1, $2)", *(each.node for each in t.calls.matched([low, high], "BETWEEN")[0])), low.kind
            )
            for name in ("least", "greatest")
        )
    above, least = compared(">=", subject, low, t.casts, node)
    below, most = compared("<=", subject, high, t.casts, node)
    if above == below:
        return Typed(exp.Between(this=wrapped(above), low=wrapped(least), high=wrapped(most)), BOOL)
    return Typed(filled("$1 >= $2 AND $3 <= $4", above, least, below, most), BOOL)


def _connector(t: Context, node: exp.Connector) -> Typed:
    word = "AND" if isinstance(node, exp.And) else "OR"
    parts = [t.condition(each, word) for each in node.flatten()]
    made = exp.and_(*parts) if word == "AND" else exp.or_(*parts)
    return Typed(exp.Paren(this=made), BOOL)


def _not(t: Context, node: exp.Not) -> Typed:
    return Typed(exp.Not(this=wrapped(t.condition(node.this, "NOT"))), BOOL)


def _is(t: Context, node: exp.Is) -> Typed:
    typed = t.expression(node.this)
    test = node.expression
    if isinstance(test, exp.Null) and typed.kind == RECORD:
        raise NotSupportedError("IS NULL of a row is not supported", position=place(node))
    if isinstance(test, exp.Boolean):
        typed = Typed(t.condition(node.this, "IS TRUE" if test.this else "IS FALSE"), BOOL)
    elif not isinstance(test, exp.Null):
        raise NotSupportedError(f"{node.sql('postgres')} is not supported", position=place(node))
    elif typed.kind == UNKNOWN:
        typed = t.casts.settle(typed, TEXT)
    made: exp.Expr = exp.Is(this=wrapped(typed.node), expression=test.copy())
    return Typed(exp.Not(this=made) if node.args.get("negate") else made, BOOL)


HANDLERS: Handlers = {
    **dict.fromkeys(COMPARISONS, comparison),
    exp.In: _in,
    exp.Between: _between,
    exp.And: _connector,
    exp.Or: _connector,
    exp.Not: _not,
    exp.Is: _is,
}
