"""`count(DISTINCT x)` in the form that PostgreSQL computes quickest.

For the function itself, PostgreSQL sorts the rows of each group, in one process. Over the distinct rows of the group's
keys and `x` it counts the same, with hash tables and several processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

_ROWS = ("from_", "joins", "laterals", "where")
_KNOWN = {*_ROWS, "with_", "expressions", "group", "having", "order", "limit", "offset"}
_NO_KEYS = (exp.Literal, exp.Rollup, exp.Cube, exp.GroupingSets)  # a literal is the number of an output
_INNER = "d"


def distinct_first(query: exp.Query) -> exp.Query:
    """The same query, changed in place where all that it aggregates is `count(DISTINCT x)` of one `x`."""
    if not isinstance(query, exp.Select) or {key for key, value in query.args.items() if value} - _KNOWN:
        return query
    group = query.args.get("group")
    keys = group.expressions if group is not None else []
    if group is not None and (any(value for key, value in group.args.items() if key != "expressions") or not keys):
        return query
    if any(isinstance(key, _NO_KEYS) for key in keys):
        return query
    counted = _counted(query)
    return query if counted is None else _nested(query, keys, counted)


def _counted(query: exp.Select) -> exp.Expr | None:
    """What the distinct values of are counted, if nothing else is aggregated."""
    found: exp.Expr | None = None
    for part in _above(query):
        if part.find(exp.Query, exp.Window, exp.Filter, exp.Anonymous):
            return None
        for each in part.find_all(exp.AggFunc):
            distinct = each.this if isinstance(each, exp.Count) else None
            if not isinstance(distinct, exp.Distinct) or len(distinct.expressions) != 1:
                return None
            if found is not None and distinct.expressions[0] != found:
                return None
            found = distinct.expressions[0]
    return found


def _above(query: exp.Select) -> Iterator[exp.Expr]:
    """What is computed of the groups."""
    yield from query.selects
    yield from (each for key in ("having", "order") if (each := query.args.get(key)) is not None)


def _nested(query: exp.Select, keys: Sequence[exp.Expr], counted: exp.Expr) -> exp.Query:
    names = {key: f"g{number}" for number, key in enumerate(keys)}
    made = query.copy()
    for part in list(_above(made)):
        for node in list(part.walk()):
            if isinstance(node, exp.Count):
                node.replace(exp.Count(this=_inner("x")))
            elif node in names:
                node.replace(exp.alias_(_inner(names[node]), node.name) if node is part else _inner(names[node]))
    if any(column.table != _INNER for part in _above(made) for column in part.find_all(exp.Column)):
        return query
    rows = exp.select(*(exp.alias_(key.copy(), name) for key, name in names.items()), exp.alias_(counted.copy(), "x"))
    for key in _ROWS:
        rows.set(key, made.args.get(key))
        made.set(key, None)
    made.from_(rows.distinct().subquery(_INNER), copy=False)
    if keys:
        made.set("group", exp.Group(expressions=[_inner(name) for name in names.values()]))
    return made


def _inner(name: str) -> exp.Column:
    return exp.column(name, _INNER)
