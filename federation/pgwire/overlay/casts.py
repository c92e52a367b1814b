"""Casts to PostgreSQL's own types, said in what DuckDB holds them in."""

from __future__ import annotations

import re
from functools import lru_cache

from sqlglot import exp

from federation.pgwire.overlay.catalog_types import duckdb_type

#: sqlglot's types by PostgreSQL's names, as far as they differ in more than case.
_NAMES = {
    **{"int": "int4", "integer": "int4", "bigint": "int8", "smallint": "int2", "boolean": "bool", "decimal": "numeric"},
    **{"float": "float4", "real": "float4", "double": "float8", "double precision": "float8", "bpchar": "bpchar"},
    **{"timestamptz": "timestamptz", "varbinary": "bytea", "utinyint": "int2", "tinyint": "int2"},
    **{"character varying": "varchar", "char": "bpchar", "uuid": "uuid", "json": "json", "jsonb": "jsonb"},
}
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^,"{}]+)')


def kind_of_type(to: exp.Expr | None) -> str | None:
    """The kind that a cast is to: `int4`, `name`, `_oid`; None for what is not a plain name."""
    if isinstance(to, exp.ObjectIdentifier) or (isinstance(to, exp.DataType) and isinstance(to.this, str)):
        return str(to.this).lower()
    if not isinstance(to, exp.DataType):
        return None
    if to.this is exp.DType.ARRAY:
        element = kind_of_type(to.expressions[0]) if to.expressions else None
        return f"_{element}" if element is not None else None
    if to.this is exp.DType.USERDEFINED:
        kind = to.args.get("kind")
        name = kind.name if isinstance(kind, exp.Expr) else str(kind or "")
        return name.strip('"').lower() or None
    name = str(to.this.value).lower()
    return _NAMES.get(name, name)


def array_literal(text: str, element: str) -> exp.Expr:
    """`{a,"b c"}` as a list of `element`s."""
    items: list[exp.Expr] = []
    for match in _ELEMENT.finditer(text.strip()[1:-1]):
        quoted, plain = match.groups()
        if plain is not None and plain.strip().upper() == "NULL":
            items.append(exp.Null())
        else:
            items.append(exp.Literal.string(re.sub(r"\\(.)", r"\1", quoted) if plain is None else plain.strip()))
    return typed(exp.Array(expressions=items), f"_{element}")


def vector_literal(text: str, kind: str) -> exp.Expr:
    """`1 2 3` as an int2vector or oidvector."""
    return typed(exp.Array(expressions=[exp.Literal.string(each) for each in text.split()]), kind)


def typed(node: exp.Expr, kind: str) -> exp.Expr:
    """`node` in the type that DuckDB holds a kind in, and known to be of that kind."""
    cast = exp.Cast(this=node, to=_data_type(kind).copy())
    cast.meta["kind"] = kind
    return cast


@lru_cache(1024)
def _data_type(kind: str) -> exp.DataType:
    """It is parsed, and a list of numbers has thousands of casts."""
    return exp.DataType.build(duckdb_type(kind), dialect="duckdb")


def literal_text(node: exp.Expr) -> str | None:
    """The text of a literal, also of one that is cast to text (as parameters are)."""
    while isinstance(node, exp.Paren) or (isinstance(node, exp.Cast) and kind_of_type(node.to) in ("text", "varchar")):
        node = node.this
    return str(node.this) if isinstance(node, exp.Literal) and node.is_string else None
