"""The types of parameters, inferred by casts alone."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from federation.pgwire.types import BOOL, DATE, FLOAT8, INT2, INT4, INT8, TEXT, VARCHAR

_NAMES = {
    **{0: "TEXT", TEXT: "TEXT", VARCHAR: "TEXT", BOOL: "BOOLEAN", INT2: "SMALLINT", INT4: "INT", INT8: "BIGINT"},
    **{FLOAT8: "DOUBLE", DATE: "DATE"},
}
_OIDS = {exp.DataType.build(name).this: oid for oid, name in _NAMES.items() if oid}


def oid_of(type_: exp.DataType) -> int:
    return _OIDS.get(type_.this, TEXT)


def parameter_types(tree: exp.Query, known: Sequence[int]) -> list[int]:
    parameters = list(tree.find_all(exp.Parameter))
    types = [*known, *[0] * (max((int(each.name) for each in parameters), default=0) - len(known))]
    for each in parameters:
        place = int(each.name) - 1
        if not types[place]:
            types[place] = oid_of(each.parent.to) if isinstance(each.parent, exp.Cast) else TEXT
    return types
