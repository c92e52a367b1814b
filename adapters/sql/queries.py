"""Whole DuckDB queries into a source's dialect, exactly or not at all.

`translate_query` takes a bound, qualified tree whose base tables are `exp.Table` nodes with the name of an entry of
`tables`. Every clause is looked at; one that is not known declines the query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from adapters.base import Collation, Table
from adapters.sql.dialect import Declined, Reason, SourceDialect, Typed, is_fence
from adapters.sql.expressions import ExpressionTranslator, OutputColumn, Scope, base_columns, require_only
from adapters.sql.types import Kind, SqlType, unify

_AGGREGATES = (exp.AggFunc, exp.Filter)
_MAX_COLUMNS = 1_600  # PostgreSQL returns no more than 1,664
_TAIL = ("order", "limit", "offset")
_SELECT_CLAUSES = ("with_", "expressions", "distinct", "from_", "joins", "where", "group", "having", *_TAIL)


@dataclass(frozen=True, slots=True)
class Translated:
    """A query in a source's dialect, and what its columns are there."""

    query: exp.Query
    outputs: tuple[OutputColumn, ...]


def translate_query(dialect: SourceDialect, query: exp.Query, tables: Mapping[str, Table]) -> Translated:
    """The query in the source's dialect. Raises Declined with the reason."""
    translator = QueryTranslator(dialect, tables)
    translated, columns = translator.query(query)
    translator.require_static()
    if translator.references > dialect.max_tables or len(columns) > _MAX_COLUMNS:
        raise Declined(Reason.NOT_WHITELISTED, "more tables or columns than a source takes in one statement")
    _require_names(translated, dialect)
    return Translated(translated, tuple(columns))


@dataclass(frozen=True, slots=True)
class PushedPredicate:
    """What the source tests. Not `exact` means that DuckDB must test the original again."""

    node: exp.Expr
    exact: bool
    reason: Reason


def translate_conjunct(
    dialect: SourceDialect, conjunct: exp.Expr, tables: Mapping[str, Table], scope: Scope
) -> PushedPredicate:
    """One top-level conjunct of a WHERE over relations that are not null-extended. Raises Declined."""
    translator = QueryTranslator(dialect, tables)
    translator.scopes.append(scope)
    node = translator.boolean(conjunct)
    _require_names(node, dialect)
    if not translator.dynamic:
        return PushedPredicate(node, True, Reason.EXACT)
    guards = []
    for column in {each.node.sql(): each for each in translator.dynamic}.values():
        guard = dialect.guard(column)
        if guard is None:
            raise Declined(Reason.DYNAMIC_TYPE, column.node.sql())
        guards.append(guard)
    return PushedPredicate(exp.paren(exp.or_(node, *guards)), False, Reason.SUPERSET_DYNAMIC_TYPE)


def table_scope(tables: Mapping[str, Table]) -> Scope:
    """Base tables as the relations in scope, by alias."""
    return {alias: base_columns(table.columns) for alias, table in tables.items()}


