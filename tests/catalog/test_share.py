"""A catalog that several processes serve: its limits are those of all of them."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from catalog.load import load_catalog
from catalog.model import Limits, Settings
from catalog.share import share_of_settings

CATALOG = """
[settings]
memory_limit = "2GB"
threads = 3
[sources.f]
adapter = "sqlite"
path = "x.db"
limits = { concurrency = 5 }
[sources.pg]
adapter = "postgres"
uri = "postgresql://127.0.0.1:1/db"
limits = { timeout = "60s" }
[sources.one]
adapter = "sqlite"
path = "x.db"
limits = { concurrency = 1 }
"""


def test_limits_are_divided(tmp_path: Path) -> None:
    path = tmp_path / "federation.toml"
    path.write_text(CATALOG)
    alone, shared = load_catalog(path), load_catalog(path, 2)
    assert [each.limits for each in alone.sources.values()] == [Limits(5), Limits(None, 60.0), Limits(1)]
    assert [each.limits for each in shared.sources.values()] == [Limits(2), Limits(4, 60.0), Limits(1)]
    for name in alone.sources:  # or the cache would not know them for the same sources
        assert alone.sources[name].options == shared.sources[name].options
    assert (shared.settings.memory_limit, shared.settings.threads) == ("1.000GB", 3)
    alone.close()
    shared.close()


@pytest.mark.parametrize(
    ("limit", "processes", "expected"),
    [("2GB", 2, "953.6 MiB"), ("1.5 GiB", 3, "512.0 MiB"), ("700MB", 7, "95.3 MiB"), ("1000000000B", 2, "476.8 MiB")],
)
def test_duckdb_takes_the_part_of_its_memory(limit: str, processes: int, expected: str) -> None:
    assert memory_limit(share_of_settings(Settings(memory_limit=limit), processes).memory_limit) == expected


def test_a_part_of_what_duckdb_takes_by_itself() -> None:
    assert share_of_settings(Settings(), 4).memory_limit == "20.000%"
    assert memory_limit("20.000%") != memory_limit("80%") == memory_limit(None)


def memory_limit(text: str | None) -> str:
    connection = duckdb.connect(config={"memory_limit": text} if text is not None else {})
    found: str = connection.sql("SELECT current_setting('memory_limit')").fetchall()[0][0]
    return found
