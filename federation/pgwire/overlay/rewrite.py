"""A query over PostgreSQL's catalog as one over the overlay's DuckDB.

1. Names are folded as PostgreSQL folds them, relations of pg_catalog and information_schema get their place in DuckDB.
2. Inside out, each SELECT learns the columns of its relations; its expressions follow the rules of `expressions.py`.
   Columns are qualified, so that nothing in a macro can capture them.
3. Columns without a name get PostgreSQL's; the kinds of the result's columns come out at the top.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from adapters.errors import NotSupportedError, TableNotFound
from federation.pgwire.dialect.names import output_name
from federation.pgwire.overlay.casts import typed
from federation.pgwire.overlay.expressions import ROW_FUNCTIONS, Expressions, call, element_kind, macro
from federation.pgwire.overlay.lists import expand_members
from federation.pgwire.overlay.scope import SYSTEM_COLUMNS, Columns, Scope, kind_of, with_kind
from federation.pgwire.overlay.sessions import ENDING
from federation.pgwire.overlay.structure import SCHEMAS, SystemRelation, structure

_SESSION_WORDS = {"user", "current_role", "current_catalog", "current_user", "session_user", "current_schema"}


def system_relation(table: exp.Table) -> SystemRelation | None:
    """The relation of PostgreSQL's own that a reference means, unless a CTE has its name."""
    if not isinstance(table.this, exp.Identifier):
        return None
    schema = _folded(table.args.get("db")) or "pg_catalog"
    return structure().relations.get((schema, _folded(table.this)))


def names_system_schema(table: exp.Table) -> bool:
    return _folded(table.args.get("db")) in SCHEMAS


def _check_effects(select: exp.Select) -> None:
    """DuckDB would call what ends sessions for more rows than are left. Raises NotSupportedError."""
    if not (select.args.get("offset") or (select.args.get("limit") and select.args.get("order"))):
        return
    for call_ in (call_ for each in select.expressions for call_ in each.find_all(exp.Anonymous)):
        if call_.name.lower() in ENDING:
            raise NotSupportedError(
                f"{call_.name} beside OFFSET, or ORDER BY and LIMIT, is not supported",
                hint="choose the rows in a subquery in FROM",
            )


