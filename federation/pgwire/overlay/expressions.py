"""Expressions over the catalog: PostgreSQL's words on the left, DuckDB's on the right.

Each rule gets a node whose parts have been through the rules already, and answers with the node to put in its place,
which has its kind (`scope.with_kind`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from federation.pgwire.overlay.casts import array_literal, kind_of_type, literal_text, typed, vector_literal
from federation.pgwire.overlay.catalog_types import REG, is_array
from federation.pgwire.overlay.scope import Columns, common, kind_of, with_kind
from federation.pgwire.overlay.structure import structure

#: Gives the number of an object by its name: (kind such as regclass, name as written).
Lookup = Callable[[str, str], int]

VECTORS = {"int2vector": "int2", "oidvector": "oid"}
#: Functions that give rows: what each row has. The macros of these names give lists of structs.
ROW_FUNCTIONS: dict[str, Columns] = {
    "_pg_expandarray": [("x", None), ("n", "int4")],
    "aclexplode": [("grantor", "oid"), ("grantee", "oid"), ("privilege_type", "text"), ("is_grantable", "bool")],
    "pg_options_to_table": [("option_name", "text"), ("option_value", "text")],
}
#: Functions that give rows of one column: the macros of these names give lists.
LIST_FUNCTIONS = {"pg_partition_ancestors": "oid", "pg_listening_channels": "text"}
#: Functions that DuckDB has under another name.
_RENAMED = {
    **{"json_build_object": "json_object", "jsonb_build_object": "json_object", "json_agg": "json_group_array"},
    **{"jsonb_agg": "json_group_array", "to_jsonb": "to_json", "clock_timestamp": "now", "btrim": "trim"},
}
_NUMBERS = {"oid", "int2", "int4", "int8"}
#: What SQL calls values, not functions.
_VALUES = dict.fromkeys(("current_catalog", "current_role", "user"), "name")
_INTEGERS = {"int2", "int4", "int8"}
_KEEPING = {"min", "max", "any_value", "coalesce", "nullif", "greatest", "least"}
_OPERATORS: dict[str, Callable[[exp.Expr, exp.Expr], exp.Expr]] = {
    "~": lambda a, b: exp.RegexpLike(this=a, expression=b),
    "!~": lambda a, b: exp.Not(this=exp.RegexpLike(this=a, expression=b)),
    "~*": lambda a, b: exp.RegexpILike(this=a, expression=b),
    "!~*": lambda a, b: exp.Not(this=exp.RegexpILike(this=a, expression=b)),
    "~~": lambda a, b: exp.Like(this=a, expression=b),
    "!~~": lambda a, b: exp.Not(this=exp.Like(this=a, expression=b)),
    "=": lambda a, b: exp.EQ(this=a, expression=b),
    "<>": lambda a, b: exp.NEQ(this=a, expression=b),
    "<": lambda a, b: exp.LT(this=a, expression=b),
    "<=": lambda a, b: exp.LTE(this=a, expression=b),
    ">": lambda a, b: exp.GT(this=a, expression=b),
    ">=": lambda a, b: exp.GTE(this=a, expression=b),
    "+": lambda a, b: exp.Add(this=a, expression=b),
    "-": lambda a, b: exp.Sub(this=a, expression=b),
    "*": lambda a, b: exp.Mul(this=a, expression=b),
    "||": lambda a, b: exp.DPipe(this=a, expression=b),
}


def macro(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of one of `macros.sql`."""
    call = exp.Dot(this=exp.to_identifier("pg"), expression=exp.Anonymous(this=name, expressions=list(arguments)))
    return with_kind(call, _VALUES.get(name) or structure().function_kinds.get(name))


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def unnested(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    """The rows of one of ROW_FUNCTIONS as structs."""
    return call("unnest", macro(name, *arguments))


class Expressions:
    """`macros` are the names that `macros.sql` defines."""

    def __init__(self, macros: frozenset[str], lookup: Lookup) -> None:
        self._macros = macros
        self._lookup = lookup
        self._rules: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
            exp.Cast: self._cast,
            exp.Operator: self._operator,
            exp.Collate: lambda node: node.this,
            exp.Dot: self._dot,
            exp.Anonymous: self._function,
            exp.Bracket: self._bracket,
            exp.EQ: _compared,
            exp.NEQ: _compared,
            exp.DPipe: _joined,
            exp.Any: _any,
            exp.Div: _divided,
            exp.Like: _like,
            exp.ILike: _like,
            exp.Array: _array,
            exp.Paren: lambda node: with_kind(node, kind_of(node.this)),
            exp.Case: lambda node: with_kind(
                node, common([*_given(node, "default"), *(each.args["true"] for each in node.args["ifs"])])
            ),
            exp.Coalesce: _coalesced,
            exp.Nullif: lambda node: with_kind(node, kind_of(node.this)),
            exp.CurrentUser: lambda _: macro("current_user"),
            exp.SessionUser: lambda _: macro("session_user"),
            exp.CurrentCatalog: lambda _: macro("current_catalog"),
            exp.CurrentSchema: lambda _: macro("current_schema"),
        }

    def apply(self, node: exp.Expr) -> exp.Expr:
        rule = self._rules.get(type(node))
        return rule(node) if rule is not None else node

    def is_own(self, name: str) -> bool:
        """Whether a function of that name is of the catalog."""
        return name.lower() in self._macros

    # --- calls ---------------------------------------------------------------------------------------------------

    def _dot(self, node: exp.Dot) -> exp.Expr:
        """A field of a row."""
        if isinstance(node.expression, exp.Identifier) and isinstance(node.this, exp.Paren):
            fields = dict(ROW_FUNCTIONS["_pg_expandarray"] + ROW_FUNCTIONS["aclexplode"])
            return with_kind(node, fields.get(node.expression.name))
        return node

    def _function(self, node: exp.Anonymous) -> exp.Expr:
        name, arguments = node.name.lower(), node.expressions
        if name in ROW_FUNCTIONS:
            return unnested(name, arguments)
        if name in ("_pg_truetypid", "_pg_truetypmod"):
            return _true_type(name, *arguments)
        if (
            name in ("array_lower", "array_upper", "generate_subscripts", "array_position")
            and kind_of(arguments[0]) in VECTORS
        ):
            return _of_vector(name, *arguments)
        if name == "format" and (text := literal_text(arguments[0])) is not None:
            return _formatted(text, arguments[1:])
        if name == "generate_subscripts":
            return call("unnest", _indexes(arguments[0], 1))
        if name in _RENAMED:
            return with_kind(call(_RENAMED[name], *arguments), structure().function_kinds.get(name))
        if name in LIST_FUNCTIONS:
            return with_kind(call("unnest", macro(name, *arguments)), LIST_FUNCTIONS[name])
        if name == "generate_series":
            return call("unnest", with_kind(call(name, *arguments), "_int4"))
        if name.startswith("pg_stat_get_"):  # no source tells how it is used
            return typed(exp.Null(), structure().function_kinds.get(name, "int8"))
        if name in self._macros:
            return macro(name, *arguments)
        return with_kind(node, self._result(name, arguments))

    def _result(self, name: str, arguments: list[exp.Expr]) -> str | None:
        if name in _KEEPING:
            return common(arguments)
        if name == "array_agg" and arguments:
            first = arguments[0].this if isinstance(arguments[0], (exp.Order, exp.Distinct)) else arguments[0]
            kind = kind_of(first)
            return f"_{kind}" if kind is not None and not is_array(kind) else None
        if name == "unnest" and arguments:
            return element_kind(kind_of(arguments[0]))
        return structure().function_kinds.get(name)

    # --- operators ------------------------------------------------------------------------------------------------

    def _operator(self, node: exp.Operator) -> exp.Expr:
        """`a OPERATOR(pg_catalog.~) b`."""
        sign = str(node.args["operator"]).rpartition(".")[2].strip('"')
        make = _OPERATORS.get(sign)
        return _compared(make(node.this, node.expression)) if make is not None else node

    def _bracket(self, node: exp.Bracket) -> exp.Expr:
        kind = kind_of(node.this)
        if any(isinstance(each, exp.Slice) for each in node.expressions):
            return with_kind(node, kind)
        if kind in VECTORS:  # they count from 0; sqlglot keeps literals one lower than they were written
            (index,) = node.expressions
            one = exp.Literal.number(1)
            shifted = (
                exp.Literal.number(int(index.to_py()) + 1)
                if _is_number(index)
                else exp.Add(this=exp.paren(index), expression=one)
            )
            node.set("expressions", [shifted])
        return with_kind(node, element_kind(kind))

    # --- casts ----------------------------------------------------------------------------------------------------

    def _cast(self, node: exp.Cast) -> exp.Expr:
        kind, this = kind_of_type(node.to), node.this
        if kind is None:
            return node
        text = literal_text(this)
        if kind in REG:
            return self._registered(kind, this, text)
        if kind in VECTORS and text is not None:
            return vector_literal(text, kind)
        if is_array(kind):
            return array_literal(text, kind[1:]) if text is not None else typed(this, kind)
        given = kind_of(this)
        if given in REG and kind in ("text", "varchar", "name"):
            return with_kind(as_text(this, str(given)), kind)
        if kind == "char":
            return with_kind(call("left", typed(this, "text"), exp.Literal.number(1)), kind)
        if given in VECTORS and kind in ("text", "varchar"):
            return with_kind(call("array_to_string", this, exp.Literal.string(" ")), kind)
        if kind in structure().types and kind not in ("numeric", "bpchar", "varchar", "bit", "varbit"):
            return typed(this, kind)
        return with_kind(node, kind)

    def _registered(self, kind: str, this: exp.Expr, text: str | None) -> exp.Expr:
        """A name becomes the number of what it names."""
        if text is not None:
            number = 0 if text == "-" else int(text) if text.isdigit() else structure().number_of(kind, text)
            if number is None:
                number = self._lookup(kind, text)
            return typed(exp.Literal.number(number), kind)
        given = kind_of(this)
        if given in REG or given in _NUMBERS or _is_number(this):
            return typed(this, kind)
        return typed(_number_of(kind, this), kind)


