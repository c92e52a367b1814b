"""Domains say what DuckDB says of each comparison, value by value, over rows where comparisons are odd."""

from __future__ import annotations

import datetime
import json
import math
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from adapters.base import Predicate, PredicateOp
from adapters.duck import Duck
from adapters.sql.scan import to_expression
from cache.domains import EVERYTHING, Domain, domain_of, load, predicates_of

ZONE = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(2024, 2, 29, 23, 59, 59, 999_999)
NUMBERS = [0, 1, -1, 2, 5, 7, 2**31, -(2**31)]
DECIMALS = [Decimal(each) for each in ("0", "-0.01", "0.1", "1", "1.00", "1.005", "-7.25", "99999999.99")]
DOUBLES = [0.0, -0.0, 1.0, -1.5, 0.1, 5e-324, -5e-324, 1.7e308, math.inf, -math.inf, math.nan, 2.0**53, 2.0**53 + 2]
TEXTS = ["", "a", "A", "á", "a ", "ab", "b", "Z", "ß", "ss", "\U0001f600", "\uffff", "%", "'"]
DAYS = [DAY + datetime.timedelta(days=each) for each in (-60, -1, 0, 1, 2, 400)] + [datetime.date(1, 1, 1)]
MOMENTS = [MOMENT + datetime.timedelta(microseconds=each) for each in (-1, 0, 1)] + [datetime.datetime(2024, 3, 1)]
#: a column's type, the values of its rows (beside NULL), the values of literals
COLUMNS: dict[str, tuple[pa.DataType, list[Any], list[Any]]] = {
    "bit": (pa.bool_(), [True, False], [True, False]),
    "tiny": (pa.int8(), [0, 1, -128, 127, 5], [*NUMBERS, -128, 127]),
    "number": (pa.int64(), [*NUMBERS, 2**63 - 1, -(2**63)], [*NUMBERS, 2**63 - 1, -(2**63), 2**64]),
    "big": (pa.uint64(), [0, 1, 2**64 - 1], [*NUMBERS, 2**64 - 1]),
    "amount": (
        pa.decimal128(10, 2),
        [each for each in DECIMALS if each != Decimal("1.005")],
        [*DECIMALS, *NUMBERS[:6]],
    ),
    "wide": (pa.decimal128(38, 3), [*DECIMALS, Decimal(10) ** 34], DECIMALS),
    "ratio": (pa.float64(), DOUBLES, DOUBLES),
    "name": (pa.string(), TEXTS, TEXTS),
    "day": (pa.date32(), DAYS, DAYS),
    "at": (pa.timestamp("us"), MOMENTS, MOMENTS),
    "there": (
        pa.timestamp("us", "UTC"),
        [each.replace(tzinfo=datetime.UTC) for each in MOMENTS],
        [each.replace(tzinfo=ZONE) for each in MOMENTS] + [each.replace(tzinfo=datetime.UTC) for each in MOMENTS],
    ),
}
OPERATORS: tuple[PredicateOp, ...] = ("=", "<>", "<", "<=", ">", ">=", "in", "is null", "is not null")


PAIRS = 200


def random_predicate(rng: random.Random, column: str) -> Predicate:
    op = rng.choice(OPERATORS)
    literals = COLUMNS[column][2]
    if op == "in":
        return Predicate(column, op, tuple(rng.choices(literals, k=rng.randrange(5))))
    return Predicate(column, op, () if op.startswith("is") else (rng.choice(literals),))


