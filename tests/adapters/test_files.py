"""Files of every kind, as they lie on disks: the conformance suite over each format, then what each of them does."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from adapters import errors
from adapters.base import CancelToken, Partition, Predicate, ScanRequest, SupportsLocalScan, TableName
from adapters.duck import Duck
from adapters.files import FilesAdapter
from tests.adapters.conformance import NUMBERS, PEOPLE, AdapterConformance
from tests.adapters.oracle import read_all


def write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path)


def write_csv(table: pa.Table, path: Path) -> None:
    pyarrow.csv.write_csv(table, path)


def write_ndjson(table: pa.Table, path: Path) -> None:
    rows = (json.dumps(row, default=str, ensure_ascii=False) for row in table.to_pylist())
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def write_json(table: pa.Table, path: Path) -> None:
    path.write_text(json.dumps(table.to_pylist(), default=str), encoding="utf-8")


def write_arrow(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=4000)


def write_stream(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


class FilesConformance(AdapterConformance):
    ending: ClassVar[str]
    write: ClassVar[Callable[[pa.Table, Path], None]]

    @pytest.fixture
    def adapter(self, tmp_path: Path) -> Iterator[FilesAdapter]:
        type(self).write(PEOPLE, tmp_path / f"people{self.ending}")
        type(self).write(NUMBERS, tmp_path / f"numbers{self.ending}")
        types = {"id": "BIGINT", "score": "DOUBLE", "born": "DATE"}
        made = FilesAdapter("files", {"path": str(tmp_path / f"*{self.ending}"), "types": types})
        yield made
        made.close()

    @pytest.fixture
    def vanishing(self, tmp_path: Path) -> tuple[TableName, Callable[[], None]]:
        path = tmp_path / f"doomed{self.ending}"
        type(self).write(PEOPLE, path)
        return TableName("main", "doomed"), path.unlink


class TestParquet(FilesConformance):
    ending = ".parquet"
    write = staticmethod(write_parquet)


class TestCsv(FilesConformance):
    ending = ".csv"
    write = staticmethod(write_csv)


class TestNdjson(FilesConformance):
    ending = ".ndjson"
    write = staticmethod(write_ndjson)


class TestJson(FilesConformance):
    ending = ".json"
    write = staticmethod(write_json)


class TestArrow(FilesConformance):
    ending = ".arrow"
    write = staticmethod(write_arrow)


class TestArrowStream(FilesConformance):
    ending = ".feather"
    write = staticmethod(write_stream)


# --- helpers ----------------------------------------------------------------------------------------------------


def main(name: str) -> TableName:
    return TableName("main", name)


def names(adapter: FilesAdapter) -> list[str]:
    return [table.name for table in adapter.list_tables()]


def columns(adapter: FilesAdapter, table: str) -> dict[str, str]:
    return {column.name: column.source_type for column in adapter.get_table(main(table)).columns}


def scan(adapter: FilesAdapter, table: str) -> pa.Table:
    described = adapter.get_table(main(table))
    planned = adapter.plan_scan(ScanRequest(main(table), tuple(column.name for column in described.columns)))
    return read_all(adapter, planned)


def in_duckdb(adapter: FilesAdapter, table: str) -> pa.Table:
    """As the engine reads it: the table expression inside its own, locked-down DuckDB."""
    expression = adapter.local_sql(main(table))
    assert expression is not None
    duck = Duck(adapter.local_paths())
    try:
        return duck.run(duck.cursor(), f"SELECT * FROM {expression} AS t", {}).read_all()
    finally:
        duck.close()


def rows(adapter: FilesAdapter, table: str) -> list[dict[str, Any]]:
    """The rows, the same by both ways, in the types that the catalog was told."""
    by_scan, by_duckdb = scan(adapter, table), in_duckdb(adapter, table)
    described = adapter.get_table(main(table))
    for read in (by_scan, by_duckdb):
        assert [(f.name, f.type) for f in read.schema] == [(c.name, c.type) for c in described.columns]
    assert by_scan.to_pylist() == by_duckdb.to_pylist()
    listed: list[dict[str, Any]] = by_scan.to_pylist()
    return listed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A name that must be quoted for SQL and that DuckDB would take for a pattern."""
    inside = tmp_path / "it's [here]"
    inside.mkdir()
    return inside


@pytest.fixture
def files(folder: Path) -> Iterator[Callable[..., FilesAdapter]]:
    made: list[FilesAdapter] = []

    def make(path: str | list[str] | None = "", **options: Any) -> FilesAdapter:
        if path is not None:
            options["path"] = [str(folder / p) for p in path] if isinstance(path, list) else str(folder / path)
        made.append(FilesAdapter("files", options))
        return made[-1]

    yield make
    for adapter in made:
        adapter.close()