def as_text(number: exp.Expr, kind: str) -> exp.Expr:
    """The name of an object, as PostgreSQL shows a regclass."""
    name = {"regprocedure": "regproc"}.get(kind, kind)
    if name in ("regclass", "regtype", "regproc", "regnamespace", "regrole"):
        return macro(f"{name}_text", number)
    return typed(number, "text")


def element_kind(kind: str | None) -> str | None:
    if kind is None:
        return None
    return VECTORS.get(kind) or (kind[1:] if is_array(kind) else None)


def _number_of(kind: str, name: exp.Expr) -> exp.Expr:
    """The number of what a computed text names; PostgreSQL takes a text of digits for the number itself."""
    text = typed(name, "text")
    found = macro(f"to_{kind}", text) if kind in ("regclass", "regtype", "regproc", "regnamespace", "regrole") else text
    digits = exp.TryCast(this=text.copy(), to=exp.DataType.build("UINTEGER", dialect="duckdb"))
    return exp.Coalesce(this=digits, expressions=[found])


def _is_number(node: exp.Expr) -> bool:
    node = node.this if isinstance(node, exp.Neg) else node
    return isinstance(node, exp.Literal) and not node.is_string


def _given(node: exp.Expr, name: str) -> list[exp.Expr]:
    value = node.args.get(name)
    return [value] if value is not None else []


