"""A query in the source's own words as a relation: the text stays as it is, in parentheses."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from adapters.errors import DuplicateColumn, NotSupportedError
from adapters.sql.expressions import quoted_column

_ALIAS = "q"
#: what can stand in parentheses, as every one of these dialects has it
ONLY_QUERIES = "only one query goes there (SELECT, WITH or VALUES), without a semicolon inside"

NAME_APART = "name them apart in its text: expression AS name"


def relation_of(sql: str, names: Sequence[str]) -> exp.Select:
    """`SELECT q.name, … FROM (sql) AS q`. Lines of their own, for the text may end in a comment. That the text stands
    alone as one statement has to be known before: then no parenthesis of it closes ours."""
    text = exp.Subquery(
        this=exp.Var(this=f"\n{sql}\n"),
        alias=exp.TableAlias(this=exp.to_identifier(_ALIAS, quoted=True)),
    )
    columns: list[exp.Expr] = [quoted_column(name, _ALIAS) for name in names]
    return exp.select(*(columns or [exp.alias_(exp.Literal.number(1), "one")]), copy=False).from_(text, copy=False)


def check_names(names: Sequence[str], source: str) -> None:
    """Raises unless there are columns, each with a name of its own, as DuckDB tells names apart."""
    if not names:
        raise NotSupportedError("the native query returns no columns", hint=ONLY_QUERIES, source=source)
    folded = [name.lower() for name in names]
    twice = next((name for name in names if not name or folded.count(name.lower()) > 1), None)
    if twice is not None:
        said = f'several columns are called "{twice}"' if twice else "a column has no name"
        raise DuplicateColumn(f"{said} in the native query", hint=NAME_APART, source=source)
