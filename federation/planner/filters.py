"""Moving conditions towards the tables that they are about. Nothing is pushed to a source here: every rewrite is
legal in DuckDB itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

_VOLATILE = (exp.Rand, exp.Uuid)
_VOLATILE_NAMES = frozenset({"nextval", "setseed", "gen_random_uuid", "uuidv4", "uuidv7", "clock_timestamp", "random"})


_ROW_FUNCTIONS = (
    exp.And,
    exp.Or,
    exp.Not,
    exp.Case,
    exp.If,
    exp.Cast,
    exp.TryCast,
    exp.Coalesce,
    exp.Nullif,
    exp.Abs,
    exp.Ceil,
    exp.Floor,
    exp.Round,
    exp.Concat,
    exp.DPipe,
    exp.Length,
    exp.Lower,
    exp.Upper,
    exp.Substring,
    exp.Trim,
    exp.Replace,
    exp.StartsWith,
    exp.Extract,
    exp.Year,
    exp.Month,
    exp.Day,
    exp.Quarter,
    exp.TimestampTrunc,
    exp.RegexpLike,
    exp.RegexpReplace,
    exp.StrPosition,
)


def conjuncts(condition: exp.Expr | None) -> list[exp.Expr]:
    """The parts of a conjunction, without the parentheses around them."""
    if condition is None:
        return []
    condition = condition.unnest() if isinstance(condition, exp.Paren) else condition
    if isinstance(condition, exp.And):
        return [part for each in condition.flatten() for part in conjuncts(each)]
    return [condition]


def conjunction(parts: list[exp.Expr]) -> exp.Expr | None:
    return exp.and_(*parts, copy=False) if parts else None


def volatile(node: exp.Expr) -> bool:
    """Whether evaluating the node twice, or elsewhere, may give another value."""
    if node.find(*_VOLATILE):
        return True
    return any(each.name.lower() in _VOLATILE_NAMES for each in node.find_all(exp.Anonymous))


def relations(select: exp.Select) -> list[exp.Expr]:
    """The relations of FROM and its joins, in order."""
    found = [select.args["from_"].this] if select.args.get("from_") else []
    return found + [join.this for join in select.args.get("joins") or []]


def clause(node: exp.Expr, key: str) -> list[exp.Expr]:
    """What stands in a clause, which may hold one node or several."""
    value = node.args.get(key)
    return value if isinstance(value, list) else [value] if value is not None else []


def own_subqueries(select: exp.Select) -> Iterator[exp.Query]:
    """The queries inside the expressions of a SELECT, not those in FROM and not those inside each other."""
    outside = relations(select)
    for key in ("expressions", "where", "group", "having", "qualify", "order", "joins"):
        for part in clause(select, key):
            yield from _outermost(part, outside)


def _outermost(node: exp.Expr, outside: list[exp.Expr]) -> Iterator[exp.Query]:
    if any(node is relation for relation in outside):
        return
    if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
        yield node
        return
    for child in node.iter_expressions():
        yield from _outermost(child, outside)


def tables_of(node: exp.Expr) -> set[str]:
    """The aliases that the columns below the node belong to."""
    return {column.table for column in node.find_all(exp.Column) if column.table}


def null_extended(select: exp.Select) -> set[str]:
    """The aliases whose rows an outer join of this SELECT may fill with NULLs, and those of joins by nearness or
    position, which look at rows that a filter would take away."""
    found: set[str] = set()
    seen: list[str] = [select.args["from_"].this.alias_or_name] if select.args.get("from_") else []
    for join in select.args.get("joins") or []:
        alias = join.this.alias_or_name
        method = join.args.get("method")
        if join.side in ("LEFT", "FULL") or join.kind not in ("", "INNER", "CROSS", "OUTER") or method:
            found.add(alias)
        if join.side in ("RIGHT", "FULL") or method not in (None, "ASOF"):
            found.update(seen)
        seen.append(alias)
    return found


def is_inner(join: exp.Join) -> bool:
    """Whether every row of the result fulfils the join's condition."""
    return not join.side and join.kind in ("", "INNER", "CROSS") and not join.args.get("method")


