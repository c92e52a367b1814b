"""Calls that no row of a table can say: those with words between their operands, or with operands of one kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sqlglot import exp

from adapters.errors import NotSupportedError, SQLSyntaxError
from federation.pgwire.dialect import aggregates, formats, json_operators, patterns, session_values, times
from federation.pgwire.dialect.casts import Typed, firm
from federation.pgwire.dialect.context import Context, Handlers, operands_of
from federation.pgwire.dialect.errors import no_function, place
from federation.pgwire.dialect.function_table import SCALARS, WINDOWS
from federation.pgwire.dialect.kinds import (
    BOOL,
    INT4,
    INT8,
    INTEGERS,
    TEXT,
    TEXTS,
    TIMESTAMPTZ,
    UNKNOWN,
    as_numeric,
    by_name,
    is_type,
    numeric,
)
from federation.pgwire.dialect.operators import arithmetic, compared, decimal, power
from federation.pgwire.dialect.problems import InvalidArguments
from federation.pgwire.dialect.templates import call, cast, filled


def function(t: Context, node: exp.Anonymous) -> Typed:
    """A call by its name. Raises FunctionNotFound."""
    this = node.this
    name = this.name if isinstance(this, exp.Identifier) else str(this).lower()
    if name in _FUNCTIONS:
        return _FUNCTIONS[name](t, node)
    if not node.expressions and (found := session_values.function(t, name)) is not None:
        return found
    if name in SCALARS:
        return t.calls.call(name, SCALARS, [t.expression(each) for each in node.expressions], node)
    if name in aggregates.NAMES or name in WINDOWS:
        return aggregates.function(t, name, node)
    if len(node.expressions) == 1 and is_type(name):
        return t.casts.cast(t.expression(node.expressions[0]), by_name(name))  # int4(x) is a cast
    raise no_function(name, [t.expression(each).kind for each in node.expressions], node)


def _qualified(t: Context, node: exp.Dot) -> Typed:
    """pg_catalog.f(x) is f(x)."""
    if isinstance(node.this, exp.Identifier) and isinstance(node.expression, exp.Func):
        if node.this.name.lower() == "pg_catalog":
            return t.expression(node.expression)
        raise no_function(f"{node.this.name}.{node.expression.name}", [], node)
    raise NotSupportedError(f"{node.sql('postgres')} is not supported", position=place(node))


# --- one of several values -----------------------------------------------------------------------------------------


def _coalesce(t: Context, node: exp.Coalesce) -> Typed:
    operands, kind = t.calls.matched([t.expression(each) for each in (node.this, *node.expressions)], "COALESCE")
    made = exp.Coalesce(this=operands[0].node, expressions=[each.node for each in operands[1:]])
    return Typed(made, kind, any(each.loose for each in operands))


def _case(t: Context, node: exp.Case) -> Typed:
    subject = t.expression(node.this) if node.this else None
    whens = [_when(t, subject, each, node) for each in node.args["ifs"]]
    values = [t.expression(each.args["true"]) for each in node.args["ifs"]]
    values.append(t.expression(node.args["default"]) if node.args.get("default") else Typed(exp.Null(), UNKNOWN))
    settled, kind = t.calls.matched(values, "CASE")
    ifs = [exp.If(this=when, true=value.node) for when, value in zip(whens, settled, strict=False)]
    default = settled[-1].node if node.args.get("default") else None
    return Typed(exp.Case(ifs=ifs, default=default), kind, any(each.loose for each in settled))


def _when(t: Context, subject: Typed | None, branch: exp.If, node: exp.Case) -> exp.Expr:
    if subject is None:
        return t.condition(branch.this, "CASE/WHEN")
    one, other = compared("=", subject, t.expression(branch.this), t.casts, node)
    return filled("$1 = $2", one, other)


def _nullif(t: Context, node: exp.Nullif) -> Typed:
    left, right = t.expression(node.this), t.expression(node.expression)
    if left.kind == UNKNOWN:
        left = t.casts.settle(left, TEXT if right.kind == UNKNOWN else right.kind)
    one, other = compared("=", left, right, t.casts, node)
    if one == left.node:
        return Typed(exp.Nullif(this=one, expression=other), left.kind, left.loose)
    return Typed(filled("CASE WHEN $1 = $2 THEN NULL ELSE $3 END", one, other, left.node), left.kind, left.loose)


def _extreme(name: str) -> Callable[[Context, exp.Anonymous], Typed]:
    def handler(t: Context, node: exp.Anonymous) -> Typed:
        operands, kind = t.calls.matched(operands_of(t, node, 1, 1000), name.upper())
        return Typed(call(name, [each.node for each in operands]), kind, any(each.loose for each in operands))

    return handler


# --- text ----------------------------------------------------------------------------------------------------------


def _shown(t: Context, typed: Typed) -> exp.Expr:
    """The value as it is shown to a client: of a boolean only the first letter."""
    if typed.kind == BOOL:
        return filled("CASE WHEN $1 THEN 't' WHEN NOT $1 THEN 'f' END", typed.node)
    return t.casts.settle(typed, TEXT).node if typed.kind == UNKNOWN else t.casts.text(typed)


def _concat(t: Context, node: exp.Anonymous) -> Typed:
    return Typed(call("concat", [_shown(t, each) for each in operands_of(t, node, 1, 1000)]), TEXT)


def _concat_ws(t: Context, node: exp.Anonymous) -> Typed:
    return Typed(call("concat_ws", [_shown(t, each) for each in operands_of(t, node, 1, 1000)]), TEXT)


_FORMAT = re.compile(r"%(?:%|(?:(\d+)\$)?([sIL])|(.?))", re.DOTALL)


def _format(t: Context, node: exp.Anonymous) -> Typed:
    operands = operands_of(t, node, 1, 1000)
    text = operands[0].literal
    if text is None:
        raise NotSupportedError("the format of format() must be a literal here", position=place(node))
    parts: list[exp.Expr] = []
    at = count = 0
    for found in _FORMAT.finditer(text):
        parts.append(exp.Literal.string(text[at : found.start()]))
        at = found.end()
        if found[0] == "%%":
            parts.append(exp.Literal.string("%"))
            continue
        count = int(found[1] or count + 1)
        if found[2] is None or count >= len(operands):
            raise NotSupportedError(
                f"the format {found[0]!r} is not supported, or has no argument", position=place(node)
            )
        parts.append(_formatted(t, operands[count], found[2]))
    parts.append(exp.Literal.string(text[at:]))
    return Typed(call("concat", parts), TEXT)


def _formatted(t: Context, value: Typed, letter: str) -> exp.Expr:
    shown = _shown(t, value)
    if letter == "s":
        return shown
    name = "quote_ident" if letter == "I" else "quote_nullable"
    return t.calls.call(name, SCALARS, [Typed(shown, TEXT)], value.node).node


def _substring(t: Context, node: exp.Substring) -> Typed:
    operands = [t.expression(each) for each in (node.this, node.args.get("start"), node.args.get("length")) if each]
    return _part(t, operands, node)


def _substr(t: Context, node: exp.Anonymous) -> Typed:
    return _part(t, operands_of(t, node, 2, 3), node)


def _part(t: Context, operands: Sequence[Typed], node: exp.Expr) -> Typed:
    subject, start = operands[0], operands[1] if len(operands) > 1 else None
    if start is None:
        raise no_function("substring", [subject.kind], node)
    if len(operands) > 2 or isinstance(start.node, exp.Null):
        operands = [subject, *(t.casts.settle(each, INT4) if _is_open(each) else each for each in operands[1:])]
        start = operands[1]
    if start.kind.name in TEXTS:
        if len(operands) > 2:
            raise NotSupportedError("substring with an SQL regular expression is not supported", position=place(node))
        return patterns.substring(t, subject, start, node)
    if subject.kind.name not in TEXTS or any(each.kind.name not in INTEGERS for each in operands[1:]):
        raise no_function("substring", [each.kind for each in operands], node)
    text = t.casts.settle(subject, TEXT).node if subject.kind == UNKNOWN else t.casts.text(subject)
    values = [each.node for each in operands[1:]]
    if all(isinstance(each, exp.Literal) for each in values) and int(values[0].name) >= 1:
        made = exp.Substring(this=text, start=values[0], length=values[1] if len(values) > 1 else None)
        return Typed(made, TEXT)
    if len(values) == 1:
        return Typed(filled(f"substring($1, {_FROM_ONE})", text, values[0]), TEXT)
    return Typed(filled(_SUBSTRING, text, *values), TEXT)


def _is_open(typed: Typed) -> bool:
    """A parameter or NULL: an operand of whatever type is wanted."""
    return typed.kind == UNKNOWN and typed.literal is None


_FROM_ONE = "CASE WHEN $2 < 1 THEN 1 ELSE $2 END"  # greatest would pass over NULL
_SUBSTRING = (
    "CASE WHEN $3 < 0 AND $1 IS NOT NULL AND $2 IS NOT NULL "
    "THEN error('[22011] negative substring length not allowed') "
    "WHEN CAST($2 AS BIGINT) + $3 <= 1 THEN left($1, 0) "
    f"ELSE substring($1, {_FROM_ONE}, CAST($2 AS BIGINT) + $3 - {_FROM_ONE}) END"
)


def _position(t: Context, node: exp.StrPosition) -> Typed:
    operands = [t.expression(node.this), t.expression(node.args["substr"])]
    return t.calls.call("strpos", SCALARS, operands, node)


def _trim(t: Context, node: exp.Trim) -> Typed:
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "btrim")
    operands = [t.expression(each) for each in (node.this, node.expression) if each]
    return t.calls.call(name, SCALARS, operands, node)


def _overlay(t: Context, node: exp.Overlay) -> Typed:
    given = (node.this, node.expression, node.args["from_"], node.args.get("for_"))
    operands = [t.expression(each) for each in given if each]
    text, by = (
        t.casts.settle(each, TEXT).node if each.kind == UNKNOWN else t.casts.text(each) for each in operands[:2]
    )
    start = operands[2].node
    length = operands[3].node if len(operands) > 3 else filled("length($1)", by)
    made = (
        "CASE WHEN $3 <= 0 THEN error('[22011] negative substring length not allowed') ELSE left($1, $3 - 1) || $2 || "
    )
    made += "substring($1, CASE WHEN $3 + $4 < 1 THEN 1 ELSE $3 + $4 END) END"
    return Typed(filled(made, text, by, start, length), TEXT)


# --- numbers -------------------------------------------------------------------------------------------------------


def _to_scale(name: str) -> Callable[[Context, exp.Anonymous], Typed]:
    """round and trunc to a number of digits, which only numerics have."""

    def handler(t: Context, node: exp.Anonymous) -> Typed:
        operands = operands_of(t, node, 1, 2)
        if len(operands) == 1:
            return t.calls.call(name, SCALARS, operands, node)
        if operands[1].kind == UNKNOWN:
            operands[1] = t.casts.settle(operands[1], INT4)
        value = t.casts.settle(operands[0], numeric(38, 16)) if operands[0].kind == UNKNOWN else operands[0]
        if value.kind.name not in (*INTEGERS, "numeric") or operands[1].kind.name not in INTEGERS:
            raise no_function(name, [each.kind for each in operands], node)
        kind, digits = as_numeric(value.kind), _constant(operands[1].node)
        if digits is None:
            made = filled(f"CAST({name}(CAST($1 AS DOUBLE), $2) AS {kind.duckdb})", decimal(value), operands[1].node)
            return Typed(made, kind)
        if digits >= kind.scale:
            wider = numeric(38, min(digits, 20))
            return Typed(cast(decimal(value), wider.duckdb), wider)
        rounded = numeric(38, max(digits, 0))
        return Typed(_scaled(name, decimal(value), digits), rounded, loose=True)

    return handler


def _scaled(name: str, value: exp.Expr, digits: int) -> exp.Expr:
    if name == "round" or digits == 0:
        return filled(f"{name}($1, {digits})" if digits else f"{name}($1)", value)
    if digits < 0:
        return filled(f"trunc($1 / {10**-digits}) * {10**-digits}", value)
    return filled(
        f"trunc($1 * {10**digits}) * CAST({10**-digits:.{digits}f} AS DECIMAL({digits + 1}, {digits}))", value
    )


def _constant(node: exp.Expr) -> int | None:
    sign = -1 if isinstance(node, exp.Neg) else 1
    inner = node.this if isinstance(node, exp.Neg) else node
    return sign * int(inner.this) if isinstance(inner, exp.Literal) and inner.this.isdigit() else None


def _div(t: Context, node: exp.Anonymous) -> Typed:
    left, right = operands_of(t, node, 2)
    quotient = arithmetic("/", _numeric(t, left), _numeric(t, right), t.casts, node)
    return Typed(filled("trunc($1)", quotient.node), numeric(38, 0), loose=True)


def _numeric(t: Context, typed: Typed) -> Typed:
    kind = numeric(38, 16) if typed.kind == UNKNOWN else as_numeric(typed.kind)
    return t.casts.settle(typed, kind) if typed.kind == UNKNOWN else Typed(decimal(typed), kind)


def _mod(t: Context, node: exp.Anonymous) -> Typed:
    left, right = operands_of(t, node, 2)
    return arithmetic("%", left, right, t.casts, node)


def _power(t: Context, node: exp.Anonymous) -> Typed:
    left, right = operands_of(t, node, 2)
    return power(*(t.casts.settle(each, by_name("float8")) if each.kind == UNKNOWN else each for each in (left, right)))


def _negated(t: Context, node: exp.Neg) -> Typed:
    typed = t.expression(node.this)
    if typed.kind == UNKNOWN:
        typed = t.casts.settle(typed, by_name("float8"))
    if typed.kind.name not in (*INTEGERS, "numeric", "float4", "float8", "interval"):
        raise no_function("-", [typed.kind], node)
    if isinstance(typed.node, exp.Literal) and typed.node.this == str(2**63):
        typed = typed._replace(kind=INT8)
    return Typed(filled("-$1", typed.node), typed.kind, typed.loose)


def _bitwise(symbol: str) -> Callable[[Context, exp.Binary], Typed]:
    template = {"#": "xor($1, $2)"}.get(symbol, f"$1 {symbol} $2")

    def handler(t: Context, node: exp.Binary) -> Typed:
        operands, kind = t.calls.matched([t.expression(node.this), t.expression(node.expression)], symbol)
        if kind.name not in INTEGERS:
            raise no_function(symbol, [each.kind for each in operands], node)
        if symbol in ("<<", ">>"):
            raise NotSupportedError("shifts of bits are not supported", position=place(node))
        return Typed(filled(template, *(firm(each) for each in operands)), kind)

    return handler


def _complement(t: Context, node: exp.BitwiseNot) -> Typed:
    typed = t.expression(node.this)
    if typed.kind.name not in INTEGERS:
        raise no_function("~", [typed.kind], node)
    return Typed(filled("~$1", firm(typed)), typed.kind)


# --- others --------------------------------------------------------------------------------------------------------


def _to_timestamp(t: Context, node: exp.Anonymous) -> Typed:
    if len(node.expressions) == 2:
        return formats.to_timestamp(t, node)
    return t.calls.call("to_timestamp", SCALARS, operands_of(t, node, 1), node)


def _typeof(t: Context, node: exp.Anonymous) -> Typed:
    """The type that the operand has here, as text."""
    return Typed(exp.Literal.string(operands_of(t, node, 1)[0].kind.shown), TEXT)


def _grouping(t: Context, node: exp.Anonymous) -> Typed:
    return Typed(cast(call("grouping", [each.node for each in operands_of(t, node, 1, 31)]), "INTEGER"), INT4)


def _exists(t: Context, node: exp.Exists) -> Typed:
    query, _ = t.subquery(node.this)
    return Typed(exp.Exists(this=query), BOOL)


def _scalar_subquery(t: Context, node: exp.Subquery) -> Typed:
    query, columns = t.subquery(node.this)
    if len(columns) != 1:
        raise SQLSyntaxError("subquery must return only one column", position=place(node))
    return Typed(exp.Subquery(this=query), columns[0].kind)


def _unnest(t: Context, node: exp.Anonymous) -> Typed:
    array = operands_of(t, node, 1)[0]
    if not array.kind.is_array:
        raise no_function("unnest", [array.kind], node)
    return Typed(filled("unnest($1)", array.node), array.kind.element, array.loose)


def series(t: Context, node: exp.Anonymous) -> Typed:
    """generate_series as the list of its values."""
    operands = operands_of(t, node, 2, 3)
    if all(each.kind.name in (*INTEGERS, "unknown") for each in operands):
        settled, kind = t.calls.matched(operands, "generate_series")
        if any(isinstance(each.node, exp.Literal) and each.node.name == "0" for each in settled[2:]):
            raise InvalidArguments("step size cannot equal zero", position=place(node.expressions[2]))
        return Typed(call("generate_series", [each.node for each in settled]), kind.array(), kind != INT8)
    moments, step = operands[:2], operands[2:]
    if not step or any(each.kind.name not in ("date", "timestamp", "timestamptz", "unknown") for each in moments):
        raise no_function("generate_series", [each.kind for each in operands], node)
    kind = TIMESTAMPTZ if any(each.kind.name in ("date", "timestamptz") for each in moments) else by_name("timestamp")
    if kind == TIMESTAMPTZ and t.casts.zone:
        raise NotSupportedError(
            "generate_series of timestamptz is supported in the time zone UTC only", position=place(node)
        )
    local = [t.casts.cast(each, by_name("timestamp")).node for each in moments]
    by = t.casts.settle(step[0], by_name("interval")).node if step[0].kind == UNKNOWN else step[0].node
    return Typed(call("generate_series", [*local, by]), kind.array(), kind == TIMESTAMPTZ)


def _series(t: Context, node: exp.Anonymous) -> Typed:
    values = series(t, node)
    return Typed(filled("unnest($1)", values.node), values.kind.element, values.loose)


def _sized(word: str) -> Callable[[Context, exp.Anonymous], Typed]:
    """current_timestamp(3)"""

    def handler(_: Context, node: exp.Anonymous) -> Typed:
        raise NotSupportedError(f"{word} with a precision is not supported", position=place(node))

    return handler


_FUNCTIONS: dict[str, Callable[[Context, exp.Anonymous], Typed]] = {
    **patterns.FUNCTIONS,
    **times.FUNCTIONS,
    **{"greatest": _extreme("greatest"), "least": _extreme("least"), "concat": _concat, "concat_ws": _concat_ws},
    **{"format": _format, "substr": _substr, "round": _to_scale("round"), "trunc": _to_scale("trunc"), "div": _div},
    **{"mod": _mod, "power": _power, "pow": _power, "to_char": formats.to_char, "to_date": formats.to_date},
    **{"to_timestamp": _to_timestamp, "to_number": formats.to_number, "unnest": _unnest, "generate_series": _series},
    **{"pg_typeof": _typeof, "grouping": _grouping},
    **json_operators.FUNCTIONS,
    **{each: _sized(each) for each in ("current_timestamp", "current_time", "localtime", "localtimestamp")},
}
HANDLERS: Handlers = {
    exp.Anonymous: function,
    exp.Dot: _qualified,
    exp.Coalesce: _coalesce,
    exp.Case: _case,
    exp.Nullif: _nullif,
    exp.Substring: _substring,
    exp.StrPosition: _position,
    exp.Trim: _trim,
    exp.Overlay: _overlay,
    exp.Neg: _negated,
    exp.BitwiseAnd: _bitwise("&"),
    exp.BitwiseOr: _bitwise("|"),
    exp.BitwiseXor: _bitwise("#"),
    exp.BitwiseLeftShift: _bitwise("<<"),
    exp.BitwiseRightShift: _bitwise(">>"),
    exp.BitwiseNot: _complement,
    exp.Exists: _exists,
    exp.Subquery: _scalar_subquery,
}
