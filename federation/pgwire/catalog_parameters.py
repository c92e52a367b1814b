"""The types of parameters in queries over PostgreSQL's catalog. Drivers that ask for types insist on `oid`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from adapters.errors import Error
from federation.pgwire.dialect.kinds import of_type
from federation.pgwire.dialect.lists import numbers_of
from federation.pgwire.dialect.parameters import oid_of
from federation.pgwire.overlay.rewrite import system_relation
from federation.pgwire.overlay.structure import structure
from federation.pgwire.types import (
    ARRAYS,
    INT8,
    NAME,
    OID,
    REGCLASS,
    REGNAMESPACE,
    REGOPER,
    REGOPERATOR,
    REGPROC,
    REGPROCEDURE,
    REGROLE,
    REGTYPE,
    TEXT,
)

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_BY_NAME = {
    **{"oid": OID, "name": NAME, "regproc": REGPROC, "regprocedure": REGPROCEDURE, "regoper": REGOPER},
    **{"regoperator": REGOPERATOR, "regclass": REGCLASS, "regtype": REGTYPE, "regrole": REGROLE},
    **{"regnamespace": REGNAMESPACE},
}


def catalog_parameter_types(tree: exp.Query, known: Sequence[int]) -> list[int]:
    """By the cast, or the column that it is compared with; text otherwise. `known` are 0 where the client left it. The
    tree may be `Query.short`."""
    types = dict(enumerate(known, 1))
    for each in tree.find_all(exp.Parameter):
        number = int(each.name)
        types[number] = types.get(number) or _type_of(each)
    for node in tree.find_all(exp.In):
        open_ = [number for number in numbers_of(node) if not types.get(number)]
        if open_:
            types.update(dict.fromkeys(open_, _of_column(node.this)))
    return [types.get(number) or TEXT for number in range(1, max(types, default=0) + 1)]


def _type_of(parameter: exp.Parameter) -> int:
    operand: exp.Expr = parameter
    while isinstance(operand.parent, exp.Paren):
        operand = operand.parent
    around = operand.parent
    if isinstance(around, exp.Cast):
        return _named(around.to)
    if isinstance(around, exp.Limit | exp.Offset):
        return INT8
    if isinstance(around, exp.In):
        return _of_column(around.this) if around.this is not operand else TEXT
    if isinstance(around, exp.Any):
        return ARRAYS.get(_compared(around), ARRAYS[TEXT])
    return _compared(operand)


def _compared(operand: exp.Expr) -> int:
    comparison = operand.parent
    if not isinstance(comparison, _COMPARISONS):
        return TEXT
    return _of_column(comparison.right if comparison.left is operand else comparison.left)


def _of_column(node: exp.Expr) -> int:
    """The type of a column of the catalog, by those relations of the whole query that have one of its name."""
    if not isinstance(node, exp.Column):
        return TEXT
    relations = filter(None, map(system_relation, node.root().find_all(exp.Table)))
    kinds = {kind for relation in relations if (kind := relation.columns.get(node.name.lower()))}
    return structure().types[kinds.pop()].oid if len(kinds) == 1 else TEXT


def _named(type_: exp.DataType) -> int:
    name = type_.sql("postgres").lower().removeprefix("pg_catalog.")
    if name.endswith("[]"):
        return ARRAYS.get(_BY_NAME.get(name[:-2], 0)) or oid_of(of_type(type_))
    try:
        return _BY_NAME.get(name) or oid_of(of_type(type_))
    except Error:
        return TEXT
