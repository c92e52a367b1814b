"""What stands in FROM: tables, subqueries, VALUES and functions, with the names and kinds of their columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from adapters.errors import NotSupportedError, SQLSyntaxError
from federation.native import is_call
from federation.pgwire.dialect.casts import Typed, firm
from federation.pgwire.dialect.errors import no_function, place
from federation.pgwire.dialect.function_table import SCALARS
from federation.pgwire.dialect.kinds import JSON, TEXT, UNKNOWN, from_duckdb
from federation.pgwire.dialect.names import identifier_name
from federation.pgwire.dialect.problems import ColumnReference
from federation.pgwire.dialect.scope import Column, Relation, Scope, called
from federation.pgwire.dialect.special import series
from federation.pgwire.dialect.templates import cast, filled

if TYPE_CHECKING:
    from federation.pgwire.dialect.translate import Translator


def relation(t: Translator, node: exp.Expr, scope: Scope) -> exp.Expr:
    """One item of FROM in DuckDB's words; what it brings is added to `scope`."""
    if isinstance(node, exp.Lateral):
        return _lateral(t, node, scope)
    if isinstance(node, exp.Unnest):
        return _unnest(t, node, scope)
    if isinstance(node, exp.Values):
        return _values(t, node, scope)
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
        return _subquery(t, node, scope)
    if isinstance(node, (exp.Subquery, exp.Paren)) and isinstance(node.this, exp.Table):
        if node.args.get("alias"):
            raise NotSupportedError("an alias of a join is not supported", position=place(node))
        return exp.Paren(this=relation(t, node.this, scope))
    if isinstance(node, exp.Table) and not node.args.get("rows_from"):
        made = _function(t, node, scope) if isinstance(node.this, exp.Func) else _table(t, node, scope)
        if node.args.get("joins"):
            made.set("joins", [t.join(each, scope) for each in node.args["joins"]])
        return made
    raise NotSupportedError(f"{node.sql('postgres')} in FROM is not supported", position=place(node))


def _alias(node: exp.Expr, name: str) -> tuple[exp.Identifier, list[exp.Identifier]]:
    alias = node.args.get("alias")
    if isinstance(alias, exp.TableAlias) and alias.this:
        return _quoted(identifier_name(alias.this), alias.this), list(alias.args.get("columns") or [])
    return exp.to_identifier(name, quoted=True), []


def _quoted(name: str, like: exp.Expr) -> exp.Identifier:
    made = exp.Identifier(this=name, quoted=True)
    made.meta.update(like.meta)
    return made


def _renamed(columns: Sequence[Column], names: Sequence[exp.Identifier], node: exp.Expr) -> list[Column]:
    if len(names) > len(columns):
        raise ColumnReference(
            f"table has {len(columns)} columns available but {len(names)} columns specified", position=place(node)
        )
    return called(columns, names)


def _table_alias(alias: exp.Identifier, columns: Sequence[Column], named: bool) -> exp.TableAlias:
    names = [exp.to_identifier(each.name, quoted=True) for each in columns] if named else None
    return exp.TableAlias(this=alias.copy(), columns=names)


def _table(t: Translator, node: exp.Table, scope: Scope) -> exp.Expr:
    found = t.cte(node.name) if not node.args.get("db") else None
    alias, names = _alias(node, identifier_name(node.this))
    columns = _renamed(found if found is not None else _columns(t, node), names, node)
    scope.add(Relation(alias, columns))
    made = node.copy()
    made.set("joins", None)
    if found is not None:
        made.set("this", _quoted(identifier_name(node.this), node.this))
    made.set("alias", _table_alias(alias, columns, bool(names)))
    return made


def _columns(t: Translator, node: exp.Table) -> list[Column]:
    t.tables.append(node)
    columns = enumerate(t.columns(node), 1)
    return [Column(name, from_duckdb(type_), (len(t.tables) - 1, number)) for number, (name, type_) in columns]


def _subquery(t: Translator, node: exp.Subquery, scope: Scope) -> exp.Expr:
    query, outputs = t.nested(node.this, scope.outer)
    alias, names = _alias(node, "")
    columns = _renamed(outputs, names, node)
    scope.add(Relation(alias, columns))
    made = exp.Subquery(this=query)
    if alias.name:
        made.set("alias", _table_alias(alias, columns, bool(names)))
    return made


