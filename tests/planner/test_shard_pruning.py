"""Shards whose declared constraints exclude the conditions are not read, and EXPLAIN says so."""

from __future__ import annotations

import pytest

from adapters.sql.dialect import Reason
from federation.planner.nodes import Note
from federation.planner.rewrites import RULES
from federation.planner.shard_pruning import shard_pruning
from tests.planner.rewriting import Bench

ORDERS = "(SELECT id, d, v FROM o25 UNION ALL SELECT id, d, v FROM o26) o"
OLD, NEW = {"o25"}, {"o26"}


@pytest.mark.parametrize(
    ("sql", "asked"),
    [
        (f"SELECT * FROM {ORDERS} WHERE d = DATE '2026-01-01'", NEW),
        (f"SELECT * FROM {ORDERS} WHERE d = '2025-12-31'", OLD),
        (f"SELECT * FROM {ORDERS} WHERE d > '2025-12-31'", NEW),
        (f"SELECT * FROM {ORDERS} WHERE d >= DATE '2025-06-01'", OLD | NEW),
        (f"SELECT * FROM {ORDERS} WHERE d > DATE '2026-12-31'", set()),
        (f"SELECT sum(v), count(*) FROM {ORDERS} WHERE d > DATE '2026-12-31'", set()),
        (f"SELECT * FROM {ORDERS} WHERE d >= TIMESTAMP '2025-12-31 23:59:59'", NEW),
        (f"SELECT * FROM {ORDERS} WHERE d IN ('2025-03-01', '2025-12-31')", OLD),
        (f"SELECT * FROM {ORDERS} WHERE d = '2025-03-01' OR d = '2025-12-31' AND v > 1", OLD),
        (f"SELECT * FROM {ORDERS} WHERE d = '2025-03-01' OR v = 25", OLD | NEW),
        # a CHECK passes on NULL
        (f"SELECT * FROM {ORDERS} WHERE d IS NULL", OLD | NEW),
        (f"SELECT * FROM {ORDERS} WHERE d = '2026-01-01' OR d IS NULL", OLD | NEW),
        (f"SELECT * FROM {ORDERS} WHERE v > 1", OLD | NEW),
        (f"SELECT * FROM {ORDERS} WHERE year(d) = 2026", OLD | NEW),  # only comparisons are understood
        (f"SELECT * FROM {ORDERS} JOIN a ON a.d = o.d WHERE a.d = DATE '2026-01-01'", NEW | {"a"}),
        (f"SELECT * FROM a LEFT JOIN {ORDERS} ON o.d = a.d WHERE a.d = DATE '2026-01-01'", NEW | {"a"}),
        (f"SELECT * FROM a LEFT JOIN {ORDERS} ON o.d = a.d AND o.d > '2026-06-01'", NEW | {"a"}),
        ("SELECT a.id, o25.v FROM a LEFT JOIN o25 ON o25.d = a.d WHERE a.d >= '2026-01-01'", {"a"}),
        ("SELECT a.id FROM a LEFT JOIN o25 ON o25.id = a.id WHERE o25.d >= '2026-01-01'", set()),
        ("SELECT a.id FROM a LEFT JOIN o25 ON o25.id = a.id WHERE o25.d IS NULL", OLD | {"a"}),
        ("SELECT * FROM o25 WHERE d > '2027-01-01'", set()),
        ("SELECT * FROM o25, o26 WHERE o25.d = o26.d", set()),  # two constraints exclude each other
        ("SELECT * FROM o25, o26 WHERE o25.id = o26.id", OLD | NEW),
    ],
)
def test_which_shards_are_read(bench: Bench, sql: str, asked: set[str]) -> None:
    query, _ = bench.rewritten(sql, *(rule for _, rule in RULES))
    assert bench.asked(query) == asked


def test_the_note_names_the_table_and_its_constraint(bench: Bench) -> None:
    _, context = bench.rewritten("SELECT * FROM o25 WHERE d > '2026-06-01'", shard_pruning)
    constraint = "d >= CAST('2025-01-01' AS DATE) AND d < CAST('2026-01-01' AS DATE)"
    assert context.notes == [Note("one.main.o25", "pruned", Reason.PRUNED, constraint)]
