"""Parameters of a prepared statement: which types they have, and their values put in.

A type follows from where a parameter stands: it is that of a cast, of what it is compared with, of a function's
operand, of LIMIT. So the statement is translated once with parameters of open types, which the translation notes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from adapters.errors import UndefinedParameter
from federation.pgwire import types
from federation.pgwire.dialect.context import Settings
from federation.pgwire.dialect.kinds import TEXT, Kind, by_name
from federation.pgwire.dialect.statements import Query
from federation.pgwire.dialect.translate import BOUND, Columns, translate

_PARAMETERS = (exp.Parameter, exp.Placeholder)


def bind(tree: exp.Query, literals: Sequence[exp.Expr]) -> exp.Query:
    """A copy of the tree with `$1` as the first of the literals, and so on. Raises UndefinedParameter."""
    bound = tree.copy()

    def value(parameter: exp.Expr) -> exp.Expr:
        literal = literals[number_of(int(parameter.name), literals)].copy()
        literal.meta[BOUND] = True  # in DuckDB's words already
        return literal

    parameters = list(bound.find_all(*_PARAMETERS))
    lists = {(id(each.parent), each.arg_key): each.parent for each in parameters if each.index is not None}
    for (_, key), parent in lists.items():  # whole: `replace` takes a time for one member that grows with the others
        if parent is not None and key is not None:
            members = parent.args[key]
            parent.set(key, [value(each) if isinstance(each, _PARAMETERS) else each for each in members])
    for parameter in parameters:
        if parameter.index is None:
            parameter.replace(value(parameter))
    return bound


def number_of(parameter: int, literals: Sequence[exp.Expr]) -> int:
    """The place of `$1` and so on among the literals. Raises UndefinedParameter."""
    if not 1 <= parameter <= len(literals):
        raise UndefinedParameter(f"there is no parameter ${parameter}")
    return parameter - 1


def without_void(query: Query, known: Sequence[int]) -> Query:
    """The query, its calls without the arguments that are void, as in PostgreSQL: JDBC has one for what a function
    returns. `known` are the OIDs that the client gave."""
    void = {number for number, oid in enumerate(known, 1) if oid == types.VOID}
    if not void:
        return query
    tree = query.tree.copy()
    for parameter in list(tree.find_all(exp.Parameter)):
        if int(parameter.name) in void and isinstance(parameter.parent, exp.Func):
            parameter.pop()
    return replace(query, short=tree)


def parameter_types(
    tree: exp.Query,
    known: Sequence[int],
    columns: Columns,
    settings: Settings = Settings(),  # noqa: B008
) -> list[int]:
    """The OIDs of `$1` and those after it. `known` are those that the client gave, 0 for none; what nothing speaks of
    is text. Raises what to_duckdb raises."""
    count = max([len(known), *(int(each.name) for each in tree.find_all(exp.Parameter))])
    kinds = {number: kind_of(oid) for number, oid in enumerate(known, 1) if oid}
    translate(tree, columns, settings, kinds)
    given = [*known, *[0] * (count - len(known))]
    return [oid or oid_of(kinds.get(number, TEXT)) for number, oid in enumerate(given, 1)]


_OIDS = {
    **{"bool": types.BOOL, "bytea": types.BYTEA, "int8": types.INT8, "int2": types.INT2, "int4": types.INT4},
    **{"text": types.TEXT, "json": types.JSON, "float4": types.FLOAT4, "float8": types.FLOAT8, "date": types.DATE},
    **{"time": types.TIME, "timestamp": types.TIMESTAMP, "timestamptz": types.TIMESTAMPTZ, "uuid": types.UUID},
    **{"interval": types.INTERVAL, "timetz": types.TIMETZ, "numeric": types.NUMERIC, "jsonb": types.JSONB},
}
_KINDS = {oid: by_name(name) for name, oid in _OIDS.items()}


def oid_of(kind: Kind) -> int:
    """PostgreSQL's number of a kind."""
    if kind.is_array:
        return types.ARRAYS.get(oid_of(kind.element), types.ARRAYS[types.TEXT])
    return _OIDS.get(kind.name, types.TEXT)


def kind_of(oid: int) -> Kind:
    """The kind that values of a type have here."""
    if oid in types.ELEMENTS:
        return kind_of(types.ELEMENTS[oid]).array()
    return _KINDS.get(oid, TEXT)