def _lateral(t: Translator, node: exp.Lateral, scope: Scope) -> exp.Expr:
    if isinstance(node.this, exp.Subquery):
        query, outputs = t.nested(node.this.this, scope)
        alias, names = _alias(node, "")
        columns = _renamed(outputs, names, node)
        scope.add(Relation(alias, columns))
        return exp.Lateral(
            this=exp.Subquery(this=query), alias=_table_alias(alias, columns, bool(names)), view=False, outer=False
        )
    if isinstance(node.this, exp.Unnest):
        return _unnest(t, exp.Unnest(expressions=node.this.expressions, alias=node.args.get("alias")), scope)
    if isinstance(node.this, exp.Func):
        return _function(t, exp.Table(this=node.this.copy(), alias=node.args.get("alias")), scope)
    raise NotSupportedError(f"{node.sql('postgres')} is not supported", position=place(node))


def _values(t: Translator, node: exp.Values, scope: Scope) -> exp.Expr:
    rows = [[t.within(scope.outer, each) for each in row.expressions] for row in node.expressions]
    if len({len(row) for row in rows}) > 1:
        raise SQLSyntaxError("VALUES lists must all be the same length", position=place(node))
    matched = [t.calls.matched([row[place_] for row in rows], "VALUES") for place_ in range(len(rows[0]))]
    tuples = [exp.Tuple(expressions=[firm(values[number]) for values, _ in matched]) for number in range(len(rows))]
    alias, names = _alias(node, "values")
    outputs = [Column(f"column{number + 1}", kind) for number, (_, kind) in enumerate(matched)]
    columns = _renamed(outputs, names, node)
    scope.add(Relation(alias, columns))
    return exp.Values(expressions=tuples, alias=_table_alias(alias, columns, named=True))


# --- functions -----------------------------------------------------------------------------------------------------


def _function(t: Translator, node: exp.Table, scope: Scope) -> exp.Expr:
    call = node.this
    if is_call(call) and not node.args.get("db"):
        alias, names = _alias(node, "query")
        columns = _renamed([Column(name, from_duckdb(type_)) for name, type_ in t.columns(node)], names, node)
        scope.add(Relation(alias, columns))
        return node.copy()
    name = call.name.lower() if isinstance(call, exp.Anonymous) else call.key
    if not isinstance(call, exp.Anonymous) or name not in _SETS:
        alias, names = _alias(node, name)
        value = t.within(scope, call)
        return _listed(
            scope, [(name, Typed(exp.Array(expressions=[firm(value)]), value.kind.array()))], alias, names, node
        )
    alias, names = _alias(node, name)
    lists = _SETS[name](t, call, scope)
    ordinality = node.args.get("ordinality")
    if name == "generate_series" and not ordinality and not lists[0][1].node.find(exp.Column, exp.Query):
        return _streamed(scope, lists[0][1], alias, names, node)
    return _listed(scope, lists, alias, names, node, ordinality=bool(ordinality))


def _streamed(
    scope: Scope, series: Typed, alias: exp.Identifier, names: Sequence[exp.Identifier], node: exp.Expr
) -> exp.Expr:
    """A series that depends on no row, by DuckDB's table function: it makes no list first, and can be cancelled."""
    columns = _renamed([Column(alias.name, series.kind.element)], names, node)
    value: exp.Expr = exp.column("value", table="series", quoted=True)
    if series.loose:
        value = cast(value, series.kind.element.duckdb)
    table = exp.Table(this=series.node, alias=exp.TableAlias(this=_plain("series"), columns=[_plain("value")]))
    scope.add(Relation(alias, columns))
    query = exp.select(exp.alias_(value, columns[0].name, quoted=True)).from_(table)
    return exp.Subquery(this=query, alias=exp.TableAlias(this=alias.copy()))


