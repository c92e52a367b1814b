"""Random FROM clauses: every kind of join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.corpora.random_expr import Expressions
from tests.corpora.random_scope import SHOWN, Col, Dice, Rel

OUTER = ("LEFT", "LEFT", "RIGHT", "FULL")


@dataclass(frozen=True)
class Source:
    """One relation before it is joined."""

    rel: Rel

    @property
    def columns(self) -> tuple[Col, ...]:
        return self.rel.renamed(self.rel.alias)


@dataclass(frozen=True)
class Joined:
    """The text after FROM, what it brings into scope, and the conditions that a comma join leaves to WHERE."""

    sql: str
    scope: tuple[Col, ...]
    conditions: tuple[str, ...] = ()

    @classmethod
    def of(cls, rng: Dice, sources: Sequence[Source]) -> Joined:
        joined = cls(sources[0].rel.sql, sources[0].columns)
        for source in sources[1:]:
            joined = joined._join(rng, source)
        return joined

    def _join(self, rng: Dice, source: Source) -> Joined:
        right, both = source.columns, self.scope + source.columns
        text = source.rel.sql
        equality = _equality(rng, self.scope, right)
        roll = rng.random()
        if equality is None or (roll < 0.04 and " JOIN " not in self.sql):
            return Joined(f"{self.sql} CROSS JOIN {text}", both, self.conditions)
        if roll < 0.14 and not self.conditions and " JOIN " not in self.sql:
            return Joined(f"{self.sql}, {text}", both, (equality,))
        if roll < 0.22:
            word = rng.choice(["SEMI", "ANTI"])
            return Joined(f"{self.sql} {word} JOIN {text} ON {equality}", self.scope, self.conditions)
        if roll < 0.5:
            return Joined(f"{self.sql} JOIN {text} ON {_on(rng, equality, both)}", both, self.conditions)
        if {"k"} <= {column.base for column in right} and roll < 0.55 and self._single_k():
            return Joined(f"{self.sql} {rng.choice(OUTER)} JOIN {text} USING (k)", both, self.conditions)
        return Joined(
            f"{self.sql} {rng.choice(OUTER)} JOIN {text} ON {_on(rng, equality, both)}", both, self.conditions
        )

    def _single_k(self) -> bool:
        return sum(column.base == "k" and column.sql.endswith(".k") for column in self.scope) == 1


def _equality(rng: Dice, left: Sequence[Col], right: Sequence[Col]) -> str | None:
    """Two columns of one kind; small keys more often than others."""
    pairs = [(a, b) for a in left for b in right if a.kind is b.kind and a.kind in SHOWN]
    keys = [(a, b) for a, b in pairs if {a.base, b.base} <= {"k", "id", "i", "j", "s", "u", "dt"}]
    if not pairs:
        return None
    one, other = rng.choice(keys if keys and rng.random() < 0.8 else pairs)
    return f"{one.sql} {'IS NOT DISTINCT FROM' if rng.random() < 0.05 else '='} {other.sql}"


def _on(rng: Dice, equality: str, scope: Sequence[Col]) -> str:
    if rng.random() < 0.8:
        return equality
    return f"{equality} AND {Expressions(rng, scope).predicate(1)}"
