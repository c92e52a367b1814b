"""What plain DuckDB answers to a scan request, and how to ask an adapter the same as the planner would."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

import duckdb
import pyarrow as pa
from sqlglot import exp

from adapters.base import Adapter, CancelToken, Predicate, Scan, ScanRequest


def rows_of(table: pa.Table) -> list[str]:
    """The rows as text in one fixed order: equal for NaN, different for 0.0 and -0.0."""
    if not table.num_columns:
        return ["()"] * table.num_rows
    return sorted(repr(row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True))


@functools.cache
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def plain_connection() -> duckdb.DuckDBPyConnection:
    """A connection to what all tests share, because a database takes 20 ms to open: register there, create nothing.
    What is registered and set is its own."""
    return _database().cursor()


def filtered(data: pa.Table, predicates: Sequence[Predicate]) -> pa.Table:
    """What plain DuckDB keeps of `data`."""
    with plain_connection() as connection:
        connection.register("data", data)
        types = dict(zip(data.column_names, connection.sql("FROM data").types, strict=True))
        condition: exp.Expr = exp.true()
        for predicate in predicates:
            condition = exp.and_(condition, _condition(predicate, str(types[predicate.column])))
        query = exp.select("*").from_("data").where(condition).sql(dialect="duckdb")
        kept = connection.sql(query, params=[v for p in predicates for v in p.values])
        table: pa.Table = kept.to_arrow_table()
        return table.cast(data.schema)


def _condition(predicate: Predicate, kind: str) -> exp.Expr:
    column = exp.column(predicate.column, quoted=True)
    values = [exp.cast(exp.Placeholder(), kind, dialect="duckdb") for _ in predicate.values]
    match predicate.op:
        case "is null":
            return column.is_(exp.null())
        case "is not null":
            return exp.not_(column.is_(exp.null()))
        case "in":
            return column.isin(*values) if values else exp.false()
        case op:
            kinds = {"=": exp.EQ, "<>": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE}
            return kinds[op](this=column, expression=values[0])


def expected(data: pa.Table, request: ScanRequest) -> pa.Table:
    """The plain-DuckDB answer to a request without a limit."""
    return filtered(data, request.predicates).select(list(request.columns))


def read_all(adapter: Adapter, scan: Scan) -> pa.Table:
    """Every partition of a scan; checks that each batch has the promised schema. Closes the scan."""
    try:
        batches: list[pa.RecordBatch] = []
        for partition in scan.partitions:
            reader = adapter.read(partition, CancelToken())
            assert reader.schema.equals(scan.schema), (reader.schema, scan.schema)
            batches += list(reader)
        for batch in batches:
            assert batch.schema.equals(scan.schema), (batch.schema, scan.schema)
            batch.validate(full=True)
        return pa.Table.from_batches(batches, scan.schema)
    finally:
        scan.close()


def answer(adapter: Adapter, request: ScanRequest) -> pa.Table:
    """Ask as the planner does: the columns of the predicates come along, and what is residual is applied after."""
    needed = tuple(dict.fromkeys([*request.columns, *(p.column for p in request.predicates)]))
    scan = adapter.plan_scan(replace(request, columns=needed))
    assert set(scan.residual) <= set(request.predicates)
    rows = filtered(read_all(adapter, scan), scan.residual) if scan.residual else read_all(adapter, scan)
    if request.limit is not None:
        assert scan.residual or rows.num_rows <= request.limit, "a limit was taken and not kept"
        rows = rows.slice(0, request.limit)
    return rows.select(list(request.columns))


def run_bounded(task: Callable[[], object], seconds: float = 60) -> None:
    """Fail, rather than hang the suite, when `task` never ends."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            task()
        except BaseException as exc:
            failures.append(exc)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it never ended"
    if failures:
        raise failures[0]
