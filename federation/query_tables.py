"""`system.queries` and `system.fragments`: what `/v1/queries` shows, as tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from adapters.errors import NotSupportedError
from catalog.catalog import Catalog
from catalog.policies import Rights
from federation.system import TIME, Asked, SystemTable, columns

if TYPE_CHECKING:
    from federation.http.models import QueryInfo

Queries: TypeAlias = "Callable[[], Iterable[QueryInfo]]"
QUERIES = columns(
    query_id=pa.string(),
    caller=pa.string(),
    state=pa.string(),
    sql=pa.string(),
    created=TIME,
    started=TIME,
    ended=TIME,
    seconds=pa.float64(),
    rows=pa.int64(),
    sqlstate=pa.string(),
    error=pa.string(),
)
FRAGMENTS = columns(
    query_id=pa.string(),
    number=pa.int64(),
    source=pa.string(),
    rows=pa.int64(),
    bytes=pa.int64(),
    done=pa.bool_(),
)


def query_tables(catalog: Catalog, queries: Queries) -> dict[str, SystemTable]:
    """Those of everybody are `queries`."""

    def shown(asked: Asked) -> Iterator[QueryInfo]:
        sees = Rights(catalog, asked.caller).sees_queries_of
        return (each for each in queries() if sees(each.user) and asked.wants(query_id=each.query_id))

    return {
        "queries": SystemTable(QUERIES, lambda asked: map(_row, shown(asked))),
        "fragments": SystemTable(FRAGMENTS, lambda asked: (row for each in shown(asked) for row in _fragments(each))),
    }


def no_queries() -> Iterable[QueryInfo]:
    """Of an engine outside of a server."""
    raise NotSupportedError("no list of queries is kept here", hint="a server keeps one: federation serve")


def _row(query: QueryInfo) -> Mapping[str, Any]:
    end = query.ended.timestamp() if query.ended is not None else time.time()
    error = query.error
    return {
        "query_id": query.query_id,
        "caller": query.user,
        "state": query.state,
        "sql": query.sql,
        "created": query.created,
        "started": query.started,
        "ended": query.ended,
        "seconds": end - (query.started or query.created).timestamp(),
        "rows": query.rows,
        "sqlstate": error.sqlstate if error is not None else None,
        "error": error.detail if error is not None else None,
    }


def _fragments(query: QueryInfo) -> Iterator[Mapping[str, Any]]:
    for number, each in enumerate(query.sources, 1):
        yield {"query_id": query.query_id, "number": number, **each.model_dump()}
