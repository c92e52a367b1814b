"""docs/system.md has every table of `system`, and each of their columns with its type, in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.engine import Engine

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "system.md").read_text(encoding="utf-8")
#: Those that have a place of their own.
ELSEWHERE = {"cache": "cache.md", "policies": "policies.md"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    file = tmp_path_factory.mktemp("system") / "federation.toml"
    file.write_text("[settings]\n")
    with Engine.open(file) as opened:
        yield opened


def described(engine: Engine, name: str) -> list[tuple[str, str]]:
    return list(engine.describe(f"SELECT * FROM system.{name}")[1])


def test_every_table_is_documented(engine: Engine) -> None:
    listed = re.findall(r"^\| \[`system\.(\w+)`\]", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(each.name for each in engine.catalog.tables("system"))
    headings = re.findall(r"^## system\.(\w+)$", PAGE, re.MULTILINE)
    assert headings == [each for each in listed if each not in ELSEWHERE]


@pytest.mark.parametrize("name", re.findall(r"^## system\.(\w+)$", PAGE, re.MULTILINE))
def test_every_column_is_documented(engine: Engine, name: str) -> None:
    section = re.split(r"^## ", PAGE.partition(f"\n## system.{name}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    assert re.findall(r"^\| `(\w+)` \| `([A-Z ]+)` \|", section, re.MULTILINE) == described(engine, name)


@pytest.mark.parametrize(("name", "page"), ELSEWHERE.items())
def test_every_column_is_documented_elsewhere(engine: Engine, name: str, page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    section = text.partition(f"`system.{name}` has a row" if name == "policies" else f"FROM system.{name}`")[2]
    named = re.findall(r"`(\w+)`", section)
    assert not [column for column, _ in described(engine, name) if column not in named]
