"""USING and NATURAL: which of the joined columns the merged column is.

sqlglot writes COALESCE over all of them. DuckDB takes the left one, and of a RIGHT join the right one: only a FULL join
makes something new. The difference is the type.
"""

from __future__ import annotations

from sqlglot import exp

_WRITTEN = "written"


def mark_written(query: exp.Query) -> None:
    """Mark every COALESCE of the statement itself, before sqlglot adds its own."""
    for node in query.find_all(exp.Coalesce):
        node.meta[_WRITTEN] = True


def choose_columns(query: exp.Query) -> bool:
    """Replace what sqlglot added by the column that DuckDB takes, in place. False where that is not known."""
    for node in list(query.find_all(exp.Coalesce)):
        if node.meta.get(_WRITTEN):
            continue
        columns = [node.this, *node.expressions]
        sides = [join.side for join in _joins(node, columns[0])]
        if "RIGHT" not in sides and "FULL" not in sides:
            node.replace(columns[0])
        elif sides == ["RIGHT"]:
            node.replace(columns[1])
        elif sides != ["FULL"]:
            return False
    return True


def _joins(node: exp.Expr, column: exp.Expr) -> list[exp.Join]:
    """The joins of the SELECT that the column is of: this one, or one around it."""
    select = node.find_ancestor(exp.Select)
    while select is not None:
        joins = select.args.get("joins") or []
        relations = [select.args["from_"].this, *(join.this for join in joins)] if select.args.get("from_") else []
        if isinstance(column, exp.Column) and column.table in {each.alias_or_name for each in relations}:
            return list(joins)
        select = select.find_ancestor(exp.Select)
    return []
