"""What PostgreSQL expects of a query and knows of a table: EXPLAIN without ANALYZE, pg_class and pg_stats."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from sqlglot import exp

from adapters.base import ColumnStatistics, Estimate, Table, TableStatistics
from adapters.postgres_schema import quoted
from adapters.statistics import extremes, merged

# A table stands for itself and all that inherits from it, partitions above all.
_TREE = """
WITH RECURSIVE tree (oid) AS (
  SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = {schema} AND c.relname = {name} AND c.relkind IN ('r', 'p', 'm', 'f')
  UNION
  SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid
)"""

_COLUMNS = """(SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', s.attname, 'distinct', s.n_distinct, 'nulls', s.null_frac, 'width', s.avg_width,
      'common', (SELECT pg_catalog.sum(f) FROM pg_catalog.unnest(s.most_common_freqs) f),
      'values', CASE WHEN t.typcategory IN ('N', 'D') THEN s.most_common_vals::text::text[] END,
      'bounds', CASE WHEN t.typcategory IN ('N', 'D') THEN s.histogram_bounds::text::text[] END))
    FROM pg_catalog.pg_stats s
    JOIN pg_catalog.pg_attribute a ON a.attrelid = {oid} AND a.attname = s.attname
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE s.schemaname = {schema} AND s.tablename = {name} AND s.inherited = {inherited})"""

# Rows are counted as the planner of PostgreSQL does: the density at the last ANALYZE, or else that of rows of usual
# width, times the pages of today.
_STATISTICS = (
    _TREE
    + """, member AS (
  SELECT c.oid, c.relkind, c.reltuples::float8 AS tuples, c.relpages,
    pg_catalog.current_setting('block_size')::float8 AS block,
    CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) END AS size,
    CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid) END AS whole
  FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid
  WHERE c.relkind <> 'p'
), counted AS (
  SELECT whole, CASE
    WHEN size = 0 THEN 0
    WHEN tuples >= 0 AND relpages > 0 AND relkind <> 'f' THEN tuples / relpages * (size / block)
    WHEN relkind = 'f' THEN CASE WHEN tuples > 0 THEN tuples END
    ELSE size / block * (block - 24) / (28 + (
      SELECT coalesce(pg_catalog.sum(CASE WHEN attlen > 0 THEN attlen ELSE 32 END), 0)
      FROM pg_catalog.pg_attribute WHERE attrelid = oid AND attnum > 0 AND NOT attisdropped))
    END AS rows
  FROM member
)
SELECT pg_catalog.json_build_object(
  'rows', (SELECT CASE WHEN pg_catalog.bool_and(rows IS NOT NULL) THEN pg_catalog.sum(rows) END FROM counted),
  'bytes', (SELECT CASE WHEN pg_catalog.bool_and(whole IS NOT NULL) THEN pg_catalog.sum(whole) END FROM counted),
  'members', (SELECT pg_catalog.count(*) FROM tree),
  'columns', {columns})::text
"""
)

# Partitions are analyzed by themselves, a partitioned table only when somebody asks for it.
_MEMBERS = (
    _TREE
    + """