def csv(folder: Path, text: str | bytes, name: str = "t.csv") -> None:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


# --- which files make which table -------------------------------------------------------------------------------


def test_a_table_per_file_by_its_stem(folder: Path, files: Callable[..., FilesAdapter]):
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


def test_several_patterns_and_equal_stems(tmp_path: Path):
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


def test_hive_directories_are_one_table(tmp_path: Path):
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


def test_hive_null_partition_and_csv(tmp_path: Path):
    for key, value in (("__HIVE_DEFAULT_PARTITION__", "1"), ("a%20b", "2")):
        below = tmp_path / "t" / f"k={key}"
        below.mkdir(parents=True)
        csv(below, f"i\n{value}\n")
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/t/**/*.csv"})
    assert sorted(rows(adapter, "t"), key=lambda r: r["i"]) == [{"i": 1, "k": None}, {"i": 2, "k": "a b"}]
    adapter.close()


def test_files_in_unlike_directories_are_no_table(tmp_path: Path):
    for below in ("t", "t/k=1"):
        (tmp_path / below).mkdir(parents=True)
        csv(tmp_path / below, "i\n1\n")
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/t/**/*.csv"})
    with pytest.raises(errors.CatalogError, match="key=value"):
        adapter.list_tables()


def test_plain_directories_stay_a_table_per_file_unless_recursive(tmp_path: Path):
    for name in ("x", "y"):
        (tmp_path / "d" / name).mkdir(parents=True)
        csv(tmp_path / "d" / name, f"i\n{len(name)}\n", f"{name}.csv")
    assert sorted(names(FilesAdapter("files", {"path": f"{tmp_path}/d/*/*.csv"}))) == ["x", "y"]
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/d/**/*.csv"})
    assert names(adapter) == ["d"]
    assert rows(adapter, "d") == [{"i": 1}, {"i": 1}]
    adapter.close()


def test_declared_tables(tmp_path: Path):
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
def test_wrong_options(options: dict[str, Any], words: str):
    with pytest.raises(errors.CatalogError, match=words) as caught:
        FilesAdapter("files", options)
    assert caught.value.source == "files"


def test_no_file_at_all_is_a_clear_error(folder: Path, files: Callable[..., FilesAdapter]):
    for path in ("*.parquet", "nowhere/*.csv", "gone.csv", ""):
        with pytest.raises(errors.SourceUnavailable, match="no file matches") as caught:
            files(path).list_tables()
        assert caught.value.hint and caught.value.source == "files"
    csv(folder, "i\n1\n")
    with pytest.raises(errors.TableNotFound):
        files("").get_table(TableName("other", "t"))


# --- CSV --------------------------------------------------------------------------------------------------------


def test_csv_values(folder: Path, files: Callable[..., FilesAdapter]):
    csv(
        folder,
        "\ufeffid,name,amount,day,at,ok\r\n"
        '1,"a ""quoted"", one\r\nover lines",1.50,2024-02-29,2024-01-01 10:00:00,true\r\n'
        '2,"",,,,\r\n'
        "3,,2,,,false\r\n"
        "4,日本 🎉 é,3.25,1999-12-31,,\r\n",
    )
    adapter = files("t.csv", types={"amount": "DECIMAL(12,2)"})
    assert columns(adapter, "t") == {
        "id": "BIGINT",
        "name": "VARCHAR",
        "amount": "DECIMAL(12,2)",
        "day": "DATE",
        "at": "TIMESTAMP",
        "ok": "BOOLEAN",
    }
    read = rows(adapter, "t")
    assert [row["name"] for row in read] == ['a "quoted", one\r\nover lines', "", None, "日本 🎉 é"]
    assert [row["amount"] for row in read] == [
        decimal.Decimal("1.50"),
        None,
        decimal.Decimal("2.00"),
        decimal.Decimal("3.25"),
    ]
    assert read[0]["day"] == dt.date(2024, 2, 29) and read[0]["at"] == dt.datetime(2024, 1, 1, 10)
    assert [row["ok"] for row in read] == [True, None, False, None]


