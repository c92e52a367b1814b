"""What PostgreSQL calls an output that the statement does not name."""

from __future__ import annotations

from sqlglot import exp

from adapters.errors import NotSupportedError
from federation.pgwire.dialect.kinds import of_type
from federation.pgwire.dialect.problems import UndefinedType

UNNAMED = "?column?"
_BY_NODE: dict[type[exp.Expr], str] = {
    **{exp.Case: "case", exp.Coalesce: "coalesce", exp.Nullif: "nullif", exp.Exists: "exists", exp.Array: "array"},
    **{exp.Extract: "extract", exp.Substring: "substring", exp.StrPosition: "position", exp.Overlay: "overlay"},
    **{exp.Count: "count", exp.Interval: "interval"},
    **{exp.CurrentDate: "current_date", exp.CurrentTimestamp: "current_timestamp", exp.CurrentUser: "current_user"},
    **{exp.CurrentTime: "current_time", exp.Localtime: "localtime", exp.Localtimestamp: "localtimestamp"},
    **{exp.SessionUser: "session_user", exp.CurrentSchema: "current_schema", exp.CurrentCatalog: "current_catalog"},
    **{exp.CurrentRole: "current_role", exp.AtTimeZone: "timezone", exp.ParseJSON: "json", exp.Boolean: "bool"},
}
_TRIMS = {"LEADING": "ltrim", "TRAILING": "rtrim"}


def identifier_name(identifier: exp.Expr) -> str:
    """Folded to lower case unless quoted."""
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def output_name(node: exp.Expr) -> str:
    return _name(node)[0] or UNNAMED


def _name(node: exp.Expr) -> tuple[str | None, int]:
    """The name, and how strong it is: that of a type (1) yields to that of what is around it."""
    if isinstance(node, exp.Alias):
        return identifier_name(node.args["alias"]), 2
    if isinstance(node, exp.Column):
        return identifier_name(node.this), 2
    if isinstance(node, exp.Cast):
        name, strength = _name(node.this)
        return (name, 2) if strength == 2 else (_type_name(node.to), 1)
    if isinstance(node, exp.Anonymous):
        return ("row" if node.name.upper() == "ROW" else _call_name(node)), 2
    if isinstance(node, exp.Trim):
        return _TRIMS.get(str(node.args.get("position") or "").upper(), "btrim"), 2
    if isinstance(node, exp.Dot):
        return _name(node.expression)
    if isinstance(node, exp.Case):
        name, strength = _name(node.args["default"]) if node.args.get("default") else (None, 0)
        return (name if strength == 2 else "case"), 2 if strength == 2 else 1
    if isinstance(node, exp.Subquery):
        inner = node.this
        while isinstance(inner, exp.SetOperation):
            inner = inner.this
        return _name(inner.expressions[0]) if isinstance(inner, exp.Select) and inner.expressions else (None, 0)
    if isinstance(node, (exp.Paren, exp.Bracket, exp.Collate, exp.Window, exp.Filter, exp.WithinGroup)):
        return _name(node.this)
    found = _BY_NODE.get(type(node))
    weak = isinstance(node, (exp.Boolean, exp.Interval, exp.ParseJSON))
    return found, 0 if found is None else 1 if weak else 2


def _call_name(node: exp.Anonymous) -> str:
    this = node.this
    return this.name if isinstance(this, exp.Identifier) else str(this).lower()


def _type_name(type_: exp.DataType) -> str | None:
    try:
        kind = of_type(type_)
    except (NotSupportedError, UndefinedType):  # one that only PostgreSQL's catalog has
        return type_.sql("postgres").lower().rpartition(".")[2].removesuffix("[]").strip('"')
    if type_.this is exp.DType.VARCHAR:
        return "varchar"
    return kind.element.name if kind.is_array else kind.name
