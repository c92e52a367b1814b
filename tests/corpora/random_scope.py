"""What a random expression may refer to, and what kind of value each thing has."""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tests.corpora.random_data import SHAPES


class Dice(random.Random):
    """`tame` queries keep to columns, comparisons, joins and aggregates: what sources can run whole."""

    tame = False


class Kind(enum.Enum):
    INT = "int"  # small: may be added and multiplied
    BIG = "big"  # extreme integers: only compared
    DEC = "decimal"
    DBL = "double"
    FLT = "real"
    EDGE = "edge"  # NaN, infinities: only compared
    BOOL = "bool"
    DATE = "date"
    TIME = "timestamp"
    TEXT = "text"
    OTHER = "other"  # only shown: lists, intervals


KINDS: Mapping[str, Kind] = {
    "id": Kind.INT,
    "k": Kind.INT,
    "i": Kind.INT,
    "j": Kind.INT,
    "b": Kind.INT,
    "n": Kind.DEC,
    "m": Kind.DEC,
    "d": Kind.DBL,
    "r": Kind.FLT,
    "e": Kind.EDGE,
    "x": Kind.BIG,
    "y": Kind.BIG,
    "s": Kind.TEXT,
    "u": Kind.TEXT,
    "bo": Kind.BOOL,
    "dt": Kind.DATE,
    "ts": Kind.TIME,
}
NUMBERS = (Kind.INT, Kind.DEC, Kind.DBL)
SHOWN = tuple(kind for kind in Kind if kind is not Kind.OTHER)


@dataclass(frozen=True)
class Col:
    """A column in scope. `base` is the name of the stored column that it passes on unchanged."""

    sql: str
    kind: Kind
    base: str | None = None


@dataclass(frozen=True)
class Rel:
    """Something that stands in FROM, and its columns under its alias."""

    sql: str
    alias: str
    columns: tuple[Col, ...]

    def renamed(self, alias: str) -> tuple[Col, ...]:
        return tuple(replace(column, sql=f"{alias}.{column.sql}") for column in self.columns)


@dataclass(frozen=True)
class Query:
    """A generated query. `columns` carry output names. `ordered` when its ORDER BY leaves no ties but equal rows."""

    sql: str
    columns: tuple[Col, ...]
    ordered: bool = False


def base_columns(table: str) -> tuple[Col, ...]:
    return tuple(Col(name, KINDS[name], name) for name in SHAPES[table][1].split())


def of_kind(scope: Sequence[Col], kind: Kind) -> list[Col]:
    return [column for column in scope if column.kind is kind]


def some(rng: Dice, items: Sequence[Col], low: int, high: int) -> list[Col]:
    """A random sample of `low` to `high` items, fewer when there are not so many."""
    count = min(len(items), rng.randint(low, high))
    return rng.sample(list(items), count)
