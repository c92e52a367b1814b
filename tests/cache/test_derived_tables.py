"""Containment looks through derived tables, as those of views: the same brute-force oracle as for what has none."""

from __future__ import annotations

import itertools
import random

import pytest

from federation.planner.answers import answer
from tests.cache.islands import (
    SEEDS,
    Bench,
    check,
    counted,
    in_derived,
    narrower,
    over,
    random_island,
    written,
)

EXTENDED = "right AS r LEFT JOIN left AS t ON t.kind = r.k"
FROM = [
    "left AS t",
    "left AS t",
    "left AS t JOIN right AS r ON t.kind = r.k",
    "left AS t LEFT JOIN right AS r ON t.kind = r.k",
    "right AS r CROSS JOIN left AS t",
    EXTENDED,
]


@pytest.mark.parametrize("seed", SEEDS)
def test_it_does_not_matter_how_it_is_written(bench: Bench, seed: int) -> None:
    rng = random.Random(f"written {seed}")
    for _ in range(40):
        relations = rng.choice(FROM)
        flat = written(*random_island(rng)[:3]).replace(FROM[0], relations)
        one, other = bench.island(flat), bench.island(in_derived(rng, flat))
        assert counted(bench.fetched(one)) == counted(bench.fetched(other)), (flat, other.query.sql("duckdb"))
        asked, same = bench.ask(one), bench.ask(other)
        assert asked is not None and same is not None
        if "length" not in flat and "%" not in flat and "+" not in flat and relations != EXTENDED:
            assert asked.own == same.own, (flat, other.query.sql("duckdb"))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_asks_for_less_is_answered_and_the_answer_is_true(bench: Bench, seed: int) -> None:
    rng = random.Random(f"derived {seed}")
    answered = pairs = 0
    for _ in range(25):
        island = random_island(rng)
        relations = rng.choice(FROM[:-1])
        held = written(*island[:3]).replace(FROM[0], relations)
        for _ in range(4):
            cached = bench.island(in_derived(rng, held) if rng.random() < 0.7 else held)
            less = narrower(rng, *island).replace(FROM[0], relations)
            wanted = bench.island(in_derived(rng, less) if rng.random() < 0.7 else less)
            pairs += 1
            answered += check(bench, cached, wanted)
    assert answered > 0.7 * pairs, (answered, pairs)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_above_a_derived_table_is_computed_from_what_it_has(bench: Bench, seed: int) -> None:
    rng = random.Random(f"over {seed}")
    answered = pairs = 0
    for _ in range(25):
        items, conditions, tail, columns = random_island(rng)
        held = written(items, conditions, tail)
        if rng.random() < 0.3:
            held += f" ORDER BY {', '.join(bench.island(held).schema.names)} LIMIT 7"
        names = ", ".join(f"v.{each} AS {each}" for each in bench.island(held).schema.names)
        cached = bench.island(held if rng.random() < 0.5 else f"SELECT {names} FROM ({held}) AS v")
        for _ in range(4):
            inner = held if "LIMIT" in held or rng.random() < 0.3 else narrower(rng, items, conditions, tail, columns)
            wanted = over(rng, bench.island(inner).schema, inner)
            pairs += 1
            answered += check(bench, cached, bench.island(wanted))
    assert answered > 0.7 * pairs, (answered, pairs)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_only_looks_alike_is_not_answered_falsely(bench: Bench, seed: int) -> None:
    rng = random.Random(f"alike derived {seed}")
    texts = []
    for _ in range(12):
        island = random_island(rng)
        relations = rng.choice(FROM)
        held = written(*island[:3]).replace(FROM[0], relations)
        texts += [held, in_derived(rng, held), in_derived(rng, narrower(rng, *island).replace(FROM[0], relations))]
        texts.append(over(rng, bench.island(held).schema, held))
    made = [bench.island(each) for each in texts]
    asked = [bench.ask(each) for each in made]
    likely = [
        (one, other)
        for (one, cached), (other, wanted) in itertools.permutations(zip(made, asked, strict=True), 2)
        if cached is not None and wanted is not None and cached.own is not None and answer(wanted, cached.own)
    ]
    assert len(likely) > 30
    for one, other in rng.sample(likely, 30):
        check(bench, one, other)


def test_what_looks_mergeable_and_is_not(bench: Bench) -> None:
    """Each of all others: rows that an aggregate, DISTINCT, a LIMIT or an outer join makes, constants as keys."""
    texts = [
        "SELECT t.id AS id, t.kind AS kind, t.tiny AS tiny, t.name AS name FROM left AS t",
        "SELECT count(*) AS n FROM (SELECT sum(t.id) AS total FROM left AS t) AS o",
        "SELECT o.one AS one FROM (SELECT 1 AS one, count(*) AS n FROM left AS t) AS o",
        "SELECT o.one AS one FROM (SELECT 1 AS one FROM left AS t HAVING count(*) > 1) AS o",
        "SELECT o.c AS c, count(*) AS n FROM (SELECT 1 AS c, t.id AS id FROM left AS t) AS o GROUP BY o.c",
        "SELECT o.id AS id FROM (SELECT 2 AS c, t.id AS id FROM left AS t) AS o ORDER BY o.c, o.id LIMIT 3",
        "SELECT o.kind AS kind FROM (SELECT DISTINCT t.kind AS kind, t.tiny AS tiny FROM left AS t) AS o",
        "SELECT DISTINCT t.kind AS kind FROM left AS t",
        "SELECT o.kind AS kind, o.n / 7 AS part FROM (SELECT t.kind AS kind, sum(t.id) AS n FROM left AS t"
        " GROUP BY t.kind) AS o WHERE o.n > 9",
        "SELECT o.id AS id FROM (SELECT t.id AS id FROM left AS t ORDER BY t.id LIMIT 50) AS o WHERE o.id > 5",
        "SELECT t.id AS id FROM left AS t WHERE t.id > 5",
        "SELECT r.k AS k, o.name AS name FROM right AS r LEFT JOIN"
        " (SELECT coalesce(t.name, 'x') AS name, t.kind AS kind FROM left AS t WHERE t.tiny > 0) AS o ON o.kind = r.k",
        "SELECT r.k AS k, coalesce(t.name, 'x') AS name FROM right AS r LEFT JOIN left AS t ON t.kind = r.k"
        " WHERE t.tiny > 0",
    ]
    made = [bench.island(each) for each in texts]
    answered = {
        (one, other)
        for one, other in itertools.permutations(range(len(made)), 2)
        if check(bench, made[one], made[other])
    }
    assert {(0, place) for place in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)} <= answered
    assert not {(place, 0) for place in range(1, len(made))} & answered
