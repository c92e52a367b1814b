"""Aggregates and window functions: what they take, FILTER, ORDER BY inside, WITHIN GROUP and OVER."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from adapters.errors import GroupingError, NotSupportedError, NumericOutOfRange, SQLSyntaxError
from federation.pgwire.dialect.casts import Typed, firm
from federation.pgwire.dialect.context import Context, Handlers
from federation.pgwire.dialect.errors import no_function, place
from federation.pgwire.dialect.function_table import AGGREGATES, WINDOWS
from federation.pgwire.dialect.kinds import ANY_NUMERIC, FLOAT8, INT8, INTEGERS, INTERVAL, Kind, as_numeric
from federation.pgwire.dialect.names import identifier_name
from federation.pgwire.dialect.operators import average
from federation.pgwire.dialect.problems import UndefinedWindow, WindowingError, WrongObject
from federation.pgwire.dialect.templates import filled

_SORTED = {"array_agg", "string_agg"}  # where DISTINCT finds equal values by sorting them, which shows
_IDEMPOTENT = {"min", "max", "bool_and", "bool_or", "every", "bit_and", "bit_or"}  # DISTINCT changes nothing
NAMES = {*AGGREGATES, "count", "avg", "percentile_cont", "percentile_disc", "mode"}


def _count(t: Context, node: exp.Count) -> Typed:
    items = [node.this, *node.expressions]
    if items[0] is None:
        raise WrongObject("count(*) must be used to call a parameterless aggregate function", position=place(node))
    if isinstance(items[0], exp.Star):
        return Typed(exp.Count(this=exp.Star(), big_int=True), INT8)
    if isinstance(items[0], exp.Distinct):
        given = items[0].expressions
        if len(given) == 1 and isinstance(given[0], exp.Tuple):
            given = given[0].expressions
        values = [t.expression(each).node for each in given]
        inner = [exp.Tuple(expressions=values)] if len(values) > 1 else values
        return Typed(exp.Count(this=exp.Distinct(expressions=inner), big_int=True), INT8)
    return Typed(exp.Count(this=t.expression(items[0]).node, big_int=True), INT8)


def aggregate(t: Context, name: str, items: Sequence[exp.Expr], node: exp.Expr) -> Typed:
    """A call of an aggregate, whose operands may have DISTINCT before and ORDER BY behind them."""
    items, distinct, order = _taken_apart(items, node)
    if distinct and order is None and name in _SORTED:
        order = exp.Order(expressions=[exp.Ordered(this=items[0].copy())])
    operands = [t.expression(each) for each in items]
    if name == "avg" and len(operands) == 1:
        return _average(t, operands[0], distinct, order, node)
    if name == "string_agg" and len(operands) == 2 and operands[1].literal is None:
        raise NotSupportedError("the delimiter of string_agg must be a literal here", position=place(node))
    made = t.calls.call(name, AGGREGATES, operands, node)
    distinct = distinct and name not in _IDEMPOTENT
    first, *others = (
        each for each in made.node.walk() if isinstance(each, (exp.AggFunc, exp.Anonymous, exp.Func)) and _is_call(each)
    )
    if distinct and others:
        raise NotSupportedError(f"{name}(DISTINCT) of {made.kind.shown} is not supported", position=place(node))
    _refine(t, first, distinct, order)
    return made


def _is_call(node: exp.Expr) -> bool:
    return isinstance(node, exp.AggFunc) or (
        isinstance(node, exp.Anonymous) and node.name.lower() in ("list", "json_group_object", "var_pop", "regr_count")
    )


def _taken_apart(items: Sequence[exp.Expr], node: exp.Expr) -> tuple[list[exp.Expr], bool, exp.Order | None]:
    found, distinct, order = list(items), False, None
    if found and isinstance(found[-1], exp.Order):
        order = found[-1]
        found[-1] = order.this
    if found and isinstance(found[0], exp.Distinct):
        distinct = True
        inner = found[0].expressions
        if not inner:
            raise SQLSyntaxError("DISTINCT stands before the arguments of an aggregate", position=place(node))
        found = [*inner, *found[1:]]
        if isinstance(found[-1], exp.Order):
            order = found[-1]
            found[-1] = order.this
    return found, distinct, order


def _refine(t: Context, call: exp.Expr, distinct: bool, order: exp.Order | None) -> None:
    """DISTINCT and ORDER BY, put where DuckDB's parser puts them."""
    if not distinct and order is None:
        return
    first = call.expressions[0] if isinstance(call, exp.Anonymous) else call.this
    made = first.copy()
    if distinct:
        made = exp.Distinct(expressions=[made])
    if order is not None:
        made = exp.Order(this=made, expressions=t.arrange(order).expressions)
    first.replace(made)


