"""Long lists of parameters: SQLAlchemy asks with `conrelid IN ($1, $2, …)` about the numbers of 3,000 tables at once.

The tokens of their members, the nodes, and each walk over these take longer than all the rest of such a statement. So
it is parsed with one parameter in place of each list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from sqlglot import exp

LONG = 100
MEMBER_TOKENS = 3
_FIRST = 1_000_000  # of the numbers that stand for lists: no statement has as many parameters
_MEMBER = r"\$[0-9]{1,5}"
_LIST = re.compile(rf"\( *({_MEMBER}(?: *, *{_MEMBER}){{{LONG},}}) *\)")
_NUMBER = re.compile("[0-9]+")


class Listed:
    """What one node stands for, in its metadata: the numbers of parameters, or their values. It is never copied;
    `known` is for who makes something of the members."""

    __slots__ = ("known", "members")

    def __init__(self, members: Sequence[Any]) -> None:
        self.members = members
        self.known: dict[str | None, Any] = {}

    def __deepcopy__(self, _memo: object) -> Listed:
        return self


class NotListed(Exception):
    """What looked like a list of values is something else."""


class StandIns:
    """The lists of a text; `text` has a parameter in place of each, with everything else where it was."""

    def __init__(self, text: str) -> None:
        self.lists: dict[int, Listed] = {}
        self._by_members: dict[str, Listed] = {}
        self.text = _LIST.sub(self._stand_in, text)

    def _stand_in(self, found: re.Match[str]) -> str:
        members = found[1]
        listed = self._by_members.get(members)
        if listed is None:
            listed = self._by_members[members] = Listed(tuple(map(int, _NUMBER.findall(members))))
        number = _FIRST + len(self.lists)
        self.lists[number] = listed
        return f"(${number}".ljust(len(found[0]) - 1) + ")"

    def place(self, tree: exp.Query) -> None:
        """Put the lists that the tree of a statement has into it. Raises NotListed."""
        for each in [each for each in tree.find_all(exp.Parameter) if int(each.name) >= _FIRST]:
            listed = self.lists.pop(int(each.name), None)
            if listed is None or not isinstance(each.parent, exp.In) or each.parent.expressions != [each]:
                raise NotListed
            each.parent.set("expressions", [node_of(listed)])


def node_of(listed: Listed) -> exp.Var:
    node = exp.Var(this="listed")
    node.meta["listed"] = listed
    return node


def listed_of(node: exp.In) -> Listed | None:
    members = node.expressions
    return members[0].meta.get("listed") if len(members) == 1 else None


def numbers_of(node: exp.In) -> Sequence[int]:
    """Those of the parameters in place of which one node stands."""
    listed = listed_of(node)
    return listed.members if listed is not None else ()


def whole(short: exp.Query) -> exp.Query:
    """The tree with all members of its lists; itself, if it has none."""
    if not any(map(numbers_of, short.find_all(exp.In))):
        return short
    tree = short.copy()
    for node in list(tree.find_all(exp.In)):
        numbers = numbers_of(node)
        if numbers:
            node.set("expressions", [exp.Parameter(this=exp.Literal.number(each)) for each in numbers])
    return tree
