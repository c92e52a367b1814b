"""Which files make which table."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pytest

from adapters import errors
from adapters.base import SupportsLocalScan, TableName
from adapters.files import FilesAdapter
from tests.adapters.files.helpers import (
    columns,
    csv,
    main,
    names,
    rows,
    scan,
    write_arrow,
    write_parquet,
)


def test_a_table_per_file_by_its_stem(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    csv(folder, "i\n1\n", "a.csv")
    csv(folder, "i\n1\n", "b [1].tsv")
    csv(folder, gzip.compress(b"i\n5\n"), "zipped.csv.gz")
    (folder / "c.json").write_text('[{"i": 1}]')
    (folder / "d.jsonl").write_text('{"i": 1}\n')
    write_parquet(pa.table({"i": [1]}), folder / "e.parquet")
    write_arrow(pa.table({"i": [1]}), folder / "f.arrow")
    (folder / "README.md").write_text("no table")
    (folder / ".hidden.csv").write_text("i\n1\n")
    (folder / "below").mkdir()
    csv(folder / "below", "i\n1\n")
    adapter = files("")
    assert sorted(names(adapter)) == ["a", "b [1]", "c", "d", "e", "f", "zipped"]
    for name in ("a", "b [1]", "c", "d", "e"):
        assert rows(adapter, name) == [{"i": 1}]
    assert rows(adapter, "zipped") == [{"i": 5}]
    assert scan(adapter, "f").to_pylist() == [{"i": 1}]
    assert isinstance(adapter, SupportsLocalScan)
    assert adapter.local_sql(main("f")) is None
    assert adapter.local_paths() == (f"{folder}/",)


def test_several_patterns_and_equal_stems(tmp_path: Path) -> None:
    csv(tmp_path, "i\n1\n", "a.csv")
    (tmp_path / "a.json").write_text('[{"i": 2}]')
    csv(tmp_path, "i\n3\n", "b.csv")
    adapter = FilesAdapter("files", {"path": [f"{tmp_path}/a.*", f"{tmp_path}/b.csv", f"{tmp_path}/*.csv"]})
    assert sorted(names(adapter)) == ["a.csv", "a.json", "b"]
    assert rows(adapter, "a.json") == [{"i": 2}]
    with pytest.raises(errors.TableNotFound) as caught:
        adapter.get_table(main("a"))
    assert '"a.csv", "a.json"' in (caught.value.hint or "")
    adapter.close()


def test_hive_directories_are_one_table(tmp_path: Path) -> None:
    for year, month, value in ((2023, "01", 1), (2024, "02", 2), (2024, "11", 3)):
        below = tmp_path / "orders" / f"year={year}" / f"month={month}"
        below.mkdir(parents=True)
        write_parquet(pa.table({"i": [value]}), below / "part-0.parquet")
    for pattern in ("orders/**/*.parquet", "orders/*/*/*.parquet", "orders/year=*/month=*/*.parquet"):
        adapter = FilesAdapter("files", {"path": str(tmp_path / pattern)})
        assert names(adapter) == ["orders"]
        assert columns(adapter, "orders") == {"i": "BIGINT", "month": "VARCHAR", "year": "BIGINT"}
        assert rows(adapter, "orders") == [
            {"i": 1, "month": "01", "year": 2023},
            {"i": 2, "month": "02", "year": 2024},
            {"i": 3, "month": "11", "year": 2024},
        ]
        adapter.close()
    adapter = FilesAdapter("files", {"path": str(tmp_path / "orders/year=2024/**/*.parquet")})
    assert [row["i"] for row in rows(adapter, "orders")] == [2, 3]
    adapter.close()


def test_hive_null_partition_and_csv(tmp_path: Path) -> None:
    for key, value in (("__HIVE_DEFAULT_PARTITION__", "1"), ("a%20b", "2")):
        below = tmp_path / "t" / f"k={key}"
        below.mkdir(parents=True)
        csv(below, f"i\n{value}\n")
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/t/**/*.csv"})
    assert sorted(rows(adapter, "t"), key=lambda r: r["i"]) == [{"i": 1, "k": None}, {"i": 2, "k": "a b"}]
    adapter.close()


def test_files_in_unlike_directories_are_no_table(tmp_path: Path) -> None:
    for below in ("t", "t/k=1"):
        (tmp_path / below).mkdir(parents=True)
        csv(tmp_path / below, "i\n1\n")
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/t/**/*.csv"})
    with pytest.raises(errors.CatalogError, match="key=value"):
        adapter.list_tables()


def test_plain_directories_stay_a_table_per_file_unless_recursive(tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / "d" / name).mkdir(parents=True)
        csv(tmp_path / "d" / name, f"i\n{len(name)}\n", f"{name}.csv")
    assert sorted(names(FilesAdapter("files", {"path": f"{tmp_path}/d/*/*.csv"}))) == ["x", "y"]
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/d/**/*.csv"})
    assert names(adapter) == ["d"]
    assert rows(adapter, "d") == [{"i": 1}, {"i": 1}]
    adapter.close()


def test_declared_tables(tmp_path: Path) -> None:
    for number in range(3):
        csv(tmp_path, f"i;s\n{number};x,{number}\n", f"part{number}.txt")
    tables = {
        "parts": {"path": "part*.txt", "format": "csv", "csv": {"delim": ";"}, "types": {"I": "SMALLINT"}},
        "absolute": str(tmp_path / "part0.txt"),
        "none": "nothing*.csv",
    }
    adapter = FilesAdapter("files", {"path": str(tmp_path), "tables": tables})
    assert names(adapter) == ["parts", "absolute", "none"]
    assert columns(adapter, "parts") == {"i": "SMALLINT", "s": "VARCHAR"}
    assert rows(adapter, "parts") == [{"i": n, "s": f"x,{n}"} for n in range(3)]
    with pytest.raises(errors.CatalogError, match="format"):
        adapter.get_table(main("absolute"))
    with pytest.raises(errors.SourceUnavailable, match="nothing"):
        adapter.get_table(main("none"))
    adapter.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "path or tables"),
        ({"path": 5}, "path must be"),
        ({"path": ""}, "path must be"),
        ({"tables": {"t": "relative.csv"}}, "relative"),
        ({"tables": {"t": {"path": "/a.csv", "nope": 1}}}, "nope"),
        ({"path": "/a.csv", "csv": {"delimm": ";"}}, "delimm"),
        ({"path": "/a.csv", "csv": {"ignore_errors": True}}, "ignore_errors"),
        ({"path": "/a.csv", "json": {"nope": 1}}, "nope"),
        ({"path": "/a.csv", "format": "xml"}, "xml"),
    ],
)
def test_wrong_options(options: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.CatalogError, match=words) as caught:
        FilesAdapter("files", options)
    assert caught.value.source == "files"


def test_no_file_at_all_is_a_clear_error(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    for path in ("*.parquet", "nowhere/*.csv", "gone.csv", ""):
        with pytest.raises(errors.SourceUnavailable, match="no file matches") as caught:
            files(path).list_tables()
        assert caught.value.hint and caught.value.source == "files"
    csv(folder, "i\n1\n")
    with pytest.raises(errors.TableNotFound):
        files("").get_table(TableName("other", "t"))
