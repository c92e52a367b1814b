"""The `constraint` of a table: what is refused, where, and what is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.errors import CatalogError
from catalog.constraints import read_constraint
from catalog.expressions import MAX_LENGTH
from catalog.load import load_catalog
from federation.check import check

CATALOG = """
[sources.m]
adapter = "memory"
tables = {{ t = [{{ x = 1, d = 2025-01-01 }}] }}
[tables."m.t"]
constraint = {constraint}
"""


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", None),
        ("   ", None),
        ("x = 1; y = 2", None),
        ("x =", 3),
        ("x = 1 AND AND", 11),
        ("x = 'abc", None),
        ("x", 1),
        ("x IS NULL", 1),
        ("x = y", 1),
        ("x = 1 AND\n  y = z", 13),
        ("t.x = 1", 1),
        ("x > 1 OR y < 2", 1),
        ("NOT x = 1", 5),
        ("x LIKE 'a'", 1),
        ("x + 1 = 2", 1),
        ("upper(x) = 'A'", 1),
        ("x = random()", 1),
        ("x = $1", 1),
        ("x = NULL", 1),
        ("x IN ()", 1),
        ("x IN (1, NULL)", 1),
        ("x IN (SELECT 1)", 1),
        ("x = (SELECT 1)", 1),
        ("x = ANY([1])", 1),
        ("x BETWEEN SYMMETRIC 5 AND 1", 1),
        ("x BETWEEN y AND 1", 1),
        ("SELECT 1", 1),
        ("DROP TABLE t", None),
        ("(" * 1900 + "x = 1" + ")" * 1900, None),
        ("x = 1 AND " * 1000 + "x = 1", None),
    ],
)
def test_what_is_refused(text: str, at: int | None) -> None:
    with pytest.raises(CatalogError) as caught:
        read_constraint(text)
    assert caught.value.position == at or (at is None and caught.value.position is not None)
    assert caught.value.sqlstate == "F0000"
    assert "column op literal" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("d >= DATE '2025-01-01' AND d < DATE '2026-01-01'", 2),
        ("(x = 1)", 1),
        ("1 < x", 1),
        ("x IN (1, -2) AND (s BETWEEN 'a' AND 'b' AND y IS NOT NULL)", 3),
        ("b = true", 1),
        ('"Weird Name" <> 5 -- a comment', 1),
        (" AND ".join(["x = 1"] * 400), 400),
    ],
)
def test_what_is_taken(text: str, parts: int) -> None:
    found = read_constraint(text)
    assert len(found) == parts
    assert not any(node.comments for part in found for node in part.walk())
    assert len(text) <= MAX_LENGTH


@pytest.mark.parametrize("value", ["5", '""', "[1]", "true"])
def test_a_value_that_is_no_text(tmp_path: Path, value: str) -> None:
    path = tmp_path / "federation.toml"
    path.write_text(CATALOG.format(constraint=value))
    with pytest.raises(CatalogError, match="constraint"):
        load_catalog(path)


def test_loading_names_the_key_and_the_place(tmp_path: Path) -> None:
    path = tmp_path / "federation.toml"
    path.write_text(CATALOG.format(constraint="'x = 1 AND x = y'"))
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    assert caught.value.message == (
        f'{path}: tables."m.t".constraint: x = y is not allowed in a constraint (at character 11)'
    )


def test_a_column_that_the_table_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "federation.toml"
    path.write_text(CATALOG.format(constraint="'xx = 1'"))
    catalog = load_catalog(path)
    with pytest.raises(CatalogError, match="names the column xx, which it does not have") as caught:
        catalog.resolve(["m", "t"], [False, False])
    assert caught.value.hint == "did you mean x?"
    findings = [each for each in check(path) if not each.ok]
    assert [(each.kind, each.name) for each in findings] == [("table", "m.t")]
