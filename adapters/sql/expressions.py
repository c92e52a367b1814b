"""DuckDB expressions into a source's dialect.

1. `expression` walks the tree bottom up; every step knows the operands' types.
2. Comparisons, logic, CASE and LIKE are handled here because their rules hold for every dialect.
3. Everything else must match a signature of the dialect's whitelist; if not, `Declined` says why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from sqlglot import exp

from adapters.base import Collation, Column
from adapters.sql.common import nonzero_literal
from adapters.sql.dialect import Declined, Reason, Signature, Signatures, SourceDialect, Typed
from adapters.sql.types import BOOL, Kind, SqlType, from_arrow, unify

_LITERAL_FORMS = {
    Kind.INT: re.compile(r"-?\d{1,18}"),
    Kind.DATE: re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"),
    Kind.TIMESTAMP: re.compile(r"\d{4}-\d\d-\d\d( [0-2]\d:[0-5]\d:[0-5]\d(\.\d{1,6})?)?"),
    # A time of UTC: what one of another zone, or of none, means would depend on the session.
    Kind.TIMESTAMPTZ: re.compile(r"(?!0000)\d{4}-\d\d-\d\d [0-2]\d:[0-5]\d:[0-5]\d(\.\d{1,6})?\+00(:00)?"),
    Kind.UUID: re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ, exp.NullSafeNEQ)
_EQUALITY = (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)
_CAST_KINDS = {
    exp.DType.INT: SqlType(Kind.INT, bits=32),
    exp.DType.BIGINT: SqlType(Kind.INT, bits=64),
    exp.DType.SMALLINT: SqlType(Kind.INT, bits=16),
    exp.DType.DOUBLE: SqlType(Kind.DOUBLE),
    exp.DType.DATE: SqlType(Kind.DATE),
    exp.DType.TIMESTAMPNTZ: SqlType(Kind.TIMESTAMP),
    exp.DType.TIMESTAMP: SqlType(Kind.TIMESTAMP),
    exp.DType.TIMESTAMPTZ: SqlType(Kind.TIMESTAMPTZ),
    exp.DType.TEXT: SqlType(Kind.TEXT),
    exp.DType.VARCHAR: SqlType(Kind.TEXT),
    exp.DType.UUID: SqlType(Kind.UUID),
}


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of a relation in scope: `column` for a base table's, `type` for a derived one's."""

    name: str
    type: SqlType
    column: Column | None = None
    stored: exp.Expr | None = None  # as in Typed


#: alias (as in the tree) -> column name in lower case -> the column
Scope = dict[str, Mapping[str, OutputColumn]]


@lru_cache(1024)
def base_columns(columns: tuple[Column, ...]) -> Mapping[str, OutputColumn]:
    """A base table as a relation in scope."""
    return {
        each.name.lower(): OutputColumn(
            each.name,
            replace(from_arrow(each.type), collation=each.collation, nullable=each.nullable, dynamic=each.dynamic),
            each,
        )
        for each in columns
    }


def require_only(node: exp.Expr, *known: str) -> None:
    """Decline a node that has a part which this code does not look at."""
    extra = [key for key, value in node.args.items() if key not in known and value not in (None, False, [])]
    if extra:
        raise Declined(Reason.NOT_WHITELISTED, f"{node.key} with {', '.join(extra)}")


def operands(node: exp.Expr) -> list[exp.Expr]:
    """The operands of a call, in the order in which its arguments are declared."""
    found: list[exp.Expr] = []
    for key in node.arg_types:
        value = node.args.get(key)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, exp.Expr):
                found.append(each)
    return found


