"""How many rows of a query are wanted."""

from __future__ import annotations

from sqlglot import exp

from adapters.errors import NotSupportedError, TypeMismatch
from federation.pgwire.dialect.casts import firm
from federation.pgwire.dialect.context import Context
from federation.pgwire.dialect.errors import place
from federation.pgwire.dialect.kinds import INT8, UNKNOWN
from federation.pgwire.dialect.problems import InvalidLimit, InvalidOffset


def limit(t: Context, node: exp.Expr, made: exp.Expr) -> None:
    """LIMIT, OFFSET and FETCH FIRST of `node`, put into `made`."""
    limit, offset = node.args.get("limit"), node.args.get("offset")
    count: exp.Expr | None = None
    if isinstance(limit, exp.Fetch):
        options = limit.args.get("limit_options")
        if options and (options.args.get("with_ties") or options.args.get("percent")):
            raise NotSupportedError("FETCH FIRST WITH TIES is not supported", position=place(limit))
        count = limit.args.get("count") or exp.Literal.number(1)
    elif limit:
        count = limit.expression
    if count is not None and not isinstance(count, exp.Null) and count.name.upper() != "ALL":
        made.set("limit", exp.Limit(expression=_number(t, count, "LIMIT")))
    if offset and not isinstance(offset.expression, exp.Null):
        made.set("offset", exp.Offset(expression=_number(t, offset.expression, "OFFSET")))


def _number(t: Context, node: exp.Expr, word: str) -> exp.Expr:
    typed = t.expression(node)
    if typed.kind == UNKNOWN:
        typed = t.casts.settle(typed, INT8)
    if typed.kind.name not in ("int2", "int4", "int8", "numeric"):
        raise TypeMismatch(f"argument of {word} must be type bigint, not type {typed.kind.shown}", position=place(node))
    inner = typed.node.this if isinstance(typed.node, exp.Cast) else typed.node
    if isinstance(inner, exp.Neg):
        kind = InvalidLimit if word == "LIMIT" else InvalidOffset
        raise kind(f"{word} must not be negative", position=place(node))
    return inner if isinstance(inner, exp.Literal) and not inner.is_string else firm(typed)
