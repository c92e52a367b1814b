"""CSV: what is guessed, what is declared, and that nothing is lost."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters import errors
from adapters.files import FilesAdapter
from tests.adapters.files.helpers import (
    columns,
    csv,
    in_duckdb,
    main,
    rows,
    scan,
)


def test_csv_values(folder: Path, files: Callable[..., FilesAdapter]) -> None:
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


def test_csv_options(folder: Path, files: Callable[..., FilesAdapter]) -> None:
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
) -> None:
    csv(folder, text)
    assert [tuple(row.values()) for row in rows(files("t.csv"), "t")] == expected


def test_quotes_after_the_sample_are_quotes(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    csv(folder, "i,s\n" + "1,x\n" * 30_000 + '2,"y, ""z"""\n')
    assert rows(files("t.csv"), "t")[-1] == {"i": 2, "s": 'y, "z"'}


@pytest.mark.parametrize("last", ["abc,y\n", "1,2,3\n", "1\n", '1,"open\n'])
def test_a_line_that_does_not_fit_is_an_error(folder: Path, files: Callable[..., FilesAdapter], last: str) -> None:
    csv(folder, "i,s\n" + "".join(f"{i},x\n" for i in range(30_000)) + last)
    adapter = files("t.csv")
    for read in (scan, in_duckdb):
        with pytest.raises(errors.DataError) as caught:
            read(adapter, "t")
        assert "t.csv" in caught.value.message


def test_a_preamble_is_not_skipped_in_silence(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    csv(folder, "Report of today\n\ni,s\n1,a\n2,b\n")
    try:
        read = rows(files("t.csv"), "t")
    except errors.DataError:
        return
    assert "Report of today" in str(read) + str(columns(files("t.csv"), "t"))


def test_other_encodings(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    csv(folder, "i,s\n1,é\n".encode("utf-16"))
    with pytest.raises(errors.DataError, match=r"t\.csv"):
        files("t.csv").get_table(main("t"))
    assert rows(files("t.csv", csv={"encoding": "utf-16"}), "t") == [{"i": 1, "s": "é"}]


def test_many_csv_files_are_united_by_name(tmp_path: Path) -> None:
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


def test_an_empty_file_has_no_row(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    for name in ("a.csv", "b.json", "c.ndjson"):
        (folder / name).write_bytes(b"")
    adapter = files("")
    for name in "abc":
        assert rows(adapter, name) == []
    assert columns(adapter, "a") == {"column0": "VARCHAR"}


def test_types_name_a_column_that_is_not_there(tmp_path: Path) -> None:
    csv(tmp_path, "i\n1\n")
    adapter = FilesAdapter("files", {"tables": {"t": {"path": str(tmp_path / "t.csv"), "types": {"j": "INTEGER"}}}})
    with pytest.raises(errors.CatalogError, match='"j"'):
        adapter.get_table(main("t"))
    adapter = FilesAdapter("files", {"path": str(tmp_path / "t.csv"), "types": {"i": "NOPE"}})
    with pytest.raises(errors.Error, match="NOPE"):
        adapter.get_table(main("t"))
