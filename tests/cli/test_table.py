"""The table format: alignment, widths, and nothing that a terminal would obey."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pytest
import wcwidth

from federation.cli.destination import Output
from federation.cli.formats import Look
from federation.cli.table import NARROWEST, SAMPLE_ROWS, TableWriter, fit, printable


def written(table: pa.Table, look: Look) -> list[str]:
    stream = io.BytesIO()
    writer = TableWriter(Output(stream, "test"), table.schema, look)
    for batch in table.to_batches(max_chunksize=700):
        writer.write(batch)
    writer.end()
    return stream.getvalue().decode().splitlines()


def test_a_result_without_rows_has_its_header() -> None:
    assert written(pa.table({"a": pa.array([], pa.int32())}), Look()) == [" a", "---", "(0 rows)"]


@pytest.mark.parametrize("text", ["日本語", "e\u0301", "👩\u200d👩\u200d👧", "plain", "a\u0300b"])
def test_columns_align_by_what_is_seen(text: str) -> None:
    lines = written(pa.table({"t": [text, "0123456789"], "n": [1, 22]}), Look())
    assert {wcwidth.width(line) for line in (lines[0], *lines[2:-1])} == {16}
    assert lines[2].endswith(" |  1")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("abc\u202edef\u2066", "abc\\u202edef\\u2066"),
        ("日本 é 👩\u200d👧", "日本 é 👩\u200d👧"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert written(pa.table({text: [text]}), Look())[2].strip() == shown


def test_values_are_whole_when_it_is_not_a_terminal() -> None:
    long = "x" * 5000
    lines = written(pa.table({"a": [*["y"] * SAMPLE_ROWS, long], "b": [1] * (SAMPLE_ROWS + 1)}), Look())
    assert lines[2] == " y | 1"
    assert lines[-2] == f" {long} | 1"
    assert lines[-1] == f"({SAMPLE_ROWS + 1} rows)"


def test_a_terminal_cuts_text_and_never_numbers() -> None:
    table = pa.table({"t": ["a" * 100, "日" * 50], "n": [12345678901234567, 1]})
    lines = written(table, Look(width=60))
    assert {wcwidth.width(line) for line in lines[:-1]} <= {59, 60}
    assert "aaa… | 12345678901234567" in lines[2]
    assert lines[3].startswith(" 日日")
    assert "…" in lines[3]


def test_what_cannot_fit_is_shown_as_records() -> None:
    table = pa.table({f"number{i}": [10**15 + i] for i in range(9)})
    lines = written(table, Look(width=60))
    assert lines[0].startswith("-[ RECORD 1 ]")
    assert lines[3] == "number2 | 1000000000000002"
    assert lines[-1] == "(1 row)"


def test_colour_dims_null_without_moving_columns() -> None:
    table = pa.table({"t": [None, "x"], "n": pa.array([None, 7], pa.int8())})
    plain, coloured = written(table, Look()), written(table, Look(colour=True))
    assert plain[2] == " NULL | NULL"
    assert coloured[2] == " \x1b[2mNULL\x1b[0m | \x1b[2mNULL\x1b[0m"
    assert written(table, Look(expanded=True))[1:3] == ["t | NULL", "n | NULL"]


@pytest.mark.parametrize(
    ("widths", "right", "limit", "fitting"),
    [
        ([5, 5], [False, False], None, [5, 5]),
        ([5, 5], [False, False], 80, [5, 5]),
        ([100, 5], [False, True], 40, [30, 5]),
        ([100, 50], [False, False], 45, [20, 20]),
        ([100, 100], [True, False], 80, None),
        ([9, 9, 9], [False] * 3, 3 * (NARROWEST + 3) - 1, [8, 8, 8]),
        ([9, 9, 9], [False] * 3, 3 * (NARROWEST + 3) - 2, None),
    ],
)
def test_widths_are_taken_from_the_widest_text(widths: Any, right: Any, limit: Any, fitting: Any) -> None:
    assert fit(widths, right, limit) == fitting