def _compared(node: exp.Expr) -> exp.Expr:
    """A literal beside an array is one: `polroles <> '{0}'`."""
    for here, there in (("this", "expression"), ("expression", "this")):
        kind, literal = kind_of(node.args.get(here)), node.args.get(there)
        if kind is not None and isinstance(literal, exp.Literal) and literal.is_string:
            if kind in VECTORS:
                node.set(there, vector_literal(literal.this, kind))
            elif is_array(kind):
                node.set(there, array_literal(literal.this, kind[1:]))
    return node


def _coalesced(node: exp.Coalesce) -> exp.Expr:
    kind = common([node.this, *node.expressions])
    if kind is not None and is_array(kind):
        node.set("expressions", [_array_of(each, kind) for each in node.expressions])
    return with_kind(node, kind)


def _array_of(node: exp.Expr, kind: str) -> exp.Expr:
    is_text = isinstance(node, exp.Literal) and node.is_string
    return array_literal(node.this, kind[1:]) if is_text else node


def _joined(node: exp.DPipe) -> exp.Expr:
    """For PostgreSQL nothing beside an array is no NULL."""
    arrays = [
        each for each in (node.this, node.expression) if is_array(kind_of(each) or "") or isinstance(each, exp.Array)
    ]
    if not arrays:
        return with_kind(node, "text")
    return with_kind(call("list_concat", node.this, node.expression), kind_of(arrays[0]))


