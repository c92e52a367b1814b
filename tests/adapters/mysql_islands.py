"""Islands written as MySQL text, for the tests of that adapter."""

from __future__ import annotations

import pyarrow as pa
import sqlglot
from sqlglot import exp

from adapters.base import CancelToken, Partition
from adapters.mysql import MySQLAdapter


def query(text: str, **types: pa.DataType) -> tuple[exp.Query, pa.Schema]:
    tree = sqlglot.parse_one(text, dialect="mysql")
    assert isinstance(tree, exp.Query)
    return tree, pa.schema(types)


def island(adapter: MySQLAdapter, text: str, **types: pa.DataType) -> Partition:
    scan = adapter.plan_query(*query(text, **types))
    assert scan is not None
    return scan.partitions[0]


def read(adapter: MySQLAdapter, text: str, cancel: CancelToken | None = None, **types: pa.DataType) -> pa.Table:
    return adapter.read(island(adapter, text, **types), cancel or CancelToken()).read_all()
