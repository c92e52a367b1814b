"""What files tell of themselves without being read: the footers of Parquet, the record counts of Arrow, the sizes of
the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pyarrow as pa
from sqlglot import exp

from adapters.base import ColumnStatistics, TableStatistics
from adapters.duck import Duck
from adapters.duck_types import as_pattern
from adapters.files_layout import FileTable
from adapters.statistics import extremes

MOST_FILES = 50  # are opened; the rest is taken for alike
# A row for each column: what all row groups say of it. One that says nothing leaves the extremes open, unless it holds
# NULLs only.
_FOOTERS = """
WITH m AS MATERIALIZED (
  SELECT file_name, row_group_id, path_in_schema AS name, row_group_num_rows AS n, stats_null_count AS nulls,
    CASE WHEN type <> 'BYTE_ARRAY' THEN coalesce(stats_min_value, stats_min) END AS low,
    CASE WHEN type <> 'BYTE_ARRAY' THEN coalesce(stats_max_value, stats_max) END AS high
  FROM parquet_metadata({files})
), total AS (SELECT sum(n)::DOUBLE AS rows FROM (SELECT DISTINCT file_name, row_group_id, n FROM m))
SELECT name, any_value(rows) AS rows,
  CASE WHEN count(nulls) = count(*) THEN (any_value(rows) - sum(n) + sum(nulls)) / any_value(rows) END AS missing,
  CASE WHEN bool_and(nulls = n OR (low IS NOT NULL AND high IS NOT NULL))
    THEN list_distinct(flatten([list(low), list(high)])) END AS ends
FROM m, total WHERE rows > 0 GROUP BY name
"""


def read_statistics(
    database: Callable[[], Duck], table: FileTable, schema: pa.Schema, sizes: Mapping[str, int]
) -> TableStatistics:
    """`sizes` are the bytes of each file, `schema` the columns as they arrive."""
    total = sum(sizes.values())
    paths = list(sizes)
    chosen = paths[:: -(-len(paths) // MOST_FILES)]
    share = total / sum(sizes[path] for path in chosen) if total else 1
    if table.format == "arrow":
        return TableStatistics(_arrow_rows(chosen, share), total)
    if table.format != "parquet":
        return TableStatistics(bytes=total)
    files = exp.convert([as_pattern(path) for path in chosen]).sql(dialect="duckdb")
    found = database().query(_FOOTERS.format(files=files)).read_all().to_pylist()
    columns = {
        row["name"]: _column(row, schema.field(row["name"]).type) for row in found if row["name"] in schema.names
    }
    return TableStatistics(found[0]["rows"] * share if found else 0, total, columns)


def _column(row: Mapping[str, Any], type_: pa.DataType) -> ColumnStatistics:
    ends = [text for text in row["ends"] or [] if text is not None]
    minimum, maximum = extremes(ends, type_)
    return ColumnStatistics(null_fraction=row["missing"], minimum=minimum, maximum=maximum)


def _arrow_rows(paths: Sequence[str], share: float) -> float | None:
    """None for a stream, which has no footer, and for a file that has gone."""
    rows = 0
    with suppress(pa.ArrowInvalid, OSError):
        for path in paths:
            with pa.memory_map(path) as source:
                file: Any = pa.ipc.open_file(source)
                rows += file.count_rows()
        return rows * share
    return None