def _divided(node: exp.Div) -> exp.Expr:
    """Integers give integers."""
    if all(kind_of(each) in _INTEGERS or _is_integer(each) for each in (node.this, node.expression)):
        return with_kind(exp.IntDiv(this=node.this, expression=node.expression), common([node.this, node.expression]))
    return node


def _is_integer(node: exp.Expr) -> bool:
    return _is_number(node) and node.name.isdigit()


def _like(node: exp.Expr) -> exp.Expr:
    """PostgreSQL escapes with a backslash unless it is told otherwise."""
    pattern = literal_text(node.expression)
    if isinstance(node.parent, exp.Escape) or (pattern is not None and "\\" not in pattern):
        return node
    return exp.Escape(this=node.copy(), expression=exp.Literal.string("\\"))


def _any(node: exp.Any) -> exp.Expr:
    inner = node.this.unnest() if isinstance(node.this, exp.Paren) else node.this
    if isinstance(inner, exp.Literal) and inner.is_string:
        other = node.parent.this if node.parent is not None else None
        node.set("this", array_literal(inner.this, kind_of(other) or "text"))
    return node


def _array(node: exp.Array) -> exp.Expr:
    kind = common(node.expressions) if node.expressions else None
    return with_kind(node, f"_{kind}" if kind is not None and not is_array(kind) else None)


def _indexes(vector: exp.Expr, first: int) -> exp.Expr:
    """The subscripts of a list, counted from `first`."""
    length = call("len", vector)
    end = exp.Add(this=length, expression=exp.Literal.number(first)) if first else length
    return typed(call("range", exp.Literal.number(first), end), "_int4")


def _of_vector(name: str, vector: exp.Expr, other: exp.Expr) -> exp.Expr:
    """What counts from 1 for arrays, for one that counts from 0."""
    if name == "generate_subscripts":
        return call("unnest", _indexes(vector, 0))
    counted = macro(name, vector, other) if name != "array_position" else call("list_position", vector, other)
    return typed(exp.Sub(this=exp.paren(counted), expression=exp.Literal.number(1)), "int4")


def _formatted(text: str, arguments: list[exp.Expr]) -> exp.Expr:
    """`format('%I.%I', a, b)`."""
    parts: list[exp.Expr] = []
    rest = list(arguments)
    for piece in re.split("(%[sIL%])", text):
        if piece in _PLACEHOLDERS and rest:
            parts.append(_PLACEHOLDERS[piece](typed(rest.pop(0), "text")))
        elif piece:
            parts.append(exp.Literal.string("%" if piece == "%%" else piece))
    return with_kind(call("concat", *parts), "text")


_PLACEHOLDERS: dict[str, Callable[[exp.Expr], exp.Expr]] = {
    "%s": lambda value: value,
    "%I": lambda value: macro("quote_ident", value),
    "%L": lambda value: macro("quote_nullable", value),
}


def _true_type(name: str, attribute: exp.Expr, type_: exp.Expr) -> exp.Expr:
    """information_schema's `_pg_truetypid(a.*, t.*)`: a domain's base type."""
    a, t = attribute.args.get("table"), type_.args.get("table")
    of_domain, own = ("typbasetype", "atttypid") if name == "_pg_truetypid" else ("typtypmod", "atttypmod")
    is_domain = exp.EQ(this=exp.column("typtype", t, quoted=True), expression=exp.Literal.string("d"))
    case = exp.Case().when(is_domain, exp.column(of_domain, t, quoted=True)).else_(exp.column(own, a, quoted=True))
    return with_kind(case, "oid" if name == "_pg_truetypid" else "int4")