class ExpressionTranslator:
    """Translates the expressions of one query; `scopes` holds the relations in scope, innermost last."""

    def __init__(self, dialect: SourceDialect) -> None:
        self.dialect = dialect
        self.scopes: list[Scope] = []
        self.dynamic: list[Typed] = []  # dynamic columns that an operation looked into

    def expression(self, node: exp.Expr) -> Typed:
        """The node at the source, with its type; raises Declined."""
        handler = _HANDLERS.get(type(node))
        if handler:
            return handler(self, node)
        return self._call(node, self.dialect.functions)

    def column(self, node: exp.Column) -> Typed:
        """A column by itself: nothing looks into its values yet."""
        for scope in reversed(self.scopes):
            columns = scope.get(node.table.lower())
            if columns is not None:
                found = columns.get(node.name.lower())
                if found is None:
                    break
                plain = quoted_column(found.name, node.table)
                if found.column is not None:
                    return self.dialect.column(plain, found.column, found.type)
                return Typed(plain, found.type)
        raise Declined(Reason.CORRELATED, node.sql("duckdb"))

    def _column(self, node: exp.Column) -> Typed:
        typed = self.column(node)
        if typed.type.dynamic:
            self.dynamic.append(typed)
        return typed

    @property
    def _text(self) -> SqlType:
        return SqlType(Kind.TEXT, collation=self.dialect.literal_collation)

    # --- literals and casts ------------------------------------------------------------------------------------

    def _literal(self, node: exp.Literal) -> Typed:
        if node.is_string:
            if "\0" in node.this:
                raise Declined(Reason.TYPE_MISMATCH, "text with NUL")
            return Typed(node.copy(), replace(self._text, nullable=False, coercible=True))
        text = node.this
        if text.isdigit():
            if len(text) > 18:
                raise Declined(Reason.TYPE_MISMATCH, f"the literal {text}")
            return Typed(node.copy(), SqlType(Kind.INT, bits=64 if int(text) >= 2**31 else 32, nullable=False))
        if _NUMBER.fullmatch(text):
            return Typed(node.copy(), SqlType(Kind.DECIMAL, scale=len(text.partition(".")[2]), nullable=False))
        raise Declined(Reason.NOT_WHITELISTED, f"the literal {text}")

    def _cast(self, node: exp.Cast) -> Typed:
        require_only(node, "this", "to", "_type")
        target = _CAST_KINDS.get(node.to.this)
        if node.to.this is exp.DType.DECIMAL and len(node.to.expressions) == 2:
            target = SqlType(Kind.DECIMAL, scale=int(node.to.expressions[1].name))
        if target is None or (node.to.expressions and target.kind is not Kind.DECIMAL):
            raise Declined(Reason.NOT_WHITELISTED, f"a cast to {node.to.sql('duckdb')}")
        if target.kind is Kind.TEXT:
            target = self._text
        if isinstance(node.this, exp.Literal) and node.this.is_string:
            return self._typed_literal(node.this.this, target)
        inner = self.expression(node.this)
        type_ = replace(target, nullable=inner.type.nullable)
        if inner.type.kind is target.kind and target.kind not in (Kind.INT, Kind.DECIMAL):
            return Typed(inner.node, replace(inner.type, dynamic=False))
        for signature in self.dialect.functions.get("cast", ()):
            if signature.matches([inner, Typed(node.to, target)]):
                return Typed(exp.cast(inner.node, node.to.copy()), type_)
        raise Declined(Reason.NOT_WHITELISTED, f"a cast of {inner.type.kind} to {target.kind}")

    def _typed_literal(self, text: str, target: SqlType) -> Typed:
        form = _LITERAL_FORMS.get(target.kind)
        type_ = replace(target, nullable=False)
        if target.kind is Kind.TEXT:
            return Typed(exp.Literal.string(text), replace(type_, coercible=True))
        unknown = target.kind is Kind.TIMESTAMPTZ and (target.kind, target.kind) not in self.dialect.comparisons
        if form is None or unknown or not form.fullmatch(text):
            raise Declined(Reason.TYPE_MISMATCH, f"the literal '{text}' as {target.kind}")
        if target.kind is Kind.INT:
            return Typed(_number(text), type_)
        return Typed(self.dialect.literal(text, target), type_)

    # --- comparisons -------------------------------------------------------------------------------------------

    def align(self, left: Typed, right: Typed, equality: bool) -> tuple[exp.Expr, exp.Expr]:
        """Both operands so written that comparing them there means what it means in DuckDB."""
        left, right = self._retype(left, right), self._retype(right, left)
        kinds = (left.type.kind, right.type.kind)
        if Kind.NULL in kinds and Kind.OPAQUE not in kinds:
            return left.node, right.node
        if kinds not in self.dialect.comparisons and kinds[::-1] not in self.dialect.comparisons:
            raise Declined(Reason.TYPE_MISMATCH, f"comparing {kinds[0]} with {kinds[1]}")
        if kinds == (Kind.TEXT, Kind.TEXT):
            return self._align_text(left, right, equality)
        return left.node, right.node

    def _align_text(self, left: Typed, right: Typed, equality: bool) -> tuple[exp.Expr, exp.Expr]:
        both = [left.type, right.type]
        collations = {each.collation for each in both if not each.coercible} or {each.collation for each in both}
        if collations & {Collation.INSENSITIVE, Collation.UNKNOWN}:
            raise Declined(Reason.COLLATION, "text that is not compared by bytes")
        if (equality and len(collations) < 2) or collations <= {Collation.BINARY}:
            return left.node, right.node
        if left.type.collation is Collation.LOCALE:
            left_node = self.dialect.by_bytes(left)
            right_node: exp.Expr | None = right.node
        else:
            left_node, right_node = left.node, self.dialect.by_bytes(right)
        if left_node is None or right_node is None:
            raise Declined(Reason.COLLATION, "text that is not ordered by bytes")
        return left_node, right_node

    def _retype(self, this: Typed, other: Typed) -> Typed:
        """A literal takes the type of what it is compared with, as in DuckDB."""
        if _is_string(this.node) and other.type.kind not in (Kind.TEXT, Kind.NULL):
            return self._typed_literal(this.node.this, other.type)
        if other.type.kind is Kind.REAL and this.type.kind in (Kind.INT, Kind.DECIMAL):
            text = this.node.sql()
            if not _NUMBER.fullmatch(text) or (Kind.REAL, Kind.REAL) not in self.dialect.comparisons:
                raise Declined(Reason.TYPE_MISMATCH, f"comparing real with {this.type.kind}")
            return Typed(self.dialect.literal(text, other.type), replace(other.type, nullable=False))
        return this

    def _comparison(self, node: exp.Binary) -> Typed:
        if isinstance(node.this, exp.Tuple) or isinstance(node.expression, (exp.Tuple, exp.Any, exp.All)):
            raise Declined(Reason.NOT_WHITELISTED, "a comparison of rows or with ANY")
        left, right = self.expression(node.this), self.expression(node.expression)
        left_node, right_node = self.align(left, right, isinstance(node, _EQUALITY))
        made: exp.Expr = type(node)(this=left_node, expression=right_node)
        if isinstance(node, (exp.EQ, exp.NEQ)) and self.dialect.sargable:
            made = self._sargable(node.this, [node.expression], made)
        exact_null = isinstance(node, (exp.NullSafeEQ, exp.NullSafeNEQ))
        return Typed(_wrap(made), replace(BOOL, nullable=not exact_null))

    def _sargable(self, subject: exp.Expr, literals: Sequence[exp.Expr], exact: exp.Expr) -> exp.Expr:
        """A comparison with literals in the way that indexes and statistics serve best."""
        literal = all(isinstance(each, exp.Literal) and each.is_string for each in literals)
        if not (isinstance(subject, exp.Column) and literal and self.dialect.sargable):
            return exact
        return self.dialect.sargable(exact, self.column(subject))

    def _between(self, node: exp.Between) -> Typed:
        require_only(node, "this", "low", "high")
        return self.expression(
            exp.and_(
                exp.GTE(this=node.this.copy(), expression=node.args["low"].copy()),
                exp.LTE(this=node.this.copy(), expression=node.args["high"].copy()),
            )
        )

    def _in(self, node: exp.In) -> Typed:
        require_only(node, "this", "expressions", "query")
        subject = self.expression(node.this)
        if node.args.get("query"):
            query, columns = self.subquery(node.args["query"].unnest(), columns=1)
            member = Typed(exp.Column(this=exp.to_identifier("x")), columns[0].type)
            subject_node, aligned = self.align(subject, member, equality=True)
            if aligned is not member.node:
                raise Declined(Reason.COLLATION, "IN over text of another collation")
            return Typed(exp.In(this=subject_node, query=exp.Subquery(this=query)), BOOL)
        pairs = [self.align(subject, self.expression(each), equality=True) for each in node.expressions]
        found = exp.In(this=pairs[0][0], expressions=[right for _, right in pairs])
        return Typed(_wrap(self._sargable(node.this, node.expressions, found)), BOOL)

    def _is(self, node: exp.Is) -> Typed:
        if isinstance(node.expression, exp.Null):
            inner = self.column(node.this) if isinstance(node.this, exp.Column) else self.expression(node.this)
            if inner.type.dynamic:
                self.dynamic.append(inner)
            return Typed(_wrap(exp.Is(this=inner.node, expression=exp.Null())), replace(BOOL, nullable=False))
        if not isinstance(node.expression, exp.Boolean):
            raise Declined(Reason.NOT_WHITELISTED, node.sql("duckdb"))
        condition = self.boolean(node.this)
        return Typed(_wrap(exp.Is(this=condition, expression=node.expression.copy())), replace(BOOL, nullable=False))

    def _like(self, node: exp.Like | exp.ILike, escape: str | None = None) -> Typed:
        require_only(node, "this", "expression", "negate")
        subject = self.expression(node.this)
        pattern = node.expression
        if subject.type.kind is not Kind.TEXT or not (isinstance(pattern, exp.Literal) and pattern.is_string):
            raise Declined(Reason.NOT_WHITELISTED, "LIKE with a pattern that is not a literal")
        negate = bool(node.args.get("negate"))
        made = self.dialect.like(subject, pattern.this, escape, negate, isinstance(node, exp.ILike))
        if made is None:
            raise Declined(Reason.COLLATION, node.sql("duckdb"))
        return Typed(_wrap(made), BOOL)

    def _escape(self, node: exp.Escape) -> Typed:
        if not isinstance(node.this, (exp.Like, exp.ILike)) or not isinstance(node.expression, exp.Literal):
            raise Declined(Reason.NOT_WHITELISTED, node.sql("duckdb"))
        return self._like(node.this, node.expression.this)

    # --- logic -------------------------------------------------------------------------------------------------

    def boolean(self, node: exp.Expr) -> exp.Expr:
        """The node as a condition."""
        typed = self.expression(node)
        if typed.type.kind not in (Kind.BOOL, Kind.NULL):
            raise Declined(Reason.TYPE_MISMATCH, f"{typed.type.kind} used as a condition")
        return typed.node

    def _connector(self, node: exp.Connector) -> Typed:
        parts = [self.boolean(each) for each in node.flatten()]
        joined = exp.and_(*parts) if isinstance(node, exp.And) else exp.or_(*parts)
        return Typed(_wrap(joined), BOOL)

    def _not(self, node: exp.Not) -> Typed:
        return Typed(exp.Not(this=exp.paren(self.boolean(node.this))), BOOL)

    def _unit(self, node: exp.Var) -> Typed:
        return Typed(node.copy(), SqlType(Kind.OPAQUE))

    def _interval(self, node: exp.Interval) -> Typed:
        """A literal number of a plain unit."""
        number = node.this.name if isinstance(node.this, exp.Literal) else ""
        if not number.isdigit() or not isinstance(node.args.get("unit"), exp.Var):
            raise Declined(Reason.NOT_WHITELISTED, node.sql("duckdb"))
        return Typed(node.copy(), SqlType(Kind.INTERVAL))

    def _paren(self, node: exp.Paren) -> Typed:
        inner = self.expression(node.this)
        return Typed(_wrap(inner.node), inner.type)

    # --- choices -----------------------------------------------------------------------------------------------

    def _case(self, node: exp.Case) -> Typed:
        require_only(node, "this", "ifs", "default")
        if node.this:
            branches = [exp.EQ(this=node.this.copy(), expression=each.this.copy()) for each in node.args["ifs"]]
        else:
            branches = [each.this for each in node.args["ifs"]]
        conditions = [self.boolean(each) for each in branches]
        default = node.args.get("default")
        values = [self.expression(each.args["true"]) for each in node.args["ifs"]]
        values.append(self.expression(default) if default else Typed(exp.Null(), SqlType(Kind.NULL)))
        type_ = self._unified([each.type for each in values])
        ifs = [exp.If(this=c, true=v.node) for c, v in zip(conditions, values[:-1], strict=True)]
        return Typed(exp.Case(ifs=ifs, default=values[-1].node), type_)

    def _if(self, node: exp.If) -> Typed:
        require_only(node, "this", "true", "false")
        made = node.copy()  # a node has one parent
        ifs = [exp.If(this=made.this, true=made.args["true"])]
        return self._case(exp.Case(ifs=ifs, default=made.args.get("false")))

    def _coalesce(self, node: exp.Coalesce) -> Typed:
        values = [self.expression(each) for each in [node.this, *node.expressions]]
        type_ = self._unified([each.type for each in values])
        nullable = all(each.type.nullable for each in values)
        made = exp.Coalesce(this=values[0].node, expressions=[each.node for each in values[1:]])
        return Typed(made, replace(type_, nullable=nullable))

    def _nullif(self, node: exp.Nullif) -> Typed:
        left, right = self.expression(node.this), self.expression(node.expression)
        if left.type.kind is not right.type.kind:
            raise Declined(Reason.TYPE_MISMATCH, node.sql("duckdb"))
        left_node, right_node = self.align(left, right, equality=True)
        return Typed(exp.Nullif(this=left_node, expression=right_node), replace(left.type, nullable=True))

    def _unified(self, types: list[SqlType]) -> SqlType:
        type_ = unify(types)
        if type_ is None:
            raise Declined(Reason.TYPE_MISMATCH, "alternatives of different types")
        return type_

    # --- calls and subqueries ----------------------------------------------------------------------------------

    def _call(self, node: exp.Expr, signatures: Signatures) -> Typed:
        known = signatures.get(node.key)
        if not known:
            raise Declined(Reason.NOT_WHITELISTED, node.key)
        return self._apply(node, [self.expression(each) for each in operands(node)], known)

    def _apply(self, node: exp.Expr, given: list[Typed], known: Sequence[Signature]) -> Typed:
        for signature in known:
            if signature.matches(given):
                return Typed(_wrap(signature.build(node, given)), signature.result_type(given))
        if isinstance(node, (exp.Div, exp.IntDiv, exp.Mod)) and not nonzero_literal(given[-1]):
            raise Declined(Reason.DIVISION_BY_ZERO, "the divisor is not a literal other than 0")
        kinds = ", ".join(each.type.kind for each in given)
        raise Declined(Reason.NOT_WHITELISTED, f"{node.key}({kinds})")

    def subquery(self, node: exp.Expr, columns: int | None = None) -> tuple[exp.Query, list[OutputColumn]]:
        """A nested query, of that many columns; the query translator brings it."""
        raise Declined(Reason.NOT_WHITELISTED, f"{node.key} of {columns} columns")

    def _exists(self, node: exp.Exists) -> Typed:
        query, _ = self.subquery(node.this)
        return Typed(exp.Exists(this=query), replace(BOOL, nullable=False))

    def _scalar_subquery(self, node: exp.Subquery) -> Typed:
        if not self.dialect.scalar_subquery:
            raise Declined(Reason.NOT_WHITELISTED, "a subquery used as a value")
        query, columns = self.subquery(node.unnest(), columns=1)
        return Typed(exp.Subquery(this=query), replace(columns[0].type, nullable=True))