class QueryTranslator(ExpressionTranslator):
    def __init__(self, dialect: SourceDialect, tables: Mapping[str, Table]) -> None:
        super().__init__(dialect)
        self.tables = tables
        self.ctes: dict[str, list[OutputColumn]] = {}
        self.references = 0  # to tables, those of a CTE once for each of its uses
        self.cte_references: dict[str, int] = {}

    def require_static(self) -> None:
        if self.dynamic:
            raise Declined(Reason.DYNAMIC_TYPE, self.dynamic[0].node.sql())

    def query(self, node: exp.Expr) -> tuple[exp.Query, list[OutputColumn]]:
        if isinstance(node, exp.Subquery):
            require_only(node, "this", "alias")
            return self.query(node.this)
        if isinstance(node, exp.Select):
            return self._select(node)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node)
        raise Declined(Reason.NOT_WHITELISTED, node.key)

    def subquery(self, node: exp.Expr, columns: int | None = None) -> tuple[exp.Query, list[OutputColumn]]:
        query, found = self.query(node)
        if columns is not None and len(found) != columns:
            raise Declined(Reason.NOT_WHITELISTED, f"a subquery of {len(found)} columns")
        return query, found

    # --- SELECT ------------------------------------------------------------------------------------------------

    def _select(self, node: exp.Select) -> tuple[exp.Query, list[OutputColumn]]:
        require_only(node, *_SELECT_CLAUSES)
        made = exp.Select()
        self._with(node, made)
        scope: Scope = {}
        self.scopes.append(scope)
        try:
            self._from(node, made, scope)
            return made, self._clauses(node, made)
        finally:
            self.scopes.pop()

    def _clauses(self, node: exp.Select, made: exp.Select) -> list[OutputColumn]:
        if where := node.args.get("where"):
            made.set("where", exp.Where(this=self.boolean(where.this)))
        if group := node.args.get("group"):
            require_only(group, "expressions")
            made.set("group", exp.Group(expressions=[self._group_key(each) for each in group.expressions]))
        projections = [self._projection(each) for each in node.expressions]
        made.set("expressions", [_aliased(typed.node, name) for name, typed in projections])
        if having := node.args.get("having"):
            if not self.dialect.having_keys and _names_a_key(having):
                raise Declined(Reason.NOT_WHITELISTED, "HAVING over a group key")
            made.set("having", exp.Having(this=self.boolean(having.this)))
        distinct = node.args.get("distinct")
        if distinct:
            require_only(distinct)
            for _, typed in projections:
                self._require_groupable(typed)
            made.set("distinct", exp.Distinct())
        by_name = {name.lower(): typed for name, typed in projections}
        self._order(node, made, by_name, distinct=bool(distinct))
        return [OutputColumn(name, typed.type, stored=typed.stored) for name, typed in projections]

    def _projection(self, node: exp.Expr) -> tuple[str, Typed]:
        inner = node.unalias()
        if not node.alias_or_name or isinstance(inner, exp.Star):
            raise Declined(Reason.NOT_WHITELISTED, "an output without a name")
        typed = self.column(inner) if isinstance(inner, exp.Column) else self.expression(inner)
        if typed.type.kind is Kind.NULL:
            raise Declined(Reason.TYPE_MISMATCH, "an output without a type")
        return node.alias_or_name, typed

    def expression(self, node: exp.Expr) -> Typed:
        if isinstance(node, _AGGREGATES):
            return self._aggregate(node)
        return super().expression(node)

    def _aggregate(self, node: exp.Expr) -> Typed:
        if isinstance(node, exp.Filter):
            if not self.dialect.aggregate_filter:
                raise Declined(Reason.NOT_WHITELISTED, "FILTER")
            inner = self._aggregate(node.this)
            where = exp.Where(this=self.boolean(node.expression.this))
            # One aggregate may have become an expression over several.
            for part in list(inner.node.find_all(exp.AggFunc)):
                filtered = exp.Filter(this=part.copy(), expression=where.copy())
                if part is inner.node:
                    return Typed(filtered, inner.type)
                part.replace(filtered)
            return inner
        if isinstance(node, exp.Count) and isinstance(node.this, exp.Star):
            return Typed(exp.Count(this=exp.Star(), big_int=True), SqlType(Kind.INT, bits=64, nullable=False))
        known = self.dialect.aggregates.get(node.key)
        if not known:
            raise Declined(Reason.NOT_WHITELISTED, node.key)
        require_only(node, "this", "big_int")
        if isinstance(node.this, exp.Distinct):
            require_only(node.this, "expressions")
            values = [self.expression(each) for each in node.this.expressions]
            if len(values) != 1:
                raise Declined(Reason.NOT_WHITELISTED, "DISTINCT over several columns")
            self._require_groupable(values[0])
        else:
            values = [self.expression(node.this)]
        return self._apply(node, values, known)

    # --- FROM --------------------------------------------------------------------------------------------------

    def _with(self, node: exp.Query, made: exp.Query) -> None:
        with_ = node.args.get("with_")
        if not with_:
            return
        require_only(with_, "expressions")
        ctes = []
        for cte in with_.expressions:
            require_only(cte, "this", "alias", "materialized")
            if cte.args["alias"].args.get("columns"):
                raise Declined(Reason.NOT_WHITELISTED, "a CTE with column names")
            before = self.references
            query, columns = self.query(cte.this)
            self.ctes[cte.alias.lower()] = columns
            self.cte_references[cte.alias.lower()] = self.references - before
            self.references = before
            ctes.append(exp.CTE(this=query, alias=_alias(cte.alias)))
        made.set("with_", exp.With(expressions=ctes))

    def _from(self, node: exp.Select, made: exp.Select, scope: Scope) -> None:
        from_ = node.args.get("from_")
        if not from_:
            raise Declined(Reason.NOT_WHITELISTED, "a SELECT without FROM")
        made.set("from_", exp.From(this=self._relation(from_.this, scope)))
        for join in node.args.get("joins") or []:
            require_only(join, "this", "on", "side", "kind")
            kind = (join.side or join.kind or "INNER").upper()
            if join.kind.upper() not in ("", "INNER", "OUTER", "CROSS") or kind not in self.dialect.joins:
                raise Declined(Reason.NOT_WHITELISTED, f"{join.side} {join.kind} JOIN".strip())
            relation = self._relation(join.this, scope)
            on = join.args.get("on")
            if kind == "FULL" and not _joins_columns(on, alias=join.this.alias_or_name):
                raise Declined(Reason.NOT_WHITELISTED, "FULL JOIN on more than equality of columns")
            made.append("joins", _join(kind, relation, self.boolean(on) if on else None))
            if kind in ("LEFT", "FULL"):
                _null_extend(scope, {join.this.alias_or_name.lower()})
            if kind in ("RIGHT", "FULL"):
                _null_extend(scope, set(scope) - {join.this.alias_or_name.lower()})

    def _relation(self, node: exp.Expr, scope: Scope) -> exp.Expr:
        alias = node.alias_or_name
        if isinstance(node, exp.Table):
            require_only(node, "this", "alias")
            cte = self.ctes.get(node.name.lower())
            if cte is not None:
                self.references += self.cte_references[node.name.lower()]
                scope[alias.lower()] = {each.name.lower(): each for each in cte}
                return exp.Table(this=exp.to_identifier(node.name, quoted=True), alias=_alias(alias))
            table = self.tables.get(node.name)
            if table is None:
                raise Declined(Reason.OTHER_SOURCE, node.name)
            self.references += 1
            scope[alias.lower()] = base_columns(table.columns)
            return exp.Table(
                this=exp.to_identifier(table.name.name, quoted=True),
                db=exp.to_identifier(table.name.schema, quoted=True) if table.name.schema else None,
                alias=_alias(alias),
            )
        if isinstance(node, exp.Subquery):
            require_only(node, "this", "alias")
            if node.args["alias"].args.get("columns"):
                raise Declined(Reason.NOT_WHITELISTED, "a derived table with column names")
            # A derived table cannot see its neighbours: only LATERAL could, which is declined.
            outer, self.scopes = self.scopes, []
            try:
                query, columns = self.query(node.this)
            finally:
                self.scopes = outer
            scope[alias.lower()] = {each.name.lower(): each for each in columns}
            return exp.Subquery(this=query, alias=_alias(alias))
        raise Declined(Reason.NOT_WHITELISTED, node.key)

    # --- GROUP BY, ORDER BY, set operations --------------------------------------------------------------------

    def _require_groupable(self, typed: Typed) -> None:
        if typed.type.kind not in self.dialect.grouping:
            raise Declined(Reason.TYPE_MISMATCH, f"grouping by {typed.type.kind}")
        if typed.type.kind is Kind.TEXT and typed.type.collation not in (Collation.BINARY, Collation.LOCALE):
            raise Declined(Reason.COLLATION, "grouping by text that is not compared by bytes")

    def _group_key(self, node: exp.Expr) -> exp.Expr:
        typed = self.expression(node)
        self._require_groupable(typed)
        _require_no_constant(typed.node)
        return typed.stored if typed.stored is not None else typed.node  # no cast for every row

    def _order(self, node: exp.Query, made: exp.Query, outputs: Mapping[str, Typed], *, distinct: bool) -> None:
        if order := node.args.get("order"):
            require_only(order, "expressions")
            keys = [self._order_key(each, outputs, distinct=distinct) for each in order.expressions]
            made.set("order", exp.Order(expressions=keys))
        if is_fence(node) and not self.dialect.fences:
            raise Declined(Reason.ROW_FILTER, "what may raise")
        if node.args.get("offset") and not node.args.get("limit") and not self.dialect.offset_alone:
            raise Declined(Reason.NOT_WHITELISTED, "OFFSET without LIMIT")
        for clause, kind in (("limit", exp.Limit), ("offset", exp.Offset)):
            part = node.args.get(clause)
            if part is None:
                continue
            require_only(part, "expression")
            if not (isinstance(part.expression, exp.Literal) and part.expression.this.isdigit()):
                raise Declined(Reason.NOT_WHITELISTED, f"{clause.upper()} that is not a number")
            made.set(clause, kind(expression=part.expression.copy()))

    def _order_key(self, node: exp.Expr, outputs: Mapping[str, Typed], *, distinct: bool) -> exp.Ordered:
        require_only(node, "this", "desc", "nulls_first")
        inner = node.this
        if isinstance(inner, exp.Literal):
            raise Declined(Reason.NOT_WHITELISTED, "ORDER BY a position")
        if isinstance(inner, exp.Column) and not inner.table:
            found = outputs.get(inner.name.lower())
            if found is None:
                raise Declined(Reason.NOT_WHITELISTED, f"ORDER BY {inner.name}")
            typed = Typed(found.node.copy(), found.type)
        else:
            typed = self.expression(inner)
        if typed.type.dynamic:
            raise Declined(Reason.DYNAMIC_TYPE, inner.sql("duckdb"))
        _require_no_constant(typed.node)
        key = self._by_bytes(typed, distinct)
        if distinct and not self.dialect.distinct_order and not isinstance(key, exp.Column):
            raise Declined(Reason.NOT_WHITELISTED, "ORDER BY an expression after DISTINCT")
        return exp.Ordered(
            this=key,
            desc=bool(node.args.get("desc")),
            nulls_first=self._nulls_first(node, typed.type),
        )

    def _by_bytes(self, typed: Typed, distinct: bool) -> exp.Expr:
        if typed.type.kind not in self.dialect.ordering:
            raise Declined(Reason.TYPE_MISMATCH, f"ordering by {typed.type.kind}")
        if typed.type.kind is not Kind.TEXT:
            return typed.node
        key = self.dialect.by_bytes(typed)
        if key is None or (distinct and key is not typed.node):
            raise Declined(Reason.COLLATION, "ordering text by bytes")
        return key

    def _nulls_first(self, node: exp.Expr, type_: SqlType) -> bool:
        """DuckDB's order of NULLs; of a key that is never NULL the source's own, because naming it costs the index."""
        if type_.nullable:
            return bool(node.args.get("nulls_first"))
        desc = bool(node.args.get("desc"))
        return desc if self.dialect.name == "postgres" else not desc

    def _set_operation(self, node: exp.SetOperation) -> tuple[exp.Query, list[OutputColumn]]:
        require_only(node, "with_", "this", "expression", "distinct", "order", "limit", "offset")
        name = f"{node.key} all" if not node.args.get("distinct") else node.key
        if name not in self.dialect.set_operations:
            raise Declined(Reason.NOT_WHITELISTED, name.upper())
        # Filled in below; made first so that WITH is in scope for both sides.
        made = type(node)(this=exp.Select(), expression=exp.Select(), distinct=node.args.get("distinct"))
        self._with(node, made)
        left, left_columns = self.query(node.this)
        right, right_columns = self.query(node.expression)
        if len(left_columns) != len(right_columns):
            raise Declined(Reason.TYPE_MISMATCH, "sides of different width")
        columns = [_common(a, b) for a, b in zip(left_columns, right_columns, strict=True)]
        if name != "union all":
            for column in columns:
                self._require_groupable(Typed(exp.Null(), column.type))
        made.set("this", left if _continues(left, made) else _side(left))
        made.set("expression", _side(right))
        outputs = {
            each.name.lower(): Typed(exp.column(exp.to_identifier(each.name, quoted=True)), each.type)
            for each in columns
        }
        self._order(node, made, outputs, distinct=True)
        return made, columns


