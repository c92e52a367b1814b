"""Parquet and Arrow: types, several files of one table, damage."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from adapters import errors
from adapters.duck import Duck
from adapters.files import FilesAdapter
from tests.adapters.files.helpers import (
    main,
    rows,
    scan,
    write_arrow,
    write_parquet,
    write_stream,
)

TYPED = pa.table(
    {
        "u8": pa.array([255, None], pa.uint8()),
        "f": pa.array([float("inf"), -0.0], pa.float32()),
        "d": pa.array([decimal.Decimal("-1.10"), None], pa.decimal128(20, 2)),
        "s": pa.array(["", None]),
        "b": pa.array([b"\x00", None]),
        "ts": pa.array([dt.datetime(1, 1, 1), None], pa.timestamp("us")),
        "tz": pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("us", "UTC")),
        "ns": pa.array([1, None], pa.timestamp("ns")),
        "t": pa.array([dt.time(1, 2, 3), None], pa.time64("us")),
        "e": pa.array(["x", "y"]).dictionary_encode(),
        "l": pa.array([[1, None], None], pa.list_(pa.int32())),
        "st": pa.array([{"a": True}, None], pa.struct([("a", pa.bool_())])),
        "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    }
)


def test_parquet_types(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    write_parquet(TYPED, folder / "t.parquet")
    assert rows(files("t.parquet"), "t") == TYPED.to_pylist()


def test_arrow_types(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    write_arrow(TYPED, folder / "t.arrow")
    write_stream(TYPED, folder / "s.arrow")
    adapter = files("")
    for name in "ts":
        read = scan(adapter, name)
        assert read.to_pylist() == TYPED.to_pylist()
        assert read.schema.field("e").type == pa.string()


def test_types_that_the_planner_does_not_see_are_cast_where_they_are_read(tmp_path: Path) -> None:
    source = pa.table({"i": [1, 2]})
    pq.write_table(source, tmp_path / "t.parquet")
    duck = Duck([f"{tmp_path}/"])
    sql = f"COPY (SELECT '12:00:00+01'::TIMETZ AS z, 'b'::ENUM ('b', 'a') AS e, 1 AS i) TO '{tmp_path}/e.parquet'"
    duck.cursor().execute(sql).fetchall()
    duck.close()
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/*.parquet"})
    assert {c.name: c.type for c in adapter.get_table(main("e")).columns} == {
        "z": pa.string(),
        "e": pa.string(),
        "i": pa.int32(),
    }
    (row,) = rows(adapter, "e")
    assert row["e"] == "b" and row["i"] == 1
    assert adapter.local_sql(main("t")) == f"READ_PARQUET(['{tmp_path}/t.parquet'], hive_partitioning = FALSE)" or (
        adapter.local_sql(main("t")) == f"read_parquet(['{tmp_path}/t.parquet'], hive_partitioning = FALSE)"
    )
    adapter.close()


def test_parquet_files_are_united_by_name(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    write_parquet(pa.table({"a": [1], "b": ["x"]}), tmp_path / "t" / "0.parquet")
    write_parquet(pa.table({"c": [2.5], "a": pa.array([2**40], pa.int64())}), tmp_path / "t" / "1.parquet")
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/t/**/*.parquet"})
    assert rows(adapter, "t") == [{"a": 1, "b": "x", "c": None}, {"a": 2**40, "b": None, "c": 2.5}]
    adapter.close()


def test_arrow_files_of_one_table_must_be_alike(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    write_arrow(pa.table({"a": [1]}), tmp_path / "t" / "0.arrow")
    write_arrow(pa.table({"a": [2]}), tmp_path / "t" / "1.arrow")
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/t/**"})
    assert sorted(scan(adapter, "t").to_pydict()["a"]) == [1, 2]
    write_arrow(pa.table({"a": ["x"]}), tmp_path / "t" / "1.arrow")
    with pytest.raises(errors.DataError, match=r"1\.arrow"):
        adapter.get_table(main("t"))


@pytest.mark.parametrize("damage", ["empty", "garbage", "cut", "middle"])
@pytest.mark.parametrize("write", [write_parquet, write_arrow, write_stream])
def test_a_damaged_file_is_an_error_that_names_it(
    folder: Path, files: Callable[..., FilesAdapter], damage: str, write: Callable[[pa.Table, Path], None]
) -> None:
    ending = "parquet" if write is write_parquet else "arrow"
    path = folder / f"t.{ending}"
    write(pa.table({"a": range(20_000), "s": [str(n) for n in range(20_000)]}), path)
    whole = path.read_bytes()
    half = len(whole) // 2
    damaged = {
        "empty": b"",
        "garbage": b"nothing of the kind" * 10,
        "cut": whole[:half],
        "middle": whole[:half] + b"\xff" * 400 + whole[half + 400 :],
    }
    path.write_bytes(damaged[damage])
    if damage == "middle" and write is not write_parquet:
        return  # uncompressed buffers without a checksum: any bytes are values
    with pytest.raises(errors.DataError, match=rf"t\.{ending}") as caught:
        scan(files(f"t.{ending}"), "t")
    assert caught.value.source == "files"
