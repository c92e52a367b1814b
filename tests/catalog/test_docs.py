"""docs/catalog-file.md documents every key, and its examples are read without a fault."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapters.registry import adapter_class, adapter_names
from catalog import access, caching, config, roles
from catalog.config import read_config

PAGE = Path(__file__).parents[2] / "docs" / "catalog-file.md"


def documented(heading: str, after: str = "") -> set[str]:
    """The keys in the first table below a heading (and below a text in its section)."""
    _, found, below = PAGE.read_text(encoding="utf-8").partition(f"\n{heading}\n")
    assert found, f"docs/catalog-file.md has no heading {heading}"
    section = re.split(r"\n#", below)[0]
    assert after in section
    rows = re.search(r"\n\| key \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", section[section.index(after) :])
    assert rows, f"{heading} has no table of keys"
    return set(re.findall(r"^\| `(\w+)` \|", rows[1], re.MULTILINE))


@pytest.mark.parametrize(
    ("heading", "after", "keys"),
    [
        ("## `[settings]`", "", config.SETTINGS),
        ("## `[sources.name]`", "", config.SOURCE_KEYS),
        ("## `[sources.name]`", "`limits` is a table", config.LIMIT_KEYS),
        ("## `[sources.name]`", "`cache` is a table", caching.SOURCE_CACHE_KEYS),
        ('## `[tables."source.schema.table"]`', "", config.TABLE_KEYS),
        ('## `[views."schema.view"]`', "", config.VIEW_KEYS),
        ("## `[roles.name]`", "", roles.ROLE_KEYS),
        ("## `[users.name]`", "", access.USER_KEYS),
        ("## `[oidc.name]`", "", access.OIDC_KEYS),
        ("## `[callbacks]`", "", access.CALLBACK_KEYS),
    ],
)
def test_every_key_is_documented(heading: str, after: str, keys: tuple[str, ...]) -> None:
    assert documented(heading, after) == set(keys)


@pytest.mark.parametrize("kind", adapter_names())
def test_every_option_of_an_adapter_is_documented(kind: str) -> None:
    assert documented(f"### `{kind}`") == set(adapter_class(kind).options) - set(config.SOURCE_KEYS)


def test_every_section_and_reserved_name_is_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for section in config.SECTIONS:
        assert re.search(rf"^## `\[{section}\b", text, re.MULTILINE), section
    for name in config.RESERVED:
        assert f"`{name}`" in text, name


def test_the_examples_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "secret")
    examples = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        file = tmp_path / "federation.toml"
        file.write_text(example, encoding="utf-8")
        _, faults = read_config(file)
        assert [str(fault) for fault in faults] == []
