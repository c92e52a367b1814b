"""What a row filter or a column mask may be: an expression over the columns of its table, and over who asks.

`current_attribute('name')` is an attribute of the caller as text, `current_user` is the caller's name; both are NULL
where there is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sqlglot import exp

from catalog.expressions import fault, position, read_expression

ATTRIBUTE = "current_attribute"
_HINT = "write an expression over the table's columns, with current_attribute('name') and current_user"
_REFUSED: tuple[tuple[tuple[type[exp.Expr], ...], str], ...] = (
    ((exp.Query, exp.Exists, exp.Table), "a subquery"),
    ((exp.Star, exp.Columns, exp.PositionalColumn), "a list of columns"),
    ((exp.Placeholder, exp.Parameter), "a parameter"),
    ((exp.AggFunc, exp.Window), "an aggregate or a window"),
    ((exp.UDTF, exp.Explode), "a function that gives several rows"),
    ((exp.SessionUser, exp.CurrentRole), "who is logged in but by current_user"),
)
_NO_TEXT = re.compile("[\0\ud800-\udfff]")


def read_policy(text: str) -> exp.Expr:
    """The expression, its columns named alone. Raises CatalogError with the position (from 1)."""
    found = read_expression(text, _HINT)
    for node in found.walk():
        for kinds, what in _REFUSED:
            if isinstance(node, kinds):
                raise fault(f"{what} is not allowed in a policy", position(node), _HINT)
        if isinstance(node, exp.Column) and node.table:
            hint = "name the column alone; a field of a struct is column['field']"
            raise fault(f"{node.sql('duckdb')} has a qualifier", position(node), hint)
        if _is_attribute(node) and not (len(node.expressions) == 1 and _is_text(node.expressions[0])):
            raise fault(f"{ATTRIBUTE} takes one literal", None, f"{ATTRIBUTE}('region')")
    return found


def columns_of(expression: exp.Expr) -> Iterator[str]:
    return (column.name for column in expression.find_all(exp.Column))


def filled_in(expression: exp.Expr, user: str | None, attribute: Callable[[str], str | None], table: str) -> exp.Expr:
    """A copy with the caller's values as literals, and `table` before each column."""

    def fill(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.CurrentUser):
            return _literal(user)
        if _is_attribute(node):
            return _literal(attribute(node.expressions[0].name))
        if isinstance(node, exp.Column):
            return exp.column(exp.to_identifier(node.name, quoted=True), exp.to_identifier(table, quoted=True))
        return node

    made = expression.transform(fill)
    for node in made.walk():
        node.meta.clear()  # positions in the catalog file are none in a statement
    return made


def _literal(value: str | None) -> exp.Expr:
    """What is no text of SQL is none at all."""
    if value is None or _NO_TEXT.search(value):
        return exp.cast(exp.Null(), "VARCHAR")
    return exp.Literal.string(value)


def _is_attribute(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.lower() == ATTRIBUTE


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_string
