"""Long lists of constants: SQLAlchemy asks with `conrelid IN ($1, $2, …)` about the numbers of 3,000 tables at once.

The rules would visit every node of them, and DuckDB bind every cast; as plain literals they mean the same. A list of
parameters is one node of the tree, from its text on: copying thousands of nodes takes longer than all else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlglot import exp

from federation.pgwire.dialect.parameters import bind, number_of
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


class Listed:
    """What a node stands for, in its metadata: the numbers of parameters, or their values. It is never copied."""

    __slots__ = ("members",)

    def __init__(self, members: Sequence[int] | Sequence[exp.Expr]) -> None:
        self.members = members

    def __deepcopy__(self, _memo: object) -> Listed:
        return self


def shortened(tree: exp.Query) -> exp.Query:
    """A copy with one node in place of each long list of parameters alone."""
    short = tree.copy()
    for node in list(short.find_all(exp.In)):
        members = node.expressions
        if len(members) > LONG and all(isinstance(each, exp.Parameter) for each in members):
            node.set("expressions", [_listed([int(each.name) for each in members])])
    return short


def bind_short(short: exp.Query, literals: Sequence[exp.Expr]) -> exp.Query:
    """As `bind`, for what is `shortened`; `expand_members` finds the values of its lists."""
    bound = bind(short, literals)
    for node in bound.find_all(exp.In):
        numbers = _members_of(node)
        if numbers is not None:
            node.set("expressions", [_listed([literals[number_of(each, literals)] for each in numbers])])
    return bound


def expand_members(node: exp.In, kind: str | None) -> bool:
    """Put the values of a list beside something of a kind in their place: those that are plain, which is so then, as
    they are written, any others as nodes."""
    members = _members_of(node)
    plain = plain_members(node.expressions if members is None else members, kind)
    if plain is not None:
        node.set("expressions", [exp.Var(this=", ".join(plain))])
    elif members is not None:
        node.set("expressions", [each.copy() for each in members])
    return plain is not None


def _listed(members: Sequence[int] | Sequence[exp.Expr]) -> exp.Var:
    node = exp.Var(this="listed")
    node.meta["listed"] = Listed(members)
    return node


def _members_of(node: exp.In) -> Sequence[Any] | None:
    listed = node.expressions[0].meta.get("listed") if len(node.expressions) == 1 else None
    return listed.members if listed is not None else None


def plain_members(members: Sequence[exp.Expr], kind: str | None) -> list[str] | None:
    """The members of a long list beside something of a kind, in DuckDB's words without casts; None unless all are
    integers beside an integer, or texts beside a text, or NULL."""
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


def _integer(node: exp.Expr) -> str | None:
    within = []
    while isinstance(node, exp.Cast):
        values = _INTEGERS.get(kind_of_type(node.to) or "")
        if values is None:
            return None
        within.append(values)
        node = node.this
    if isinstance(node, exp.Null):
        return "NULL"
    negative = isinstance(node, exp.Neg)
    literal = node.this if negative else node
    if not isinstance(literal, exp.Literal) or (literal.is_string and not within):
        return None
    digits = f"-{literal.this}" if negative else str(literal.this)
    if not _DIGITS.fullmatch(digits) or not all(int(digits) in values for values in within):
        return None
    return digits


def _text(node: exp.Expr) -> str | None:
    while isinstance(node, exp.Cast) and kind_of_type(node.to) in _TEXTS:
        node = node.this
    if isinstance(node, exp.Null):
        return "NULL"
    return node.sql("duckdb") if isinstance(node, exp.Literal) and node.is_string else None
