"""What every row of a table is declared to fulfil: a conjunction of `column op literal`, IN, BETWEEN, IS NOT NULL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from adapters.base import Table
from adapters.errors import CatalogError
from catalog.expressions import fault, position, read_expression
from catalog.names import did_you_mean, nearest

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_HINT = "write a conjunction of column op literal, column IN (…), column BETWEEN … AND … and column IS NOT NULL"


def read_constraint(text: str) -> tuple[exp.Expr, ...]:
    """The conjuncts, each about one column that is named alone. Raises CatalogError with the position (from 1)."""
    found: list[exp.Expr] = []
    _collect(read_expression(text, _HINT), found)
    return tuple(found)


def check_columns(constraint: Sequence[exp.Expr], table: Table, source: str) -> None:
    """Raises CatalogError for a column that the table does not have."""
    names = [column.name for column in table.columns]
    known = {name.lower() for name in names}
    for column in (each for part in constraint for each in part.find_all(exp.Column)):
        if column.name.lower() not in known:
            said = f"the constraint of {table.name.name} names the column {column.name}, which it does not have"
            raise CatalogError(said, hint=did_you_mean(nearest(column.name, names)), source=source)


def _collect(node: exp.Expr, found: list[exp.Expr]) -> None:
    pending = [node]
    while pending:  # a long conjunction is nested as deep as it is long
        part = pending.pop()
        part = part.unnest() if isinstance(part, exp.Paren) else part
        if isinstance(part, exp.And):
            pending += [part.expression, part.this]
        elif _allowed(part):
            found.append(part)
        else:
            raise fault(f"{part.sql('duckdb')} is not allowed in a constraint", position(part), _HINT)


def _allowed(part: exp.Expr) -> bool:
    if isinstance(part, _COMPARISONS):
        left, right = part.this, part.expression
        return (_is_column(left) and _is_literal(right)) or (_is_literal(left) and _is_column(right))
    if isinstance(part, exp.Between):
        plain = not part.args.get("symmetric")
        return plain and _is_column(part.this) and _is_literal(part.args["low"]) and _is_literal(part.args["high"])
    if isinstance(part, exp.In):
        items = part.expressions
        listed = not any(part.args.get(key) for key in ("query", "unnest", "field"))
        return listed and bool(items) and _is_column(part.this) and all(_is_literal(each) for each in items)
    if isinstance(part, exp.Not) and isinstance(part.this, exp.Is):
        return _is_column(part.this.this) and isinstance(part.this.expression, exp.Null)
    return False


def _is_column(node: exp.Expr) -> bool:
    return isinstance(node, exp.Column) and not node.table and isinstance(node.this, exp.Identifier)


def _is_literal(node: exp.Expr) -> bool:
    if isinstance(node, (exp.Neg, exp.Cast)) and not isinstance(node, exp.TryCast):
        node = node.this
    return isinstance(node, (exp.Literal, exp.Boolean))
