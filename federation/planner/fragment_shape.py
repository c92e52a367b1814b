"""A fragment without its constants: equal for fragments that differ in these alone, and nothing secret for people."""

from __future__ import annotations

from sqlglot import exp

from adapters.base import SupportsQuery
from federation.planner.nodes import Fragment, RemoteQuery, TableScan

MOST_CHARACTERS = 1_000
_CONSTANTS = (
    exp.Literal,
    exp.HexString,
    exp.BitString,
    exp.ByteString,
    exp.RawString,
    exp.National,
    exp.UnicodeString,
)


def without_constants(query: exp.Query, dialect: str | None = None) -> str:
    """The query with a `?` in the place of each, and one for all that are members of a list."""
    query = query.copy()
    for test in query.find_all(exp.In):
        if test.expressions and all(isinstance(each, _CONSTANTS) for each in test.expressions):
            test.set("expressions", [exp.Placeholder()])
    for each in list(query.find_all(*_CONSTANTS)):
        each.replace(exp.Placeholder())
    return query.sql(dialect)


def shape(fragment: Fragment) -> str:
    """What tells fragments apart that are not alike, but for runtime filters."""
    if isinstance(fragment, TableScan):
        tests = ", ".join(sorted(f"{each.column} {each.op}" for each in fragment.predicates))
        return f"{fragment.table} {fragment.columns} {tests}"
    assert isinstance(fragment, RemoteQuery)
    return without_constants(fragment.translated.query)


def shown(fragment: Fragment) -> str:
    """What is asked of the source, for people: a query, cut where it is long."""
    if isinstance(fragment, RemoteQuery):
        adapter = fragment.source.adapter
        text = without_constants(fragment.asked, adapter.dialect.name if isinstance(adapter, SupportsQuery) else None)
    else:
        assert isinstance(fragment, TableScan)
        request = fragment.request
        tests = " AND ".join(f"{each.column} {each.op}{' ?' if each.values else ''}" for each in request.predicates)
        text = f"SELECT {', '.join(request.columns)} FROM {request.table.schema}.{request.table.name}"
        text += f" WHERE {tests}" if tests else ""
        text += " LIMIT ?" if request.limit is not None else ""
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