def quoted_column(name: str, table: str) -> exp.Column:
    """`"table"."name"`."""
    return exp.column(exp.to_identifier(name, quoted=True), exp.to_identifier(table, quoted=True))


def _is_string(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and bool(node.is_string)


def _number(text: str) -> exp.Expr:
    return exp.Neg(this=exp.Literal.number(text[1:])) if text.startswith("-") else exp.Literal.number(text)


def _wrap(node: exp.Expr) -> exp.Expr:
    """Parentheses where the node could be read differently inside another one."""
    return exp.paren(node, copy=False) if isinstance(node, (exp.Binary, exp.Unary, exp.In)) else node


# Each handler takes the node class that it stands beside.
_HANDLERS: dict[type[exp.Expr], Callable[[Any, Any], Typed]] = {
    exp.Column: ExpressionTranslator._column,
    exp.Literal: ExpressionTranslator._literal,
    exp.Null: lambda self, node: Typed(exp.Null(), SqlType(Kind.NULL)),  # noqa: ARG005
    exp.Boolean: lambda self, node: Typed(node.copy(), replace(BOOL, nullable=False)),  # noqa: ARG005
    exp.Cast: ExpressionTranslator._cast,
    exp.Between: ExpressionTranslator._between,
    exp.In: ExpressionTranslator._in,
    exp.Is: ExpressionTranslator._is,
    exp.Like: ExpressionTranslator._like,
    exp.ILike: ExpressionTranslator._like,
    exp.Escape: ExpressionTranslator._escape,
    exp.And: ExpressionTranslator._connector,
    exp.Or: ExpressionTranslator._connector,
    exp.Not: ExpressionTranslator._not,
    exp.Paren: ExpressionTranslator._paren,
    exp.Case: ExpressionTranslator._case,
    exp.If: ExpressionTranslator._if,
    exp.Coalesce: ExpressionTranslator._coalesce,
    exp.Nullif: ExpressionTranslator._nullif,
    exp.Exists: ExpressionTranslator._exists,
    exp.Var: ExpressionTranslator._unit,
    exp.Interval: ExpressionTranslator._interval,
    exp.Subquery: ExpressionTranslator._scalar_subquery,
    **dict.fromkeys(_COMPARISONS, ExpressionTranslator._comparison),
}
