"""`$` opens a parameter or a dollar-quoted text, with or without spaces around it, in both dialects."""

from __future__ import annotations

import pytest

from adapters.errors import SQLSyntaxError
from federation.parse import parse
from federation.pgwire.dialect.read import statements
from federation.pgwire.dialect.statements import Query

SAME = [
    ("SELECT f($1,$2)", "SELECT F($1, $2)"),
    ("SELECT $1,$2||$1,$2", "SELECT $1, $2 || $1, $2"),
    ("SELECT 1 WHERE 1 IN ($1,$2,$3)", "SELECT 1 WHERE 1 IN ($1, $2, $3)"),
    ("SELECT $1::text||'$'||$2", "SELECT CAST($1 AS TEXT) || '$' || $2"),
    ("SELECT '$1,$2', $1 AS \"a $1,$2\"", "SELECT '$1,$2', $1 AS \"a $1,$2\""),
    ("SELECT $1 /* of $1,$2 */", "SELECT $1 /* of $1,$2 */"),
    ("SELECT $$a $1,$2$$, $1,$a$$1$2$a$", "SELECT 'a $1,$2', $1, '$1$2'"),
    ("SELECT $a$1$a$,$$1$$,$1", "SELECT '1', '1', $1"),
    ("SELECT E'\\$1'", "SELECT e'$1'"),
    ("SELECT a$1", "SELECT a$1"),
]


@pytest.mark.parametrize(("sql", "meant"), SAME)
def test_both_dialects(sql: str, meant: str) -> None:
    (statement,) = statements(sql)
    assert isinstance(statement, Query)
    assert statement.tree.sql("postgres") == meant
    assert parse(sql).sql("duckdb") == meant


def test_names() -> None:
    assert parse("SELECT f($a,$b)||$c,$a").sql("duckdb") == "SELECT F($a, $b) || $c, $a"


@pytest.mark.parametrize("sql", ["SELECT '$1,$2", "SELECT $a$ $1,$2"])
def test_what_does_not_end(sql: str) -> None:
    with pytest.raises(SQLSyntaxError, match="cannot be read"):
        parse(sql)
    with pytest.raises(SQLSyntaxError, match="cannot be read"):
        statements(sql)
