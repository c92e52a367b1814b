"""`cache` of sources and tables: what is read, what is refused, and which policy counts."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from adapters.base import TableName
from catalog.caching import strictest
from catalog.config import read_config
from catalog.load import load_catalog
from catalog.model import CachePolicy, CatalogTable

SOURCE = '[sources.a]\nadapter = "memory"\ntables = { b = [{ x = 1 }], c = [{ x = 1 }] }\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "federation.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_what_a_table_does_not_say_is_as_its_source_has_it(tmp_path: Path) -> None:
    text = SOURCE + (
        'cache = { ttl = "10m", stale_while_revalidate = "1h", stale_if_error = "1d", max_size = "2MB" }\n'
        '[tables."a.b"]\ncache = { ttl = "30s", stale_if_error = "0s" }\n'
        '[settings]\ncache_directory = "kept"\ncache_size = "1.5KiB"\n'
    )
    catalog = load_catalog(written(tmp_path, text))
    assert catalog.settings.cache_directory == tmp_path / "kept"
    assert catalog.settings.cache_size == 1536
    policies = {}
    for name in ("b", "c"):
        table = catalog.resolve(("a", name), (False, False))
        assert isinstance(table, CatalogTable)
        policies[name] = table.cache
    assert policies == {
        "b": CachePolicy(30.0, 3600.0, 0.0, 2_000_000),
        "c": CachePolicy(600.0, 3600.0, 86400.0, 2_000_000),
    }


def test_a_table_may_be_cached_alone(tmp_path: Path) -> None:
    catalog = load_catalog(written(tmp_path, SOURCE + '[tables."a.main.b"]\ncache = { ttl = "1s" }\n'))
    found = {name: catalog.resolve(("a", name), (False, False)) for name in ("b", "c")}
    assert [getattr(each, "cache", 0) for each in found.values()] == [CachePolicy(1.0), None]
    assert catalog.sources["a"].adapter.get_table(TableName("main", "b")).columns


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ("cache = true", "sources.a.cache: this must be a table"),
        ("cache = {}", "sources.a.cache.ttl: this key is missing"),
        ('cache = { stale_if_error = "1d" }', "sources.a.cache.ttl: this key is missing"),
        ('cache = { ttl = "ten" }', "sources.a.cache.ttl: this must be a duration"),
        ("cache = { ttl = 10 }", "sources.a.cache.ttl: this must be a duration"),
        ('cache = { ttl = "-1s" }', "sources.a.cache.ttl: this must be a duration"),
        ('cache = { ttl = "1s", max_size = 3 }', "sources.a.cache.max_size: this must be a size"),
        ('cache = { ttl = "1s", native_queries = 1 }', "sources.a.cache.native_queries: this must be true or false"),
        ('cache = { ttl = "1s", tll = "1s" }', "sources.a.cache.tll: unknown key"),
        ('[tables."a.b"]\ncache = { ttl = "1s", max_size = "1MB" }', 'tables."a.b".cache.max_size: unknown key'),
        ('[tables."a.b"]\ncache = { stale_if_error = "1s" }', 'tables."a.b".cache.ttl: this key is missing'),
        ('cache = { ttl = "1s", version_sql = "SELECT 1" }', "sources.a.cache.version_sql: unknown key"),
        ('cache = { ttl = "1s", notify = "c" }', "sources.a.cache.notify: this source has no channels"),
        (
            '[tables."a.b"]\ncache = { ttl = "1s", version_sql = "SELECT 1" }',
            'tables."a.b".cache.version_sql: this source takes no query in its own words',
        ),
        ('[tables."a.b"]\ncache = { ttl = "1s", notify = "c" }', 'tables."a.b".cache.notify: unknown key'),
        ('[settings]\ncache_size = "big"', "settings.cache_size: this must be a size"),
        (
            '[settings]\ncache_encryption_key = "c2hvcnQ="',
            "settings.cache_encryption_key: this must be 32 random bytes, in base64 or hexadecimal",
        ),
        ("[settings]\ncache_directory = 3", "settings.cache_directory: this must be a text that is not empty"),
    ],
)
def test_faults(tmp_path: Path, section: str, fault: str) -> None:
    file = written(tmp_path, SOURCE + section)
    _, faults = read_config(file)
    assert [each.message.removeprefix(f"{file}: ") for each in faults] == [fault]
    assert faults[0].hint


@pytest.mark.parametrize("write", [bytes.hex, lambda key: base64.b64encode(key).decode()], ids=["hex", "base64"])
def test_the_key_of_the_cache_is_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Any) -> None:
    key = bytes(range(200, 232))
    monkeypatch.setenv("KEY_OF_THE_CACHE", write(key))
    text = '[settings]\ncache_encryption_key = "${env:KEY_OF_THE_CACHE}"\n'
    config, faults = read_config(written(tmp_path, text))
    assert not faults
    assert config.settings.cache_key == key
    assert config.redactor.scrub(f"it is {write(key)}.") == "it is ***."
    assert repr(key) not in repr(config.settings)
    monkeypatch.delenv("KEY_OF_THE_CACHE")
    _, faults = read_config(written(tmp_path, text))
    assert "KEY_OF_THE_CACHE" in faults[0].message


def test_ways_to_see_changes(tmp_path: Path) -> None:
    text = (
        '[sources.a]\nadapter = "postgres"\nuri = "postgresql://nowhere"\ncache = { ttl = "1h", notify = "changes" }\n'
        "[tables.'a.b']\ncache.version_sql = 'SELECT max(x) FROM b'\n"
    )
    config, faults = read_config(written(tmp_path, text))
    assert not faults
    assert config.sources[0].cache == CachePolicy(3600.0, notify="changes")
    assert config.notes[0].cache == CachePolicy(3600.0, version_sql="SELECT max(x) FROM b")
    for key in ("version_sq", "notifi"):
        wrong = text.replace("version_sql" if key == "version_sq" else "notify", key)
        fault, *_ = read_config(written(tmp_path, wrong))[1]
        assert "unknown key" in fault.message and fault.hint and "did you mean" in fault.hint
    for value in ("3", '""'):
        fault, *_ = read_config(written(tmp_path, text.replace('"changes"', value)))[1]
        assert "this must be a text" in fault.message


def test_the_strictest_policy_counts() -> None:
    long, short = CachePolicy(60.0, 1.0, 9.0), CachePolicy(10.0, 5.0, 2.0)
    assert strictest([long, short]) == CachePolicy(10.0, 1.0, 2.0)
    assert strictest([long, None]) is None
    assert strictest([long, CachePolicy(0.0, 5.0)]) is None
    assert strictest([]) is None
