"""The catalog file: what is read, and that every fault is reported with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.errors import CatalogError
from catalog import load_catalog
from catalog.config import Config, read_config
from catalog.model import Limits, TableNote, View

FULL = """
[settings]
search_path = ["crm", "crm.main", "customer"]
memory_limit = "2GB"
spill_directory = "spill"
threads = 2
timeout = "1h30m"
metadata_ttl = "500ms"
verify_sample = 0.25

[sources.crm]
adapter = "sqlite"
path = "crm.db"
limits = { concurrency = 3 }

[sources.files]
adapter = "files"
path = "data/*.parquet"

[tables."crm.accounts"]
owner = "sales-ops"
[tables."CRM.main.\\"odd.name\\""]
comment = "odd"

[views."customer.overview"]
sql = "SELECT 1"
"""


def written(folder: Path, text: str, name: str = "federation.toml") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def sound(path: Path) -> Config:
    config, faults = read_config(path)
    assert [str(fault) for fault in faults] == []
    return config


def faults_of(folder: Path, text: str) -> list[tuple[str, str | None]]:
    """Message without the file's name, and hint, of every fault."""
    file = written(folder, text)
    _, faults = read_config(file)
    for fault in faults:
        assert fault.message.startswith(f"{file}: ")
        assert fault.sqlstate == "F0000"
    return [(fault.message.removeprefix(f"{file}: "), fault.hint) for fault in faults]


def test_a_full_file(tmp_path: Path) -> None:
    config = sound(written(tmp_path, FULL))
    settings = config.settings
    assert settings.search_path == (("crm",), ("crm", "main"), ("customer",))
    assert (settings.memory_limit, settings.threads) == ("2GB", 2)
    assert (settings.timeout, settings.metadata_ttl, settings.verify_sample) == (5400.0, 0.5, 0.25)
    assert settings.spill_directory == tmp_path / "spill"
    crm, files = config.sources
    assert (crm.name, crm.kind, crm.limits) == ("crm", "sqlite", Limits(3))
    assert crm.options == {"path": str(tmp_path / "crm.db")}
    assert files.options == {"path": str(tmp_path / "data/*.parquet")}
    assert config.views == (View("customer", "overview", "SELECT 1"),)
    assert config.notes == (
        TableNote("crm", None, "accounts", owner="sales-ops"),
        TableNote("crm", "main", "odd.name", comment="odd"),
    )


def test_limits_go_to_the_adapters_that_keep_them(tmp_path: Path) -> None:
    text = """
    [sources.pg]
    adapter = "postgres"
    uri = "postgresql://host/db"
    limits = { concurrency = 3, timeout = "60s" }
    [sources.my]
    adapter = "mysql"
    uri = "mysql://host/db"
    limits = { timeout = "1m" }
    """
    pg, my = sound(written(tmp_path, text)).sources
    assert (pg.limits, my.limits) == (Limits(3, 60.0), Limits(None, 60.0))
    assert pg.options["limits"] == {"concurrency": 3, "timeout": 60.0}
    assert my.options["limits"] == {"concurrency": None, "timeout": 60.0}


def test_paths_start_at_the_file_whatever_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    written(
        tmp_path,
        """
        [sources.a]
        adapter = "files"
        path = ["x.csv", "/abs/y.csv"]
        [sources.b]
        adapter = "sqlite"
        path = ":memory:"
        """,
        "etc/federation.toml",
    )
    monkeypatch.chdir(tmp_path)
    a, b = sound(Path("etc/federation.toml")).sources
    assert a.options["path"] == [str(tmp_path / "etc/x.csv"), "/abs/y.csv"]
    assert b.options["path"] == ":memory:"


def test_an_empty_file_is_an_empty_catalog(tmp_path: Path) -> None:
    catalog = load_catalog(written(tmp_path, ""))
    assert (dict(catalog.sources), dict(catalog.views)) == ({}, {})


