"""`cache.refresh` of tables and views: what is refused when the file is read, and what when the table is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.errors import CatalogError
from catalog.config import read_config
from catalog.load import load_catalog
from catalog.model import CatalogTable, Refresh
from federation.cli.main import main
from tests.catalog.test_caching import written

SOURCE = """
[sources.a]
adapter = "memory"
tables = { b = [{ id = 1, at = 2024-01-01T00:00:00Z, ok = true, score = 0.5, name = "x" }] }
cache = { ttl = "1h" }
"""
TABLE = '[tables."a.b"]\ncache = {{ {} }}\n'
VIEW = '[views."v.w"]\nsql = "{}"\ncache = {{ {} }}\n'
INTERVAL = "this must be an interval of a second or more"


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ('refresh = "15m"', f"refresh: {INTERVAL}"),
        ('refresh = "every"', f"refresh: {INTERVAL}"),
        ('refresh = "every 0s"', f"refresh: {INTERVAL}"),
        ('refresh = "every 10ms"', f"refresh: {INTERVAL}"),
        ('refresh = "every -5m"', f"refresh: {INTERVAL}"),
        ('refresh = "every day"', f"refresh: {INTERVAL}"),
        ('refresh = "every 5 m"', f"refresh: {INTERVAL}"),
        ("refresh = 900", f"refresh: {INTERVAL}"),
        ("refresh = true", f"refresh: {INTERVAL}"),
        ('refresh = "every 2h"', "refresh: rows are too old after 3600 s, and fetched again after 7200 s"),
        ('ttl = "0s", refresh = "every 5s"', "refresh: rows are too old after 0 s, and fetched again after 5 s"),
        ('cursor = "at"', "cursor: this says how rows are refreshed, and refresh is missing"),
        ('key = ["id"]', "key: this says how rows are refreshed, and refresh is missing"),
        ('full = "every 1d"', "full: this says how rows are refreshed, and refresh is missing"),
        ('refresh = "every 5s", key = ["id"]', "key: the column that tells new rows is missing"),
        ('refresh = "every 5s", cursor = "at", key = []', "key: this must name a column"),
        ('refresh = "every 5s", cursor = "at", key = "id"', "key: this must be a list of texts"),
        ('refresh = "every 5s", cursor = 7', "cursor: this must be a text that is not empty"),
        ('refresh = "every 5s", full = "every 1d"', "full: without a cursor every refresh is a full one"),
        ('refresh = "every 5s", cursor = "at", full = "1d"', f"full: {INTERVAL}"),
        (
            'refresh = "every 5m", cursor = "at", full = "every 5s"',
            "full: this is shorter than the interval of refresh",
        ),
        ('refresh = "every 5m", refersh = "every 5m"', "refersh: unknown key"),
    ],
)
def test_faults_of_tables(tmp_path: Path, keys: str, fault: str) -> None:
    file = written(tmp_path, SOURCE + TABLE.format(keys))
    _, faults = read_config(file)
    assert [each.message.removeprefix(f"{file}: ") for each in faults] == [f'tables."a.b".cache.{fault}']
    assert faults[0].hint


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ('refresh = "now and then"', f"refresh: {INTERVAL}"),
        ("", f"refresh: {INTERVAL}"),
        ('refresh = "every 5m", cursor = "at"', "cursor: unknown key"),
        ('refresh = "every 5m", ttl = "1h"', "ttl: unknown key"),
    ],
)
def test_faults_of_views(tmp_path: Path, keys: str, fault: str) -> None:
    file = written(tmp_path, SOURCE + VIEW.format("SELECT 1", keys))
    _, faults = read_config(file)
    assert [each.message.removeprefix(f"{file}: ") for each in faults] == [f'views."v.w".cache.{fault}']


def test_faults_of_what_is_not_cached(tmp_path: Path) -> None:
    file = written(tmp_path, SOURCE.replace("cache", "# cache") + VIEW.format("SELECT 1", 'refresh = "every 5m"'))
    _, faults = read_config(file)
    assert [each.message.removeprefix(f"{file}: ") for each in faults] == [
        'views."v.w".cache.refresh: no source of the catalog is cached'
    ]
    file = written(tmp_path, SOURCE.replace('ttl = "1h"', 'ttl = "1h", refresh = "every 5m"'))
    assert [each.message.removeprefix(f"{file}: ") for each in read_config(file)[1]] == [
        "sources.a.cache.refresh: unknown key"
    ]


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ('cursor = "att"', "the cursor of b is the column att, which it does not have"),
        ('cursor = "at", key = ["id", "idd"]', "the key of b is the column idd, which it does not have"),
        ('cursor = "ok"', "the cursor of b, ok, is of type bool"),
        ('cursor = "score"', "the cursor of b, score, is of type double"),
    ],
)
def test_faults_that_the_table_shows(tmp_path: Path, keys: str, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, SOURCE + TABLE.format(f'refresh = "every 5m", {keys}'))
    with pytest.raises(CatalogError) as refused:
        load_catalog(file).resolve(("a", "b"), (False, False))
    assert refused.value.message == fault
    assert refused.value.hint
    assert main(["check", "-c", str(file)]) == 1
    assert fault in capsys.readouterr().out


@pytest.mark.parametrize("expression", ["now()", "random()", "current_date", "uuid()"])
def test_views_that_are_others_each_time(tmp_path: Path, expression: str, capsys: pytest.CaptureFixture[str]) -> None:
    deep = f'[views."v.deep"]\nsql = "SELECT id, {expression} AS x FROM a.b"\n'
    view = VIEW.format("SELECT x FROM v.deep", 'refresh = "every 5m"')
    file = written(tmp_path, f'[settings]\ncache_directory = "cache"\n{SOURCE}{deep}{view}')
    assert main(["check", "-c", str(file)]) == 1
    assert "v.w cannot be refreshed: its rows depend on the time or on chance" in capsys.readouterr().out


def test_what_is_read(tmp_path: Path) -> None:
    keys = 'refresh = "every 1h", cursor = "AT", key = ["id", "name"], full = "every 1d"'
    text = SOURCE + TABLE.format(keys) + VIEW.format("SELECT id FROM a.b", 'refresh = "EVERY 1h30m"')
    catalog = load_catalog(written(tmp_path, text))
    assert catalog.notes[0].refresh == Refresh(3600.0, "AT", ("id", "name"), 86_400.0)
    assert catalog.views["v", "w"].refresh == Refresh(5400.0)
    assert isinstance(catalog.resolve(("a", "b"), (False, False)), CatalogTable)