def test_csv_options(folder: Path, files: Callable[..., FilesAdapter]):
    csv(folder, "1|'a|b'|-\n2|NULL|5,5\n")
    options = {"delim": "|", "header": False, "quote": "'", "escape": "'", "nullstr": "NULL", "decimal_separator": ","}
    adapter = files("t.csv", csv=options, types={"column2": "VARCHAR"})
    assert rows(adapter, "t") == [
        {"column0": 1, "column1": "a|b", "column2": "-"},
        {"column0": 2, "column1": None, "column2": "5,5"},
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i,s\n#1,a\n2,x\n", [("#1", "a"), ("2", "x")]),  # no comments
        ("i,s\n1,a\n3,#y\n", [(1, "a"), (3, "#y")]),
        ('i,s\n1,5" pipe\n', [(1, '5" pipe')]),
        ("i,s\n1,NULL\n2,NA\n", [(1, "NULL"), (2, "NA")]),
        ("i,s\n1, x \n", [(1, " x ")]),
        ("i,s\n01,x\n", [("01", "x")]),
        ("i,s\n1,x", [(1, "x")]),
        ("i,s\n1,a\0b\n", [(1, "a\0b")]),
        ("i,s\n", []),
    ],
)
def test_csv_loses_nothing(
    folder: Path, files: Callable[..., FilesAdapter], text: str, expected: list[tuple[Any, ...]]
):
    csv(folder, text)
    assert [tuple(row.values()) for row in rows(files("t.csv"), "t")] == expected


def test_quotes_after_the_sample_are_quotes(folder: Path, files: Callable[..., FilesAdapter]):
    csv(folder, "i,s\n" + "1,x\n" * 30_000 + '2,"y, ""z"""\n')
    assert rows(files("t.csv"), "t")[-1] == {"i": 2, "s": 'y, "z"'}


@pytest.mark.parametrize("last", ["abc,y\n", "1,2,3\n", "1\n", '1,"open\n'])
def test_a_line_that_does_not_fit_is_an_error(folder: Path, files: Callable[..., FilesAdapter], last: str):
    csv(folder, "i,s\n" + "".join(f"{i},x\n" for i in range(30_000)) + last)
    adapter = files("t.csv")
    for read in (scan, in_duckdb):
        with pytest.raises(errors.DataError) as caught:
            read(adapter, "t")
        assert "t.csv" in caught.value.message


def test_a_preamble_is_not_skipped_in_silence(folder: Path, files: Callable[..., FilesAdapter]):
    csv(folder, "Report of today\n\ni,s\n1,a\n2,b\n")
    try:
        read = rows(files("t.csv"), "t")
    except errors.DataError:
        return
    assert "Report of today" in str(read) + str(columns(files("t.csv"), "t"))


def test_other_encodings(folder: Path, files: Callable[..., FilesAdapter]):
    csv(folder, "i,s\n1,é\n".encode("utf-16"))
    with pytest.raises(errors.DataError, match=r"t\.csv"):
        files("t.csv").get_table(main("t"))
    assert rows(files("t.csv", csv={"encoding": "utf-16"}), "t") == [{"i": 1, "s": "é"}]