def _require_names(node: exp.Expr, dialect: SourceDialect) -> None:
    for alias in node.find_all(exp.Alias, exp.TableAlias):
        if any(character > dialect.last_of_name for character in alias.alias or alias.name):
            raise Declined(Reason.NOT_WHITELISTED, "a name that the source cannot spell")


def _require_no_constant(key: exp.Expr) -> None:
    """Sources take a constant key for the position of an output, or refuse it."""
    inner = key.unnest()
    inner = inner.this.unnest() if isinstance(inner, exp.Neg) else inner
    if isinstance(inner, (exp.Literal, exp.Null, exp.Boolean)):
        raise Declined(Reason.NOT_WHITELISTED, "sorting or grouping by a constant")


def _names_a_key(having: exp.Having) -> bool:
    columns = having.find_all(exp.Column)
    return any(column.find_ancestor(exp.AggFunc, exp.Query, exp.Having) is having for column in columns)


def _aliased(node: exp.Expr, name: str) -> exp.Alias:
    """Always an Alias of its own: sqlglot's helper would put the name into a subquery."""
    return exp.Alias(this=node, alias=exp.to_identifier(name, quoted=True))


def _alias(name: str) -> exp.TableAlias:
    return exp.TableAlias(this=exp.to_identifier(name, quoted=True))