SELECT pg_catalog.json_agg(pg_catalog.json_build_object('rows', m.reltuples, 'columns', {columns}))::text
FROM (
  SELECT c.oid, n.nspname, c.relname, c.reltuples
  FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind <> 'p' AND c.reltuples > 0 ORDER BY c.reltuples DESC LIMIT {most}
) m
"""
)
_MOST_MEMBERS = 100  # the largest; the others are taken for alike
_ALL = 0.99999  # of the rows, in floats of four bytes
_COMPUTING = 8.0


def explain_sql(query: exp.Query) -> str:
    return f"EXPLAIN (FORMAT JSON) {query.sql('postgres')}"


def parse_estimate(text: str) -> Estimate:
    plan = json.loads(text)[0]["Plan"]
    return Estimate(
        rows=float(plan["Plan Rows"]),
        bytes=float(plan["Plan Rows"]) * plan["Plan Width"],
        cost=_weighed(plan),
    )


def uses_index(text: str) -> bool:
    """Whether the plan of a query over one table looks its rows up."""
    node = json.loads(text)[0]["Plan"]
    while node.get("Plans"):
        node = node["Plans"][0]
    return bool(node["Node Type"].startswith(("Index", "Bitmap")))


def _weighed(node: dict[str, Any], processes: int = 1) -> float:
    """The cost of a node and what is below, a unit of it taking the same time everywhere.

    PostgreSQL's own units are those of pages. On TPC-H with everything in memory, one that is spent on hashing, sorting
    and grouping takes eight times as long as one of a scan, to within a factor of two. What a nested loop costs is its
    inner input, again and again. Of parallel `processes`, each builds the hash table that they do not build together.
    """
    inputs = node.get("Plans", ())
    below = sum(each["Total Cost"] for each in inputs)
    kind = node["Node Type"]
    weight = 1.0 if kind.endswith(("Scan", "Gather", "Gather Merge")) else _COMPUTING
    inner = [each for each in inputs if each.get("Parent Relationship") == "Inner"]
    if kind == "Nested Loop" and inner and inner[0]["Total Cost"]:
        weight = _weighed(inner[0]) / inner[0]["Total Cost"]
    processes = node["Workers Planned"] + 1 if kind.startswith("Gather") else processes
    cost = max(0.0, node["Total Cost"] - below) * weight
    for each in inputs:
        whole = kind in ("Hash Join", "Merge Join") and each in inner and not _divided(each)
        cost += processes * _weighed(each) if whole else _weighed(each, processes)
    cut = kind == "Limit" and below > 0  # it does not wait for all of its input
    return float(cost * node["Total Cost"] / below if cut else cost)


def _divided(node: dict[str, Any]) -> bool:
    return bool(node.get("Parallel Aware")) or any(map(_divided, node.get("Plans", ())))


def read_statistics(ask: Callable[[str], str | None], table: Table) -> TableStatistics:
    """`ask` gives the one value of a statement. Of a view nothing is known."""
    schema, name = quoted(table.name.schema), quoted(table.name.name)
    root, inherited = "(SELECT oid FROM tree LIMIT 1)", "((SELECT pg_catalog.count(*) FROM tree) > 1)"
    columns = _COLUMNS.format(oid=root, schema=schema, name=name, inherited=inherited)
    found: dict[str, Any] = json.loads(ask(_STATISTICS.format(schema=schema, name=name, columns=columns)) or "{}")
    rows = found["rows"]
    parts = [(rows or 0, _columns(table, found["columns"], rows))]
    if found["members"] > 1 and not found["columns"]:
        columns = _COLUMNS.format(oid="m.oid", schema="m.nspname", name="m.relname", inherited="false")
        members = ask(_MEMBERS.format(schema=schema, name=name, columns=columns, most=_MOST_MEMBERS))
        parts = [(each["rows"], _columns(table, each["columns"], each["rows"])) for each in json.loads(members or "[]")]
    return TableStatistics(rows, found["bytes"], merged(parts))


def _columns(
    table: Table, found: Sequence[Mapping[str, Any]] | None, rows: float | None
) -> dict[str, ColumnStatistics]:
    types = {column.name: column.type for column in table.columns}
    return {each["name"]: _column(each, types[each["name"]], rows) for each in found or [] if each["name"] in types}


def _column(found: Mapping[str, Any], type_: pa.DataType, rows: float | None) -> ColumnStatistics:
    distinct = found["distinct"]
    if distinct < 0:  # a fraction of the rows
        distinct = -distinct * rows if rows is not None else None
    values, bounds = found["values"] or [], found["bounds"] or []
    # Without a histogram the common values are all there are, or nothing is known of the rest.
    known = bounds or (found["common"] or 0) + found["nulls"] > _ALL
    minimum, maximum = extremes([*values, *bounds[:1], *bounds[-1:]], type_) if known else (None, None)
    return ColumnStatistics(distinct or None, found["nulls"], minimum, maximum, found["width"])
