"""Random queries. Each has exactly one right answer: LIMIT and row numbers only under an order that ties only equal
rows, no sums of inexact floats, no functions that depend on the moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tests.corpora.random_data import SHAPES
from tests.corpora.random_expr import Expressions
from tests.corpora.random_from import Joined, Source
from tests.corpora.random_scope import NUMBERS, SHOWN, Col, Dice, Kind, Query, Rel, base_columns, of_kind, some
from tests.corpora.templates import templates

Body = tuple[str, tuple[Kind, ...]]
# The two tables of SQLite's own types more often: elsewhere in SQLite little can be pushed.
WEIGHTS = dict.fromkeys(SHAPES, 5) | {"plain": 8, "names": 8, "void": 1}


class QueryGenerator:
    """Draws one query from `rng`."""

    def __init__(self, rng: Dice) -> None:
        self._rng = rng
        rng.tame = rng.random() < 0.5
        self._ctes: list[Rel] = []
        self._aliases = 0

    def query(self) -> Query:
        """A whole statement."""
        rng = self._rng
        heads = []
        for number in range(rng.choice((0, 0, 0, 0, 0, 1) if rng.tame else (0, 0, 0, 1, 1, 2))):
            inner = self._ordered(self._body(depth=1, shown=False))
            name = f"cte{number}"
            heads.append(f"{name} AS ({inner.sql})")
            self._ctes.append(Rel(name, name, inner.columns))
        query = self._ordered(self._body(depth=2, shown=True), top=True)
        return replace(query, sql=f"WITH {', '.join(heads)} {query.sql}") if heads else query

    # --- bodies ---------------------------------------------------------------------------------------------------

    def _body(self, depth: int, *, shown: bool, kinds: Sequence[Kind] | None = None) -> Body:
        """A query without ORDER BY: its text, and the kinds of c1, c2, … `shown` allows values that can only be shown;
        `kinds` asks for these columns."""
        rng = self._rng
        roll = rng.random()
        if kinds is None and depth > 0 and roll < 0.15:
            return self._set_operation(depth)
        if kinds is None and roll < 0.22:
            return self._aggregated_join()
        if kinds is None and roll < 0.4:
            return self._grouped(depth, shown=shown)
        return self._plain(depth, shown=shown, kinds=kinds)

    def _set_operation(self, depth: int) -> Body:
        rng = self._rng
        text, kinds = self._plain(depth - 1, shown=False)
        for _ in range(rng.choice((1, 1, 2))):
            word = rng.choice(["UNION", "UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"])
            other, _ = self._plain(depth - 1, shown=False, kinds=kinds)
            text = f"({text}) {word} ({other})"
        return text, kinds

    def _plain(self, depth: int, *, shown: bool, kinds: Sequence[Kind] | None = None) -> Body:
        rng = self._rng
        joined = self._from(depth)
        values = self._expressions(joined.scope, depth)
        distinct = rng.random() < 0.15
        if kinds is None:
            picked = [values.shown(2) for _ in range(rng.randint(1, 5))]
            picked = [(text, kind) for text, kind in picked if kind is not Kind.OTHER or (shown and not distinct)]
            if not distinct and rng.random() < (0.05 if rng.tame else 0.2):
                picked.append(self._window(joined.scope))
            if not picked:
                picked = [(joined.scope[0].sql, joined.scope[0].kind)]
        else:
            picked = [(values.value(kind, 1), kind) for kind in kinds]
        items = ", ".join(f"{text} AS c{n}" for n, (text, _) in enumerate(picked, 1))
        sql = f"SELECT {'DISTINCT ' if distinct else ''}{items} FROM {joined.sql}"
        sql += self._where(joined, depth)
        if not distinct and not rng.tame and rng.random() < 0.1:
            sql += f" QUALIFY {self._numbering(joined.scope)} <= {rng.randint(1, 3)}"
        return sql, tuple(kind for _, kind in picked)

    def _grouped(self, depth: int, *, shown: bool) -> Body:
        rng = self._rng
        joined = self._from(depth)
        keys = [column for column in some(rng, joined.scope, 0, 2) if column.kind in SHOWN]
        rolled = len(keys) == 2 and rng.random() < 0.1
        picked = [(key.sql, key.kind) for key in keys]
        if keys and not rolled and rng.random() < 0.3:
            kind = rng.choice(keys).kind
            picked.append((Expressions(rng, keys).value(kind, 2), kind))
        picked += [self._aggregate(joined.scope, shown=shown) for _ in range(rng.randint(1, 3))]
        items = ", ".join(f"{text} AS c{n}" for n, (text, _) in enumerate(picked, 1))
        sql = f"SELECT {items} FROM {joined.sql}{self._where(joined, depth)}"
        if keys:
            group = ", ".join(key.sql for key in keys)
            sql += f" GROUP BY {f'ROLLUP ({group})' if rolled else group}"
        if rng.random() < 0.2:
            sql += f" HAVING {self._having(joined.scope, keys)}"
        return sql, tuple(kind for _, kind in picked)

    def _aggregated_join(self) -> Body:
        """Joined tables, and aggregates of bare columns of one of them, which may come before the join."""
        rng = self._rng
        names = rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=rng.choice((2, 2, 3)))
        scopes = []
        for name in names:
            alias = self._alias()
            scopes.append((f"{name} AS {alias}", Rel("", alias, base_columns(name)).renamed(alias)))
        conjuncts = []
        for number, (_, columns) in enumerate(scopes[1:], 1):
            before = [column for _, each in scopes[:number] for column in each]
            pairs = [(a, b) for a in before for b in columns if a.base == b.base and a.kind in SHOWN]
            one, other = rng.choice([pair for pair in pairs if pair[0].base == "k"] if rng.random() < 0.6 else pairs)
            conjuncts.append(f"{one.sql} = {other.sql}")
        scope = [column for _, columns in scopes for column in columns]
        conjuncts += [Expressions(rng, scope).predicate(1) for _ in range(rng.choice((0, 0, 1)))]
        about = rng.choice(scopes)[1]
        keys = [column for column in some(rng, scope, 0, 2) if column.kind in SHOWN]
        picked = [(key.sql, key.kind) for key in keys]
        for column in [rng.choice(about) for _ in range(rng.randint(1, 3))]:
            number_like = column.kind in NUMBERS
            name = rng.choice(["sum", "sum", "count", "min", "max"] if number_like else ["count", "min", "max"])
            picked.append((f"{name}({column.sql})", Kind.INT if name == "count" else column.kind))
        picked.append(("count(*)", Kind.INT))
        items = ", ".join(f"{text} AS c{n}" for n, (text, _) in enumerate(picked, 1))
        sql = f"SELECT {items} FROM {', '.join(text for text, _ in scopes)} WHERE {' AND '.join(conjuncts)}"
        group = f" GROUP BY {', '.join(key.sql for key in keys)}" if keys else ""
        return sql + group, tuple(kind for _, kind in picked)

    def _having(self, scope: Sequence[Col], keys: Sequence[Col]) -> str:
        rng = self._rng
        if keys and rng.random() < 0.3:
            return Expressions(rng, keys).predicate(1)
        text, kind = self._aggregate(scope, shown=False)
        return f"{text} {rng.choice(['=', '<>', '<>', '<', '>=', '>', '>='])} {Expressions(rng, ()).literal(kind)}"

    def _aggregate(self, scope: Sequence[Col], *, shown: bool) -> tuple[str, Kind]:
        rng = self._rng
        if shown and rng.random() < (0.05 if rng.tame else 0.25):
            kind = rng.choice(list(templates("agg")))
            if text := rng.choice(templates("agg")[kind]).over(scope):
                return text, kind
        values = Expressions(rng, scope)
        numeric = [kind for kind in NUMBERS if of_kind(scope, kind)]
        choices: list[Callable[[], tuple[str, Kind]]] = [
            lambda: ("count(*)", Kind.INT),
            lambda: (f"count({values.value(values.kind(), 1)})", Kind.INT),
            lambda: (f"count(DISTINCT {values.value(values.kind(), 0)})", Kind.INT),
            lambda: self._extreme(values),
            lambda: self._extreme(values),
            lambda: (f"bool_{rng.choice(['and', 'or'])}({values.predicate(1)})", Kind.BOOL),
        ]
        if numeric:
            choices += [lambda: self._sum(values, rng.choice(numeric))] * 3
        text, kind = rng.choice(choices)()
        return (f"{text} FILTER (WHERE {values.predicate(0)})", kind) if rng.random() < 0.15 else (text, kind)

    def _sum(self, values: Expressions, kind: Kind) -> tuple[str, Kind]:
        """AVG of integers and of multiples of 1/8 is exact up to its division."""
        name = self._rng.choice(["sum", "sum", "avg"]) if kind is not Kind.DEC else "sum"
        result = Kind.EDGE if name == "avg" else kind
        distinct = "DISTINCT " if self._rng.random() < 0.1 else ""
        return f"{name}({distinct}{values.value(kind, 1)})", result

    def _extreme(self, values: Expressions) -> tuple[str, Kind]:
        kind = values.kind()
        return f"{self._rng.choice(['min', 'max'])}({values.value(kind, 1)})", kind

    # --- windows and order ------------------------------------------------------------------------------------------

    def _window(self, scope: Sequence[Col]) -> tuple[str, Kind]:
        rng = self._rng
        values = Expressions(rng, scope)
        part = f"PARTITION BY {rng.choice(scope).sql} " if rng.random() < 0.6 else ""
        order = f"ORDER BY {rng.choice(scope).sql}{self._direction()}"
        kind = values.kind()
        numeric = [each for each in NUMBERS if of_kind(scope, each)] or [Kind.INT]
        number = rng.choice(numeric)
        choices: list[tuple[str, Kind]] = [
            (self._numbering(scope), Kind.INT),
            (f"{rng.choice(['rank', 'dense_rank'])}() OVER ({part}{order})", Kind.INT),
            (f"count(*) OVER ({part})", Kind.INT),
            (f"sum({values.value(number, 0)}) OVER ({part}{rng.choice([order, ''])})", number),
            (f"{rng.choice(['min', 'max'])}({values.value(kind, 0)}) OVER ({part}{order})", kind),
            (f"{rng.choice(['lag', 'lead'])}({values.value(kind, 0)}) OVER ({part}{self._total(scope)})", kind),
        ]
        return rng.choice(choices)

    def _numbering(self, scope: Sequence[Col]) -> str:
        part = f"PARTITION BY {self._rng.choice(scope).sql} " if self._rng.random() < 0.7 else ""
        return f"row_number() OVER ({part}{self._total(scope)})"

    def _total(self, scope: Sequence[Col]) -> str:
        """ORDER BY everything in scope: rows that tie are equal."""
        columns = some(self._rng, scope, len(scope), len(scope))
        return "ORDER BY " + ", ".join(column.sql + self._direction() for column in columns)

    def _direction(self) -> str:
        return self._rng.choice(["", "", " ASC", " DESC"]) + self._rng.choice(["", "", " NULLS FIRST", " NULLS LAST"])

    def _ordered(self, body: Body, *, top: bool = False) -> Query:
        """Perhaps with ORDER BY, and only under a total one with LIMIT."""
        rng = self._rng
        sql, kinds = body
        columns = tuple(Col(f"c{n}", kind) for n, kind in enumerate(kinds, 1))
        roll = rng.random()
        if roll < (0.4 if top else 0.75):
            return Query(sql, columns)
        if roll < 0.5:
            return Query(f"{sql} ORDER BY {rng.choice(columns).sql}{self._direction()}", columns)
        sql = f"{sql} {self._total(columns)}"
        if rng.random() < 0.7:
            sql += f" LIMIT {rng.choice((0, 1, 2, 3, 5, 5, 10, 10, 20))}"
            sql += f" OFFSET {rng.randint(1, 4)}" if rng.random() < 0.2 else ""
        return Query(sql, columns, ordered=True)

    # --- FROM, WHERE and subqueries ---------------------------------------------------------------------------------

    def _alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases}"

    def _from(self, depth: int) -> Joined:
        rng = self._rng
        count = rng.choice((1, 1, 2, 2, 3)) if depth > 1 else rng.choice((1, 1, 2))
        return Joined.of(rng, [self._source(depth) for _ in range(count)])

    def _source(self, depth: int) -> Source:
        rng = self._rng
        alias = self._alias()
        roll = rng.random()
        if depth > 0 and roll < 0.15:
            query = self._ordered(self._body(depth - 1, shown=False))
            return Source(Rel(f"({query.sql}) AS {alias}", alias, query.columns))
        if self._ctes and roll < 0.45:
            cte = rng.choice(self._ctes)
            return Source(Rel(f"{cte.sql} AS {alias}", alias, cte.columns))
        if roll > 0.95:
            rows = ", ".join(f"({rng.randint(0, 9)}, {rng.choice(['NULL', repr('a'), repr('A')])})" for _ in range(3))
            columns = (Col("v1", Kind.INT), Col("v2", Kind.TEXT))
            return Source(Rel(f"(VALUES {rows}) AS {alias} (v1, v2)", alias, columns))
        table = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        return Source(Rel(f"{table} AS {alias}", alias, base_columns(table)))

    def _where(self, joined: Joined, depth: int) -> str:
        conjuncts = list(joined.conditions)
        values = self._expressions(joined.scope, depth)
        for _ in range(self._rng.choice((0, 0, 0, 1, 1, 2))):
            conjuncts.append(values.predicate(2 if depth > 1 else 1))
        return f" WHERE {' AND '.join(conjuncts)}" if conjuncts else ""

    def _expressions(self, scope: Sequence[Col], depth: int) -> Expressions:
        if depth <= 0:
            return Expressions(self._rng, scope)
        return Expressions(self._rng, scope, self._subquery_predicate, self._scalar_subquery)

    def _subquery_predicate(self, outer: Sequence[Col]) -> str:
        rng = self._rng
        inner, where = self._inner(outer)
        word = rng.choice(["", "NOT "])
        if rng.random() < 0.5:
            return f"({word}EXISTS (SELECT 1 FROM {inner.sql}{where}))"
        left = rng.choice([column for column in outer if column.kind in SHOWN] or [Col("1", Kind.INT)])
        right = Expressions(rng, inner.columns).value(left.kind, 1)
        test = rng.choice([f"{word}IN", f"{word}IN", "= ANY", "<> ALL", ">= ALL", "< ANY"])
        return f"({left.sql} {test} (SELECT {right} FROM {inner.sql}{where}))"

    def _scalar_subquery(self, outer: Sequence[Col], kind: Kind) -> str:
        inner, where = self._inner(outer)
        value = Expressions(self._rng, inner.columns).value(kind, 1)
        return f"(SELECT {self._rng.choice(['min', 'max'])}({value}) FROM {inner.sql}{where})"

    def _inner(self, outer: Sequence[Col]) -> tuple[Rel, str]:
        """A stored table under a new alias, and a WHERE that may look outwards."""
        rng = self._rng
        alias = self._alias()
        table = rng.choice([name for name in SHAPES if name != "void"])
        columns = Rel("", alias, base_columns(table)).renamed(alias)
        conjuncts = [Expressions(rng, columns).predicate(1)] if rng.random() < 0.6 else []
        if rng.random() < 0.6 and (pairs := [(a, b) for a in columns for b in outer if a.kind is b.kind]):
            one, other = rng.choice(pairs)
            conjuncts.append(f"{one.sql} {rng.choice(['=', '=', '=', '<>', '<'])} {other.sql}")
        where = f" WHERE {' AND '.join(conjuncts)}" if conjuncts else ""
        return Rel(f"{table} AS {alias}", alias, columns), where
