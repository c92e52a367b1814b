"""Secrets are read by reference, and their values are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.errors import CatalogError, SourceAuthError
from catalog import load_catalog
from catalog.config import read_config
from catalog.secrets import Redactor, resolve_references

VALUE = "s3cr3t/p@ss word"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_TEST_SECRET", VALUE)
    monkeypatch.setenv("CATALOG_TEST_NAME", "x")
    monkeypatch.delenv("CATALOG_TEST_MISSING", raising=False)


def test_references(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from the file\n", encoding="utf-8")
    redactor = Redactor()
    for text, value in [
        ("plain $ and {}", "plain $ and {}"),
        ("${env:CATALOG_TEST_SECRET}", VALUE),
        ("a ${env:CATALOG_TEST_NAME}${env:CATALOG_TEST_NAME} b", "a xx b"),
        ("${file:token}", "from the file"),
        (f"${{file:{tmp_path / 'token'}}}", "from the file"),
        ("$${env:CATALOG_TEST_NAME}", "${env:CATALOG_TEST_NAME}"),
    ]:
        assert resolve_references(text, tmp_path, redactor) == value


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("x ${env:CATALOG_TEST_MISSING}", "the environment variable CATALOG_TEST_MISSING"),
        ("${file:missing}", "${file:missing} cannot be read: No such file or directory"),
        ("${file:binary}", "${file:binary} cannot be read: not a path of UTF-8 text"),
        ("${file:a\0b}", "cannot be read: not a path of UTF-8 text"),
        ("${vault:x}", "does not begin a reference"),
        ("${env:}", "does not begin a reference"),
        ("pass${word", "does not begin a reference"),
    ],
)
def test_a_reference_without_a_value_is_named(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogError) as caught:
        resolve_references(text, tmp_path, Redactor())
    assert named in caught.value.message
    assert "word" not in str(caught.value)


def test_references_anywhere_in_a_source(tmp_path: Path) -> None:
    file = tmp_path / "federation.toml"
    file.write_text(
        """
        [sources.a]
        adapter = "memory"
        tables = { t = [{ id = 1, name = "<${env:CATALOG_TEST_SECRET}>" }] }
        [sources.b]
        adapter = "memory"
        tables = { t = [{ name = "${env:CATALOG_TEST_MISSING}" }, { name = "${file:nowhere}" }] }
        """,
        encoding="utf-8",
    )
    config, faults = read_config(file)
    assert config.sources[0].options["tables"]["t"] == [{"id": 1, "name": f"<{VALUE}>"}]
    assert [fault.message.split(": ")[1] for fault in faults] == [
        "sources.b.tables.t[0].name",
        "sources.b.tables.t[1].name",
    ]
    assert VALUE not in repr(config)


def test_scrubbing() -> None:
    redactor = Redactor()
    redactor.add(VALUE)
    redactor.add("pw")
    redactor.add("")
    redactor.add_embedded("mysql://user:lit%40eral@host:3306/db?password=in-the-query")
    redactor.add_embedded("host=db user=me password='quoted secret' dbname=x")
    redactor.add_options({"auth": {"token": "tok-123456", "kind": "bearer"}, "hosts": ["pg://u:listed-pw@h"]})
    for text, scrubbed in [
        (f"failed with {VALUE}!", "failed with ***!"),
        ("s3cr3t%2Fp%40ss%20word and s3cr3t%2Fp%40ss+word", "*** and ***"),
        ("the pw is pw, but pwd and spw are words", "the *** is ***, but pwd and spw are words"),
        ("lit%40eral lit@eral in-the-query", "*** *** ***"),
        ("'quoted secret' tok-123456 bearer listed-pw", "'***' *** bearer ***"),
        ("postgresql://me:never-seen@host/db is down", "postgresql://me:***@host/db is down"),
        ("nothing to hide at http://host:80/path", "nothing to hide at http://host:80/path"),
    ]:
        assert redactor.scrub(text) == scrubbed


def test_what_is_no_secret_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_TEST_DATA", "data-folder")
    monkeypatch.setenv("CATALOG_TEST_PORT", "5432")
    monkeypatch.setenv("CATALOG_TEST_PIN", "9876")
    file = tmp_path / "federation.toml"
    file.write_text(
        """
        [sources.a]
        adapter = "sqlite"
        path = "${env:CATALOG_TEST_DATA}/a.db"
        [sources.b]
        adapter = "rest"
        base_url = "https://example.org:${env:CATALOG_TEST_PORT}"
        auth = { kind = "api_key", query = "key", key = "${env:CATALOG_TEST_PIN}" }
        tables.t = { path = "/t", columns = { token = "string" } }
        """,
        encoding="utf-8",
    )
    config, faults = read_config(file)
    assert faults == []
    assert config.redactor.scrub("data-folder 5432 string 9876") == "data-folder 5432 string ***"


def test_a_longer_secret_is_hidden_whole() -> None:
    redactor = Redactor()
    redactor.add("secret-1")
    redactor.add("secret-1-and-more")
    assert redactor.scrub("secret-1-and-more") == "***"


def test_an_error_is_scrubbed_with_all_its_causes() -> None:
    redactor = Redactor()
    redactor.add(VALUE)
    try:
        try:
            raise ValueError(f"driver says {VALUE}", 3)
        except ValueError as exc:
            raise SourceAuthError(f"no: {VALUE}", hint=f"not {VALUE}", source="pg") from exc
    except SourceAuthError as error:
        redactor.scrub_error(error)
        assert str(error) == "no: *** (source pg)\nHint: not ***"
        assert error.args == ("no: ***",)
        assert error.__cause__ is not None
        assert error.__cause__.args == ("driver says ***", 3)


def test_faults_do_not_show_values(tmp_path: Path) -> None:
    file = tmp_path / "federation.toml"
    file.write_text(
        """
        [settings]
        search_path = ["${env:CATALOG_TEST_SECRET}"]
        [sources.pg]
        adapter = "memory"
        uri = "postgresql://me:literal-pw@host/db"
        literal-pw = 3
        [sources.b]
        adapter = "${env:CATALOG_TEST_SECRET}"
        """,
        encoding="utf-8",
    )
    with pytest.raises(CatalogError) as caught:
        load_catalog(file)
    shown = str(caught.value)
    assert "unknown key" in shown and "there is no adapter" in shown
    assert VALUE not in shown and "literal-pw" not in shown
