"""Literals, parameters, columns, casts and arrays, in DuckDB's words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

from adapters.errors import NotSupportedError, NumericOutOfRange, SQLSyntaxError, TypeMismatch
from federation.pgwire.dialect import intervals
from federation.pgwire.dialect.casts import Typed
from federation.pgwire.dialect.context import Context, Handlers
from federation.pgwire.dialect.errors import place
from federation.pgwire.dialect.kinds import (
    ANY_NUMERIC,
    BOOL,
    FLOAT8,
    INT4,
    INT8,
    INTEGERS,
    INTERVAL,
    JSON,
    MAX_DIGITS,
    RECORD,
    UNKNOWN,
    numeric,
    of_type,
    sizes_of,
)
from federation.pgwire.dialect.session_values import keyword
from federation.pgwire.dialect.templates import cast, filled

_NO_ESCAPE = re.compile(r"[0-9a-fA-F+'\"\s]")


def _literal(t: Context, node: exp.Literal) -> Typed:
    if node.is_string:
        return Typed(node.copy(), UNKNOWN)
    text = node.this
    if text.isdigit() and int(text) < 2**63:
        return Typed(exp.Literal.number(text), INT4 if int(text) < 2**31 else INT8)
    if "e" in text.lower():
        return _scientific(t, text)
    whole, _, fraction = text.partition(".")
    if len(whole) + len(fraction) > MAX_DIGITS:
        raise NumericOutOfRange(f"a number has more than {MAX_DIGITS} digits", position=place(node))
    kind = numeric(len(whole) + len(fraction), len(fraction))
    made: exp.Expr = exp.Literal.number(f"{whole}.{fraction}" if fraction else whole or "0")
    return Typed(cast(made, kind.duckdb) if text.endswith(".") else made, kind)


def _scientific(t: Context, text: str) -> Typed:
    """1e3 is a numeric; what has too many digits for one is a float8."""
    open_ = Typed(exp.Literal.string(text), UNKNOWN)
    try:
        return t.casts.cast(open_, ANY_NUMERIC)
    except NumericOutOfRange:
        return t.casts.cast(open_, FLOAT8)


def _string(_: Context, node: exp.Expr) -> Typed:
    if isinstance(node, exp.UnicodeString):
        return Typed(exp.Literal.string(_unescaped(node)), UNKNOWN)
    return Typed(exp.Literal.string(node.this), UNKNOWN)


def _unescaped(node: exp.UnicodeString) -> str:
    """What U&'d\\0061t' means, and U&'d!0061t' UESCAPE '!'."""
    escape = node.args.get("escape")
    sign = escape.name if escape else "\\"
    if len(sign) != 1 or _NO_ESCAPE.match(sign):
        raise SQLSyntaxError("invalid Unicode escape character", position=place(node))

    def character(found: re.Match[str]) -> str:
        if found[1]:
            return sign
        code = found[2] or found[3]
        if code is None:
            hint = f"Unicode escapes must be {sign}XXXX or {sign}+XXXXXX"
            raise SQLSyntaxError("invalid Unicode escape", hint=hint, position=place(node))
        return chr(int(code, 16))

    quoted = re.escape(sign)
    try:
        text = re.sub(rf"{quoted}(?:({quoted})|([0-9a-fA-F]{{4}})|\+([0-9a-fA-F]{{6}}))?", character, node.this)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16")  # pairs become one character
    except (ValueError, OverflowError):
        text = "\0"
    if "\0" in text:
        raise SQLSyntaxError("invalid Unicode escape value", position=place(node))
    return text


def _joined(_: Context, node: exp.Concat) -> Typed:
    """'a' on one line and 'b' on the next are one string."""
    if all(isinstance(each, exp.Literal) and each.is_string for each in node.expressions):
        return Typed(exp.Literal.string("".join(each.this for each in node.expressions)), UNKNOWN)
    raise SQLSyntaxError("syntax error", position=place(node))


def _parameter(t: Context, node: exp.Parameter) -> Typed:
    return Typed(node.copy(), t.casts.parameters.get(int(node.name), UNKNOWN))


def _column(t: Context, node: exp.Column) -> Typed:
    if isinstance(node.this, exp.Star):
        raise SQLSyntaxError('syntax error at or near "*"', position=place(node))
    if not node.table and not node.this.args.get("quoted"):
        found = keyword(t, node.name.lower())
        if found is not None:
            return found
    relation = t.scope.row(node.name) if not node.table else None
    if relation is not None and not any(
        each.name.lower() == node.name.lower() for one in t.scope.relations for each in one.columns
    ):
        row = exp.Column(this=exp.Identifier(this=relation.alias.name, quoted=True))
        return Typed(row, RECORD._replace(parts=tuple((each.name, each.kind) for each in relation.columns)))
    found = t.scope.find(node)
    assert found is not None
    return found


def _cast(t: Context, node: exp.Cast) -> Typed:
    kind = of_type(node.to)
    if isinstance(node.this, exp.Array) and kind.is_array:
        items = [t.casts.cast(t.expression(each), kind.element) for each in node.this.expressions]
        if not any(isinstance(each, exp.Query) for each in node.this.expressions):
            if items:
                items, element = t.calls.matched(items, "ARRAY")
                kind = element.array()
            return Typed(cast(exp.Array(expressions=[each.node for each in items]), kind.duckdb), kind)
    inner = t.expression(node.this)
    if isinstance(inner.node, exp.Parameter) and inner.kind == UNKNOWN:
        return t.casts.settle(inner, kind)
    if inner.literal is not None and kind == INTERVAL:
        return intervals.literal(inner.literal, node)
    sizes = sizes_of(node.to) if kind.name in ("text", "bpchar") else []
    length = sizes[0] if sizes else 1 if kind.name == "bpchar" and node.to.this is exp.DType.CHAR else None
    return t.casts.cast(inner, kind, length)


def _json_literal(t: Context, node: exp.ParseJSON) -> Typed:
    return t.casts.cast(t.expression(node.this), JSON)


def _array(t: Context, node: exp.Array) -> Typed:
    items = node.expressions
    if len(items) == 1 and isinstance(items[0], exp.Query):
        query, columns = t.subquery(items[0])
        return Typed(exp.Array(expressions=[query]), columns[0].kind.array())
    operands, kind = t.calls.matched([_element(t, each) for each in items], "ARRAY")
    if not items:
        raise NotSupportedError("the type of an empty array is not known", hint="cast it: ARRAY[]::integer[]")
    made = exp.Array(expressions=[each.node for each in operands])
    return Typed(cast(made, kind.array().duckdb) if _needs_cast(operands) else made, kind.array())


def _needs_cast(operands: Sequence[Typed]) -> bool:
    """DuckDB would give an array of literals the narrowest type."""
    return any(each.loose or each.kind.name != operands[0].kind.name for each in operands) or all(
        isinstance(each.node, (exp.Null, exp.Literal)) for each in operands
    )


def _element(t: Context, node: exp.Expr) -> Typed:
    """`[1, 2]` inside ARRAY[…] is an array too."""
    if isinstance(node, exp.Bracket) and not node.this:
        return _array(t, exp.Array(expressions=node.expressions))
    return t.expression(node)


def _bracket(t: Context, node: exp.Bracket) -> Typed:
    subject = t.expression(node.this)
    if not subject.kind.is_array:
        raise TypeMismatch(
            f"cannot subscript type {subject.kind.shown} because it does not support subscripting", position=place(node)
        )
    made, kind = subject.node, subject.kind
    for index in node.expressions:
        if isinstance(index, exp.Slice):
            low = _index(t, index.this) if index.this else exp.Literal.number(1)
            high = _index(t, index.expression) if index.expression else filled("len($1)", made)
            made = filled(_SLICE, made, low, high)
            continue
        offset = _index(t, index, 1)
        template = "$2" if isinstance(offset, exp.Literal) and offset.this != "0" else "CASE WHEN $2 > 0 THEN $2 END"
        made = filled(f"list_extract($1, {template})", made, offset)
        kind = kind.element
    return Typed(made, kind, subject.loose)


_SLICE = "CASE WHEN $2 IS NOT NULL AND $3 IS NOT NULL THEN list_slice($1, greatest($2, 1), greatest($3, 0)) END"


def _index(t: Context, node: exp.Expr, offset: int = 0) -> exp.Expr:
    """sqlglot counts literal subscripts from 0."""
    if offset and isinstance(node, exp.Literal) and not node.is_string:
        return exp.Literal.number(int(node.this) + offset)
    typed = t.expression(node)
    if typed.kind == UNKNOWN:
        typed = t.casts.settle(typed, INT4)
    if typed.kind.name not in INTEGERS:
        raise TypeMismatch("array subscript must have type integer", position=place(node))
    return typed.node


def _collate(t: Context, node: exp.Collate) -> Typed:
    """Text is in the order of its bytes here: that of the collation "C"."""
    name = node.expression.name
    if name not in ("C", "POSIX", "ucs_basic", "default"):
        raise NotSupportedError(f'the collation "{name}" is not available here', position=place(node))
    return t.expression(node.this)


HANDLERS: Handlers = {
    exp.Literal: _literal,
    exp.ByteString: _string,
    exp.RawString: _string,
    exp.National: _string,
    exp.UnicodeString: _string,
    exp.Concat: _joined,
    exp.Null: lambda _, node: Typed(node.copy(), UNKNOWN),
    exp.Boolean: lambda _, node: Typed(node.copy(), BOOL),
    exp.Parameter: _parameter,
    exp.Column: _column,
    exp.Cast: _cast,
    exp.ParseJSON: _json_literal,
    exp.Interval: intervals.interval,
    exp.Array: _array,
    exp.Bracket: _bracket,
    exp.Paren: lambda t, node: t.expression(node.this),
    exp.Collate: _collate,
}