def _average(t: Context, operand: Typed, distinct: bool, order: exp.Order | None, node: exp.Expr) -> Typed:
    """avg of integers and numerics is the exact quotient of their sum and their number."""
    kind = operand.kind
    if kind == INTERVAL:
        made = filled("avg($1)", operand.node)
        return Typed(made, INTERVAL)
    if kind.name not in (*INTEGERS, "numeric"):
        made_ = t.calls.call("avg", AGGREGATES, [operand], node)
        inner = made_.node.find(exp.Avg)
        if inner is not None:
            _refine(t, inner, distinct, order)
        return made_
    value: exp.Expr = firm(operand)
    argument = exp.Distinct(expressions=[value.copy()]) if distinct else value
    total = exp.Sum(this=argument.copy())
    number = exp.Count(this=argument.copy(), big_int=True)
    scale = as_numeric(kind).scale
    return Typed(average(Typed(total, Kind("numeric", 38 if scale else 0, scale)), number), ANY_NUMERIC)


# --- FILTER, WITHIN GROUP, OVER -----------------------------------------------------------------------------------


def _each_call(node: exp.Expr) -> list[exp.Expr]:
    """The aggregates of an expression that stands for one call."""
    found: list[exp.Expr] = []

    def visit(each: exp.Expr) -> None:
        if isinstance(each, exp.AggFunc) or (isinstance(each, exp.Anonymous) and _is_call(each)):
            found.append(each)
            return
        for child in each.iter_expressions():
            visit(child)

    visit(node)
    return found


def _wrapping(typed: Typed, wrap: type[exp.Expr], **rest: object) -> Typed:
    """The same around every aggregate of the expression; what is computed from them stays outside."""
    root = exp.Paren(this=typed.node)
    for call in _each_call(root):
        copied = {key: value.copy() if isinstance(value, exp.Expr) else value for key, value in rest.items()}
        call.replace(wrap(this=call.copy(), **copied))
    return Typed(root.this, typed.kind, typed.loose)


def _filter(t: Context, node: exp.Filter) -> Typed:
    typed = t.expression(node.this)
    if not _each_call(exp.Paren(this=typed.node)):
        raise WrongObject("FILTER specified, but this is not an aggregate function", position=place(node))
    where = exp.Where(this=t.condition(node.expression.this, "FILTER"))
    return _wrapping(typed, exp.Filter, expression=where)


def _within(t: Context, node: exp.WithinGroup) -> Typed:
    call, order = node.this, node.expression
    name = call.name.lower() if isinstance(call, exp.Anonymous) else call.key
    if name not in ("percentile_cont", "percentile_disc") or len(order.expressions) != 1 or len(call.expressions) != 1:
        raise NotSupportedError(f"{name} WITHIN GROUP is not supported", position=place(node))
    share, by = t.expression(call.expressions[0]), order.expressions[0]
    value = t.expression(by.this)
    part = share.node
    if not isinstance(part, exp.Literal):
        raise NotSupportedError(f"{name} takes a literal here", position=place(node))
    if not 0 <= float(part.this) <= 1:
        raise NumericOutOfRange(f"percentile value {part.this} is not between 0 and 1", position=place(node))
    if by.args.get("desc"):
        part = exp.Literal.number(str(1 - float(part.this)))
    if name == "percentile_disc":
        if by.args.get("desc"):
            raise NotSupportedError("percentile_disc in descending order is not supported", position=place(node))
        return Typed(filled("quantile_disc($1, $2)", value.node, part), value.kind, value.loose)
    as_float = t.casts.cast(value, FLOAT8)
    return Typed(filled("quantile_cont($1, $2)", as_float.node, part), FLOAT8)


