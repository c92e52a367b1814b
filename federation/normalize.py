"""A bound query in the form that the planner reads.

1. DATE and TIMESTAMP arithmetic on constants becomes a literal.
2. A CTE that is read once becomes a subquery; one that nobody reads is dropped.
3. sqlglot qualifies every column, expands stars, and names every output.
4. Every relation gets an alias that is unique in the whole query, so that a column says where it comes from.

A query that does not fit this form is not wrong: `normalize` returns None, and the planner fetches whole tables.
"""

from __future__ import annotations

import datetime
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from federation.bind import RESERVED
from federation.using import choose_columns, mark_written

#: evaluates constant DuckDB expressions: (type name, text) of each
Evaluate = Callable[[Sequence[str]], Sequence[tuple[str, str | None]]]

_SHAPING = ("distinct", "group", "having", "order", "limit", "offset", "qualify", "windows")
_NOW = {exp.CurrentTimestamp: "TIMESTAMPTZ", exp.CurrentDate: "DATE", exp.Localtimestamp: "TIMESTAMP"}
_NOW_NAMES = {
    "now": "TIMESTAMPTZ",
    "transaction_timestamp": "TIMESTAMPTZ",
    "get_current_timestamp": "TIMESTAMPTZ",
    "today": "DATE",
}


def normalize(query: exp.Query, columns: Mapping[str, Mapping[str, str]], evaluate: Evaluate) -> exp.Query | None:
    """`columns` maps the tables' identifiers to their columns and DuckDB types. `query` is not changed."""
    if any(each.args.get("sample") for each in query.find_all(exp.Table, exp.Subquery)):
        return None  # a sample is taken of all rows: no condition may come before it
    query = query.copy()
    _fold_dates(query, evaluate)
    mark_written(query)
    try:
        _inline_ctes(query)
        _expand_group_by_all(query)
        qualified = qualify(
            query,
            dialect="duckdb",
            schema=MappingSchema({k: dict(v) for k, v in columns.items()}, dialect="duckdb"),
            validate_qualify_columns=False,
        )
        if not choose_columns(qualified):
            return None
        _unique_aliases(qualified)
        _distinguish(qualified)
        if not _resolved(qualified):
            return None
        _empty_exists(qualified)
        pruned = pushdown_projections(qualified)
    except SqlglotError:
        return None
    return pruned if isinstance(pruned, exp.Query) else None


def _empty_exists(query: exp.Query) -> None:
    """What EXISTS selects does not matter, unless it is an aggregate, which there is always a row of."""
    for node in query.find_all(exp.Exists):
        select = node.this.unnest()
        if not isinstance(select, exp.Select) or any(select.args.get(key) for key in _SHAPING):
            continue
        if all(isinstance(each.unalias(), exp.Column) for each in select.expressions):
            select.set("expressions", [exp.alias_(exp.Literal.number(1), "one", quoted=True)])


def fold_now(query: exp.Query) -> bool:
    """One instant per query, in every source and in DuckDB; in place. Whether the query asks for it."""
    asked = False
    now = datetime.datetime.now(datetime.UTC)
    for node in list(query.find_all(*_NOW, exp.Anonymous)):
        kind = _NOW_NAMES.get(node.name.lower()) if isinstance(node, exp.Anonymous) else _NOW[type(node)]
        if kind is None or node.expressions:
            continue
        value = {"DATE": now.date().isoformat(), "TIMESTAMP": now.replace(tzinfo=None).isoformat(sep=" ")}
        _replace(node, exp.cast(exp.Literal.string(value.get(kind, now.isoformat(sep=" "))), kind))
        asked = True
    return asked


def _fold_dates(query: exp.Query, evaluate: Evaluate) -> None:
    found = [node for node in query.find_all(exp.Add, exp.Sub) if _is_date_constant(node)]
    found = [node for node in found if not any(_inside(node, other) for other in found if other is not node)]
    if not found:
        return
    for node, (type_, text) in zip(found, evaluate([node.sql("duckdb") for node in found]), strict=True):
        if type_ in ("TIMESTAMP", "DATE") and text is not None:
            _replace(node, exp.cast(exp.Literal.string(text), type_))


def _replace(node: exp.Expr, folded: exp.Expr) -> None:
    """Put a literal in; an output keeps the name that the expression gave it."""
    named = isinstance(node.parent, exp.Select) and node.arg_key == "expressions"
    node.replace(exp.alias_(folded, node.sql("duckdb"), quoted=True) if named else folded)


def _is_date_constant(node: exp.Expr) -> bool:
    """A date or timestamp literal, plus or minus interval literals."""
    if isinstance(node, (exp.Add, exp.Sub)):
        return _is_date_constant(node.this) and isinstance(node.expression, exp.Interval) and _constant(node.expression)
    return isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.this.is_string


def _constant(node: exp.Expr) -> bool:
    return all(isinstance(each, (exp.Literal, exp.Interval, exp.Var, exp.Neg)) for each in node.walk())


def _inside(node: exp.Expr, other: exp.Expr) -> bool:
    parent = node.parent
    while parent is not None and parent is not other:
        parent = parent.parent
    return parent is other


# --- CTEs ----------------------------------------------------------------------------------------------------------