def test_many_csv_files_are_united_by_name(tmp_path: Path):
    (tmp_path / "t").mkdir()
    for number in range(30):
        csv(tmp_path / "t", f"i,s\n{number},x\n", f"{number:02}.csv")
    csv(tmp_path / "t", 's,i,late\n"y",30,2.5\n', "30.csv")
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/t/**"})
    assert columns(adapter, "t") == {"i": "BIGINT", "s": "VARCHAR", "late": "DOUBLE"}
    read = rows(adapter, "t")
    assert read[-1] == {"i": 30, "s": "y", "late": 2.5}
    assert [row["i"] for row in read] == list(range(31))
    assert [row["late"] for row in read[:30]] == [None] * 30
    adapter.close()


def test_an_empty_file_has_no_row(folder: Path, files: Callable[..., FilesAdapter]):
    for name in ("a.csv", "b.json", "c.ndjson"):
        (folder / name).write_bytes(b"")
    adapter = files("")
    for name in "abc":
        assert rows(adapter, name) == []
    assert columns(adapter, "a") == {"column0": "VARCHAR"}


def test_types_name_a_column_that_is_not_there(tmp_path: Path):
    csv(tmp_path, "i\n1\n")
    adapter = FilesAdapter("files", {"tables": {"t": {"path": str(tmp_path / "t.csv"), "types": {"j": "INTEGER"}}}})
    with pytest.raises(errors.CatalogError, match='"j"'):
        adapter.get_table(main("t"))
    adapter = FilesAdapter("files", {"path": str(tmp_path / "t.csv"), "types": {"i": "NOPE"}})
    with pytest.raises(errors.Error, match="NOPE"):
        adapter.get_table(main("t"))


# --- JSON -------------------------------------------------------------------------------------------------------


def test_json_values(folder: Path, files: Callable[..., FilesAdapter]):
    one = uuid.UUID(int=1)
    listed = [
        {"i": 1, "big": 18446744073709551615, "x": 0.5, "s": "é🎉", "l": [1, None], "o": {"a": True}, "u": str(one)},
        {"i": None, "s": "", "mixed": 1, "at": "2024-01-01T10:00:00Z"},
        {"i": -5, "s": None, "mixed": "x"},
    ]
    (folder / "t.json").write_text(json.dumps(listed))
    (folder / "n.ndjson").write_text("\n".join(map(json.dumps, listed)))
    adapter = files("", types={"i": "INTEGER"})
    for name in ("t", "n"):
        first, second, third = rows(adapter, name)
        assert first["big"] == decimal.Decimal(18446744073709551615)
        assert (first["s"], second["s"], third["s"]) == ("é🎉", "", None)
        assert first["l"] == [1, None] and first["o"] == {"a": True} and first["u"] == one
        assert (first["mixed"], second["mixed"], third["mixed"]) == (None, "1", '"x"')
        assert second["at"] == dt.datetime(2024, 1, 1, 10, tzinfo=dt.UTC)
        assert columns(adapter, name)["i"] == "INTEGER"


def test_keys_that_come_late_in_json_are_columns(folder: Path, files: Callable[..., FilesAdapter]):
    lines = ['{"a": 1}'] * 30_000 + ['{"a": "x", "late": {"b": 1}}']
    (folder / "t.ndjson").write_text("\n".join(lines))
    read = rows(files("t.ndjson"), "t")
    assert read[-1] == {"a": '"x"', "late": {"b": 1}}
    assert len(read) == 30_001


def test_keys_that_differ_in_case_keep_their_values(folder: Path, files: Callable[..., FilesAdapter]):
    (folder / "t.json").write_text('[{"a": 1, "A": 2}, {"A": 3}]')
    assert [tuple(row.values()) for row in rows(files("t.json"), "t")] == [(1, 2), (None, 3)]


@pytest.mark.parametrize("row", [{"o": {"k": 1, "K": 2}}, {"o": [{"k": 1, "K": 2}]}])
def test_nested_keys_that_differ_in_case_need_json(
    folder: Path, files: Callable[..., FilesAdapter], row: dict[str, Any]
):
    (folder / "t.json").write_text(json.dumps([row]))
    with pytest.raises(errors.NotSupportedError, match=r"t\.json") as caught:
        files("t.json").get_table(main("t"))
    assert "maximum_depth = 1" in (caught.value.hint or "")
    (read,) = rows(files("t.json", json={"maximum_depth": 1}), "t")
    assert json.loads(read["o"]) == row["o"]


@pytest.mark.parametrize(
    "text", ['{"a": 1}\n{"a": 2', '{"a": 1}\nnope', '{"a": 1, "a": 2}', "\ufeff[1]", '{"a": "\\ud800"}']
)
def test_bad_json_is_an_error_that_names_the_file(folder: Path, files: Callable[..., FilesAdapter], text: str):
    (folder / "t.ndjson").write_text(text)
    with pytest.raises(errors.DataError, match=r"t\.ndjson") as caught:
        rows(files("t.ndjson"), "t")
    assert caught.value.position is None


# --- Parquet and Arrow ------------------------------------------------------------------------------------------

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
        "st": pa.array([{"a": True}, None], pa.struct({"a": pa.bool_()})),
        "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    }
)


def test_parquet_types(folder: Path, files: Callable[..., FilesAdapter]):
    write_parquet(TYPED, folder / "t.parquet")
    assert rows(files("t.parquet"), "t") == TYPED.to_pylist()


def test_arrow_types(folder: Path, files: Callable[..., FilesAdapter]):
    write_arrow(TYPED, folder / "t.arrow")
    write_stream(TYPED, folder / "s.arrow")
    adapter = files("")
    for name in "ts":
        read = scan(adapter, name)
        assert read.to_pylist() == TYPED.to_pylist()
        assert read.schema.field("e").type == pa.string()


def test_types_that_the_planner_does_not_see_are_cast_where_they_are_read(tmp_path: Path):
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


def test_parquet_files_are_united_by_name(tmp_path: Path):
    (tmp_path / "t").mkdir()
    write_parquet(pa.table({"a": [1], "b": ["x"]}), tmp_path / "t" / "0.parquet")
    write_parquet(pa.table({"c": [2.5], "a": pa.array([2**40], pa.int64())}), tmp_path / "t" / "1.parquet")
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/t/**/*.parquet"})
    assert rows(adapter, "t") == [{"a": 1, "b": "x", "c": None}, {"a": 2**40, "b": None, "c": 2.5}]
    adapter.close()