def _plain(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def _listed(
    scope: Scope,
    lists: Sequence[tuple[str, Typed]],
    alias: exp.Identifier,
    names: Sequence[exp.Identifier],
    node: exp.Expr,
    ordinality: bool = False,
) -> exp.Expr:
    """Lists as the columns of a relation; the only column of a function is called as its alias."""
    outputs = [
        Column(alias.name if len(lists) == 1 and name in _SCALAR else name, each.kind.element) for name, each in lists
    ]
    if ordinality:
        outputs.append(Column("ordinality", from_duckdb("BIGINT")))
    columns = _renamed(outputs, names, node)
    items = []
    for column, (_, values) in zip(columns, lists, strict=False):
        item = filled("unnest($1)", values.node)
        if values.loose:
            item = cast(item, values.kind.element.duckdb)
        items.append(exp.alias_(item, column.name, quoted=True))
    if ordinality:
        longest = filled("generate_series(1, len($1))", lists[0][1].node)
        items.append(exp.alias_(filled("unnest($1)", longest), columns[-1].name, quoted=True))
    scope.add(Relation(alias, columns))
    return exp.Lateral(
        this=exp.Subquery(this=exp.Select(expressions=items)),
        alias=exp.TableAlias(this=alias.copy()),
        view=False,
        outer=False,
    )


def _unnest(t: Translator, node: exp.Unnest, scope: Scope) -> exp.Expr:
    arrays = [t.within(scope, each) for each in node.expressions]
    for array in arrays:
        if not array.kind.is_array:
            raise no_function("unnest", [array.kind], node)
    alias, names = _alias(node, "unnest")
    offset = node.args.get("offset")
    if isinstance(offset, exp.Identifier) and names:
        names = [*names, offset]
    if len(arrays) > 1 and offset:
        raise NotSupportedError("WITH ORDINALITY of several arrays is not supported", position=place(node))
    return _listed(scope, [("unnest", each) for each in arrays], alias, names, node, ordinality=bool(offset))


def _series(t: Translator, call: exp.Anonymous, scope: Scope) -> list[tuple[str, Typed]]:
    return [("generate_series", t.in_scope(scope, lambda: series(t, call)))]


def _json(t: Translator, call: exp.Anonymous, scope: Scope) -> Typed:
    if len(call.expressions) != 1:
        raise no_function(call.name, [], call)
    value = t.within(scope, call.expressions[0])
    if value.kind == UNKNOWN:
        value = t.casts.settle(value, JSON)
    if value.kind.name not in ("json", "jsonb"):
        raise no_function(call.name.lower(), [value.kind], call)
    return value


def _elements(as_text: bool) -> Callable[[Translator, exp.Anonymous, Scope], list[tuple[str, Typed]]]:
    def made(t: Translator, call: exp.Anonymous, scope: Scope) -> list[tuple[str, Typed]]:
        value = _json(t, call, scope)
        function = "json_extract_string" if as_text else "json_extract"
        items = filled(f"{function}($1, '$[*]')", value.node)
        return [("value", Typed(items, (TEXT if as_text else value.kind).array()))]

    return made


def _keys(t: Translator, call: exp.Anonymous, scope: Scope) -> list[tuple[str, Typed]]:
    return [("json_object_keys", Typed(filled("json_keys($1)", _json(t, call, scope).node), TEXT.array()))]


def _each(as_text: bool) -> Callable[[Translator, exp.Anonymous, Scope], list[tuple[str, Typed]]]:
    function = "json_extract_string" if as_text else "json_extract"

    def made(t: Translator, call: exp.Anonymous, scope: Scope) -> list[tuple[str, Typed]]:
        value = _json(t, call, scope)
        values = filled(
            f"""list_transform(json_keys($1), lambda k: {function}($1, '$."' || replace(k, '"', '\\"') || '"'))""",
            value.node,
        )
        kind = TEXT if as_text else value.kind
        return [
            ("key", Typed(filled("json_keys($1)", value.node), TEXT.array())),
            ("value", Typed(values, kind.array())),
        ]

    return made


def _split(t: Translator, call: exp.Anonymous, scope: Scope) -> list[tuple[str, Typed]]:
    operands = [t.within(scope, each) for each in call.expressions]
    return [("string_to_table", t.calls.call("string_to_array", SCALARS, operands, call))]


_SCALAR = ("generate_series", "unnest", "json_object_keys", "string_to_table")
_SETS: dict[str, Callable[[Translator, exp.Anonymous, Scope], list[tuple[str, Typed]]]] = {
    "generate_series": _series,
    **{f"{prefix}_array_elements": _elements(as_text=False) for prefix in ("json", "jsonb")},
    **{f"{prefix}_array_elements_text": _elements(as_text=True) for prefix in ("json", "jsonb")},
    **{f"{prefix}_each": _each(as_text=False) for prefix in ("json", "jsonb")},
    **{f"{prefix}_each_text": _each(as_text=True) for prefix in ("json", "jsonb")},
    **{f"{prefix}_object_keys": _keys for prefix in ("json", "jsonb")},
    "string_to_table": _split,
}