class Rewriter:
    """Rewrites one query in place. `use` is told every relation that it reads; `generation` is what `xmin` says."""

    def __init__(self, expressions: Expressions, use: Callable[[SystemRelation], None], generation: int = 1) -> None:
        self._expressions = expressions
        self._use = use
        self._generation = generation

    def rewrite(self, tree: exp.Query) -> tuple[exp.Query, Columns]:
        for identifier in tree.find_all(exp.Identifier):
            if not identifier.quoted:
                identifier.set("this", identifier.name.lower())
                identifier.set("quoted", True)
        for dot in list(tree.find_all(exp.Dot)):
            if isinstance(dot.expression, exp.Func) and _folded(dot.this) in SCHEMAS:
                dot.replace(dot.expression)
        return tree, self._query(tree, None)

    # --- queries --------------------------------------------------------------------------------------------------

    def _query(self, query: exp.Expr, outer: Scope | None) -> Columns:
        scope = Scope(outer)
        with_ = query.args.get("with_")
        if with_ is not None:
            for cte in with_.expressions:
                self._cte(cte, scope, bool(with_.args.get("recursive")))
        if isinstance(query, exp.Subquery):
            return self._parenthesized(query, scope)
        if isinstance(query, exp.SetOperation):
            columns = self._query(query.this, scope)
            others = self._query(query.expression, scope)
            self._visit_rest(query, scope, {"this", "expression", "with_"})
            return [(name, kind or others[i][1] if i < len(others) else kind) for i, (name, kind) in enumerate(columns)]
        if isinstance(query, exp.Select):
            return self._select(query, scope)
        self._visit_rest(query, scope, {"with_"})
        return []

    def _parenthesized(self, query: exp.Subquery, scope: Scope) -> Columns:
        columns = self._query(query.this, scope)
        self._visit_rest(query, scope, {"this", "alias", "with_"})
        return columns

    def _cte(self, cte: exp.CTE, scope: Scope, recursive: bool) -> None:
        query = cte.this
        name = cte.alias
        if recursive and isinstance(query, exp.SetOperation):
            scope.ctes[name] = _renamed(self._query(query.this, scope), cte)
            self._query(query.expression, scope)
        else:
            scope.ctes[name] = _renamed(self._query(query, scope), cte)

    def _select(self, select: exp.Select, scope: Scope) -> Columns:
        from_ = select.args.get("from_")
        if from_ is not None:
            self._relation(from_.this, scope)
        self._joins(select, scope)
        for lateral in select.args.get("laterals") or ():
            self._relation(lateral, scope)
        _check_effects(select)
        for each in list(select.expressions):
            self._visit(each, scope)
        columns = self._outputs(select, scope)
        names = {name for name, _ in columns}
        for key in ("where", "group", "having", "qualify", "distinct", "windows", "limit", "offset"):
            self._visit_arg(select, key, scope)
        order = select.args.get("order")
        for ordered in order.expressions if order is not None else ():
            if not _is_output(ordered.this, names):
                self._visit(ordered.this, scope)
        return columns

    def _outputs(self, select: exp.Select, scope: Scope) -> Columns:
        columns: Columns = []
        for each in list(select.expressions):
            if isinstance(each, exp.Star):
                columns += scope.star()
                if scope.merged:
                    _expand(each, scope)
            elif isinstance(each, exp.Column) and isinstance(each.this, exp.Star):
                columns += scope.star(each.table)
            elif isinstance(each, exp.Alias):
                columns.append((each.alias, kind_of(each.this)))
            else:
                name = each.meta.get("name") or output_name(each)
                columns.append((name, kind_of(each)))
                if not (isinstance(each, exp.Column) and each.name == name):
                    each.replace(exp.alias_(each.copy(), name, quoted=True))
        return columns

    # --- relations ------------------------------------------------------------------------------------------------

    def _joins(self, node: exp.Expr, scope: Scope) -> None:
        for join in node.args.get("joins") or ():
            before = {name for name, _ in scope.star()}
            known = set(scope.relations)
            self._relation(join.this, scope)
            scope.merged.update(each.name for each in join.args.get("using") or ())
            if join.method == "NATURAL":
                new = (columns for alias, columns in scope.relations.items() if alias not in known)
                scope.merged.update(name for columns in new for name, _ in columns if name in before)
            if join.args.get("on") is not None:
                self._visit(join.args["on"], scope)

    def _relation(self, node: exp.Expr, scope: Scope) -> None:
        alias = node.alias
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            self._table(node, scope)
        elif isinstance(node, exp.Subquery) and not alias and isinstance(node.this, (exp.Table, exp.Subquery)):
            self._relation(node.this, scope)  # (a JOIN b …)
        elif isinstance(node, exp.Subquery):
            scope.add(
                alias or f"?{len(scope.relations)}", _renamed(self._query(node.this, scope.without_relations()), node)
            )
        elif isinstance(node, exp.Lateral) and isinstance(node.this, exp.Subquery):
            scope.add(alias, _renamed(self._query(node.this, scope), node))
        elif isinstance(node, exp.Unnest):
            self._unnest(node, scope)
        elif isinstance(node, (exp.Table, exp.Lateral)):
            self._function(node, scope)
        elif alias:
            scope.add(alias, _renamed(self._query(node, scope.without_relations()), node))
        self._joins(node, scope)

    def _table(self, table: exp.Table, scope: Scope) -> None:
        name = table.name
        if not table.args.get("db") and name in scope.ctes:
            scope.add(table.alias_or_name, _renamed(scope.ctes[name], table))
            return
        relation = system_relation(table)
        if relation is None:
            shown = table.sql("postgres", identify=False)
            raise TableNotFound(f'relation "{shown}" does not exist')
        self._use(relation)
        table.set("db", exp.to_identifier(SCHEMAS[relation.schema], quoted=True))
        table.set("catalog", None)
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
        scope.add(table.alias, _renamed(list(relation.columns.items()), table), relation)

    def _unnest(self, node: exp.Unnest, scope: Scope) -> None:
        for each in list(node.expressions):
            self._visit(each, scope)
        alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier("unnest", quoted=True))
        if len(node.expressions) > 1:
            scope.add(alias.name, [(each.name, None) for each in alias.columns])
            return
        if node.args.get("offset"):
            node.set("ordinality", True)
            if isinstance(node.args["offset"], exp.Identifier):
                alias.append("columns", node.args["offset"])
        node.replace(self._rows_of(node, node.expressions[0], alias, scope))

    def _function(self, node: exp.Table | exp.Lateral, scope: Scope) -> None:
        """A function in FROM: its rows are unnested from a list."""
        function = node.this.expression if isinstance(node.this, exp.Dot) else node.this
        name = function.name.lower() if isinstance(function, exp.Anonymous) else ""
        alias = node.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name, quoted=True))
        for each in list(function.expressions):
            self._visit(each, scope)
        arguments = function.expressions
        if name == "pg_get_keywords":
            table = exp.table_("keywords", db="pg", quoted=True)
            table.set("alias", alias)
            node.replace(table)
            scope.add(alias.name, [])
            return
        if name in ROW_FUNCTIONS:
            rows = call(
                "unnest",
                macro(name, *arguments),
                exp.PropertyEQ(this=exp.to_identifier("max_depth"), expression=exp.Literal.number(2)),
            )
            node.replace(exp.Lateral(this=exp.Subquery(this=exp.select(rows)), alias=alias))
            scope.add(alias.name, _renamed(list(ROW_FUNCTIONS[name]), node))
            return
        called = self._expressions.apply(function)
        if isinstance(called, exp.Anonymous) and called.name == "unnest":
            (list_,) = called.expressions
        else:  # one row of one value
            list_ = with_kind(exp.Array(expressions=[called]), f"_{kind_of(called)}" if kind_of(called) else None)
        node.replace(self._rows_of(node, list_, alias, scope))

    def _rows_of(self, node: exp.Expr, list_: exp.Expr, alias: exp.TableAlias, scope: Scope) -> exp.Expr:
        """The elements of a list as a relation. DuckDB takes no subqueries in a table function, so that they stand in
        the SELECT of a lateral query."""
        if not alias.columns:
            alias.set("columns", [alias.this.copy()])
        columns: Columns = [(alias.columns[0].name, element_kind(kind_of(list_)))]
        items: list[exp.Expr] = [call("unnest", list_)]
        if node.args.get("ordinality"):
            if len(alias.columns) < 2:
                alias.append("columns", exp.to_identifier("ordinality", quoted=True))
            items.append(call("generate_subscripts", list_.copy(), exp.Literal.number(1)))
            columns.append((alias.columns[1].name, "int8"))
        scope.add(alias.name, columns)
        return exp.Lateral(this=exp.Subquery(this=exp.select(*items)), alias=alias)

    # --- expressions ----------------------------------------------------------------------------------------------

    def _visit_arg(self, node: exp.Expr, key: str, scope: Scope) -> None:
        value = node.args.get(key)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, exp.Expr):
                self._visit(each, scope)

    def _visit_rest(self, node: exp.Expr, scope: Scope, but: set[str]) -> None:
        names = set(node.named_selects) if isinstance(node, exp.Query) else set()
        for key in node.args:
            if key == "order":
                for ordered in node.args[key].expressions if node.args[key] is not None else ():
                    if not _is_output(ordered.this, names):
                        self._visit(ordered.this, scope)
            elif key not in but:
                self._visit_arg(node, key, scope)

    def _visit(self, node: exp.Expr, scope: Scope) -> None:
        if isinstance(node, (exp.Select, exp.SetOperation)):
            columns = self._query(node, scope)
            with_kind(node, columns[0][1] if columns else None)
            return
        if isinstance(node, exp.Subquery):
            columns = self._query(node, scope)
            with_kind(node, columns[0][1] if columns else None)
            return
        if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
            self._column(node, scope)
            return
        if isinstance(node.parent, exp.Select) and not isinstance(node, (exp.Alias, exp.Star)):
            node.meta["name"] = output_name(node)  # before a rule changes what it was
        if isinstance(node, exp.In):
            self._members(node, scope)
        else:
            for child in list(node.iter_expressions()):
                self._visit(child, scope)
        if isinstance(node, exp.Array) and len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Query):
            kind = kind_of(node.expressions[0])
            with_kind(node, f"_{kind}" if kind else None)
            return
        name = node.meta.get("name")
        changed = self._expressions.apply(node)
        if changed is not node:
            if name is not None:
                changed.meta["name"] = name
            node.replace(changed)

    def _members(self, node: exp.In, scope: Scope) -> None:
        self._visit(node.this, scope)
        if not expand_members(node, kind_of(node.this)):
            self._visit_rest(node, scope, {"this"})

    def _column(self, column: exp.Column, scope: Scope) -> None:
        name, alias = column.name, column.table or None
        column.set("db", None)
        column.set("catalog", None)
        found = scope.find(name, alias)
        if found is not None:
            if alias is None and found[0] is not None:
                column.set("table", exp.to_identifier(found[0], quoted=True))
            with_kind(column, found[1])
            return
        relation = scope.system(name, alias)
        if relation is not None:
            column.replace(self._hidden(column, name, relation))
        elif alias is None and name in _SESSION_WORDS:
            value = macro(name)
            value.meta["name"] = name
            column.replace(value)

    def _hidden(self, column: exp.Column, name: str, relation: SystemRelation) -> exp.Expr:
        """A system column: `xmin` tells whether anything has changed."""
        values = {"xmin": self._generation, "tableoid": relation.oid}
        literal = exp.Literal.string("(0,1)") if name == "ctid" else exp.Literal.number(values.get(name, 0))
        value = typed(literal, SYSTEM_COLUMNS[name])
        value.meta["name"] = column.name
        return value


def _expand(star: exp.Expr, scope: Scope) -> None:
    """DuckDB leaves merged columns where they were."""
    named = [exp.column(name, alias, quoted=True) for alias, name, _ in scope.expanded()]
    select = star.parent
    if isinstance(select, exp.Select):
        items = [each for item in select.expressions for each in (named if item is star else [item])]
        select.set("expressions", items)


def _renamed(columns: Columns, node: exp.Expr) -> Columns:
    """The columns under the names that an alias gives them: `AS t(a, b)`."""
    alias = node.args.get("alias")
    names = [each.name for each in alias.columns] if isinstance(alias, exp.TableAlias) else []
    return [(names[i] if i < len(names) else name, kind) for i, (name, kind) in enumerate(columns)]


def _is_output(node: exp.Expr, names: set[str]) -> bool:
    return isinstance(node, exp.Column) and not node.table and node.name in names


def _folded(identifier: exp.Expr | None) -> str:
    if not isinstance(identifier, exp.Identifier):
        return ""
    return identifier.name if identifier.quoted else identifier.name.lower()
