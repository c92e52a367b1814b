"""The types of parameters in queries over PostgreSQL's catalog. Drivers that ask for types insist on `oid`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from adapters.errors import Error
from federation.pgwire.dialect.kinds import of_type
from federation.pgwire.dialect.parameters import oid_of
from federation.pgwire.types import ARRAYS, INT8, NAME, OID, TEXT

_BY_NAME = {"oid": OID, "regclass": OID, "regtype": OID, "name": NAME}


def catalog_parameter_types(tree: exp.Query, known: Sequence[int]) -> list[int]:
    """By the cast, or the column that it is compared with; text otherwise. `known` are 0 where the client left it."""
    parameters = list(tree.find_all(exp.Parameter))
    types = [*known, *[0] * (max((int(each.name) for each in parameters), default=0) - len(known))]
    for each in parameters:
        place = int(each.name) - 1
        types[place] = types[place] or _type_of(each)
    return [each or TEXT for each in types]


def _type_of(parameter: exp.Parameter) -> int:
    operand: exp.Expr = parameter
    while isinstance(operand.parent, exp.Paren):
        operand = operand.parent
    around = operand.parent
    if isinstance(around, exp.Cast):
        return _named(around.to)
    if isinstance(around, exp.Limit | exp.Offset):
        return INT8
    if isinstance(around, exp.Any):
        return ARRAYS[_compared(around)]
    return _compared(operand)


def _compared(operand: exp.Expr) -> int:
    comparison = operand.parent
    if not isinstance(comparison, exp.Binary):
        return TEXT
    other = comparison.right if comparison.left is operand else comparison.left
    return OID if isinstance(other, exp.Column) and other.name.lower().endswith(("oid", "relid")) else TEXT


def _named(type_: exp.DataType) -> int:
    name = type_.sql("postgres").lower().removeprefix("pg_catalog.")
    if name.endswith("[]"):
        return ARRAYS.get(_BY_NAME.get(name[:-2], 0)) or oid_of(of_type(type_))
    try:
        return _BY_NAME.get(name) or oid_of(of_type(type_))
    except Error:
        return TEXT
