"""What is printed about an error, and about the progress of a query."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

import pytest

from adapters.errors import ColumnNotFound, SourceUnavailable
from federation.cli.errors import describe
from federation.cli.progress import Progress, in_bytes, summary


@dataclass
class Fragment:
    source: str
    rows: int
    bytes: int
    done: bool


@pytest.mark.parametrize(
    ("sql", "position", "line", "under"),
    [
        ("SELECT nope", 8, "LINE 1: SELECT nope", "n"),
        ("SELECT 1,\n\tnope\nFROM t", 12, "LINE 2:  nope", "n"),
        ("SELECT nope\r\nFROM t", 8, "LINE 1: SELECT nope", "n"),
        ("SELECT '日本', nope", 14, "LINE 1: SELECT '日本', nope", None),
        ("SELECT 1", 99, "LINE 1: SELECT 1", None),
        ("SELECT 1", -5, "LINE 1: SELECT 1", "S"),
    ],
)
def test_the_caret_stands_under_the_position(sql: str, position: int, line: str, under: str | None) -> None:
    _, shown, caret, hint = describe(ColumnNotFound("no", position=position, hint="look"), sql).splitlines()
    assert shown == line
    assert caret.strip() == "^"
    assert hint == "HINT: look"
    if under is not None:
        assert shown[caret.index("^")] == under


def test_the_caret_stands_under_wide_characters() -> None:
    caret = describe(ColumnNotFound("no", position=14), "SELECT '日本', nope").splitlines()[2]
    assert caret.index("^") == len("LINE 1: SELECT '") + 4 + len("', ") - 1 + 1


def test_a_long_line_is_cut_around_the_position() -> None:
    sql = "SELECT " + " AND ".join(f"x{i}" for i in range(20_000))
    position = sql.index("x9999 ") + 1
    _, shown, caret = describe(ColumnNotFound("no", position=position), sql).splitlines()
    assert len(shown) < 120
    assert shown[caret.index("^") :].startswith("x9999 ")
    assert shown.startswith("LINE 1: …")
    assert shown.endswith("…")


def test_the_source_and_the_state_are_named() -> None:
    assert describe(SourceUnavailable("no answer", source="pg")) == "ERROR 08006: no answer (source pg)"


def test_a_bug_does_not_show_what_it_was_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDERATION_DEBUG", raising=False)
    text = describe(KeyError("secret"))
    assert text.startswith("ERROR XX000: an unexpected KeyError")
    assert "secret" not in text
    monkeypatch.setenv("FEDERATION_DEBUG", "1")
    assert "secret" in describe(KeyError("secret"))


def test_fragments_of_one_source_are_summed() -> None:
    fragments = [
        Fragment("pg", 1_000_000, 34_000_000, True),
        Fragment("pg", 5, 1, False),
        Fragment("my", 10, 1200, True),
    ]
    assert summary(fragments, 3.44) == "pg 1,000,005 rows 34.0 MB · my ✓ 10 rows 1.2 kB · 3.4 s"
    assert summary([], 1) == "planning · 1.0 s"
    assert [in_bytes(n) for n in (0, 999, 1000, 5e9, 7e12)] == ["0 B", "999 B", "1.0 kB", "5.0 GB", "7.0 TB"]


def test_progress_shows_after_a_while_and_clears_its_line() -> None:
    stream = io.StringIO()
    shown = Progress(stream, patience=0.0)
    shown.watch(lambda: [Fragment("pg", 7, 8, False)])
    deadline = time.monotonic() + 30
    while "pg 7 rows 8 B" not in stream.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    shown.hide()
    assert stream.getvalue().endswith("\r\x1b[K")
    written = stream.getvalue()
    shown.hide()
    assert stream.getvalue() == written


def test_progress_of_a_quick_query_shows_nothing() -> None:
    stream = io.StringIO()
    Progress(stream, patience=60.0).hide()
    assert stream.getvalue() == ""
