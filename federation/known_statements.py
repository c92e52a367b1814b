"""What the texts of statements that come again were bound to, such as the point queries of an application.

Parsing and binding a text anew gives the same to whoever has the same rights, as long as each of its names stands for
the same table or view: that alone is asked of the catalog again. The values of parameters are no part of it where they
are keys that the statement looks up, for then they are none of its shape (`planner.statement_shape`). Any other
statement with parameters is not kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from adapters.errors import Error
from catalog.model import CatalogTable
from federation.bind import Bound, Name
from federation.native import is_native
from federation.parameters import PARAMETER, Parameters, by_name
from federation.planner.statement_shape import Shape, key_of

KEPT = 512
LONGEST = 10_000  # characters of a text


@dataclass(frozen=True, slots=True)
class _Known:
    tables: Mapping[str, CatalogTable]
    names: Sequence[Name]
    shape: Shape


class KnownStatements:
    """Thread-safe. `holds` says whether names still stand for what they did."""

    def __init__(self, holds: Callable[[Sequence[Name]], bool]) -> None:
        self._holds = holds
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, _Known] = OrderedDict()

    def get(self, sql: object, params: Parameters, whose: Hashable) -> tuple[Shape, Mapping[str, CatalogTable]] | None:
        """None for what has to be parsed and bound: to find out what it is, or what is wrong with it. `whose` is as
        `Rights` has it."""
        given = _given(params)
        if given is None or not isinstance(sql, str):
            return None
        key = _key(sql, params, given, whose)
        with self._lock:
            known = self._known.get(key)
            if known is None:
                return None
            self._known.move_to_end(key)
        try:
            if not self._holds(known.names):
                return None
        except Error:
            return None
        keys = zip(known.shape.keys, known.shape.parameters, strict=True)
        found = tuple(given[name] if name is not None else key for key, name in keys)
        return Shape(known.shape.text, found, known.shape.parameters), known.tables

    def keep(
        self, sql: object, params: Parameters, whose: Hashable, bound: Bound, shape: Shape, placeholders: int
    ) -> None:
        """A text with so many placeholders, and what it was bound to."""
        given = _given(params)
        if given is None or not isinstance(sql, str) or len(sql) > LONGEST:
            return
        keys = sum(name is not None for name in shape.parameters)
        if keys != placeholders or any(map(is_native, bound.tables.values())):
            return
        key = _key(sql, params, given, whose)
        with self._lock:
            self._known[key] = _Known(bound.tables, tuple(bound.names), shape)
            self._known.move_to_end(key)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)


def _given(params: Parameters) -> dict[str, tuple[str, bool]] | None:
    """The values by the names of their placeholders, as keys; None where one can be no key."""
    found = {name: key_of(value) for name, value in by_name(params).items()}
    return None if None in found.values() else found  # type: ignore[return-value]


def _key(sql: str, params: Parameters, given: Mapping[str, tuple[str, bool]], whose: Hashable) -> Hashable:
    kinds = tuple((name, is_text) for name, (_, is_text) in given.items())
    return sql, isinstance(params, Mapping), kinds, whose


def count_parameters(query: exp.Query) -> int:
    """How many values of parameters are in a query that was just read."""
    return sum(PARAMETER in node.meta for node in query.walk())
