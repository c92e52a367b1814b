"""What DuckDB would compute of a text, computed at its source: the length, a part or whether it matches a pattern
travel in place of a column that nothing else looks at.

Only expressions that cannot raise, whatever the row: the source computes them of rows, too, that are dropped here.
"""

from __future__ import annotations

from sqlglot import exp

from adapters.sql.expressions import quoted_column

#: the values of one column, by the name under which they travel
Computed = dict[tuple[str, str], exp.Expr]


def compute(select: exp.Select, aliases: set[str]) -> Computed:
    """Replace such expressions over the tables by columns, in place; what each of them stands for."""
    uses: dict[tuple[str, str], list[exp.Column]] = {}
    for column in select.find_all(exp.Column):
        if column.table in aliases:
            uses.setdefault((column.table, column.name), []).append(column)
    taken = {(alias, name.lower()) for alias, name in uses}
    found: Computed = {}
    for (alias, name), columns in uses.items():
        wholes = [_computed_of(column) for column in columns]
        first = wholes[0]
        if first is None or any(each != first for each in wholes):
            continue
        given = f"{name}_{first.key}".lower()
        if (alias, given) not in taken:
            taken.add((alias, given))
            found[alias, given] = first.copy()
            for each in wholes:
                assert each is not None
                each.replace(quoted_column(given, alias))
    return found


def restore(select: exp.Select, computed: Computed) -> None:
    """Undo `compute`, where the source does not take them."""
    for column in list(select.find_all(exp.Column)):
        if (column.table, column.name) in computed:
            column.replace(computed[column.table, column.name].copy())


def _computed_of(column: exp.Column) -> exp.Expr | None:
    """The expression around a column that can travel in its place."""
    node = column.parent
    if isinstance(node, exp.Length):
        known = {key for key, value in node.args.items() if value} <= {"this", "binary"}
        return node if known else None
    if isinstance(node, exp.Substring) and column.arg_key == "this":
        bounds = [value for key, value in node.args.items() if key != "this" and value is not None]
        numbers = all(isinstance(each, exp.Literal) and each.this.isdigit() for each in bounds)
        return node if numbers and node.args.get("length") is not None else None
    if isinstance(node, exp.Like) and column.arg_key == "this":
        return node if isinstance(node.expression, exp.Literal) and not isinstance(node.parent, exp.Escape) else None
    return None
