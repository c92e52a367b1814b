"""The name that PostgreSQL gives a column of a result that has no alias."""

from __future__ import annotations

from sqlglot import exp

from federation.pgwire.overlay.casts import kind_of_type

_NAMED = {
    exp.Coalesce: "coalesce",
    exp.Nullif: "nullif",
    exp.Exists: "exists",
    exp.Array: "array",
    exp.Tuple: "row",
    exp.CurrentUser: "current_user",
    exp.SessionUser: "session_user",
    exp.CurrentCatalog: "current_catalog",
    exp.CurrentSchema: "current_schema",
    exp.CurrentDate: "current_date",
    exp.CurrentTimestamp: "current_timestamp",
}
UNNAMED = "?column?"


def output_name(node: exp.Expr) -> str:
    """As PostgreSQL: a column's or function's own name, that of what is cast, otherwise the type's."""
    return _name(node)[0] or UNNAMED


def _name(node: exp.Expr | None) -> tuple[str | None, bool]:
    """The name, and whether it is stronger than that of a type or CASE around it."""
    if isinstance(node, exp.Alias):
        return node.alias, True
    if isinstance(node, exp.Column):
        return node.name, True
    if isinstance(node, exp.Dot):
        return _name(node.expression) if isinstance(node.expression, exp.Func) else (node.expression.name, True)
    if isinstance(node, exp.Cast):
        name, strong = _name(node.this)
        return (name, True) if strong else (kind_of_type(node.to) or name, False)
    if isinstance(node, (exp.Paren, exp.Collate, exp.Bracket)):
        return _name(node.this)
    if isinstance(node, exp.Case):
        name, strong = _name(node.args.get("default"))
        return (name, True) if strong else ("case", False)
    if isinstance(node, exp.Subquery):
        return _name(node.this.selects[0]) if node.this.selects else (None, False)
    if node is not None and type(node) in _NAMED:
        return _NAMED[type(node)], True
    if isinstance(node, exp.Anonymous):
        return node.name.lower(), True
    named = isinstance(node, exp.Func) and not isinstance(node, exp.Connector)
    return (node.sql_name().lower(), True) if named and isinstance(node, exp.Func) else (None, False)