def _join(kind: str, relation: exp.Expr, on: exp.Expr | None) -> exp.Join:
    if on is None:
        return exp.Join(this=relation, kind="CROSS")
    if kind in ("LEFT", "RIGHT", "FULL"):
        return exp.Join(this=relation, side=kind, on=on)
    return exp.Join(this=relation, kind="INNER", on=on)


def _null_extend(scope: Scope, aliases: set[str]) -> None:
    for alias in aliases:
        scope[alias] = {
            key: OutputColumn(each.name, replace(each.type, nullable=True), each.column)
            for key, each in scope[alias].items()
        }


def _joins_columns(on: exp.Expr | None, alias: str) -> bool:
    """Whether a condition is nothing but equalities of a column of `alias` with one of another relation."""
    if on is None:
        return False
    parts = [each.unnest() for each in (on.flatten() if isinstance(on, exp.And) else [on])]
    return all(
        isinstance(each, exp.EQ)
        and all(isinstance(side, exp.Column) for side in (each.this, each.expression))
        and (each.this.table == alias) != (each.expression.table == alias)
        for each in parts
    )


def _continues(left: exp.Query, made: exp.SetOperation) -> bool:
    """Whether `left` is the same operation, which every source reads from the left: it needs no parentheses."""
    same = type(left) is type(made) and left.args.get("distinct") == made.args.get("distinct")
    return same and not any(left.args.get(key) for key in (*_TAIL, "with_"))


def _side(query: exp.Query) -> exp.Expr:
    nested = isinstance(query, exp.SetOperation) or any(
        query.args.get(key) for key in ("order", "limit", "offset", "with_")
    )
    return exp.select("*").from_(exp.Subquery(this=query, alias=_alias("side"))) if nested else query


def _common(left: OutputColumn, right: OutputColumn) -> OutputColumn:
    if left.type.dynamic or right.type.dynamic:
        raise Declined(Reason.DYNAMIC_TYPE, left.name)
    type_ = unify([left.type, right.type])
    if type_ is None or left.type.kind is not right.type.kind:
        raise Declined(Reason.TYPE_MISMATCH, f"the sides of {left.name}")
    return OutputColumn(left.name, type_)
