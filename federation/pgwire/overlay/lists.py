"""Long lists of constants, and those of parameters that are one node each (`dialect/lists.py`).

The rules would visit every node of them, and DuckDB bind every cast; as plain literals they mean the same. Integers by
which rows are picked are one text, which DuckDB makes a list of in a tenth of the time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

from federation.pgwire.dialect.lists import LONG, Listed, listed_of, node_of
from federation.pgwire.dialect.parameters import bind, number_of
from federation.pgwire.overlay.casts import kind_of_type

_TEXTS = {"text", "varchar", "name"}
_INTEGERS = {
    "int2": range(-(2**15), 2**15),
    "int4": range(-(2**31), 2**31),
    "int8": range(-(2**63), 2**63),
    "oid": range(2**32),
}
_DIGITS = re.compile("-?[0-9]+")


def bind_short(short: exp.Query, literals: Sequence[exp.Expr]) -> exp.Query:
    """As `bind`, for a tree that is `Query.short`; `expand_members` finds the values of its lists."""
    bound = bind(short, literals)
    lists: dict[int, Listed] = {}
    for node in bound.find_all(exp.In):
        numbers = listed_of(node)
        if numbers is not None:
            values = lists.get(id(numbers))
            if values is None:
                values = Listed([literals[number_of(each, literals)] for each in numbers.members])
                lists[id(numbers)] = values
            node.set("expressions", [node_of(values)])
    return bound


def expand_members(node: exp.In, kind: str | None) -> bool:
    """Put the values of a list beside something of a kind in their place: those that are plain, which is so then, as
    they are written, any others as nodes."""
    listed = listed_of(node)
    plain = plain_members(node.expressions, kind) if listed is None else _plain(listed, kind)
    if plain is not None:
        members = ", ".join(plain)
        if kind in _INTEGERS and _picks_rows(node) and _within(plain, _INTEGERS["int8"]):
            members = f"SELECT unnest(CAST('[{members}]' AS BIGINT[]))"
        node.set("expressions", [exp.Var(this=members)])
    elif listed is not None:
        node.set("expressions", [each.copy() for each in listed.members])
    return plain is not None


def _picks_rows(node: exp.Expr) -> bool:
    """Whether it is one of the conditions of a SELECT's WHERE, which all must hold: DuckDB takes a subquery there."""
    while isinstance(node.parent, (exp.And, exp.Paren)):
        node = node.parent
    return isinstance(node.parent, exp.Where) and isinstance(node.parent.parent, exp.Select)


def _within(plain: Sequence[str], values: range) -> bool:
    return all(each == "NULL" or int(each) in values for each in plain)


def _plain(listed: Listed, kind: str | None) -> list[str] | None:
    """As `plain_members`, once for all lists that have these members."""
    if kind not in listed.known:
        listed.known[kind] = plain_members(listed.members, kind)
    plain: list[str] | None = listed.known[kind]
    return plain


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
