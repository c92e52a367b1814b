"""Which conditions may be tested of rows that the caller must not see: those that raise for no row.

What is not known to be harmless counts as if it raised. Types are DuckDB's: a comparison of a text with a number casts
the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from federation.planner import filters
from federation.planner.constants import integer, is_null, value_of
from federation.planner.rewriting import Context
from federation.planner.union_aggregation import sums_exactly

_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_FIELD_NAMES = frozenset({"YEAR", "QUARTER", "MONTH", "DAY"})
_DAYS = frozenset({"DATE", "TIMESTAMP"})
_WRITABLE = frozenset({"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DOUBLE", "VARCHAR", *_DAYS})
_OPAQUE = (exp.Lateral, exp.Unnest, exp.Explode)
#: what a condition cannot be moved below: its value is one of several rows
_OF_ROWS = (exp.AggFunc, exp.Window)


def conditions(query: exp.Expr) -> Iterator[tuple[exp.Select, exp.Expr]]:
    """All conditions of a normalized query that might be tested before others, each with its SELECT."""
    for select in query.find_all(exp.Select):
        for part in filters.where_conjuncts(select):
            yield select, part
        for join in select.args.get("joins") or []:
            for part in filters.conjuncts(join.args.get("on")):
                yield select, part
        for key in ("having", "qualify"):
            for clause in filters.clause(select, key):
                yield from ((select, part) for part in filters.conjuncts(clause.this) if not part.find(*_OF_ROWS))
        for key in ("expressions", "having", "order"):
            for clause in filters.clause(select, key):
                yield from ((select, each.expression.this) for each in clause.find_all(exp.Filter))


def readable(query: exp.Expr) -> bool:
    """Whether `conditions` are all that a query tests."""
    if query.find(*_OPAQUE) or any(each.args.get("recursive") for each in query.find_all(exp.With)):
        return False
    return not any(join.args.get("method") or join.args.get("using") for join in query.find_all(exp.Join))


class Leakproof:
    """Judges conditions in one normalized query, in which an alias means one relation."""

    def __init__(self, query: exp.Query, context: Context) -> None:
        self._context = context
        selects = list(query.find_all(exp.Select))
        self._relations = {each.alias_or_name: each for select in selects for each in filters.relations(select)}
        self._ctes = {cte.alias.lower(): cte.this for cte in query.find_all(exp.CTE)}
        self._columns: dict[str, dict[str, str]] = {}

    def condition(self, node: exp.Expr) -> bool:
        """Whether testing it raises for no row, whatever its values."""
        match node:
            case exp.Paren() | exp.Not():
                return self.condition(node.this)
            case exp.Connector():
                return all(map(self.condition, node.flatten()))
            case exp.Boolean() | exp.Null():
                return True
            case exp.Column():
                return self._type(node) == "BOOLEAN"
            case exp.Is():
                return isinstance(node.expression, exp.Null | exp.Boolean) and self._any(node.this)
            case exp.Between():
                return self._alike(node.this, node.args["low"], node.args["high"])
            case exp.In():
                return self._in(node)
            case exp.Exists():
                return all(map(self._any, _outputs(node.this)))
            case exp.Escape():
                return self._escaped(node)
            case exp.Like() | exp.ILike() | exp.StartsWith() | exp.EndsWith() | exp.Contains():
                return _is_text(node.expression) and self._type(node.this) == "VARCHAR"
        return isinstance(node, _COMPARISONS) and self._alike(node.this, node.expression)

    def _escaped(self, node: exp.Escape) -> bool:
        like, escape = node.this, node.expression
        if not isinstance(like, exp.Like | exp.ILike) or not (_is_text(escape) and _is_text(like.expression)):
            return False
        return len(escape.name) == 1 and not like.expression.name.endswith(escape.name) and self.condition(like)

    def _in(self, node: exp.In) -> bool:
        if node.args.get("unnest") or node.args.get("field"):
            return False
        query = node.args.get("query")
        if query is None:
            return self._alike(node.this, *node.expressions)
        return all(len(_outputs(each)) == 1 and self._alike(node.this, *_outputs(each)) for each in _branches(query))

    # --- values ----------------------------------------------------------------------------------------------------

    def _any(self, node: exp.Expr) -> bool:
        """Whether computing it raises for no row, whatever its type."""
        return is_null(node) or isinstance(node, exp.Literal) or self._type(node) != ""

    def _alike(self, *nodes: exp.Expr) -> bool:
        """Whether comparing the values with each other raises for no row."""
        constants = [each for each in nodes if not each.find(exp.Column, exp.Query)]
        types = {self._type(each) for each in nodes if not any(each is other for other in constants)}
        if not types:
            return all(self._context.constant(each) is not None for each in constants)
        if len(types) > 1:
            return all(map(integer, types)) and all(self._fits(each, "BIGINT") for each in constants)
        (type_,) = types
        return type_ != "" and all(self._fits(each, type_) for each in constants)

    def _fits(self, constant: exp.Expr, type_: str) -> bool:
        """Whether a value of that type is compared with the constant without a cast that may raise."""
        if isinstance(constant, exp.Null):
            return True
        if _is_text(constant):  # takes the type
            cast = exp.cast(constant.copy(), type_, dialect="duckdb")
            return type_ == "VARCHAR" or self._context.constant(cast) is not None
        known = "DOUBLE" if type_ == "FLOAT" else type_
        if type_ != "DATE" and value_of(constant, known, self._context) is not None:
            return True  # beside a TIMESTAMP a DATE becomes one, of which there are fewer
        found = self._context.constant(constant)
        return found is not None and found[0] == type_

    def _type(self, node: exp.Expr) -> str:
        """The DuckDB type of a value that can be computed of any row; empty for any other."""
        match node:
            case exp.Paren():
                return self._type(node.this)
            case exp.Column():
                return self._column(node)
            case exp.Case():
                return self._case(node)
            case exp.Coalesce():
                return self._unified([node.this, *node.expressions])
            case exp.Subquery():
                return self._scalar(node)
            case exp.Length():
                return "BIGINT" if self._type(node.this) == "VARCHAR" else ""
            case exp.Substring() | exp.Lower() | exp.Upper() | exp.Trim() | exp.Left() | exp.Right():
                return "VARCHAR" if self._type(node.this) == "VARCHAR" and _by_literals(node) else ""
            case exp.Mod():
                whole = integer(self._type(node.this)) and _is_number(node.expression) and int(node.expression.name)
                return "BIGINT" if whole else ""
            case exp.Cast():
                return self._cast(node)
            case exp.Extract():
                return self._field(node.expression) if node.this.name.upper() in _FIELD_NAMES else ""
            case exp.Year() | exp.Quarter() | exp.Month() | exp.Day():
                return self._field(node.this)
        if not node.find(exp.Column, exp.Query):
            return (self._context.constant(node) or ("",))[0]
        return "BOOLEAN" if not isinstance(node, exp.Boolean) and self.condition(node) else ""

    def _cast(self, node: exp.Cast) -> str:
        to = (self._context.constant(exp.cast(exp.Null(), node.to.copy())) or ("",))[0]
        given = self._type(node.this)
        if isinstance(node, exp.TryCast):
            return to if given else ""
        wider = given in _WRITABLE or given.startswith("DECIMAL") if to == "VARCHAR" else to == given
        return to if wider or (to == "DOUBLE" and integer(given)) else ""

    def _field(self, moment: exp.Expr) -> str:
        return "BIGINT" if self._type(moment) in _DAYS else ""

    def _case(self, node: exp.Case) -> str:
        tests = [each.this for each in node.args["ifs"]]
        tested = all(map(self.condition, tests)) if node.this is None else self._alike(node.this, *tests)
        results = [each.args["true"] for each in node.args["ifs"]] + filters.clause(node, "default")
        return self._unified(results) if tested else ""

    def _unified(self, nodes: Sequence[exp.Expr]) -> str:
        types = {self._type(each) for each in nodes if not isinstance(each, exp.Null)}
        return next(iter(types)) if len(types) == 1 else ""

    def _scalar(self, node: exp.Subquery) -> str:
        """Of one row, however many there are."""
        select = node.unnest()
        if not isinstance(select, exp.Select) or select.args.get("group") or len(select.expressions) != 1:
            return ""
        aggregate = select.expressions[0].unalias()
        if isinstance(aggregate, exp.Count) and isinstance(aggregate.this, exp.Star):
            return "BIGINT"
        operand = self._type(aggregate.this) if isinstance(aggregate.this, exp.Expr) else ""
        if isinstance(aggregate, exp.Count):
            return "BIGINT" if operand else ""
        if isinstance(aggregate, exp.Sum | exp.Avg) and not sums_exactly(operand):
            return ""
        known = isinstance(aggregate, exp.Sum | exp.Avg | exp.Min | exp.Max) and not aggregate.expressions and operand
        described = self._context.describe(select) if known else None
        return described[0][1] if described else ""

    # --- columns ---------------------------------------------------------------------------------------------------

    def _column(self, column: exp.Column) -> str:
        relation = self._relations.get(column.table)
        if relation is None:
            return ""
        if self._context.base(relation) is not None:
            return self._types(column.table, relation).get(column.name.lower(), "")
        query = self._ctes.get(relation.name.lower()) if isinstance(relation, exp.Table) else relation
        if not isinstance(query, exp.Query):
            return ""
        types = self._types(column.table, query)
        place = list(types).index(column.name.lower()) if column.name.lower() in types else None
        if place is None or not all(self._computes(each, place, types) for each in _branches(query)):
            return ""
        return types[column.name.lower()]

    def _types(self, alias: str, relation: exp.Expr) -> dict[str, str]:
        if alias not in self._columns:
            derived = relation if isinstance(relation, exp.Table | exp.Subquery) else exp.Subquery(this=relation.copy())
            self._columns[alias] = self._context.columns(derived)
        return self._columns[alias]

    def _computes(self, branch: exp.Select, place: int, types: dict[str, str]) -> bool:
        """Whether a branch of a derived table has the column without a cast, or from several rows."""
        if len(branch.expressions) != len(types):
            return False
        output = branch.expressions[place].unalias()
        return output.find(*_OF_ROWS) is not None or self._type(output) == list(types.values())[place]


def _branches(query: exp.Expr) -> list[exp.Select]:
    """The SELECTs of set operations; an empty one in place of what is none."""
    query = query.unnest() if isinstance(query, exp.Subquery) else query
    if isinstance(query, exp.SetOperation):
        return [*_branches(query.this), *_branches(query.expression)]
    return [query if isinstance(query, exp.Select) else exp.Select()]


def _outputs(query: exp.Expr) -> list[exp.Expr]:
    return [each.unalias() for branch in _branches(query) for each in branch.expressions]


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _is_number(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and str(node.this).isdigit()


def _by_literals(node: exp.Expr) -> bool:
    others = [value for key, value in node.args.items() if key != "this" and value is not None]
    return all(_is_number(each) for each in others)
