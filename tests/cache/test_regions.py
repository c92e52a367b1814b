"""Containment against a brute-force oracle: many fragments over edge-case rows, each computed by DuckDB. Whenever one
is said to answer another, that answer is compared with what the other really holds.
"""

from __future__ import annotations

import itertools
import random

import pytest

from adapters.base import Predicate, TableName
from adapters.sql.scan import to_expression
from cache.regions import contains, load_region
from federation.planner.answers import CACHED, REST, answer, unite
from federation.planner.nodes import TableScan
from federation.planner.regions import MOST_KEYS
from tests.cache.islands import (
    SEEDS,
    SOURCE,
    Bench,
    check,
    counted,
    narrower,
    random_condition,
    random_island,
    written,
)
from tests.cache.test_domains import COLUMNS


@pytest.mark.parametrize("seed", SEEDS)
def test_what_asks_for_less_is_answered_and_the_answer_is_true(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)
    islands = [random_island(rng) for _ in range(25)]
    pairs = [(written(*each[:3]), narrower(rng, *each)) for each in islands for _ in range(4)]
    answered = [check(bench, bench.island(one), bench.island(other)) for one, other in pairs]
    assert sum(answered) > 0.8 * len(pairs)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_only_looks_alike_is_not_answered_falsely(bench: Bench, seed: int) -> None:
    rng = random.Random(f"alike {seed}")
    islands = [random_island(rng) for _ in range(45)]
    texts = [written(*each[:3]) for each in islands] + [narrower(rng, *each) for each in islands]
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


JOINED = "t.id AS id, t.number AS number, t.name AS name, r.label AS label"


@pytest.mark.parametrize(
    ("cached", "wanted"),
    [
        (
            f"SELECT {JOINED} FROM left AS t JOIN right AS r ON t.kind = r.k WHERE t.number > 0",
            "SELECT b.label AS l, count(*) AS n FROM left AS a JOIN right AS b ON a.kind = b.k"
            " WHERE a.number IN (1, 5) AND b.label = 'x' GROUP BY b.label",
        ),
        (
            f"SELECT {JOINED} FROM left AS t LEFT JOIN right AS r ON t.kind = r.k AND r.label = 'x'",
            "SELECT t.id AS id FROM left AS t LEFT JOIN right AS r ON t.kind = r.k AND r.label = 'x'"
            " WHERE r.label IS NULL",
        ),
        (
            f"SELECT {JOINED} FROM left AS t CROSS JOIN right AS r WHERE t.kind = r.k",
            "SELECT t.id AS id FROM left AS t JOIN right AS r ON t.kind = r.k WHERE t.number BETWEEN 1 AND 5",
        ),
        (
            "SELECT t.id AS id, lower(t.name) AS low FROM left AS t",
            "SELECT lower(u.name) AS other FROM left AS u WHERE u.id > 290 ORDER BY u.id LIMIT 3",
        ),
        (
            "SELECT t.id AS id, t.name AS name FROM left AS t WHERE t.number IN (SELECT k.id FROM left AS k)",
            "SELECT t.name AS name FROM left AS t WHERE t.number IN (SELECT k.id FROM left AS k) AND t.id < 100",
        ),
        (
            "SELECT t.id AS id, t.name AS name FROM left AS t ORDER BY t.name, t.id LIMIT 20",
            "SELECT t.name AS name, t.id AS id FROM left AS t ORDER BY name, id LIMIT 5 OFFSET 7",
        ),
        (
            "SELECT t.kind AS k, sum(t.id) AS s FROM left AS t GROUP BY t.kind ORDER BY s DESC LIMIT 4",
            "SELECT t.kind AS k FROM left AS t GROUP BY t.kind ORDER BY sum(t.id) DESC LIMIT 2",
        ),
        (
            "SELECT t.id AS id, t.number AS number, t.kind AS kind FROM left AS t",
            "SELECT t.id AS id, row_number() OVER (PARTITION BY t.kind ORDER BY t.id) AS n FROM left AS t"
            " WHERE t.number > 0",
        ),
    ],
)
def test_forms_that_are_answered(bench: Bench, cached: str, wanted: str) -> None:
    assert check(bench, bench.island(cached), bench.island(wanted))