def test_a_folder_is_merged(tmp_path: Path) -> None:
    written(tmp_path, '[settings]\nthreads = 2\nsearch_path = ["b"]\n[sources.a]\nadapter = "memory"\n', "1.toml")
    written(tmp_path, '[settings]\ntimeout = "5s"\n[sources.b]\nadapter = "memory"\n', "2.toml")
    written(tmp_path, "this is not read", "notes.txt")
    config = sound(tmp_path)
    assert [source.name for source in config.sources] == ["a", "b"]
    assert (config.settings.threads, config.settings.timeout) == (2, 5.0)
    assert config.settings.search_path == (("b",),)


def test_a_name_in_two_files_names_both(tmp_path: Path) -> None:
    text = """
    [settings]
    threads = 2
    [sources.%s]
    adapter = "memory"
    [tables."%s.orders"]
    owner = "me"
    [views."v.%s"]
    sql = "SELECT 1"
    """
    one = written(tmp_path, text % ("a", "a", "a"), "1.toml")
    two = written(tmp_path, text % ("A", "A", "A"), "2.toml")
    config, faults = read_config(tmp_path)
    assert [fault.message for fault in faults] == [
        f"{two}: {key}: this is defined in {one} and in {two}"
        for key in ("settings.threads", "sources.A", 'tables."A.orders"', 'views."v.A"')
    ]
    assert [source.name for source in config.sources] == ["a"]


def test_names_that_differ_only_in_case_are_one_name(tmp_path: Path) -> None:
    text = '[sources.pg]\nadapter = "memory"\n[sources.PG]\nadapter = "memory"\n'
    [(message, _)] = faults_of(tmp_path, text)
    assert message.startswith("sources.PG: this is defined twice in ")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[setings]", "setings: unknown key", 'did you mean "settings"?'),
        (
            "threads = 3",
            "threads: unknown key",
            "known keys: callbacks, oidc, roles, settings, sources, tables, users, views",
        ),
        ("settings = 3", "settings: this must be a table", "write [settings]"),
        ("[settings]\nthread = 3", "settings.thread: unknown key", 'did you mean "threads"?'),
        (
            "[settings]\nverify_sample = 1.5",
            "settings.verify_sample: this must be a share, from 0 to 1",
            "write verify_sample = 0.01 for one in a hundred",
        ),
        (
            "[settings]\nverify_sample = nan",
            "settings.verify_sample: this must be a share, from 0 to 1",
            "write verify_sample = 0.01 for one in a hundred",
        ),
        (
            "[settings]\nverify_sample = true",
            "settings.verify_sample: this must be a share, from 0 to 1",
            "write verify_sample = 0.01 for one in a hundred",
        ),
        (
            "[settings]\nverify_sample = '1%'",
            "settings.verify_sample: this must be a share, from 0 to 1",
            "write verify_sample = 0.01 for one in a hundred",
        ),
        ("[settings]\nthreads = true", "settings.threads: this must be a whole number above zero", "write threads = 4"),
        (
            "[settings]\ntimeout = 60",
            "settings.timeout: this must be a duration",
            'write timeout = "60s"; the units are ms, s, m, h and d',
        ),
        (
            '[settings]\nmemory_limit = "lots"',
            "settings.memory_limit: this must be a size",
            'write memory_limit = "2GB"; the units are B, KB, MB, GB, TB, KiB, MiB, GiB, TiB',
        ),
        (
            '[settings]\nsearch_path = "a"',
            "settings.search_path: this must be a list of texts",
            'write search_path = ["…", "…"]',
        ),
        (
            '[settings]\nsearch_path = ["warehous"]\n[sources.warehouse]\nadapter = "memory"',
            'settings.search_path: there is no source or view schema "warehous"',
            "did you mean warehouse?",
        ),
        ("[sources.a]", "sources.a.adapter: this key is missing", 'write adapter = "…"'),
        ("[sources]\na = 1", "sources.a: this must be a table", "write [sources.a]"),
        (
            '[sources.a]\nadapter = "sqlit"\npath = "x"',
            'sources.a.adapter: there is no adapter "sqlit"',
            'did you mean "sqlite"?',
        ),
        ('[sources.a]\nadapter = "sqlite"\npaht = "x"', "sources.a.paht: unknown key", 'did you mean "path"?'),
        (
            '[sources."a.b"]\nadapter = "memory"',
            'sources."a.b": "a.b" cannot name a source',
            "use letters, digits, _ and -, and begin with a letter or _",
        ),
        (
            '[sources.System]\nadapter = "memory"',
            'sources.System: the name "System" is reserved',
            "give the source another name",
        ),
        (
            '[sources.a]\nadapter = "memory"\nlimits = 3',
            "sources.a.limits: this must be a table",
            'write limits = { concurrency = 8, timeout = "60s" }',
        ),
        (
            '[sources.a]\nadapter = "memory"\nlimits = { timeout = "1s" }',
            "sources.a.limits.timeout: this adapter has no time limit of its own",
            "set timeout in [settings]",
        ),
        (
            '[sources.a]\nadapter = "memory"\nlimits = { timeot = "1s" }',
            "sources.a.limits.timeot: unknown key",
            'did you mean "timeout"?',
        ),
        (
            "[views.overview]\nsql = 'SELECT 1'",
            "views.overview: a view is named schema.name",
            'write [views."schema.name"], with the quotation marks',
        ),
        (
            "[views.customer.overview]\nsql = 'SELECT 1'",
            "views.customer: a view is named schema.name",
            'write [views."schema.name"], with the quotation marks',
        ),
        ('[views."a.b"]', 'views."a.b".sql: this key is missing', 'write sql = "…"'),
        (
            "[views.\"a.b\"]\nsql = 'SELECT ${env:HOME}'",
            'views."a.b".sql: a view cannot hold a ${…} reference',
            "references are for sources and settings",
        ),
        (
            '[sources.a]\nadapter = "memory"\n[views."A.b"]\nsql = \'SELECT 1\'',
            'views."A.b": "A" is a source already',
            "put the view into a schema with another name",
        ),
        (
            '[sources.crm]\nadapter = "memory"\n[tables."crn.accounts"]',
            'tables."crn.accounts": there is no source "crn"',
            "did you mean crm?",
        ),
        (
            "[tables.crm]\nowner = 'me'",
            "tables.crm: a table is named source.table or source.schema.table",
            'write [tables."source.table"]',
        ),
    ],
)
def test_a_fault(tmp_path: Path, text: str, message: str, hint: str) -> None:
    assert faults_of(tmp_path, text) == [(message, hint)]


