"""A native query of SQLite: the columns of its result from a temporary view, which reads nothing.

A view can only be made of one query. It has the declared types of the columns that the query takes from tables, and
those that a CAST gives; of other expressions SQLite knows no type, and values of any may come.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.base import Collation, Column
from adapters.errors import DuplicateColumn, IndeterminateType, NotSupportedError, ProgrammingError, SQLSyntaxError
from adapters.sql.native import NAME_APART, ONLY_QUERIES, check_names
from adapters.sqlite_schema import Rows
from adapters.sqlite_types import arrow_type

_VIEW = "a native query"
_QUOTED_OR_COMMENT = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?(?:\*/|\Z)""", re.DOTALL
)
_WORD = re.compile(r"\s*(\w*)")
_QUERIES = frozenset({"SELECT", "WITH", "VALUES"})
_RENAMED = re.compile(r"(.*):\d+", re.DOTALL)  # how a view tells apart what its query does not


def native_columns(rows: Rows, sql: str, refused: type[Exception], source: str) -> tuple[Column, ...]:
    """Raises what `SupportsNativeQuery.describe_native` does. `rows` raises `refused` for what SQLite cannot
    prepare."""
    bare = _QUOTED_OR_COMMENT.sub(" ", sql)
    if ";" in bare:  # before it is sent: the driver may run them one after the other
        raise SQLSyntaxError("the native query is more than one statement", hint=ONLY_QUERIES, source=source)
    word = _WORD.match(bare)
    if word is None or word[1].upper() not in _QUERIES:
        raise NotSupportedError("the native query is no query", hint=ONLY_QUERIES, source=source)
    try:
        rows(f'CREATE TEMP VIEW "{_VIEW}" AS\n{sql}')
    except refused as exc:
        raise _refusal(SQLSyntaxError, exc, rows, source) from exc
    try:
        found = rows(f"SELECT name, type FROM pragma_table_xinfo('{_VIEW}', 'temp') ORDER BY cid")
    except refused as exc:
        raise _refusal(ProgrammingError, exc, rows, source) from exc
    finally:
        rows(f'DROP VIEW temp."{_VIEW}"')
    _check(found, source)
    return tuple(
        Column(column, arrow_type(declared), source_type=declared, collation=Collation.UNKNOWN, dynamic=True)
        for column, declared in found
    )


def _check(found: Sequence[tuple[str, str]], source: str) -> None:
    names = [column for column, _ in found]
    check_names(names, source)
    for name in names:
        renamed = _RENAMED.fullmatch(name)
        if renamed and renamed[1].lower() in (each.lower() for each in names):
            raise DuplicateColumn(
                f'several columns are called "{renamed[1]}" in the native query', hint=NAME_APART, source=source
            )
    unknown = next((column for column, declared in found if not declared), None)
    if unknown is not None:
        raise IndeterminateType(
            f'SQLite knows no type of "{unknown}" in the native query',
            hint="write CAST(expression AS INTEGER), REAL, TEXT, NUMERIC or BLOB in its text",
            source=source,
        )


def _refusal(kind: type[ProgrammingError], exc: Exception, rows: Rows, source: str) -> ProgrammingError:
    """In SQLite's words; unless the file cannot be read at all, which `rows` then says."""
    rows("SELECT count(*) FROM sqlite_schema")
    return kind(f"SQLite refuses the native query: {str(exc).partition(chr(10))[0]}", source=source)