@pytest.mark.parametrize(
    ("cached", "wanted"),
    [
        # not all rows are there
        ("SELECT t.id AS id, t.number AS number FROM left AS t LIMIT 50", "SELECT t.id AS id FROM left AS t"),
        ("SELECT t.id AS id FROM left AS t ORDER BY t.id LIMIT 5", "SELECT t.id AS id FROM left AS t LIMIT 5"),
        (
            "SELECT t.id AS id FROM left AS t ORDER BY t.id LIMIT 5",
            "SELECT t.id AS id FROM left AS t ORDER BY t.id LIMIT 6",
        ),
        (
            "SELECT t.id AS id FROM left AS t ORDER BY t.id LIMIT 9",
            "SELECT t.id AS id FROM left AS t WHERE t.id > 3 ORDER BY t.id LIMIT 2",
        ),
        (
            "SELECT t.id AS id FROM left AS t ORDER BY t.id LIMIT 9 OFFSET 2",
            "SELECT t.id AS id FROM left AS t ORDER BY t.id LIMIT 2",
        ),
        ("SELECT t.id AS id FROM left AS t WHERE t.id > 5", "SELECT t.id AS id FROM left AS t WHERE t.id >= 5"),
        (
            "SELECT t.id AS id FROM left AS t WHERE length(t.name) = 1",
            "SELECT t.id AS id FROM left AS t WHERE t.id = 5",
        ),
        # the rows are there, and cannot be told apart
        ("SELECT t.id AS id FROM left AS t", "SELECT t.id AS id FROM left AS t WHERE t.number = 1"),
        ("SELECT t.id AS id FROM left AS t", "SELECT t.id AS id FROM left AS t ORDER BY t.number LIMIT 1"),
        (
            "SELECT t.kind AS k, count(*) AS n FROM left AS t GROUP BY t.kind",
            "SELECT t.kind AS k, count(*) AS n FROM left AS t WHERE t.number = 1 GROUP BY t.kind",
        ),
        # other rows
        (
            "SELECT t.id AS id, r.label AS label FROM left AS t JOIN right AS r ON t.kind = r.k",
            "SELECT t.id AS id, r.label AS label FROM left AS t LEFT JOIN right AS r ON t.kind = r.k",
        ),
        ("SELECT t.id AS id FROM left AS t", "SELECT t.k AS id FROM right AS t"),
        (
            "SELECT t.kind AS k, count(*) AS n FROM left AS t GROUP BY t.kind",
            "SELECT t.kind AS k, count(*) AS n FROM left AS t GROUP BY t.kind HAVING count(*) > 1",
        ),
        (
            "SELECT t.kind AS k, count(*) AS n FROM left AS t GROUP BY ROLLUP (t.kind)",
            "SELECT t.kind AS k, count(*) AS n FROM left AS t GROUP BY ROLLUP (t.kind) HAVING t.kind = 'k1'",
        ),
        ("SELECT DISTINCT t.kind AS k FROM left AS t", "SELECT t.kind AS k FROM left AS t"),
        # other rows each time
        ("SELECT t.id AS id FROM left AS t", "SELECT t.id AS id FROM left AS t WHERE t.id > random() * 100"),
        (
            "SELECT t.id AS id, row_number() OVER (ORDER BY t.id) AS n FROM left AS t",
            "SELECT t.id AS id, row_number() OVER (ORDER BY t.id) AS n FROM left AS t WHERE t.id > 5",
        ),
    ],
)
def test_forms_that_are_not_answered(bench: Bench, cached: str, wanted: str) -> None:
    one, other = bench.ask(bench.island(cached)), bench.ask(bench.island(wanted))
    assert one is None or other is None or one.own is None or answer(other, one.own) is None


def test_a_fragment_that_may_hold_more_is_tested_again(bench: Bench) -> None:
    """As a source does that cannot compare text by bytes: a condition was sent, but more rows came."""
    cached = bench.island("SELECT t.id AS id, t.name AS name FROM left AS t WHERE t.name = 'a'", rechecked=True)
    more = bench.fetched(bench.island("SELECT t.id AS id, t.name AS name FROM left AS t WHERE lower(t.name) = 'a'"))
    wanted = bench.island("SELECT t.id AS id FROM left AS t WHERE t.name = 'a'")
    one, other = bench.ask(cached), bench.ask(wanted)
    assert one is not None
    assert other is not None
    found = bench.answered(other, one, more)
    assert found is not None
    assert counted(found) == counted(bench.fetched(wanted)) != counted(more.select(["id"]))
    limited = bench.island("SELECT t.id AS id FROM left AS t WHERE t.name = 'a' LIMIT 5", rechecked=True)
    asked = bench.ask(limited)
    assert asked is not None
    assert asked.own is None  # how many of its rows count?


def scanned(bench: Bench, columns: list[str], predicates: list[Predicate], limit: int | None = None) -> TableScan:
    schema = bench.data["left"].select(columns).schema
    conditions = tuple((str(each), (each,)) for each in predicates)
    name = TableName("main", "left")
    tables = tuple(each for each in bench.tables.values() if each.table.name == name)
    return TableScan(
        "f0", SOURCE, schema, [], tables, schema, table=name, columns=tuple(columns), conditions=conditions, limit=limit
    )