def test_every_fault_is_reported_and_the_rest_is_read(tmp_path: Path) -> None:
    text = """
    [settings]
    threads = 0
    [sources.good]
    adapter = "memory"
    [sources.bad]
    adapter = "memory"
    tabels = {}
    [views."v.good"]
    sql = "SELECT 1"
    [views.bad]
    sql = "SELECT 1"
    """
    file = written(tmp_path, text)
    config, faults = read_config(file)
    assert [fault.message.removeprefix(f"{file}: ") for fault in faults] == [
        "sources.bad.tabels: unknown key",
        "views.bad: a view is named schema.name",
        "settings.threads: this must be a whole number above zero",
    ]
    assert [source.name for source in config.sources] == ["good"]
    assert [view.name for view in config.views] == ["good"]
    with pytest.raises(CatalogError) as caught:
        load_catalog(file)
    for fault in faults:
        assert fault.message in caught.value.message


def test_one_fault_is_raised_as_it_is(tmp_path: Path) -> None:
    file = written(tmp_path, "[setings]")
    with pytest.raises(CatalogError) as caught:
        load_catalog(file)
    assert (caught.value.message, caught.value.hint) == (f"{file}: setings: unknown key", 'did you mean "settings"?')


def test_unreadable_files(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    broken = written(tmp_path, "[sources.a\n", "broken.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    deep = written(tmp_path, "a = " + "[" * 5000, "deep.toml")
    folder = tmp_path / "empty"
    folder.mkdir()
    for path, message in [
        (missing, f"{missing}: there is no such file"),
        (broken, f"{broken}: this is not TOML: Expected ']' at the end of a table declaration (at line 1, column 11)"),
        (binary, f"{binary}: the file is not UTF-8 text"),
        (deep, f"{deep}: the file is nested too deeply"),
        (folder, f"{folder}: the folder holds no *.toml file"),
    ]:
        with pytest.raises(CatalogError) as caught:
            load_catalog(path)
        assert caught.value.message == message
