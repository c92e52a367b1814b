"""Operators and functions of json and jsonb, and the operators that arrays and texts have too."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from adapters.errors import NotSupportedError
from federation.pgwire.dialect.casts import Typed, firm
from federation.pgwire.dialect.context import Context, Handlers
from federation.pgwire.dialect.errors import no_function, no_operator, place
from federation.pgwire.dialect.kinds import BOOL, INTEGERS, JSON, JSONB, TEXT, TEXTS, UNKNOWN, Kind
from federation.pgwire.dialect.problems import InvalidArguments
from federation.pgwire.dialect.templates import filled, wrapped

_JSONS = ("json", "jsonb")


def _extract(as_text: bool) -> Callable[[Context, exp.Binary], Typed]:
    """`->` and `->>`: by key of an object, by place in an array."""
    symbol = "->>" if as_text else "->"
    function = "json_extract_string" if as_text else "json_extract"

    def handler(t: Context, node: exp.Binary) -> Typed:
        subject = t.expression(node.this)
        if subject.kind.name not in _JSONS:
            raise no_operator(symbol, (subject.kind, TEXT), node)
        kind = TEXT if as_text else subject.kind
        path = node.expression
        if isinstance(path, exp.JSONPath):
            return Typed(filled(f"{function}($1, $2)", subject.node, exp.Literal.string(_path(path))), kind)
        key = t.expression(path)
        if key.kind.name in INTEGERS:
            template = "CASE WHEN $2 < 0 THEN '$[#' || $2 || ']' ELSE '$[' || $2 || ']' END"
        elif key.kind.name in TEXTS:
            template = """'$."' || replace(replace($2, '\\', '\\\\'), '"', '\\"') || '"'"""
        else:
            raise no_operator(symbol, (subject.kind, key.kind), node)
        return Typed(filled(f"{function}($1, {template})", subject.node, firm(key)), kind)

    return handler


def _path(path: exp.JSONPath) -> str:
    text = "$"
    for part in path.expressions[1:]:
        value = part.this
        if isinstance(part, exp.JSONPathSubscript) and isinstance(value, int):
            text += f"[#{value}]" if value < 0 else f"[{value}]"
        elif isinstance(part, exp.JSONPathKey) and isinstance(value, str):
            text += _key(value)
        else:
            raise NotSupportedError("this path into json is not supported", position=place(path))
    return text


def _key(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'."{escaped}"'


def _by_path(as_text: bool) -> Callable[[Context, exp.Func], Typed]:
    """`#>` and `#>>` with a literal path: '{a,0}'."""

    def handler(t: Context, node: exp.Func) -> Typed:
        subject = t.expression(node.this)
        wanted = t.expression(node.args["expression"])
        if subject.kind.name not in _JSONS:
            raise no_operator("#>>" if as_text else "#>", (subject.kind, TEXT.array()), node)
        return extracted(subject, _steps(t, wanted, node), as_text, node)

    return handler


def _steps(t: Context, wanted: Typed, node: exp.Expr) -> list[str]:
    array = t.casts.settle(wanted, TEXT.array()).node if wanted.kind == UNKNOWN else wanted.node
    array = array.this if isinstance(array, exp.Cast) else array
    if not isinstance(array, exp.Array) or not all(isinstance(each, exp.Literal) for each in array.expressions):
        raise NotSupportedError("a path into json must be a literal here", position=place(node))
    return [each.this for each in array.expressions]


def extracted(subject: Typed, steps: list[str], as_text: bool, node: exp.Expr) -> Typed:
    """What stands at a path, of which each step is a key, or the place in an array."""
    text = "$"
    for step in steps:
        if step.lstrip("-").isdigit():
            raise NotSupportedError(
                "a number in a path is not supported: it is a key or a place by the value",
                hint="write j -> 0",
                position=place(node),
            )
        text += _key(step)
    function = "json_extract_string" if as_text else "json_extract"
    kind = TEXT if as_text else subject.kind
    return Typed(filled(f"{function}($1, $2)", subject.node, exp.Literal.string(text)), kind)


def _contains(t: Context, node: exp.Binary) -> Typed:
    left, right = t.expression(node.this), t.expression(node.expression)
    symbol = "<@" if isinstance(node, exp.ArrayContainedBy) else "@>"
    if left.kind == UNKNOWN and right.kind != UNKNOWN:
        left = t.casts.settle(left, right.kind)
    if right.kind == UNKNOWN and left.kind != UNKNOWN:
        right = t.casts.settle(right, left.kind)
    if symbol == "<@":
        left, right = right, left
    if left.kind.name in _JSONS and right.kind.name in _JSONS:
        return Typed(filled("json_contains($1, $2)", left.node, right.node), BOOL)
    if left.kind.is_array and right.kind.is_array:
        both, _ = t.calls.matched([left, right], symbol)
        return Typed(filled("list_has_all($1, $2)", *(each.node for each in both)), BOOL)
    raise no_operator(symbol, (left.kind, right.kind), node)


def _overlaps(t: Context, node: exp.Binary) -> Typed:
    left, right = t.expression(node.this), t.expression(node.expression)
    if not (left.kind.is_array or right.kind.is_array):
        raise no_operator("&&", (left.kind, right.kind), node)
    both, _ = t.calls.matched([left, right], "&&")
    return Typed(filled("list_has_any($1, $2)", *(each.node for each in both)), BOOL)


def _has_key(t: Context, node: exp.Binary) -> Typed:
    subject, key = t.expression(node.this), t.expression(node.expression)
    if subject.kind.name not in _JSONS or key.kind.name not in TEXTS:
        raise no_operator("?", (subject.kind, key.kind), node)
    return Typed(filled("list_contains(json_keys($1), $2)", subject.node, t.casts.settle(key, TEXT).node), BOOL)


def _joined(t: Context, node: exp.DPipe) -> Typed:
    left, right = t.expression(node.this), t.expression(node.expression)
    if left.kind.is_array or right.kind.is_array:
        return _joined_arrays(t, left, right, node)
    if JSONB in (left.kind, right.kind):
        raise NotSupportedError("|| of jsonb is not supported", position=place(node))
    if not (left.kind.name in TEXTS or right.kind.name in TEXTS):
        raise no_operator("||", (left.kind, right.kind), node)
    parts = [t.casts.settle(each, TEXT).node if each.kind == UNKNOWN else t.casts.text(each) for each in (left, right)]
    return Typed(exp.DPipe(this=wrapped(parts[0]), expression=wrapped(parts[1]), safe=True), TEXT)


def _joined_arrays(t: Context, left: Typed, right: Typed, node: exp.Expr) -> Typed:
    array = left.kind if left.kind.is_array else right.kind
    left, right = (t.casts.settle(each, array) if each.kind == UNKNOWN else each for each in (left, right))
    if left.kind.is_array and right.kind.is_array:
        both, kind = t.calls.matched([left, right], "||")
        return Typed(filled("list_concat($1, $2)", *(each.node for each in both)), kind)
    template = "list_append($1, $2)" if left.kind.is_array else "list_prepend($1, $2)"
    element = right.kind if left.kind.is_array else left.kind
    if element.name != array.element.name:
        raise no_operator("||", (left.kind, right.kind), node)
    return Typed(filled(template, left.node, right.node), array)


# --- functions -----------------------------------------------------------------------------------------------------


def _json_path(as_text: bool) -> Callable[[Context, exp.Anonymous], Typed]:
    def handler(t: Context, node: exp.Anonymous) -> Typed:
        operands = [t.expression(each) for each in node.expressions]
        if len(operands) < 2:
            raise no_function(node.name.lower(), [each.kind for each in operands], node)
        subject, *steps = operands
        texts = [each.literal for each in steps]
        subject = t.casts.settle(subject, JSON) if subject.kind == UNKNOWN else subject
        if subject.kind.name not in ("json", "jsonb") or any(each is None for each in texts):
            raise NotSupportedError(f"{node.name} takes literal steps here", position=place(node))
        return extracted(subject, [each for each in texts if each is not None], as_text, node)

    return handler


def _json_object(kind: Kind) -> Callable[[Context, exp.Anonymous], Typed]:
    def handler(t: Context, node: exp.Anonymous) -> Typed:
        operands = [t.expression(each) for each in node.expressions]
        if len(operands) % 2:
            raise InvalidArguments(
                "argument list must have even number of elements", hint="a key and a value each", position=place(node)
            )
        for number, each in enumerate(operands):
            typed = t.casts.settle(each, TEXT) if each.kind == UNKNOWN else each
            operands[number] = typed if number % 2 else Typed(t.casts.text(typed), TEXT)
        return Typed(exp.Anonymous(this="json_object", expressions=[firm(each) for each in operands]), kind)

    return handler


FUNCTIONS: dict[str, Callable[[Context, exp.Anonymous], Typed]] = {
    **{"json_build_object": _json_object(JSON), "jsonb_build_object": _json_object(JSONB)},
    **{f"{prefix}_extract_path": _json_path(as_text=False) for prefix in ("json", "jsonb")},
    **{f"{prefix}_extract_path_text": _json_path(as_text=True) for prefix in ("json", "jsonb")},
}
HANDLERS: Handlers = {
    exp.JSONExtract: _extract(as_text=False),
    exp.JSONExtractScalar: _extract(as_text=True),
    exp.JSONBExtract: _by_path(as_text=False),
    exp.JSONBExtractScalar: _by_path(as_text=True),
    exp.ArrayContainsAll: _contains,
    exp.ArrayContainedBy: _contains,
    exp.ArrayOverlaps: _overlaps,
    exp.JSONBContainsTopKey: _has_key,
    exp.DPipe: _joined,
}
