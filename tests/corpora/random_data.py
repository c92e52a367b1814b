"""The tables of the random corpus: few rows, many ties and NULLs, and the values that break translations.

Numbers that may be added and multiplied are small, and floats are multiples of 1/8, so that no order of evaluation
changes a sum and nothing overflows. The extreme values live in `x`, `y` and `e`, which are only compared.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tests.corpora.layouts import Layout
from tests.corpora.tables import CorpusTable, System

SEED = 20_240_229

TEXTS = (
    *("a", "A", "á", "a ", " a", "", "ab", "abc", "ABC", "Abd", "b", "B"),
    *("ß", "SS", "ss", "😀", "z_z", "50%", "10", "a b", "ä", "Z"),
)
BIGS = (0, 1, -1, 2**31, -(2**31) - 1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 10**12)
INTS = (0, 1, -1, 7, 2**31 - 1, -(2**31), 1000)
EDGES = (0.0, 1.5, -2.25, 1e300, -1e300, 1e-300, float("inf"), float("-inf"), float("nan"), 0.1, 2.0**53)
DATES = tuple(
    datetime.date(*ymd)
    for ymd in ((2023, 12, 31), (2024, 1, 1), (2024, 1, 31), (2024, 2, 29), (2024, 3, 1), (1999, 12, 31), (1970, 1, 1))
)
TIMES = tuple(
    datetime.datetime.fromisoformat(text)
    for text in (
        *("2024-01-31 00:00:00", "2024-01-31 23:59:59", "2024-02-29 12:30:15.5", "2023-12-31 23:59:59.999999"),
        *("2024-03-01 00:00:00", "1999-12-31 06:07:08", "2024-12-30 01:02:03"),
    )
)

Draw = Callable[[random.Random], Any]


def _one_of(values: tuple[Any, ...]) -> Draw:
    return lambda rng: rng.choice(values)


def _between(low: int, high: int) -> Draw:
    return lambda rng: rng.randint(low, high)


def _decimal(low: int, high: int, scale: int) -> Draw:
    """Few distinct values, some of them whole."""
    return lambda rng: Decimal(rng.randint(low, high) * rng.choice((1, 5, 10**scale))).scaleb(-scale)


def _eighths(rng: random.Random) -> float:
    return rng.randint(-40, 80) / 8


# The columns that tables choose from: a type and how a value is drawn.
COLUMNS: Mapping[str, tuple[pa.DataType, Draw]] = {
    "k": (pa.int16(), _between(0, 9)),
    "i": (pa.int32(), _between(-12, 30)),
    "j": (pa.int32(), _between(0, 8)),
    "b": (pa.int64(), _between(-100, 1000)),
    "n": (pa.decimal128(10, 2), _decimal(-30, 60, 2)),
    "m": (pa.decimal128(12, 4), _decimal(0, 25, 4)),
    "d": (pa.float64(), _eighths),
    "r": (pa.float32(), _eighths),
    "e": (pa.float64(), _one_of(EDGES)),
    "x": (pa.int64(), _one_of(BIGS)),
    "y": (pa.int32(), _one_of(INTS)),
    "s": (pa.string(), _one_of(TEXTS)),
    "u": (pa.string(), _one_of(TEXTS[:12])),
    "bo": (pa.bool_(), _one_of((True, False))),
    "dt": (pa.date32(), _one_of(DATES)),
    "ts": (pa.timestamp("us"), _one_of(TIMES)),
}
ID = "id"
# `plain` and `names` have only types of SQLite's own: they are STRICT there, and more can run at the source.
SHAPES: Mapping[str, tuple[int, str]] = {
    "wide": (36, "id k i j b n m d r e x y s u bo dt ts"),
    "mixed": (28, "i j k b n m d r s u bo dt ts e"),
    "tiny": (10, "id k s n dt"),
    "facts": (60, "id k j b m d s ts"),
    "words": (24, "s u k bo y"),
    "plain": (32, "id k i j b d e x y s u"),
    "names": (16, "id k s u"),
    "void": (0, "id k i n d s dt bo"),
}


def tables() -> list[CorpusTable]:
    return [_table(name, rows, columns.split()) for name, (rows, columns) in SHAPES.items()]


def _table(name: str, rows: int, columns: list[str]) -> CorpusTable:
    arrays = [pa.array(range(1, rows + 1), pa.int32()) if c == ID else _column(name, c, rows) for c in columns]
    # The collations that a translation must see through: PostgreSQL's and MariaDB's are those of their databases.
    nocase: dict[tuple[System, str], str] = {("sqlite", "u"): "TEXT COLLATE NOCASE"}
    schema = pa.schema([pa.field(c, array.type) for c, array in zip(columns, arrays, strict=True)])
    data = pa.Table.from_arrays(arrays, schema=schema)
    return CorpusTable(name, data, (ID,) if ID in columns else (), (("k",),), nocase)


def _column(table: str, column: str, rows: int) -> pa.Array[Any]:
    rng = random.Random(f"{SEED}:{table}:{column}")
    type_, draw = COLUMNS[column]
    return pa.array([None if rng.random() < 0.15 else draw(rng) for _ in range(rows)], type_)


def _spread(name: str, systems: str) -> Layout:
    short: dict[str, System] = {"pg": "postgres", "my": "mariadb", "lite": "sqlite", "files": "parquet"}
    return Layout(name, {table: short[each] for table, each in zip(SHAPES, systems.split(), strict=True)})


LAYOUTS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        _spread("spread-1", "pg my lite pg files my my lite"),
        _spread("spread-2", "my pg files my lite my pg pg"),
        _spread("spread-3", "lite files pg lite my lite lite my"),
        _spread("spread-4", "files lite my my pg pg files files"),
        Layout.everything_in("postgres", tuple(SHAPES)),
        Layout.everything_in("mariadb", tuple(SHAPES)),
        Layout.everything_in("sqlite", tuple(SHAPES)),
    )
}
