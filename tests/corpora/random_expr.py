"""Random expressions over a scope, by kind of value. None of them can fail on the values of the corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.corpora.random_data import BIGS, DATES, TEXTS, TIMES
from tests.corpora.random_scope import NUMBERS, SHOWN, Col, Dice, Kind, of_kind
from tests.corpora.templates import templates

COMPARISONS = ("=", "=", "<>", "<>", "<", "<=", ">", ">=")
PATTERNS = ("a%", "A%", "%b%", "_", "a_", "%", "", "% %", "%ß%", "ab", "%😀", "50%", "z_z", "á%")
# Kinds that DuckDB compares with one another.
MATES = {
    Kind.INT: (Kind.INT, Kind.INT, Kind.DEC, Kind.DBL, Kind.BIG),
    Kind.BIG: (Kind.BIG, Kind.INT),
    Kind.DEC: (Kind.DEC, Kind.DEC, Kind.INT, Kind.DBL),
    Kind.DBL: (Kind.DBL, Kind.DBL, Kind.INT, Kind.FLT, Kind.EDGE),
    Kind.FLT: (Kind.FLT, Kind.DBL),
    Kind.EDGE: (Kind.EDGE, Kind.DBL),
    Kind.BOOL: (Kind.BOOL,),
    Kind.DATE: (Kind.DATE, Kind.DATE, Kind.TIME),
    Kind.TIME: (Kind.TIME, Kind.DATE),
    Kind.TEXT: (Kind.TEXT,),
}

SubqueryPredicate = Callable[[Sequence[Col]], str]
ScalarSubquery = Callable[[Sequence[Col], Kind], str]


class Expressions:
    """Draws expressions. The two callbacks put subqueries in; without them there are none."""

    def __init__(
        self,
        rng: Dice,
        scope: Sequence[Col],
        subquery: SubqueryPredicate | None = None,
        scalar: ScalarSubquery | None = None,
    ) -> None:
        self._rng = rng
        self._scope = scope
        self._subquery = subquery
        self._scalar = scalar

    def value(self, kind: Kind, depth: int = 1) -> str:
        rng = self._rng
        columns = of_kind(self._scope, kind)
        roll = rng.random()
        if columns and (depth <= 0 or roll < (0.85 if rng.tame else 0.45)):
            return rng.choice(columns).sql
        if depth <= 0 or roll < 0.55:
            return self.literal(kind)
        if self._scalar and roll < 0.6:
            return self._scalar(self._scope, kind)
        if roll < 0.75 and not rng.tame and (text := self._template(kind)):
            return text
        return rng.choice(self._compounds(kind))(depth - 1)

    def shown(self, depth: int = 2) -> tuple[str, Kind]:
        """A value to show, of a kind that the scope offers, or of one that can only be shown."""
        if not self._rng.tame and self._rng.random() < 0.1 and (text := self._template(Kind.OTHER)):
            return text, Kind.OTHER
        kind = self.kind()
        return self.value(kind, depth), kind

    def kind(self) -> Kind:
        """A kind that the scope has a column of; columns decide how likely."""
        kinds = [column.kind for column in self._scope if column.kind in SHOWN]
        return self._rng.choice(kinds) if kinds else Kind.INT

    def predicate(self, depth: int = 2) -> str:
        rng = self._rng
        if depth > 0 and rng.random() < 0.3:
            return self._connective(depth - 1)
        if self._subquery and rng.random() < (0.1 if rng.tame else 0.2):
            return self._subquery(self._scope)
        forms = [self._comparison] * 4 + [self._in_list, self._between, self._null_test, self._distinct_from]
        forms += [self._like, self._boolean]
        forms += [] if rng.tame else [self._template_predicate, self._row, self._ratio]
        return rng.choice(forms)()

    def literal(self, kind: Kind) -> str:
        rng = self._rng
        if kind is Kind.TEXT:
            return text_literal(rng.choice(TEXTS))
        choices: dict[Kind, Sequence[str]] = {
            Kind.INT: [str(rng.randint(-3, 12))],
            Kind.BIG: [str(value) for value in BIGS],
            Kind.DEC: ["1.5", "0.05", "10.00", "-2.25", "7.0"],
            Kind.DBL: ["CAST(1.5 AS DOUBLE)", "2.5e0", "CAST(-0.125 AS DOUBLE)"],
            Kind.FLT: ["CAST(0.25 AS REAL)", "CAST(1.5 AS REAL)"],
            Kind.EDGE: ["CAST(0.1 AS DOUBLE)", "1e300", "CAST('inf' AS DOUBLE)", "CAST('nan' AS DOUBLE)"],
            Kind.BOOL: ["true", "false"],
            Kind.DATE: [f"DATE '{value}'" for value in DATES],
            Kind.TIME: [f"TIMESTAMP '{value}'" for value in TIMES],
        }
        return rng.choice(choices[kind])

    def _template(self, kind: Kind) -> str | None:
        choices = templates("scalar").get(kind)
        return self._rng.choice(choices).over(self._scope) if choices else None

    def _compounds(self, kind: Kind) -> list[Callable[[int], str]]:
        def of(pattern: str, *kinds: Kind) -> Callable[[int], str]:
            return lambda depth: "(" + pattern.format(*(self.value(part, depth) for part in kinds)) + ")"

        k = Kind
        small = str(self._rng.randint(2, 9))
        own: dict[Kind, list[Callable[[int], str]]] = {
            k.INT: [of("{} + {}", k.INT, k.INT), of("{} - {}", k.INT, k.INT), of(f"{{}} * {small}", k.INT),
                    of(f"{{}} % {small}", k.INT), of(f"{{}} // {small}", k.INT), of("- {}", k.INT),
                    of("abs({})", k.INT), of("length({})", k.TEXT), of("CAST({} AS INTEGER)", k.BOOL),
                    of("extract(year FROM {})", k.DATE), of("extract(month FROM {})", k.TIME)],
            k.DEC: [of("{} + {}", k.DEC, k.DEC), of("{} - {}", k.DEC, k.INT), of(f"{{}} * {small}", k.DEC),
                    of("- {}", k.DEC), of("abs({})", k.DEC), of("CAST({} AS DECIMAL(12,2))", k.INT)],
            k.DBL: [of("{} + {}", k.DBL, k.DBL), of("{} - {}", k.DBL, k.INT), of("{} * 2", k.DBL),
                    of("{} / 4", k.INT), of("CAST({} AS DOUBLE)", k.FLT), of("CAST({} AS DOUBLE)", k.INT),
                    of("floor({})", k.DBL), of("abs({})", k.DBL)],
            k.TEXT: [of("{} || {}", k.TEXT, k.TEXT), of("upper({})", k.TEXT), of("lower({})", k.TEXT),
                     of("substr({}, 1, 2)", k.TEXT), of("CAST({} AS VARCHAR)", k.INT), of("trim({})", k.TEXT),
                     of("replace({}, 'a', {})", k.TEXT, k.TEXT), of("CAST({} AS VARCHAR)", k.DATE)],
            k.DATE: [of(f"{{}} + {small}", k.DATE), of("CAST({} AS DATE)", k.TIME)],
            k.TIME: [of("CAST({} AS TIMESTAMP)", k.DATE), of(f"{{}} + INTERVAL '{small}' DAY", k.DATE),
                     of("date_trunc('month', {})", k.TIME), of(f"{{}} - INTERVAL '{small}' HOUR", k.TIME)],
            k.BOOL: [lambda depth: f"({self.predicate(depth)})"],
        }  # fmt: skip
        any_kind = [of("coalesce({}, {})", kind, kind), of("nullif({}, {})", kind, kind), self._case(kind)]
        return own.get(kind, []) + any_kind

    def _case(self, kind: Kind) -> Callable[[int], str]:
        def make(depth: int) -> str:
            other = f" ELSE {self.value(kind, depth)}" if self._rng.random() < 0.7 else ""
            return f"(CASE WHEN {self._plain(depth)} THEN {self.value(kind, depth)}{other} END)"

        return make

    def _plain(self, depth: int) -> str:
        """A predicate without a subquery: DuckDB evaluates those of a CASE for every row."""
        return Expressions(self._rng, self._scope).predicate(min(depth, 1))

    def _connective(self, depth: int) -> str:
        left, right = self.predicate(depth), self.predicate(depth)
        return self._rng.choice([f"({left} AND {right})", f"({left} OR {right})", f"(NOT ({left}))"])

    def _comparison(self) -> str:
        kind = self.kind()
        mate = self._rng.choice([each for each in MATES[kind] if of_kind(self._scope, each)] or [kind])
        right = self.value(mate, 1) if self._rng.random() < 0.6 else self.literal(mate)
        return f"({self.value(kind, 1)} {self._rng.choice(COMPARISONS)} {right})"

    def _in_list(self) -> str:
        kind = self.kind()
        items = [self.literal(kind) for _ in range(self._rng.randint(1, 5))]
        if self._rng.random() < 0.1:
            items.append("NULL")
        return f"({self.value(kind, 0)} {self._rng.choice(['IN', 'NOT IN'])} ({', '.join(items)}))"

    def _between(self) -> str:
        kind = self.kind()
        word = self._rng.choice(["BETWEEN", "NOT BETWEEN"])
        return f"({self.value(kind, 1)} {word} {self.literal(kind)} AND {self.value(kind, 0)})"

    def _null_test(self) -> str:
        return f"({self.value(self.kind(), 1)} IS {self._rng.choice(['NULL', 'NOT NULL'])})"

    def _distinct_from(self) -> str:
        kind = self.kind()
        word = self._rng.choice(["IS DISTINCT FROM", "IS NOT DISTINCT FROM"])
        return f"({self.value(kind, 0)} {word} {self.value(kind, 1)})"

    def _like(self) -> str:
        if not of_kind(self._scope, Kind.TEXT):
            return self._comparison()
        word = self._rng.choice(["LIKE", "LIKE", "NOT LIKE", "ILIKE"])
        return f"({self.value(Kind.TEXT, 1)} {word} {text_literal(self._rng.choice(PATTERNS))})"

    def _boolean(self) -> str:
        if not of_kind(self._scope, Kind.BOOL):
            return self._null_test()
        value = self.value(Kind.BOOL, 0)
        forms = [value, f"(NOT {value})", f"({value} IS TRUE)", f"({value} IS NOT FALSE)", f"({value} = true)"]
        return self._rng.choice(forms)

    def _template_predicate(self) -> str:
        return self._template(Kind.BOOL) or self._comparison()

    def _row(self) -> str:
        one, other = self.kind(), self.kind()
        left = f"({self.value(one, 0)}, {self.value(other, 0)})"
        return f"({left} {self._rng.choice(['=', '<>'])} ({self.value(one, 0)}, {self.value(other, 0)}))"

    def _ratio(self) -> str:
        """An inexact double, compared with what it cannot come near to."""
        kinds = [kind for kind in NUMBERS if of_kind(self._scope, kind)]
        kind = self._rng.choice(kinds or [Kind.INT])
        return f"({self.value(kind, 1)} / 7 {self._rng.choice(['<', '>'])} 0.4321)"


def text_literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