def _window(t: Context, node: exp.Window) -> Typed:
    inner, alias = node.this, node.args.get("alias")
    if alias is not None and identifier_name(alias) not in t.windows:
        raise UndefinedWindow(f'window "{identifier_name(alias)}" does not exist', position=place(alias))
    if isinstance(inner, (exp.IgnoreNulls, exp.RespectNulls)):
        raise NotSupportedError("IGNORE NULLS is not supported", position=place(node))
    parts: dict[str, object] = {
        "partition_by": [t.expression(each).node for each in node.args.get("partition_by") or []],
        "order": t.arrange(node.args["order"]) if node.args.get("order") else None,
        "spec": node.args["spec"].copy() if node.args.get("spec") else None,
        "alias": node.args["alias"].copy() if node.args.get("alias") else None,
        "over": node.args.get("over"),
        "first": node.args.get("first"),
    }
    if isinstance(inner, exp.Anonymous) and inner.name.lower() in WINDOWS:
        operands = [t.expression(each) for each in inner.expressions]
        typed = t.calls.call(inner.name.lower(), WINDOWS, operands, inner)
        return Typed(_over(typed.node, parts), typed.kind, typed.loose)
    name = inner.this if isinstance(inner, exp.Filter) else inner
    if not isinstance(name, (exp.AggFunc, exp.Anonymous)):
        raise WrongObject("OVER specified, but this is not a window function nor an aggregate", position=place(node))
    typed = t.expression(inner)
    root = exp.Paren(this=typed.node)
    for call in _each_call(root):
        target = call.parent if isinstance(call.parent, exp.Filter) else call
        target.replace(_over(target.copy(), parts))
    return Typed(root.this, typed.kind, typed.loose)


def _over(call: exp.Expr, parts: dict[str, object]) -> exp.Window:
    kept = {key: value for key, value in parts.items() if value not in (None, [])}
    copied = {
        key: value.copy()
        if isinstance(value, exp.Expr)
        else [each.copy() for each in value]
        if isinstance(value, list)
        else value
        for key, value in kept.items()
    }
    return exp.Window(this=call, **copied)


def refuse(condition: exp.Expr, clause: str, node: exp.Expr) -> None:
    """Raises GroupingError or WindowingError for an aggregate or a window function outside of subqueries."""
    if isinstance(condition, exp.Query):
        return
    if isinstance(condition, exp.Window):
        raise WindowingError(f"window functions are not allowed in {clause}", position=place(node))
    if isinstance(condition, exp.AggFunc) or (isinstance(condition, exp.Anonymous) and _is_call(condition)):
        raise GroupingError(f"aggregate functions are not allowed in {clause}", position=place(node))
    for child in condition.iter_expressions():
        refuse(child, clause, node)


def function(t: Context, name: str, node: exp.Anonymous) -> Typed:
    """An aggregate that sqlglot left as a call. A window function without OVER is an error."""
    if name in WINDOWS:
        if node.expressions and name not in AGGREGATES:
            t.calls.call(name, WINDOWS, [t.expression(each) for each in node.expressions], node)
        raise WrongObject(f"window function {name} requires an OVER clause", position=place(node))
    if name == "count" and node.expressions:
        return _count(t, exp.Count(this=node.expressions[0], expressions=node.expressions[1:]))
    if name in AGGREGATES or name == "avg":
        return aggregate(t, name, node.expressions, node)
    raise no_function(name, [t.expression(each).kind for each in node.expressions], node)


HANDLERS: Handlers = {
    exp.Count: _count,
    exp.Filter: _filter,
    exp.WithinGroup: _within,
    exp.Window: _window,
}
