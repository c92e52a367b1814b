"""Calls: which of a function's signatures fits, and the call in DuckDB's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from federation.pgwire.dialect.casts import Casts, Typed, firm
from federation.pgwire.dialect.errors import no_function
from federation.pgwire.dialect.function_table import Signature
from federation.pgwire.dialect.kinds import (
    FLOAT8,
    HUGE,
    INTEGERS,
    NUMBERS,
    TEXT,
    TEXTS,
    UNKNOWN,
    Kind,
    as_numeric,
    by_name,
    common,
    is_cut,
    numeric,
    wider,
)
from federation.pgwire.dialect.templates import cast, filled

_ORDER = {name: place for place, name in enumerate(NUMBERS)}
_NEVER = 1_000
_JSONS = ("json", "jsonb")  # a column of a source may be either


def fitting(
    name: str, table: Mapping[str, Sequence[Signature]], operands: Sequence[Typed], node: exp.Expr
) -> Signature:
    """The signature that these operands fit best. Raises FunctionNotFound."""
    best, least = None, _NEVER
    for signature in table.get(name, ()):
        cost = _cost(signature, operands)
        if cost < least:
            best, least = signature, cost
    if best is None:
        raise no_function(name, [each.kind for each in operands], node)
    return best


def _cost(signature: Signature, operands: Sequence[Typed]) -> int:
    wanted = _wanted(signature, len(operands))
    if wanted is None:
        return _NEVER
    return sum(_distance(each.kind, want) for each, want in zip(operands, wanted, strict=True))


def _wanted(signature: Signature, count: int) -> Sequence[str] | None:
    kinds = signature.operands
    if signature.variadic:
        least = len(kinds) - 1
        return (*kinds[:-1], *[kinds[-1]] * (count - least)) if count >= least else None
    return kinds if len(kinds) == count else None


def _distance(kind: Kind, want: str) -> int:
    if want == "any":
        return 0
    if want == "el":
        return 0
    if kind == UNKNOWN:
        return 1 if want in (*TEXTS, "float8") else 2
    if want == "num":
        return 0 if kind.name in NUMBERS else _NEVER
    if want == "arr":
        return 0 if kind.is_array else _NEVER
    if want == "int":
        return 0 if kind.name in INTEGERS else _NEVER
    if kind.name == want:
        return 0
    if kind.name in _JSONS and want in _JSONS:
        return 1
    if want == "text" and kind.name in TEXTS:
        return 1
    if want in _ORDER and kind.name in _ORDER:
        steps = _ORDER[want] - _ORDER[kind.name]
        return _NEVER if steps < 0 else 1 if want == "float8" else 1 + steps
    if (kind.name, want) in _IMPLICIT:
        return _IMPLICIT[kind.name, want]
    if want.endswith("[]") and kind.is_array:
        return 3
    return _NEVER


_IMPLICIT = {
    **{("date", "timestamp"): 2, ("date", "timestamptz"): 1, ("timestamp", "timestamptz"): 1},
    ("time", "interval"): 1,
}


class Calls:
    """Calls with the conversions of one session."""

    def __init__(self, casts: Casts) -> None:
        self.casts = casts

    def call(
        self, name: str, table: Mapping[str, Sequence[Signature]], operands: Sequence[Typed], node: exp.Expr
    ) -> Typed:
        """The call by the fitting row of a table. Raises FunctionNotFound."""
        signature = fitting(name, table, operands, node)
        wanted = _wanted(signature, len(operands)) or ()
        element = _element(signature, operands)
        settled = [self._settled(each, want, element) for each, want in zip(operands, wanted, strict=True)]
        template = signature.template
        if "$*" in template:
            whole = exp.Anonymous(this=template.partition("(")[0], expressions=[firm(each) for each in settled])
            return Typed(whole, _result(signature, settled))
        made = filled(template, *(firm(each) if self._is_firm(signature) else each.node for each in settled))
        return Typed(made, _result(signature, settled), signature.loose or self._inherits(signature, settled))

    @staticmethod
    def _is_firm(signature: Signature) -> bool:
        """A result that is an operand's kind may stay as loose as the operand."""
        return not signature.result.startswith("$")

    @staticmethod
    def _inherits(signature: Signature, operands: Sequence[Typed]) -> bool:
        return signature.result.startswith("$") and any(each.loose for each in operands)

    def _settled(self, typed: Typed, want: str, element: Kind) -> Typed:
        if want == "any":
            return self.casts.settle(typed, TEXT) if typed.kind == UNKNOWN else typed
        if want == "el":
            return self.casts.settle(typed, element) if typed.kind == UNKNOWN else typed
        if want in ("arr", "record", "num", "int"):
            return (
                self.casts.settle(typed, element.array() if want == "arr" else FLOAT8)
                if typed.kind == UNKNOWN
                else typed
            )
        kind = by_name(want)
        if typed.kind == UNKNOWN:
            return self.casts.settle(typed, kind)
        if typed.kind.name == want:
            return typed
        if kind.is_array:
            return self._array(typed)
        if want == "text":
            return Typed(self.casts.text(typed), TEXT)
        if want == "numeric":
            return Typed(cast(typed.node, as_numeric(typed.kind).duckdb), as_numeric(typed.kind))
        if typed.kind.name in INTEGERS and want in INTEGERS:
            return typed
        return self.casts.cast(typed, kind)

    def _array(self, typed: Typed) -> Typed:
        """An array of any elements where texts are wanted: array_to_string takes every kind."""
        element = self.casts.text(Typed(exp.column("v"), typed.kind.element))
        if isinstance(element, exp.Column):
            return typed
        if typed.kind.element.name == "bool":
            return Typed(
                filled("list_transform($1, lambda v: CASE WHEN v THEN 't' WHEN NOT v THEN 'f' END)", typed.node),
                TEXT.array(),
            )
        return Typed(filled(f"list_transform($1, lambda v: {element.sql('duckdb')})", typed.node), TEXT.array())

    def matched(self, operands: Sequence[Typed], what: str) -> tuple[list[Typed], Kind]:
        """The operands as values of one kind, and that kind. Raises TypeMismatch."""
        kind = common((each.kind for each in operands), what)
        if kind == UNKNOWN:
            kind = TEXT
        if kind.name.startswith("numeric"):  # numbers in quotes have digits of their own
            operands = [each if each.literal is None else self.casts.settle(each, kind) for each in operands]
            kind = common((each.kind for each in operands), what)
        return [self.converted(each, kind) for each in operands], kind

    def converted(self, typed: Typed, kind: Kind) -> Typed:
        """An implicit conversion to a wider kind; DuckDB does that of numbers itself."""
        if typed.kind == UNKNOWN:
            return self.casts.settle(typed, kind)
        if is_cut(typed.kind, kind):
            return Typed(cast(typed.node, kind.duckdb), kind)
        if typed.kind.name == kind.name:
            return typed
        if typed.kind.name in NUMBERS and kind.name in ("float4", "float8") and isinstance(typed.node, exp.Literal):
            return Typed(cast(typed.node, kind.duckdb), kind)
        if typed.kind.name in NUMBERS and kind.name in NUMBERS:
            return Typed(typed.node, kind, typed.loose or kind.name != "numeric")
        return self.casts.cast(typed, kind)


def _element(signature: Signature, operands: Sequence[Typed]) -> Kind:
    """What the arrays among the operands hold; without one, what stands in their place."""
    if "any" in signature.operands and "el" in signature.operands:
        return operands[0].kind if operands[0].kind != UNKNOWN else TEXT
    arrays = [each.kind.element for each in operands if each.kind.is_array]
    others = [each.kind for each in operands if not each.kind.is_array and each.kind != UNKNOWN]
    if arrays:
        found = arrays[0]
        for each in others:
            found = wider(found, each) or found
        return found
    return others[0] if others else TEXT


def _result(signature: Signature, operands: Sequence[Typed]) -> Kind:
    result = signature.result
    if result.startswith("$"):
        place = int(result[1]) - 1
        kind = operands[place].kind
        return kind.array() if result.endswith("[]") else kind.element if result.endswith(".el") else kind
    if result == "huge":
        return HUGE
    if result == "numericS":
        return numeric(38, as_numeric(operands[0].kind).scale)
    if result.startswith("numeric"):
        return numeric(38, int(result.removeprefix("numeric")))
    return by_name(result)