def plain_joins(select: exp.Select) -> bool:
    """Whether every join is an inner, cross or left join: then conditions of inner joins may stand in WHERE."""
    return not select.args.get("laterals") and all(
        join.side in ("", "LEFT")
        and join.kind in ("", "INNER", "CROSS", "OUTER")
        and not any(join.args.get(key) for key in ("using", "method", "match_condition", "global_", "nearest"))
        for join in select.args.get("joins") or []
    )


def join_conditions_to_where(select: exp.Select) -> None:
    """Inner joins become cross joins, their conditions part of WHERE; DuckDB makes joins of them again."""
    moved: list[exp.Expr] = []
    for join in select.args.get("joins") or []:
        on = join.args.get("on")
        if not join.side and on is not None:
            moved += conjuncts(on)
            join.set("on", None)
        if not join.side:
            join.set("kind", "CROSS")
    if moved:
        set_where(select, conjuncts(_where(select)) + moved)


def set_where(select: exp.Select, parts: list[exp.Expr]) -> None:
    condition = conjunction(parts)
    select.set("where", exp.Where(this=condition) if condition is not None else None)


def _where(select: exp.Select) -> exp.Expr | None:
    where = select.args.get("where")
    return where.this if where else None


def where_conjuncts(select: exp.Select) -> list[exp.Expr]:
    return conjuncts(_where(select))


def push_into_derived(select: exp.Select) -> None:
    """Conditions on one derived table that is not null-extended move into it, as far as they mean the same there."""
    extended = null_extended(select)
    derived = {each.alias: each for each in relations(select) if isinstance(each, exp.Subquery)}
    kept: list[exp.Expr] = []
    for part in where_conjuncts(select):
        tables = tables_of(part)
        target = derived.get(next(iter(tables))) if len(tables) == 1 else None
        movable = target is not None and target.alias not in extended
        if not (movable and target is not None and not part.find(exp.Query) and push_condition(target.this, part)):
            kept.append(part)
    set_where(select, kept)


def push_condition(query: exp.Expr, condition: exp.Expr) -> bool:
    """Put a condition over the outputs of `query` into it. False, and nothing changed, where that is not legal.

    Set operations are left alone: they cast their sides to a common type, which the condition counts on.
    """
    select = query.unnest() if isinstance(query, exp.Subquery) else query
    if not isinstance(select, exp.Select) or volatile(condition):
        return False
    rewritten = _over_inputs(select, condition)
    if rewritten is None:
        return False
    set_where(select, [*where_conjuncts(select), rewritten])
    return True


def plain(node: exp.Expr) -> bool:
    """Whether the node is computed from one row alone. DuckDB knows aggregates that the parser does not, so a
    function has to be known as none."""
    if node.find(exp.Query, exp.Window, exp.Unnest, exp.Explode):
        return False
    return all(isinstance(each, _ROW_FUNCTIONS) for each in node.find_all(exp.Func))


def _over_inputs(select: exp.Select, condition: exp.Expr) -> exp.Expr | None:
    if any(select.args.get(key) for key in ("limit", "offset", "qualify", "sample", "distinct")):
        return None
    if select.find(exp.Window, exp.Unnest, exp.Explode, exp.AnonymousAggFunc) or not select.args.get("from_"):
        return None
    outputs = {each.alias_or_name: each.unalias() for each in select.expressions}
    group = select.args.get("group")
    aggregated = group is not None or any(each.find(exp.AggFunc) for each in select.expressions)
    simple = group is not None and not any(value for key, value in group.args.items() if key != "expressions")
    keys = {key.sql() for key in group.expressions} if group is not None and simple else set()
    wrapped = exp.paren(condition.copy(), copy=False)
    for column in list(wrapped.find_all(exp.Column)):
        output = outputs.get(column.name)
        if output is None or volatile(output) or not plain(output):
            return None
        if aggregated and output.sql() not in keys:
            return None
        column.replace(
            exp.paren(output.copy(), copy=False) if isinstance(output, (exp.Binary, exp.Unary)) else output.copy()
        )
    return wrapped.this if isinstance(wrapped.this, exp.Expr) else None
