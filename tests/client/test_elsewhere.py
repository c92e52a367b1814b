"""pandas, polars and DuckDB over the connections."""

from __future__ import annotations

from typing import Any

import duckdb
import pandas
import polars
import pytest

from federation.dbapi import Connection


@pytest.mark.filterwarnings("ignore:pandas only supports SQLAlchemy")
def test_pandas_and_polars_read_in_parts(connection: Connection) -> None:
    sql = "SELECT id, amount FROM f.numbers WHERE id < 5000 ORDER BY id"
    parts = list(pandas.read_sql(sql, connection, chunksize=1000))
    assert [len(part) for part in parts] == [1000] * 5
    assert polars.read_database(sql, connection).height == 5000
    frames: Any = polars.read_database(sql, connection, iter_batches=True, batch_size=1000)
    assert sum(frame.height for frame in frames) == 5000


def test_duckdb_reads_the_arrow_results(connection: Connection) -> None:
    whole = connection.execute("SELECT * FROM f.numbers").fetch_arrow_table()
    reader = connection.execute("SELECT id FROM f.numbers WHERE id % 2 = 0").fetch_record_batch()
    found = duckdb.sql("SELECT count(*), sum(t.id) FROM whole AS t JOIN reader AS r ON t.id = r.id")
    assert found is not None and found.fetchall() == [(100_000, sum(range(0, 200_000, 2)))]
    assert whole.num_rows == 200_000
    del reader