class Rows:
    """The edge-case rows of a column. `asked` conditions are answered together, by DuckDB: rows where each is true."""

    def __init__(self, duck: Duck, column: str) -> None:
        type_, values, _ = COLUMNS[column]
        rows = [*values, None]
        self.every = frozenset(range(len(rows)))
        self._table = pa.table({column: pa.array(rows, type_)})
        self._duck = duck

    def where(self, asked: Sequence[Sequence[Predicate]]) -> list[frozenset[int]]:
        texts = [" AND ".join(to_expression(each).sql("duckdb") for each in parts) or "true" for parts in asked]
        items = ", ".join(f"({text}) IS TRUE AS c{place}" for place, text in enumerate(texts))
        found = self._duck.run(self._duck.cursor(), f"SELECT {items} FROM t", {"t": self._table}).read_all()
        return [frozenset(row for row, true in enumerate(each.to_pylist()) if true) for each in found.columns]


@pytest.fixture(scope="module", params=COLUMNS)
def column(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def rows(column: str) -> Iterator[Rows]:
    duck = Duck()
    yield Rows(duck, column)
    duck.close()


def domain(predicate: Predicate) -> Domain:
    found = domain_of(COLUMNS[predicate.column][0], predicate.op, predicate.values)
    assert found is not None, predicate
    return found


def test_operations_on_domains_are_those_on_the_rows(column: str, rows: Rows) -> None:
    rng = random.Random(f"domains {column}")
    pairs = [(random_predicate(rng, column), random_predicate(rng, column)) for _ in range(PAIRS)]
    true = rows.where([[each] for pair in pairs for each in pair])
    contained, asked, wanted = 0, [], []
    for (left, right), one_true, other_true in zip(pairs, true[::2], true[1::2], strict=True):
        one, other = domain(left), domain(right)
        assert load(json.loads(json.dumps(one.dump()))) == one
        assert one & other <= one <= one | other <= EVERYTHING
        if one <= other:
            contained += 1
            assert one_true <= other_true, (left, right)
        for made, rows_of_it in (
            (one, one_true),
            (one & other, one_true & other_true),
            (one | other, one_true | other_true),
            (one - other, one_true - other_true),
            (~one, rows.every - one_true),
        ):
            assert made or not rows_of_it, (left, right)
            written = predicates_of(column, made, COLUMNS[column][0])
            if written is not None:
                asked.append(written)
                wanted.append(rows_of_it)
    assert rows.where(asked) == wanted
    assert contained > PAIRS / 10  # or it would be of no use


def test_points_are_found(column: str) -> None:
    for value in COLUMNS[column][2]:
        found = domain(Predicate(column, "=", (value,)))
        last = isinstance(value, float) and (math.isnan(value) or value == -math.inf)
        assert last or found.point() is not None
        assert found == domain(Predicate(column, "in", (value, value)))


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        (pa.int64(), 1.5),
        (pa.int64(), True),
        (pa.int64(), "1"),
        (pa.float64(), 1),
        (pa.float32(), 0.1),
        (pa.decimal128(38, 3), Decimal("0.0005")),
        (pa.decimal128(10, 2), Decimal(10) ** 37),
        (pa.decimal128(10, 2), Decimal("NaN")),
        (pa.string(), b"a"),
        (pa.binary(), "a"),
        (pa.date32(), MOMENT),
        (pa.timestamp("us"), MOMENT.replace(tzinfo=ZONE)),
        (pa.timestamp("us", "UTC"), MOMENT),
        (pa.list_(pa.int64()), [1]),
        (pa.time64("us"), datetime.time(1)),
    ],
)
def test_what_is_not_understood_says_nothing(type_: pa.DataType, value: Any) -> None:
    for op in ("=", "<>", "<", "in"):
        assert domain_of(type_, op, [value]) is None


def test_a_range_that_one_conjunction_cannot_say_is_not_written() -> None:
    hole = domain(Predicate("number", "<", (1,))) | domain(Predicate("number", ">", (5,)))
    assert predicates_of("number", hole, pa.int64()) is None
    assert predicates_of("number", hole | ~EVERYTHING, pa.int64()) is None
    assert (
        predicates_of(
            "number", domain(Predicate("number", "<", (1,))) | domain(Predicate("number", "is null")), pa.int64()
        )
        is None
    )
