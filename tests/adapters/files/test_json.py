"""JSON and NDJSON."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters import errors
from adapters.files import FilesAdapter
from tests.adapters.files.helpers import (
    columns,
    main,
    rows,
)


def test_json_values(folder: Path, files: Callable[..., FilesAdapter]) -> None:
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


def test_keys_that_come_late_in_json_are_columns(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    lines = ['{"a": 1}'] * 30_000 + ['{"a": "x", "late": {"b": 1}}']
    (folder / "t.ndjson").write_text("\n".join(lines))
    read = rows(files("t.ndjson"), "t")
    assert read[-1] == {"a": '"x"', "late": {"b": 1}}
    assert len(read) == 30_001


def test_keys_that_differ_in_case_keep_their_values(folder: Path, files: Callable[..., FilesAdapter]) -> None:
    (folder / "t.json").write_text('[{"a": 1, "A": 2}, {"A": 3}]')
    assert [tuple(row.values()) for row in rows(files("t.json"), "t")] == [(1, 2), (None, 3)]


@pytest.mark.parametrize("row", [{"o": {"k": 1, "K": 2}}, {"o": [{"k": 1, "K": 2}]}])
def test_nested_keys_that_differ_in_case_need_json(
    folder: Path, files: Callable[..., FilesAdapter], row: dict[str, Any]
) -> None:
    (folder / "t.json").write_text(json.dumps([row]))
    with pytest.raises(errors.NotSupportedError, match=r"t\.json") as caught:
        files("t.json").get_table(main("t"))
    assert "maximum_depth = 1" in (caught.value.hint or "")
    (read,) = rows(files("t.json", json={"maximum_depth": 1}), "t")
    assert json.loads(read["o"]) == row["o"]


@pytest.mark.parametrize(
    "text", ['{"a": 1}\n{"a": 2', '{"a": 1}\nnope', '{"a": 1, "a": 2}', "\ufeff[1]", '{"a": "\\ud800"}']
)
def test_bad_json_is_an_error_that_names_the_file(folder: Path, files: Callable[..., FilesAdapter], text: str) -> None:
    (folder / "t.ndjson").write_text(text)
    with pytest.raises(errors.DataError, match=r"t\.ndjson") as caught:
        rows(files("t.ndjson"), "t")
    assert caught.value.position is None
