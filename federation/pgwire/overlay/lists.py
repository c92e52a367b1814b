"""Long lists of constants: SQLAlchemy asks with `conrelid IN ($1, $2, …)` about the numbers of 3,000 tables at once.

The rules would visit every node of them, and DuckDB bind every cast; as plain literals they mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

from federation.pgwire.overlay.casts import kind_of_type

LONG = 100
_TEXTS = {"text", "varchar", "name"}
_INTEGERS = {
    "int2": range(-(2**15), 2**15),
    "int4": range(-(2**31), 2**31),
    "int8": range(-(2**63), 2**63),
    "oid": range(2**32),
}
_DIGITS = re.compile("-?[0-9]+")


def plain_members(members: Sequence[exp.Expr], kind: str | None) -> list[exp.Expr] | None:
    """The members of a long list beside something of a kind, as literals without casts; None unless all are integers
    beside an integer, or texts beside a text, or NULL."""
    if len(members) <= LONG:
        return None
    plain = _integer if kind in _INTEGERS else _text if kind in _TEXTS else None
    if plain is None:
        return None
    made = []
    for each in members:
        literal = plain(each)
        if literal is None:
            return None
        made.append(literal)
    return made


def _integer(node: exp.Expr) -> exp.Expr | None:
    within = []
    while isinstance(node, exp.Cast):
        values = _INTEGERS.get(kind_of_type(node.to) or "")
        if values is None:
            return None
        within.append(values)
        node = node.this
    if isinstance(node, exp.Null):
        return exp.Null()
    negative = isinstance(node, exp.Neg)
    literal = node.this if negative else node
    if not isinstance(literal, exp.Literal) or (literal.is_string and not within):
        return None
    digits = f"-{literal.this}" if negative else str(literal.this)
    if not _DIGITS.fullmatch(digits) or not all(int(digits) in values for values in within):
        return None
    return exp.Literal.number(digits)


def _text(node: exp.Expr) -> exp.Expr | None:
    while isinstance(node, exp.Cast) and kind_of_type(node.to) in _TEXTS:
        node = node.this
    if isinstance(node, exp.Null):
        return exp.Null()
    return exp.Literal.string(node.this) if isinstance(node, exp.Literal) and node.is_string else None