def test_arrow_files_of_one_table_must_be_alike(tmp_path: Path):
    (tmp_path / "t").mkdir()
    write_arrow(pa.table({"a": [1]}), tmp_path / "t" / "0.arrow")
    write_arrow(pa.table({"a": [2]}), tmp_path / "t" / "1.arrow")
    adapter = FilesAdapter("files", {"path": f"{tmp_path}/t/**"})
    assert sorted(scan(adapter, "t")["a"].to_pylist()) == [1, 2]
    write_arrow(pa.table({"a": ["x"]}), tmp_path / "t" / "1.arrow")
    with pytest.raises(errors.DataError, match=r"1\.arrow"):
        adapter.get_table(main("t"))


@pytest.mark.parametrize("damage", ["empty", "garbage", "cut", "middle"])
@pytest.mark.parametrize("write", [write_parquet, write_arrow, write_stream])
def test_a_damaged_file_is_an_error_that_names_it(
    folder: Path, files: Callable[..., FilesAdapter], damage: str, write: Callable[[pa.Table, Path], None]
):
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


# --- files that come, go and change -----------------------------------------------------------------------------


def touch(path: Path) -> None:
    """A later time than any before, however coarse the clock of the file system."""
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000_000))


def test_new_files_and_new_rows_are_seen(folder: Path, files: Callable[..., FilesAdapter]):
    csv(folder, "i\n1\n")
    adapter = files("")
    assert rows(adapter, "t") == [{"i": 1}]
    csv(folder, "i\n1\n2\n")
    touch(folder / "t.csv")
    csv(folder, "i\n3\n", "new.csv")
    assert rows(adapter, "t") == [{"i": 1}, {"i": 2}]
    assert rows(adapter, "new") == [{"i": 3}]


@pytest.mark.parametrize("text", ["i\nx\n", "j\n1\n", "i,j\n1,2\n"])
def test_other_columns_than_the_plan_has_are_source_changed(
    folder: Path, files: Callable[..., FilesAdapter], text: str
):
    csv(folder, "i\n1\n")
    adapter = files("t.csv")
    adapter.get_table(main("t"))
    planned = adapter.plan_scan(ScanRequest(main("t"), ("i",)))
    csv(folder, text)
    touch(folder / "t.csv")
    with pytest.raises(errors.SourceChanged) as caught:
        adapter.local_sql(main("t"))
    assert caught.value.retryable
    if text != "i,j\n1,2\n":
        with pytest.raises(errors.Error):
            adapter.read(planned.partitions[0], CancelToken()).read_all()
    adapter.get_table(main("t"))
    assert adapter.local_sql(main("t"))


@pytest.mark.parametrize("ending", ["csv", "parquet", "json", "arrow"])
def test_a_file_that_is_gone(folder: Path, files: Callable[..., FilesAdapter], ending: str):
    write: dict[str, Callable[[pa.Table, Path], None]] = {
        "csv": write_csv,
        "parquet": write_parquet,
        "json": write_json,
        "arrow": write_arrow,
    }
    path = folder / f"t.{ending}"
    write[ending](pa.table({"i": [1]}), path)
    adapter = files(f"t.{ending}")
    adapter.get_table(main("t"))
    planned = adapter.plan_scan(ScanRequest(main("t"), ("i",)))
    path.unlink()
    with pytest.raises(errors.SourceUnavailable, match=rf"t\.{ending}"):
        read_all(adapter, planned)
    with pytest.raises((errors.TableNotFound, errors.SourceUnavailable)):
        adapter.local_sql(main("t"))
    with pytest.raises((errors.TableNotFound, errors.SourceUnavailable)):
        adapter.get_table(main("t"))


def test_a_scan_shows_its_request(folder: Path, files: Callable[..., FilesAdapter]):
    csv(folder, "i,s\n1,x\n2,y\n")
    adapter = files("t.csv")
    planned = adapter.plan_scan(ScanRequest(main("t"), ("s",), (Predicate("i", ">", (1,)),), limit=5))
    (partition,) = planned.partitions
    assert isinstance(partition, Partition)
    assert "LIMIT 5" in partition.request and '"i" >' in partition.request
    assert planned.residual == ()
    assert read_all(adapter, planned)["s"].to_pylist() == ["y"]
