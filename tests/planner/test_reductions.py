"""How many keys a relation is expected to give."""

from __future__ import annotations

import random

import pytest

from federation.planner.reductions import distinct_among


@pytest.mark.parametrize(("values", "repeated"), [(1_000, 1), (1_000, 3), (200, 40), (5, 1_000)])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_the_values_of_rows_drawn_by_chance(values: int, repeated: int, share: float) -> None:
    table = [value for value in range(values) for _ in range(repeated)]
    drawn = random.Random(1).sample(table, round(len(table) * share))
    expected = distinct_among(len(drawn), values, len(table))
    assert expected == pytest.approx(len(set(drawn)), rel=0.05, abs=1)
    assert expected <= min(len(drawn), values) + 1e-6


@pytest.mark.parametrize(
    ("rows", "values", "every", "expected"),
    [
        (0.0, 10.0, 100.0, 0.0),
        (100.0, 10.0, 100.0, 10.0),
        (500.0, 10.0, 100.0, 10.0),  # a join may give more rows than the table has
        (50.0, 100.0, 100.0, 50.0),  # a unique column
        (50.0, None, 100.0, 50.0),
        (50.0, 20.0, None, 20.0),
        (50.0, 0.5, 100.0, 0.5),  # an estimate of a column of NULLs
    ],
)
def test_what_is_not_known_counts_as_little(
    rows: float, values: float | None, every: float | None, expected: float
) -> None:
    assert distinct_among(rows, values, every) == pytest.approx(expected)
