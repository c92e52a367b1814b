"""Which statements have one right answer, and when two answers to one are the same."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from adapters.duck import Duck
from federation.agreement import UNORDERED, UNSTABLE, Order, difference, is_stable, order_of

NAN = float("nan")
UNSORTED = Order((), None, False)


@pytest.fixture(scope="module")
def duck() -> Iterator[Duck]:
    opened = Duck()
    yield opened
    opened.close()


def parsed(sql: str) -> exp.Query:
    query = sqlglot.parse_one(sql, dialect="duckdb")
    assert isinstance(query, exp.Query)
    return query


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a, sum(b) FROM t GROUP BY a HAVING count(*) > 1 ORDER BY a LIMIT 3 OFFSET 2",
        "SELECT a FROM t UNION ALL SELECT b FROM u ORDER BY 1 LIMIT 3",
        "WITH c AS (SELECT a FROM t) SELECT DISTINCT a, rank() OVER (ORDER BY a) FROM c",
        "SELECT sum(a) OVER (ORDER BY b RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM t",
        "SELECT [a, b], lower(c), date_trunc('day', d) FROM t",
    ],
)
def test_one_answer(sql: str) -> None:
    assert is_stable(parsed(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT random() FROM t",
        "SELECT a FROM t WHERE b < now() - INTERVAL 1 DAY",
        "SELECT a FROM t WHERE b < current_date",
        "SELECT first(a) FROM t",
        "SELECT list(a) FROM t",
        "SELECT string_agg(a, ',') FROM t",
        "SELECT arg_max(a, b) FROM t",
        "SELECT row_number() OVER (ORDER BY a) FROM t",
        "SELECT sum(a) OVER (ORDER BY b ROWS 1 PRECEDING) FROM t",
        "SELECT DISTINCT ON (a) a, b FROM t",
        "SELECT array(SELECT a FROM t)",
        "SELECT a FROM t USING SAMPLE 3 ROWS",
        "SELECT a FROM (SELECT a FROM t LIMIT 3)",
        "SELECT a FROM t WHERE a IN (SELECT b FROM u ORDER BY b LIMIT 3) LIMIT 1",
        "(SELECT a FROM t LIMIT 3) UNION ALL SELECT b FROM u",
    ],
)
def test_many_answers(sql: str) -> None:
    assert not is_stable(parsed(sql))


def test_every_unstable_function_of_duckdb_is_known() -> None:
    with duckdb.connect() as plain:
        rows = plain.execute("SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'")
        names = [name for (name,) in rows.fetchall()]
    assert UNSTABLE.issuperset(names)


@pytest.mark.parametrize("name", sorted(UNSTABLE | UNORDERED))
def test_every_name_is_recognized(name: str) -> None:
    calls = (name, f"{name}()", f"{name}(a)", f"{name}(a, b)")
    assert any(not is_stable(parsed(f"SELECT {call}")) for call in calls if _parses(call)), name


def _parses(call: str) -> bool:
    try:
        parsed(f"SELECT {call}")
    except sqlglot.ParseError:
        return False
    return True


@pytest.mark.parametrize(
    ("sql", "names", "order"),
    [
        ("SELECT a, b FROM t", "ab", Order((), None, False)),
        ("SELECT a, b FROM t ORDER BY b, a", "ab", Order((1, 0), None, False)),
        ("SELECT a, b FROM t ORDER BY 2 DESC LIMIT 7", "ab", Order((1,), 7, False)),
        ("SELECT * FROM t ORDER BY B OFFSET 1", "ab", Order((1,), None, True)),
        ("SELECT a, b FROM t ORDER BY ALL LIMIT 2", "ab", Order((0, 1), 2, False)),
        ("SELECT t.a, t.b FROM t ORDER BY t.b, c, a", "ab", Order((1,), None, False)),
        ("SELECT a, sum(b) AS s FROM t GROUP BY a ORDER BY sum(b)", "as", Order((1,), None, False)),
        ("SELECT t.a AS b, t.b AS c FROM t ORDER BY t.b", "bc", Order((1,), None, False)),
        ("SELECT a, a FROM t ORDER BY a", "aa", Order((), None, False)),
        ("SELECT a FROM t UNION SELECT b FROM u ORDER BY a LIMIT 2 + 1", "a", Order((0,), 0, False)),
    ],
)
def test_order(sql: str, names: str, order: Order) -> None:
    found = order_of(parsed(sql), list(names))
    assert (found.keys, found.limit, found.skipped) == (order.keys, order.limit, order.skipped)


def table(**columns: list[object]) -> pa.Table:
    return pa.table(columns)


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        (table(a=[1, 2, 2]), table(a=[2, 1, 2]), UNSORTED),
        (table(a=[0.1 + 0.2, NAN, None]), table(a=[None, 0.3, NAN]), UNSORTED),
        (table(a=["x", "x"], b=[1.0, 2.0]), table(a=["x", "x"], b=[2.0 + 1e-13, 1.0]), UNSORTED),
        (table(a=[[0.3, None]]), table(a=[[0.1 + 0.2, None]]), UNSORTED),
        (table(a=[1, 2, 2], b=[1, 2, 3]), table(a=[1, 2, 2], b=[1, 3, 2]), Order((0,), None, False)),
        (table(a=[1, 2, 2], b=[1, 2, 3]), table(a=[1, 2, 2], b=[1, 3, 4]), Order((0,), 3, False)),
        (table(a=[1, 2], b=[1, 2]), table(a=[1, 2], b=[7, 2]), Order((0,), None, True)),
        (table(a=[1, 2]), table(a=[3, 4]), Order((), 2, False)),
        (table(a=[]), table(a=[]), Order((0,), 3, True)),
    ],
)
def test_the_same(one: pa.Table, other: pa.Table, order: Order, duck: Duck) -> None:
    assert difference(one, other, order, duck) is None
    assert difference(other, one, order, duck) is None


@pytest.mark.parametrize(
    ("one", "other", "order"),
    [
        (table(a=[1]), table(a=[1, 1]), UNSORTED),
        (table(a=[1, 1, 2]), table(a=[1, 2, 2]), UNSORTED),
        (table(a=[None]), table(a=[0]), UNSORTED),
        (table(a=["a"]), table(a=["A"]), UNSORTED),
        (table(a=[1.0, 2.0]), table(a=[1.0, 2.00001]), UNSORTED),
        (table(a=[NAN]), table(a=[None]), UNSORTED),
        (table(a=["x", "y"], b=[1.0, 2.0]), table(a=["x", "y"], b=[2.0, 1.0]), UNSORTED),
        (table(a=[1, 2]), table(a=[2, 1]), Order((0,), None, False)),
        (table(a=[1, 2, 2], b=[1, 2, 3]), table(a=[1, 2, 2], b=[4, 2, 3]), Order((0,), 3, False)),
        (table(a=[1, 2, 2], b=[1, 2, 3]), table(a=[1, 2, 2], b=[1, 2, 4]), Order((0,), 9, False)),
        (table(a=[1, 2, 3]), table(a=[1, 2, 4]), Order((0,), 3, False)),
    ],
)
def test_not_the_same(one: pa.Table, other: pa.Table, order: Order, duck: Duck) -> None:
    assert difference(one, other, order, duck)
    assert difference(other, one, order, duck)


def test_no_value_is_told(duck: Duck) -> None:
    told = difference(table(a=["hush", "x"]), table(a=["quiet", "x"]), UNSORTED, duck)
    assert told == "1 of 2 rows"
