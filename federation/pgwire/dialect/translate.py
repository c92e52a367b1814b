"""PostgreSQL's meaning of a query in DuckDB's words.

1. FROM says what every name means and of which kind it is (`relations.py`, `scope.py`).
2. Expressions are translated bottom up by the kinds of their operands; the handlers are tables by the kind of node.
3. Outputs get PostgreSQL's names and types.

Whatever no handler knows is refused: nothing reaches DuckDB with a meaning that was not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlglot import exp

from adapters.errors import ColumnNotFound, NotSupportedError, SQLSyntaxError, StatementTooComplex, TypeMismatch
from federation.pgwire.dialect import (
    aggregates,
    comparisons,
    json_operators,
    keys,
    patterns,
    relations,
    session_values,
    special,
    times,
    values,
)
from federation.pgwire.dialect.casts import Casts, Typed, firm
from federation.pgwire.dialect.context import Handlers, Settings
from federation.pgwire.dialect.errors import place
from federation.pgwire.dialect.functions import Calls
from federation.pgwire.dialect.kinds import BOOL, TEXT, TIMESTAMPTZ, UNKNOWN, Kind, common, is_cut, of_type
from federation.pgwire.dialect.limits import limit
from federation.pgwire.dialect.names import identifier_name, output_name
from federation.pgwire.dialect.operators import ARITHMETIC, arithmetic
from federation.pgwire.dialect.problems import DuplicateTable
from federation.pgwire.dialect.scope import Column, Relation, Scope, called, origin_of, read_from
from federation.pgwire.dialect.templates import cast

BOUND = "bound"  # in the meta of a parameter's value
#: the (name, DuckDB type) of the columns of a table reference; raises the catalog's errors
Columns = Callable[[exp.Table], Sequence[tuple[str, str]]]
T = TypeVar("T")

_HANDLERS: Handlers = {
    **values.HANDLERS,
    **comparisons.HANDLERS,
    **patterns.HANDLERS,
    **json_operators.HANDLERS,
    **aggregates.HANDLERS,
    **times.HANDLERS,
    **session_values.HANDLERS,
    **special.HANDLERS,
}
_KNOWN = {
    *("expressions", "from_", "joins", "laterals", "where", "group", "having", "order", "distinct", "limit", "offset"),
    *("windows", "with_", "kind", "operation_modifiers"),
}


@dataclass(frozen=True, slots=True)
class Translated:
    """A query in DuckDB's words. `origins` has for each output the table or view, as the statement names it, and the
    number of the column that it is, from 1; None for whatever is computed."""

    query: exp.Query
    origins: Sequence[tuple[exp.Table, int] | None]


def to_duckdb(tree: exp.Query, columns: Columns, settings: Settings = Settings()) -> Translated:  # noqa: B008
    """The query, its parameters put in, in DuckDB's words; the tree that is given stays as it is.

    Raises the errors that PostgreSQL would, with positions, and NotSupportedError for what cannot mean the same."""
    return translate(tree, columns, settings, {})


def translate(tree: exp.Query, columns: Columns, settings: Settings, parameters: dict[int, Kind]) -> Translated:
    """As to_duckdb; `parameters` are the kinds of `$1` and those after it as far as they are known, the others are put
    into it."""
    translator = Translator(columns, settings, parameters)
    try:
        query, outputs = translator.whole(tree)
        origins = [each.origin and (translator.tables[each.origin[0]], each.origin[1]) for each in outputs]
        return Translated(query, origins)
    except RecursionError as exc:
        raise StatementTooComplex("the statement is nested too deeply", hint="split it into CTEs or views") from exc


class Translator:
    """The translation of one statement."""

    def __init__(self, columns: Columns, settings: Settings, parameters: dict[int, Kind]) -> None:
        self.columns = columns
        self.settings = settings
        self.casts = Casts(settings.timezone)
        self.casts.parameters = parameters
        self.calls = Calls(self.casts)
        self.scope = Scope()
        self.windows: set[str] = set()
        self.tables: list[exp.Table] = []  # those that were read, as the statement names them
        self._ctes: list[dict[str, Sequence[Column]]] = []
        self._outputs: dict[int, list[Typed]] = {}
        self._kept: list[exp.Select] = []  # what _outputs knows by identity must live as long

    # --- for the handlers --------------------------------------------------------------------------------------

    def expression(self, node: exp.Expr) -> Typed:
        if node.meta.get(BOUND) and isinstance(node, exp.Cast):
            return Typed(node.copy(), of_type(node.to))
        handler = _HANDLERS.get(type(node))
        if handler is not None:
            return handler(self, node)
        symbol = ARITHMETIC.get(type(node))
        if symbol is None:
            raise NotSupportedError(f"{node.sql('postgres')} is not supported", position=place(node))
        return arithmetic(symbol, self.expression(node.this), self.expression(node.expression), self.casts, node)

    def condition(self, node: exp.Expr, where: str) -> exp.Expr:
        typed = self.expression(node)
        if typed.kind == UNKNOWN:
            typed = self.casts.settle(typed, BOOL)
        if typed.kind != BOOL:
            raise TypeMismatch(
                f"argument of {where} must be type boolean, not type {typed.kind.shown}", position=place(node)
            )
        return typed.node

    def subquery(self, query: exp.Query) -> tuple[exp.Query, Sequence[Column]]:
        made, columns = self.nested(query, self.scope)
        return made, columns

    def arrange(self, node: exp.Order) -> exp.Order:
        return exp.Order(expressions=[keys.ordered(each, self.expression(each.this).node) for each in node.expressions])

    # --- for FROM ----------------------------------------------------------------------------------------------

    def cte(self, name: str) -> Sequence[Column] | None:
        return next((each[name.lower()] for each in reversed(self._ctes) if name.lower() in each), None)

    def in_scope(self, scope: Scope | None, action: Callable[[], T]) -> T:
        before, self.scope = self.scope, scope or Scope()
        try:
            return action()
        finally:
            self.scope = before

    def within(self, scope: Scope | None, node: exp.Expr) -> Typed:
        return self.in_scope(scope, lambda: self.expression(node))

    def nested(self, query: exp.Query, scope: Scope | None) -> tuple[exp.Query, list[Column]]:
        """A query whose outer names are those of `scope`; its outputs have types."""
        return self.in_scope(scope, lambda: self._settled(query))

    def join(self, node: exp.Join, scope: Scope) -> exp.Join:
        left = [(each, column) for each in scope.relations for column in each.columns]
        made = relations.relation(self, node.this, scope)
        parts = {key: node.args.get(key) for key in ("side", "kind", "method") if node.args.get(key)}
        joined = exp.Join(this=made, **parts)
        using = list(node.args.get("using") or [])
        if node.args.get("method") == "NATURAL":
            right = {column.name.lower() for column in scope.relations[-1].columns}
            using = [
                exp.to_identifier(name) for name in dict.fromkeys(c.name for _, c in left) if name.lower() in right
            ]
            if not using:
                return exp.Join(this=made, kind="CROSS")  # nothing in common is no condition
        for each in using:
            self._merge(each, left, scope, str(node.args.get("side") or ""))
        if node.args.get("using"):
            joined.set("using", [exp.to_identifier(each.name, quoted=True) for each in using])
        if node.args.get("on"):
            joined.set("on", self.in_scope(scope, lambda: self.condition(node.args["on"], "JOIN/ON")))
        elif isinstance(made, exp.Lateral) and node.args.get("kind") != "CROSS" and not using and parts:
            joined.set("on", exp.true())
        return joined

    def _merge(self, name: exp.Expr, left: Sequence[tuple[Relation, Column]], scope: Scope, side: str) -> None:
        key = name.name.lower()
        found = [column for _, column in left if column.name.lower() == key]
        others = [column for column in scope.relations[-1].columns if column.name.lower() == key]
        if not found or not others:
            raise ColumnNotFound(
                f'column "{name.name}" specified in USING clause does not exist in both tables', position=place(name)
            )
        kind = common((found[0].kind, others[0].kind), "JOIN/USING")
        first = scope.merged.get(key, found[0])
        sides = {"FULL": [], "RIGHT": others, "LEFT": [first]}.get(side, [first, *others])
        origins = [each.origin for each in sides if each.kind == kind]
        scope.merged[key] = Column(found[0].name, kind, origins[0] if origins else None)

    # --- queries -----------------------------------------------------------------------------------------------

    def whole(self, tree: exp.Query) -> tuple[exp.Query, list[Column]]:
        return self._settled(tree)

    def _settled(self, query: exp.Query) -> tuple[exp.Query, list[Column]]:
        """Outputs of open type are texts."""
        made, columns = self._query(query)
        kinds = [TEXT if each.kind == UNKNOWN else each.kind for each in columns]
        self._conform(made, kinds)
        return made, [replace(each, kind=kind) for each, kind in zip(columns, kinds, strict=True)]

    def _query(self, node: exp.Query) -> tuple[exp.Query, list[Column]]:
        with_ = node.args.get("with_")
        self._ctes.append({})
        try:
            made_with = self._with(with_) if with_ else None
            if isinstance(node, exp.SetOperation):
                made, columns = self._set_operation(node)
            elif isinstance(node, exp.Select):
                made, columns = self._select(node)
            elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
                made, columns = self._parenthesized(node)
            else:
                raise NotSupportedError(f"{node.sql('postgres')} is not supported", position=place(node))
        finally:
            self._ctes.pop()
        if made_with is not None:
            made.set("with_", made_with)
        return made, columns

    def _parenthesized(self, node: exp.Subquery) -> tuple[exp.Query, list[Column]]:
        inner, columns = self._query(node.this)
        made = exp.Subquery(this=inner)
        self._modifiers(node, made, columns)
        return made, columns

    def _with(self, node: exp.With) -> exp.With:
        made = []
        for cte in node.expressions:
            if not isinstance(cte.this, exp.Query):
                raise NotSupportedError("only queries stand in WITH", position=place(cte))
            name, names = identifier_name(cte.args["alias"].this), cte.args["alias"].args.get("columns") or []
            if name.lower() in self._ctes[-1]:
                raise DuplicateTable(f'WITH query name "{name}" specified more than once', position=place(cte))
            if node.args.get("recursive") and isinstance(cte.this, exp.SetOperation):
                _, anchor = self.nested(cte.this.this, self.scope)
                self._ctes[-1][name.lower()] = called(anchor, names)
            query, columns = self.nested(cte.this, self.scope)
            columns = called(columns, names)
            self._ctes[-1][name.lower()] = columns
            alias = exp.TableAlias(
                this=exp.to_identifier(name, quoted=True),
                columns=[exp.to_identifier(each.name, quoted=True) for each in columns] if names else None,
            )
            made.append(exp.CTE(this=query, alias=alias, materialized=cte.args.get("materialized")))
        return exp.With(expressions=made, recursive=node.args.get("recursive"))

    def _set_operation(self, node: exp.SetOperation) -> tuple[exp.Query, list[Column]]:
        left, columns = self._query(node.this)
        right, others = self._query(node.expression)
        word = node.key.upper()
        if len(columns) != len(others):
            raise SQLSyntaxError(f"each {word} query must have the same number of columns", position=place(node))
        kinds = [common((one.kind, two.kind), word) for one, two in zip(columns, others, strict=True)]
        self._conform(left, kinds)
        self._conform(right, kinds)
        made = type(node)(this=left, expression=right, distinct=node.args.get("distinct"))
        outputs = [Column(each.name, kind) for each, kind in zip(columns, kinds, strict=True)]
        self._modifiers(node, made, outputs)
        return made, outputs

    def _conform(self, query: exp.Query, kinds: Sequence[Kind]) -> None:
        """Outputs of open type take the type that they must have; DuckDB converts the others."""
        if isinstance(query, exp.SetOperation):
            self._conform(query.this, kinds)
            self._conform(query.expression, kinds)
        elif isinstance(query, exp.Subquery):
            self._conform(query.this, kinds)
        elif isinstance(query, exp.Select):
            for typed, item, kind in zip(self._outputs[id(query)], query.expressions, kinds, strict=True):
                if typed.kind == UNKNOWN and kind != UNKNOWN:
                    value = self.casts.settle(typed, kind).node
                    item.unalias().replace(cast(value, kind.duckdb) if isinstance(value, exp.Null) else value)
                elif is_cut(typed.kind, kind):
                    item.unalias().replace(cast(item.unalias().copy(), kind.duckdb))
                elif self.casts.zone and kind == TIMESTAMPTZ != typed.kind:
                    item.unalias().replace(self.casts.cast(typed, kind).node.copy())

    # --- SELECT ------------------------------------------------------------------------------------------------

    def _select(self, node: exp.Select) -> tuple[exp.Query, list[Column]]:
        unknown = [key for key, value in node.args.items() if value and key not in _KNOWN]
        if unknown:
            raise NotSupportedError(f"{', '.join(unknown).upper()} is not supported", position=place(node))
        if not node.expressions:
            raise SQLSyntaxError("SELECT has no outputs", hint="a row without columns is not supported")
        scope = Scope(outer=self.scope)
        made = exp.Select()
        self._from(node, made, scope)
        before, self.scope = self.scope, scope
        windows, self.windows = self.windows, {identifier_name(each.this) for each in node.args.get("windows") or []}
        try:
            items = [each for item in node.expressions for each in self._item(item, scope)]
            self._clauses(node, made, items)
        finally:
            self.scope, self.windows = before, windows
        columns = [Column(name, typed.kind, origin_of(typed.node)) for name, typed, _ in items]
        self._outputs[id(made)] = [typed for _, typed, _ in items]
        self._kept.append(made)
        return made, columns

    def _from(self, node: exp.Select, made: exp.Select, scope: Scope) -> None:
        if node.args.get("joins") and not node.args.get("from_"):
            raise SQLSyntaxError("JOIN stands behind FROM", position=place(node.args["joins"][0]))
        if node.args.get("from_"):
            made.set("from_", exp.From(this=relations.relation(self, node.args["from_"].this, scope)))
        joins = [self.join(each, scope) for each in node.args.get("joins") or []]
        for lateral in node.args.get("laterals") or []:
            joins.append(exp.Join(this=relations.relation(self, lateral, scope)))
        if joins:
            made.set("joins", joins)

    def _clauses(self, node: exp.Select, made: exp.Select, items: list[tuple[str, Typed, exp.Expr]]) -> None:
        made.set("expressions", [_output(name, typed) for name, typed, _ in items])
        if node.args.get("where"):
            where = self.condition(node.args["where"].this, "WHERE")
            aggregates.refuse(where, "WHERE", node.args["where"])
            made.set("where", exp.Where(this=where))
        if node.args.get("group"):
            made.set("group", keys.group(self, node.args["group"], items))
        if node.args.get("having"):
            made.set("having", exp.Having(this=self.condition(node.args["having"].this, "HAVING")))
        if node.args.get("windows"):
            made.set("windows", [self._named_window(each) for each in node.args["windows"]])
        if node.args.get("distinct"):
            made.set("distinct", keys.distinct(self, node.args["distinct"], items))
        if node.args.get("order"):
            terms = node.args["order"].expressions
            ordered = [keys.ordered(each, keys.sort_key(self, each.this, items)) for each in terms]
            made.set("order", exp.Order(expressions=ordered))
        limit(self, node, made)

    def _item(self, item: exp.Expr, scope: Scope) -> list[tuple[str, Typed, exp.Expr]]:
        """The outputs of one item of the list: a star is many."""
        inner = item.unalias()
        if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
            return self._star(inner, scope)
        if isinstance(inner, exp.Aliases):
            raise NotSupportedError("several aliases of one output are not supported", position=place(item))
        return [(output_name(item), self.expression(inner), inner)]

    def _star(self, star: exp.Expr, scope: Scope) -> list[tuple[str, Typed, exp.Expr]]:
        if any(star.args.get(key) for key in ("except_", "replace", "rename")):
            raise NotSupportedError("only * itself is known", position=place(star))
        wanted = star.table.lower() if isinstance(star, exp.Column) else ""
        outputs: list[tuple[str, Typed, exp.Expr]] = []
        if not wanted:
            for column in scope.merged.values():
                node = read_from(column, exp.to_identifier(column.name, quoted=True))
                outputs.append((column.name, Typed(node, column.kind), star))
        found = [each for each in scope.relations if not wanted or each.alias.name.lower() == wanted]
        if not found:
            if wanted:
                scope.find(exp.Column(this=exp.to_identifier("*"), table=star.args["table"].copy()))
            raise SQLSyntaxError("SELECT * with no tables specified is not valid", position=place(star))
        for relation in found:
            for column in relation.columns:
                if wanted or column.name.lower() not in scope.merged:
                    table = exp.to_identifier(relation.alias.name, quoted=True) if relation.alias.name else None
                    node = read_from(column, exp.to_identifier(column.name, quoted=True), table)
                    outputs.append((column.name, Typed(node, column.kind), star))
        return outputs

    def _named_window(self, node: exp.Window) -> exp.Window:
        made = exp.Window(this=exp.to_identifier(identifier_name(node.this), quoted=True))
        made.set("partition_by", [self.expression(each).node for each in node.args.get("partition_by") or []])
        if node.args.get("order"):
            made.set("order", self.arrange(node.args["order"]))
        for key in ("spec", "alias"):
            if node.args.get(key):
                made.set(key, node.args[key].copy())
        return made

    def _modifiers(self, node: exp.Query, made: exp.Query, columns: Sequence[Column]) -> None:
        """ORDER BY and LIMIT of what is no SELECT itself: only its outputs can be named."""
        items = [(each.name, Typed(_named(each.name), each.kind), exp.Null()) for each in columns]
        if node.args.get("order"):
            ordered = [keys.ordered(each, keys.output_key(each.this, items)) for each in node.args["order"].expressions]
            made.set("order", exp.Order(expressions=ordered))
        limit(self, node, made)


def _output(name: str, typed: Typed) -> exp.Expr:
    node = firm(typed)
    return exp.Alias(this=exp.Paren(this=node) if isinstance(node, exp.Query) else node, alias=_quoted(name))


def _quoted(name: str) -> exp.Identifier:
    return exp.Identifier(this=name, quoted=True)


def _named(name: str) -> exp.Expr:
    return exp.Column(this=_quoted(name))
