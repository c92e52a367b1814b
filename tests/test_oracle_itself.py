"""The oracle can fail: it tells different answers apart, and a query can be replayed elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.corpora.compare import Answer, difference

NAN = float("nan")


def answer(*rows: tuple[Any, ...], types: tuple[str, ...] = ("T",)) -> Answer:
    return Answer(types, list(rows))


@pytest.mark.parametrize(
    "one, other",
    [
        (answer((1,), (2,)), answer((2,), (1,))),
        (answer((0.1 + 0.2,), (NAN,)), answer((NAN,), (0.3,))),
        (answer((5,)), answer((Decimal(5),))),
        (answer((None,), ("",)), answer(("",), (None,))),
        (answer(([1.0, None],)), answer(([1.0, None],))),
    ],
)
def test_the_same(one: Answer, other: Answer) -> None:
    assert difference(one, other, ordered=False) is None


@pytest.mark.parametrize(
    "one, other",
    [
        (answer((1,)), answer((1,), types=("U",))),
        (answer((1,), (1,), (2,)), answer((1,), (2,), (2,))),
        (answer((1,)), answer()),
        (answer((None,)), answer(("",))),
        (answer((True,)), answer((1,))),
        (answer((1.0,)), answer((1.000001,))),
        (answer((Decimal("1.0000000001"),)), answer((Decimal("1.0000000002"),))),
        (answer((Decimal("1.50"),)), answer((1.5,))),
        (answer((NAN,)), answer((None,))),
        (answer(("a",)), answer(("A",))),
        (answer((0.0,)), answer((float("inf"),))),
    ],
)
def test_not_the_same(one: Answer, other: Answer) -> None:
    assert difference(one, other, ordered=False)
    assert difference(other, one, ordered=False)


def test_order_counts_when_it_is_total() -> None:
    assert difference(answer((1,), (2,)), answer((2,), (1,)), ordered=True)


def test_a_seed_is_the_same_query_everywhere() -> None:
    command = [sys.executable, "-m", "tests.corpora.random_sql", "--seed", "7", "--index", "12", "--text"]
    texts = set()
    for seed in ("1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        root = Path(__file__).parent.parent
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
        texts.add(done.stdout)
    assert len(texts) == 1
