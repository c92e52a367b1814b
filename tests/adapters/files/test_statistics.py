"""What is known of files without reading them."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adapters.base import ColumnStatistics, SupportsEstimate, TableStatistics
from adapters.errors import Error, SourceUnavailable, TableNotFound
from adapters.files import FilesAdapter
from adapters.files_statistics import MOST_FILES
from tests.adapters.files.helpers import csv, main, write_arrow, write_parquet, write_stream

_DAY = datetime.date
_AT = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
ROWS = 1000
_COLUMNS = {
    "id": pa.array(range(ROWS), pa.int64()),
    "big": pa.array([2**63 + i for i in range(ROWS)], pa.uint64()),
    "day": pa.array([_DAY(2020, 1, 1) + datetime.timedelta(i) for i in range(ROWS)]),
    "at": pa.array([_AT + datetime.timedelta(microseconds=i) for i in range(ROWS)], pa.timestamp("us", "UTC")),
    "price": pa.array([Decimal(i) / 4 for i in range(ROWS)], pa.decimal128(10, 2)),
    "weight": pa.array([i / 2 if i % 4 else None for i in range(ROWS)], pa.float64()),
    "name": pa.array([f"name {i}" for i in range(ROWS)]),
    "flag": pa.array([i % 2 == 0 for i in range(ROWS)]),
    "empty": pa.array([None] * ROWS, pa.int32()),
    "nested": pa.array([[i] for i in range(ROWS)]),
}
TABLE = pa.table(_COLUMNS)
KNOWN = {
    "id": ColumnStatistics(None, 0, 0, 999),
    "big": ColumnStatistics(None, 0, 2**63, 2**63 + 999),
    "day": ColumnStatistics(None, 0, _DAY(2020, 1, 1), _DAY(2022, 9, 26)),
    "at": ColumnStatistics(None, 0, _AT, _AT + datetime.timedelta(microseconds=999)),
    "price": ColumnStatistics(None, 0, Decimal(0), Decimal("249.75")),
    "weight": ColumnStatistics(None, 0.25, 0.5, 499.5),
    "name": ColumnStatistics(None, 0),
    "flag": ColumnStatistics(None, 0),
    "empty": ColumnStatistics(None, 1),
}


def statistics(path: Path, table: str = "t") -> TableStatistics:
    adapter = FilesAdapter("files", {"path": str(path)})
    try:
        return adapter.statistics(main(table))
    finally:
        adapter.close()


# --- what cannot be known


def test_no_table(tmp_path: Path) -> None:
    write_parquet(TABLE, tmp_path / "t.parquet")
    with pytest.raises(TableNotFound) as caught:
        statistics(tmp_path, "no_such_table")
    assert caught.value.source == "files"


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"not a footer")
    with pytest.raises(Error) as caught:
        statistics(tmp_path)
    assert caught.value.source == "files"
    assert caught.value.sqlstate != "XX000"


def test_a_file_that_has_gone(tmp_path: Path) -> None:
    write_parquet(TABLE, tmp_path / "t.parquet")
    path = str(tmp_path / "t.parquet")
    adapter = FilesAdapter("files", {"tables": {"t": path}})
    adapter.statistics(main("t"))
    Path(path).unlink()
    with pytest.raises(SourceUnavailable):
        adapter.statistics(main("t"))
    adapter.close()


def test_files_have_no_optimizer(tmp_path: Path) -> None:
    assert not isinstance(FilesAdapter("files", {"path": str(tmp_path)}), SupportsEstimate)


def test_text_formats_have_a_size_only(tmp_path: Path) -> None:
    csv(tmp_path, "a,b\n1,2\n")
    assert statistics(tmp_path) == TableStatistics(bytes=8)


# --- Parquet


@pytest.mark.parametrize("group", [ROWS, 100, 7])
def test_a_footer_tells_everything(tmp_path: Path, group: int) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path, row_group_size=group)
    assert statistics(path) == TableStatistics(ROWS, path.stat().st_size, KNOWN)


def test_several_files_are_one_table(tmp_path: Path) -> None:
    for start in range(0, ROWS, 250):
        folder = tmp_path / "t" / f"part={start}"
        folder.mkdir(parents=True)
        write_parquet(TABLE.slice(start, 250), folder / "data.parquet")
    found = statistics(tmp_path / "t" / "**" / "*.parquet")
    assert found.rows == ROWS
    assert found.bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
    assert found.columns == KNOWN


def test_a_column_that_some_files_lack_is_null_there(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    write_parquet(TABLE.select(["id", "big"]), tmp_path / "t" / "1.parquet")
    write_parquet(TABLE.select(["id"]), tmp_path / "t" / "2.parquet")
    found = statistics(tmp_path / "t" / "**" / "*.parquet")
    assert found.rows == ROWS * 2
    assert found.columns["big"].null_fraction == 0.5
    assert found.columns["id"].null_fraction == 0


def test_many_files_are_taken_for_alike(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    for number in range(3 * MOST_FILES):
        write_parquet(TABLE.slice(number, 10), tmp_path / "t" / f"{number:03}.parquet")
    found = statistics(tmp_path / "t" / "**" / "*.parquet")
    assert found.rows == pytest.approx(30 * MOST_FILES, rel=0.02)
    assert found.bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))


def test_a_file_without_rows(tmp_path: Path) -> None:
    write_parquet(TABLE.slice(0, 0), tmp_path / "t.parquet")
    assert statistics(tmp_path).rows == 0


def test_footers_without_statistics(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet", write_statistics=False)
    found = statistics(tmp_path)
    assert found.rows == ROWS
    assert set(found.columns.values()) == {ColumnStatistics()}


def test_a_name_with_wildcards(tmp_path: Path) -> None:
    write_parquet(TABLE, tmp_path / "a[1]*.parquet")
    assert statistics(tmp_path / "a[1]*.parquet", "a[1]*").rows == ROWS


# --- Arrow


def test_an_arrow_file_counts_its_rows_and_a_stream_does_not(tmp_path: Path) -> None:
    write_arrow(TABLE, tmp_path / "t.arrow")
    write_stream(TABLE, tmp_path / "s.feather")
    assert statistics(tmp_path).rows == ROWS
    assert statistics(tmp_path, "s") == TableStatistics(bytes=(tmp_path / "s.feather").stat().st_size)
