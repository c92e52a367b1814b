"""Long lists of parameters: a statement with them is what it is when each of their members is read."""

from __future__ import annotations

import pytest
from sqlglot import exp

from adapters.errors import Error, SQLSyntaxError, StatementTooComplex, UndefinedParameter
from federation.parse import MAX_TOKENS
from federation.pgwire.dialect.lists import LONG, numbers_of
from federation.pgwire.dialect.queries import MOST_PARAMETERS
from federation.pgwire.dialect.read import statements
from federation.pgwire.dialect.statements import Copy, Declare, Query, Unsupported

NUMBERS = range(1, LONG + 50)
LIST = ", ".join(f"${number}" for number in NUMBERS)
SLOWLY = LIST.replace("$2,", "$2 /**/,")  # which no short way knows


def _query(sql: str) -> Query:
    (query,) = statements(sql)
    assert isinstance(query, Query)
    return query


# --- what is wrong


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT 1 WHERE 1 IN ({LIST}) FROM",
        f"SELECT 1 WHERE 1 IN ({LIST}",
        f"SELECT 1 WHERE 1 IN {LIST})",
        f"SELECT 1 WHERE\n1 IN ({LIST}) AND\n\n  2 = = 3",
        f"SELECT 'ä' WHERE 1 IN ({LIST}) AND ? = 2",
        f"SELECT 1 WHERE 1 IN ({LIST}) AND @a = 2",
        f"SELECT 1 WHERE 1 IN ({LIST}); SELECT 2 WHERE",
        f"SELECT ({LIST}",
        f"DELETE FROM t WHERE a IN ({LIST})",
        f"SELECT 1 FROM t WHERE a IN ({LIST}) FOR UPDATE",
        f"SELECT 1 WHERE 1 IN ({LIST}) AND 2 IN ($0)",
        f"SELECT 1 WHERE 1 IN ({LIST}) AND 2 IN ({LIST}, $0)",
        f"SELECT 1 WHERE 1 IN ({LIST}, ${MOST_PARAMETERS + 1})",
        f"SELECT 1 WHERE 1 IN ({LIST}) AND 2 = $1000000",
        f"SELECT 1 WHERE 1 IN ({LIST}) AND 2 IN ($1000001)",
    ],
)
def test_what_is_wrong_is_said_of_the_text(sql: str) -> None:
    """A write is refused when it is run: DELETE is said to be one, and nothing else."""

    def said(sql: str) -> tuple[type, str]:
        try:
            (found,) = statements(sql)
        except Error as exc:
            return type(exc), exc.message
        assert isinstance(found, Unsupported)
        return type(found), found.message

    assert said(sql) == said(sql.replace(LIST, SLOWLY))


def test_the_position_is_that_in_the_text() -> None:
    sql = f"SELECT 1\nWHERE 1 IN ({LIST}) AND\n 2 IN ({LIST}) AND nothing AS AS"
    with pytest.raises(SQLSyntaxError) as caught:
        statements(sql)
    assert caught.value.position is not None
    assert caught.value.position >= sql.index("nothing")


def test_the_limits_are_those_of_all_members() -> None:
    members = ", ".join(["$1"] * (MAX_TOKENS // 3 + 1))
    with pytest.raises(StatementTooComplex, match="tokens"):
        statements(f"SELECT 1 WHERE 1 IN ({members})")
    with pytest.raises(UndefinedParameter, match="65536"):
        statements(f"SELECT 1 WHERE 1 IN ({LIST}, $65536)")


# --- what it is


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT a FROM t WHERE a IN ({LIST})",
        f"SELECT a FROM t WHERE a NOT IN ( {LIST} ) AND b = $500",
        f"SELECT a IN ({LIST}), b FROM t WHERE a IN ({LIST}) OR b IN ({LIST}, $7) ORDER BY a",
        f"WITH c AS (SELECT 1 WHERE $1 IN ({LIST})) SELECT * FROM c WHERE (a, b) IN (($1, $2)) AND c IN ($1)",
        f"SELECT a FROM t WHERE a IN ({LIST.replace(', ', ',')}) AND b = $$IN ($1, $2)$$",
    ],
)
def test_a_list_of_an_in(sql: str) -> None:
    query, slow = _query(sql), _query(sql.replace(LIST, SLOWLY).replace(LIST.replace(", ", ","), SLOWLY))
    assert slow.short is slow.tree
    assert query.tree == slow.tree
    assert query.parameters == slow.parameters
    assert query.text == sql
    assert {numbers_of(each) for each in query.short.find_all(exp.In)} & {tuple(NUMBERS), (*NUMBERS, 7)}
    assert len(list(query.short.find_all(exp.Parameter))) < LONG


@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT '({LIST})' AS a, $1 AS b",
        f"SELECT 1 /* IN ({LIST}) */ AS a",
        f"SELECT 1 -- IN ({LIST})\n AS a",
        f"SELECT $x$ IN ({LIST}) $x$ AS a",
        f'SELECT 1 AS "IN ({LIST})"',
        f"VALUES ({LIST})",
        f"SELECT concat({LIST})",
        f"SELECT coalesce({LIST})",
        f"SELECT ROW({LIST})",
        f"SELECT 1 WHERE (1, 2) = ANY (VALUES ({LIST}))",
        f"SELECT a FROM t WHERE a IN ({LIST}) AND b = '({LIST})'",
    ],
)
def test_what_only_looks_like_one(sql: str) -> None:
    query = _query(sql)
    assert query.short is query.tree
    assert query.text == sql
    slow = _query(sql.replace(f"({LIST})", f"({SLOWLY})"))
    assert query.parameters == slow.parameters
    if "'" not in sql and '"' not in sql and "$x$" not in sql:
        assert query.tree == slow.tree


def test_several_statements_and_those_around_a_query() -> None:
    one = f"SELECT a FROM t WHERE a IN ({LIST})"
    first, empty, second = statements(f"{one}; COMMIT; {one} AND b IN ({LIST})")
    assert isinstance(first, Query)
    assert isinstance(second, Query)
    assert not isinstance(empty, Query)
    assert [len(list(each.tree.find_all(exp.Parameter))) for each in (first, second)] == [149, 298]
    (copy,) = statements(f"COPY ({one}) TO STDOUT")
    (declare,) = statements(f"DECLARE c CURSOR FOR {one}")
    assert isinstance(copy, Copy)
    assert isinstance(declare, Declare)
    for each in (copy.query, declare.query):
        assert isinstance(each, Query)
        assert each.tree == first.tree
    assert statements(one, duckdb=True)[0].tree.find(exp.In).expressions  # type: ignore[union-attr]