def _inline_ctes(query: exp.Query) -> None:
    for with_ in list(query.find_all(exp.With)):
        owner = with_.parent
        if owner is None or with_.args.get("recursive"):
            continue
        for cte in reversed(with_.expressions):
            uses = list(_references(owner, cte.alias))
            if not uses:
                cte.pop()
            elif len(uses) == 1 and not cte.args.get("materialized") and not _shadowed(owner, cte):
                _inline(cte, uses[0])
            else:
                # A fragment inside it can be read once only.
                cte.set("materialized", True)
        if not with_.expressions:
            with_.pop()


def _references(owner: exp.Expr, name: str) -> Iterator[exp.Table]:
    for table in owner.find_all(exp.Table):
        if isinstance(table.this, exp.Identifier) and not table.args.get("db") and table.name.lower() == name.lower():
            yield table


def _shadowed(owner: exp.Expr, cte: exp.CTE) -> bool:
    return sum(other.alias.lower() == cte.alias.lower() for other in owner.find_all(exp.CTE)) > 1


def _inline(cte: exp.CTE, use: exp.Table) -> None:
    declared = cte.args["alias"].args.get("columns")
    alias = use.args.get("alias") or exp.TableAlias(this=exp.to_identifier(use.name))
    if declared and not alias.args.get("columns"):
        alias.set("columns", [column.copy() for column in declared])
    use.replace(exp.Subquery(this=cte.this.copy(), alias=alias))
    cte.pop()


def _expand_group_by_all(query: exp.Query) -> None:
    for group in list(query.find_all(exp.Group)):
        select = group.parent
        if group.args.get("all") and isinstance(select, exp.Select) and not select.is_star:
            keys = [each.unalias().copy() for each in select.expressions if not each.find(exp.AggFunc, exp.Subquery)]
            group.replace(exp.Group(expressions=keys)) if keys else group.pop()


# --- aliases -------------------------------------------------------------------------------------------------------


def _unique_aliases(query: exp.Query) -> None:
    taken = Counter[str]()
    ctes = {cte.alias.lower() for cte in query.find_all(exp.CTE)}

    def fresh(alias: str) -> str:
        key = alias = f"{alias.lower()}_" if RESERVED.fullmatch(alias) else alias.lower()
        taken[key] += 1
        while taken[key] > 1 or key in ctes:
            key = f"{alias.lower()}_{taken[alias.lower()]}"
            if key not in taken and key not in ctes:
                taken[key] += 1
                break
            taken[alias.lower()] += 1
        return key

    def visit(node: exp.Expr, outer: dict[str, str]) -> None:
        """Rename below `node`, where `outer` maps the aliases in scope to their new names."""
        if isinstance(node, exp.Select):
            scope = dict(outer)
            relations = [each.this for each in [node.args.get("from_"), *(node.args.get("joins") or [])] if each]
            relations += node.args.get("laterals") or []
            for relation in relations:
                if relation.alias_or_name:
                    new = fresh(relation.alias_or_name)
                    scope[relation.alias_or_name.lower()] = new
                    _set_alias(relation, new)
            outer = scope
        if isinstance(node, exp.Column) and node.table:
            node.set("table", exp.to_identifier(outer.get(node.table.lower(), node.table)))
        for child in node.iter_expressions():
            visit(child, outer)

    visit(query, {})


def _set_alias(relation: exp.Expr, name: str) -> None:
    alias = relation.args.get("alias")
    if isinstance(alias, exp.TableAlias):
        alias.set("this", exp.to_identifier(name))
    else:
        relation.set("alias", exp.TableAlias(this=exp.to_identifier(name)))


def _resolved(query: exp.Query) -> bool:
    """Whether every column says which relation it is of; only ORDER BY may name an output instead."""
    kinds = (exp.Table, exp.Subquery, exp.Values, exp.Unnest, exp.Lateral)
    aliases = {node.alias_or_name.lower() for node in query.find_all(*kinds)}
    if any(join.args.get("using") or join.args.get("method") == "NATURAL" for join in query.find_all(exp.Join)):
        return False
    for column in query.find_all(exp.Column):
        if column.table:
            if column.table.lower() not in aliases:
                return False
        elif not isinstance(column.parent, exp.Ordered):
            return False
    if query.find(exp.Pivot) or any(not isinstance(star.parent, exp.Count) for star in query.find_all(exp.Star)):
        return False
    return all(_distinct(select) for select in query.find_all(exp.Select) if select is not query)


def _distinct(select: exp.Select) -> bool:
    """DuckDB renames the second of two equal outputs; a derived table with such a pair is left to it."""
    names = [each.alias_or_name.lower() for each in select.expressions]
    return len(set(names)) == len(names)


def _distinguish(query: exp.Query) -> None:
    """The outputs of the whole query are matched by position later: their names only have to differ."""
    taken: set[str] = set()
    for item in query.expressions if isinstance(query, exp.Select) else ():
        name = item.alias_or_name.lower()
        if name in taken:
            number = next(i for i in itertools.count(1) if f"{name}_{i}" not in taken)
            name = f"{name}_{number}"
            item.set("alias", exp.to_identifier(name, quoted=True))
        taken.add(name)