def test_scans_and_islands_answer_each_other(bench: Bench) -> None:
    cached = bench.ask(scanned(bench, ["id", "name", "number"], [Predicate("number", ">", (0,))]))
    assert cached is not None
    rows = bench.data["left"].select(["id", "name", "number"])  # a scan may bring more than it was asked for
    wanted = bench.island("SELECT t.name AS name FROM left AS t WHERE t.number > 0 AND t.id < 9")
    other = bench.ask(wanted)
    assert other is not None
    found = bench.answered(other, cached, rows)
    assert found is not None
    assert counted(found) == counted(bench.fetched(wanted))
    scan = bench.ask(
        scanned(bench, ["name", "number"], [Predicate("number", "=", (5,)), Predicate("name", "is null")], 3)
    )
    assert scan is not None
    found = bench.answered(scan, cached, rows)
    assert found is not None
    assert found.num_rows <= 3


def test_a_scan_with_a_limit_takes_rows_that_fulfil_its_conditions(bench: Bench) -> None:
    """What is not compared as a domain is tested before the LIMIT all the same."""
    columns = ["id", "name", "number", "ratio"]
    cached = bench.ask(scanned(bench, columns, []))
    assert cached is not None
    rows = bench.data["left"].select(columns)
    for predicate in (Predicate("number", "=", (5,)), Predicate("ratio", "<", (1,)), Predicate("name", "in", ("b",))):
        wanted = bench.ask(scanned(bench, columns, [predicate], 3))
        assert wanted is not None
        found = bench.answered(wanted, cached, rows)
        assert found is not None
        true = bench.fetched(bench.island(f"SELECT t.id AS id FROM left AS t WHERE t.{_written(predicate)}"))
        assert found.num_rows == min(3, true.num_rows)
        assert set(found.column("id").to_pylist()) <= set(true.column("id").to_pylist())
    keys = Predicate("number", "in", tuple(range(MOST_KEYS + 1)))
    assert bench.ask(scanned(bench, columns, [keys])) is None


def _written(predicate: Predicate) -> str:
    return to_expression(predicate).sql("duckdb").partition(".")[2]


def test_keys_narrow_what_is_wanted_and_are_never_required(bench: Bench) -> None:
    island = bench.island("SELECT t.id AS id, t.name AS name, t.number AS number FROM left AS t WHERE t.id > 5")
    every, some = bench.ask(island), bench.ask(island, Predicate("number", "in", (1, 2, 5)))
    fewer = bench.ask(island, Predicate("number", "in", (1, 5)))
    assert every is not None and some is not None and fewer is not None
    assert every.own is not None and some.own is not None
    assert some.own.loose  # the join tests the keys again: a source may send more
    assert answer(some, every.own) and answer(fewer, every.own) and answer(fewer, some.own)
    assert answer(every, some.own) is None
    many = bench.ask(island, Predicate("number", "in", tuple(range(MOST_KEYS + 1))))
    assert many is not None and many.own is not None
    assert answer(many, every.own) and answer(many, many.own)
    assert answer(every, many.own) is None and answer(fewer, many.own) is None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT t.id AS id, t.number AS number FROM left AS t ORDER BY t.id LIMIT 20",
        "SELECT t.number AS number, row_number() OVER (ORDER BY t.id) AS n FROM left AS t",
    ],
)
def test_keys_are_not_tested_before_what_counts_rows(bench: Bench, sql: str) -> None:
    held = bench.ask(bench.island("SELECT t.id AS id, t.number AS number FROM left AS t"))
    wanted = bench.island(sql)
    asked = bench.ask(wanted, Predicate("number", "in", (1, 2, 5)))
    assert held is not None and asked is not None
    assert asked.own is None  # how many rows came is not known
    rows = bench.data["left"].select(["id", "number"])
    found = bench.answered(asked, held, rows)
    assert found is not None
    assert counted(found) == counted(bench.fetched(wanted))


