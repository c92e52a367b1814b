"""Taking out of a query what certainly has no row, so that no source is asked for it.

`Emptier` walks from the innermost queries outwards. Where the conditions of a SELECT cannot all be true, its tables
become relations without rows, and everything else stays as it is: so every type stays DuckDB's own, and an aggregate
without groups still gives its one row. A left join that can match nothing is dropped, its columns are NULL. What has
no row empties what is made of it: inner joins, branches of UNION ALL, IN and EXISTS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from sqlglot import exp

from adapters.sql.dialect import Reason
from federation.planner import filters
from federation.planner.branches import drop_branches
from federation.planner.nodes import Note
from federation.planner.rewriting import Context, Scope, empty_relation, null_of

#: What is to be said about conjuncts that cannot all be true for a row of these relations; None where they can. The set
#: holds the aliases that may stand for NULLs.
Judge = Callable[[Sequence[exp.Expr], Scope, set[str]], Note | None]


def remove_empty(query: exp.Query, context: Context, judge: Judge) -> exp.Query:
    """The query, which is used up, without what has no row."""
    emptier = Emptier(context, judge)
    emptier.query(query)
    return drop_branches(query, emptier.without_rows, context)


class Emptier:
    """One walk over one query, which is changed in place. `judge` says which conjunctions are impossible."""

    def __init__(self, context: Context, judge: Judge) -> None:
        self._context = context
        self._judge = judge
        self.without_rows: list[exp.Expr] = []

    def query(self, node: exp.Expr) -> bool:
        """Whether the query has no row, after everything inside it was looked at."""
        if isinstance(node, exp.Subquery):
            return self.query(node.this)
        if with_ := node.args.get("with_"):
            for cte in with_.expressions:
                self.query(cte.this)
        if isinstance(node, exp.SetOperation):
            empty = self._set_operation(node)
        else:
            empty = isinstance(node, exp.Select) and self._select(node)
        if not empty and _no_rows_wanted(node):
            empty = True
            self._noted(node, Note("LIMIT 0", "pruned", Reason.CONTRADICTION))
        if empty:
            self._empty_tables(node)
            self.without_rows.append(node)
            return True
        return False

    # --- set operations --------------------------------------------------------------------------------------------

    def _set_operation(self, node: exp.SetOperation) -> bool:
        left, right = (self.query(each) for each in (node.this, node.expression))
        if isinstance(node, exp.Intersect):
            return left or right
        if isinstance(node, exp.Except):
            return left
        return left and right

    # --- SELECT ----------------------------------------------------------------------------------------------------

    def _select(self, select: exp.Select) -> bool:
        empty = self._relations(select)
        for subquery in list(filters.own_subqueries(select)):
            self._subquery(subquery)
        for clause in ("where", "having", "qualify"):
            if node := select.args.get(clause):
                self._fold(node)
        if filters.plain_joins(select):
            for join in list(select.args.get("joins") or []):
                self._left_join(select, join, empty)
        scope, extended = Scope(select, self._context), filters.null_extended(select)
        no_input = filters.plain_joins(select) and bool((empty & set(scope.relations)) - extended)
        if no_input or self._impossible(select, certain(select), scope, extended):
            one_row = _one_row(select)
            self._empty_tables(select, input_only=one_row)
            return not one_row or _filtered(select)
        return _filtered(select)

    def _impossible(self, node: exp.Expr, parts: Sequence[exp.Expr], scope: Scope, extended: set[str]) -> bool:
        note = self._judge(parts, scope, extended) if parts else None
        if note is not None:
            self._noted(node, note)
        return note is not None

    def _noted(self, node: exp.Expr, note: Note) -> None:
        """A note is worth a line where it spares a table."""
        if any(self._context.base(each) for each in node.find_all(exp.Table)):
            self._context.notes.append(note)

    def _relations(self, select: exp.Select) -> set[str]:
        """The aliases of the relations without rows."""
        empty = set()
        for relation in filters.relations(select) + (select.args.get("laterals") or []):
            inner = relation.this if isinstance(relation, exp.Lateral) else relation
            if isinstance(inner, (exp.Subquery, exp.Query)) and self.query(inner):
                empty.add(relation.alias_or_name)
        return empty

    def _subquery(self, query: exp.Query) -> None:
        """IN and EXISTS over no rows are false, also for NULL."""
        if not self.query(query):
            return
        holder = query.parent.parent if isinstance(query.parent, exp.Subquery) else query.parent
        if isinstance(holder, exp.Exists) or (isinstance(holder, exp.In) and holder.args.get("query")):
            holder.replace(exp.false())

    def _fold(self, clause: exp.Expr) -> None:
        """Conjuncts that are constant: what is true goes, what cannot be true is FALSE. In WHERE the latter is left to
        the judge, so that the note says what it was."""
        parts = []
        for part in filters.conjuncts(clause.this):
            truth = self._context.truth(part)
            if truth is not True:
                parts.append(exp.false() if truth is False and not isinstance(clause, exp.Where) else part)
        if parts:
            clause.set("this", filters.conjunction(parts))
        elif isinstance(clause, exp.Having):
            clause.set("this", exp.true())  # HAVING makes an aggregation of a SELECT without aggregates
        else:
            clause.pop()

    def _left_join(self, select: exp.Select, join: exp.Join, empty: set[str]) -> None:
        """Drop a left join that matches nothing: for no row that WHERE lets through, at least."""
        alias = join.this.alias_or_name
        if join.side != "LEFT" or not isinstance(join.args.get("on"), exp.Expr):
            return
        extended = filters.null_extended(select)
        beside = [each for each in certain(select) if not filters.tables_of(each) & extended]
        on = filters.conjuncts(join.args["on"])
        scope = Scope(select, self._context)
        if alias not in empty and not self._impossible(join, [*on, *beside], scope, extended - {alias}):
            return
        columns = [each for each in select.find_all(exp.Column) if each.table == alias and not _inside(each, join)]
        types = self._context.columns(join.this)
        if any(each.name.lower() not in types for each in columns):
            return
        if any(column.table == alias for part in _parts_of_dates(select) for column in part.find_all(exp.Column)):
            return
        for column in columns:
            _replace(column, null_of(types[column.name.lower()]))
        join.pop()

    # --- taking tables away ----------------------------------------------------------------------------------------

    def _empty_tables(self, node: exp.Expr, *, input_only: bool = False) -> None:
        """No table below the node is read; `input_only` spares the subqueries of what a SELECT computes."""
        if isinstance(node, exp.Select) and node.args.get("from_"):
            node.set("where", exp.Where(this=exp.false()))
        parts = [node]
        if input_only:
            parts = [each for key in ("from_", "joins", "laterals") for each in filters.clause(node, key)]
        for part in parts:
            for table in list(part.find_all(exp.Table)):
                select = table.find_ancestor(exp.Select)
                if self._context.base(table) is None or select is None:
                    continue
                made = empty_relation(table, select, self._context)
                if made is not None:
                    table.replace(made)


def certain(select: exp.Select) -> list[exp.Expr]:
    """The conditions that every row of FROM fulfils that goes on: WHERE, and those of inner joins."""
    parts = filters.where_conjuncts(select)
    if filters.plain_joins(select):
        for join in select.args.get("joins") or []:
            if filters.is_inner(join):
                parts += filters.conjuncts(join.args.get("on"))
    return parts


def _filtered(select: exp.Select) -> bool:
    """Whether HAVING or QUALIFY lets nothing through."""
    return any(_is_false(select.args[key].this) for key in ("having", "qualify") if select.args.get(key))


def _no_rows_wanted(node: exp.Expr) -> bool:
    limit = node.args.get("limit")
    count = limit.args.get("expression") if isinstance(limit, exp.Limit) else None
    return isinstance(count, exp.Literal) and count.this == "0"


def _one_row(select: exp.Select) -> bool:
    """Whether the SELECT may give a row of no input: it aggregates without groups, or may, or groups by nothing."""
    group = select.args.get("group")
    if group is not None:
        return not any(map(_is_in_every_set, group.expressions))
    clauses = [each for key in ("expressions", "having", "qualify", "order") for each in filters.clause(select, key)]
    return bool(select.args.get("having")) or any(_may_aggregate(each) for each in clauses)


def _is_in_every_set(key: exp.Expr) -> bool:
    """Whether an entry of GROUP BY is a key of all its grouping sets: otherwise one of them may be (), the whole."""
    return not isinstance(key, (exp.Rollup, exp.Cube, exp.GroupingSets)) and key != exp.Tuple()


def _may_aggregate(node: exp.Expr) -> bool:
    """Whether the node has an aggregate, or a function that the parser does not know, outside of queries."""
    if isinstance(node, exp.Query):
        return False
    if isinstance(node, exp.Func) and not filters.plain(node) and not isinstance(node, (exp.And, exp.Or)):
        return True
    return any(_may_aggregate(each) for each in node.iter_expressions())


def _is_false(node: exp.Expr) -> bool:
    return any(isinstance(each, exp.Boolean) and not each.this for each in filters.conjuncts(node))


def _inside(node: exp.Expr, other: exp.Expr) -> bool:
    parent = node.parent
    while parent is not None and parent is not other:
        parent = parent.parent
    return parent is other


def _parts_of_dates(select: exp.Select) -> Iterator[exp.Expr]:
    """DuckDB makes an integer of them, but a DOUBLE of one of a constant NULL."""
    for each in select.find_all(exp.Extract, exp.Anonymous):
        if isinstance(each, exp.Extract) or each.name.lower() in ("date_part", "datepart"):
            yield each


def _replace(node: exp.Expr, made: exp.Expr) -> None:
    """An output keeps its name."""
    named = isinstance(node.parent, exp.Select) and node.arg_key == "expressions"
    node.replace(exp.alias_(made, node.name, quoted=True) if named else made)