@pytest.mark.parametrize("seed", SEEDS)
def test_two_parts_are_all_of_it_and_have_nothing_in_common(bench: Bench, seed: int) -> None:
    rng = random.Random(f"parts {seed}")
    items = ", ".join(f"t.{each} AS {each}" for each in ["id", *COLUMNS])
    united = 0
    for _ in range(300):
        column = rng.choice(list(COLUMNS))
        if rng.random() < 0.3:
            shape = (f"t.{column} AS g, count(*) AS n", f"GROUP BY t.{column}")
        else:
            shape = (items, rng.choice(["", "ORDER BY t.id"]))
        one, other = (written(shape[0], [random_condition(rng, [column])], shape[1]) for _ in range(2))
        cached, wanted = bench.ask(bench.island(one)), bench.ask(bench.island(other))
        assert cached is not None and wanted is not None and cached.own is not None
        made = unite(wanted, cached.own) if answer(wanted, cached.own) is None else None
        if made is not None and (united := united + 1) <= 30:
            rows, true = bench.fetched(bench.island(one)), bench.fetched(bench.island(other))
            # The source may send more than was asked for.
            found = bench.run(made.query, {CACHED: rows, REST: true})
            assert found.schema.equals(true.schema)
            assert counted(found) == counted(true), (one, other)
            if "ORDER" in other:
                assert found.column("id").equals(true.column("id"))
            assert made.by.column.name == column
    assert united > 30


def test_the_missing_part_is_what_is_asked_for(bench: Bench) -> None:
    sql = "SELECT t.id AS id, t.number AS n, t.name AS name FROM left AS t WHERE {} AND t.name <> 'a'"
    for held, wanted, missing in (
        ("t.number BETWEEN 1 AND 5", "t.number BETWEEN 3 AND 9", [(">=", 6), ("<=", 9)]),
        ("t.number > 5", "t.number > 2", [(">=", 3), ("<=", 5)]),
        ("t.number IN (1, 2, 3)", "t.number IN (2, 3, 7, 5)", [("in", 5, 7)]),
        ("t.number IS NOT NULL", "t.id > 0", [("is null",)]),
    ):
        cached, asked = bench.ask(bench.island(sql.format(held))), bench.ask(bench.island(sql.format(wanted)))
        assert cached is not None and asked is not None and cached.own is not None
        made = unite(asked, cached.own)
        assert made is not None
        assert [(each.column, each.op, *each.values) for each in made.missing] == [("n", *each) for each in missing]


@pytest.mark.parametrize(
    ("cached", "wanted"),
    [
        ("t.number > 5", "t.number < 3"),  # nothing of it is there
        ("t.number = 50", "t.number BETWEEN 1 AND 99"),  # two ranges are missing
        ("t.number > 5 AND t.big > 5", "t.number > 2 AND t.big > 2"),  # two columns
        ("t.number > 5 AND length(t.name) = 1", "t.number > 2"),
    ],
)
def test_parts_that_are_not_united(bench: Bench, cached: str, wanted: str) -> None:
    sql = "SELECT t.id AS id, t.number AS number, t.name AS name, t.big AS big FROM left AS t WHERE {}"
    one, other = bench.ask(bench.island(sql.format(cached))), bench.ask(bench.island(sql.format(wanted)))
    assert one is not None and other is not None and one.own is not None
    assert unite(other, one.own) is None
    plain, asked = "SELECT t.id AS id, t.number AS number FROM left AS t WHERE t.number > {}", bench.ask
    for head in (" LIMIT 5", " ORDER BY t.id LIMIT 5"):
        held, more = asked(bench.island(plain.format(5) + head)), asked(bench.island(plain.format(2) + head))
        assert held is not None and more is not None and held.own is not None
        assert unite(more, held.own) is None


def test_a_region_is_read_as_it_was_written(bench: Bench) -> None:
    rng = random.Random(5)
    for _ in range(100):
        items, conditions, tail, _ = random_island(rng)
        limit = rng.choice(["", " ORDER BY 1 LIMIT 3"])
        asked = bench.ask(bench.island(written(items, conditions, tail + limit)))
        assert asked is not None
        if asked.own is not None:
            assert load_region(asked.own.dump()) == asked.own
    for text in ("", "[]", "{}", "[1, 2]", '["f", {}, {"a": [false, [0]]}, [], null, false]'):
        with pytest.raises((ValueError, TypeError, LookupError)):
            load_region(text)


def test_a_fragment_is_found_where_it_is_filed(bench: Bench) -> None:
    """Whatever contains a region is on one of the shelves that it names; those of other values are not looked at."""
    sql = "SELECT t.id AS id, t.number AS number, t.name AS name FROM left AS t"
    regions = []
    for condition in (
        "",
        "t.id = 5",
        "t.id = 6",
        "t.id = 5 AND t.name = 'a'",
        "t.id IN (5, 6)",
        "t.id > 3",
        "t.id = 5 AND t.number > 2",
    ):
        asked = bench.ask(bench.island(f"{sql} WHERE {condition or 'true'}"))
        assert asked is not None and asked.own is not None
        regions.append(asked.own)
    for one, other in itertools.permutations(regions, 2):
        assert not contains(one, other) or one.shelf() in other.shelves()
    assert regions[2].shelf() not in regions[1].shelves()
