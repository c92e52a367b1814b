"""`check` reports every fault of the file, the sources and the views at once."""

from __future__ import annotations

import socket
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.errors import ColumnNotFound
from catalog.catalog import Catalog
from catalog.model import View
from federation.check import Finding, check


def written(folder: Path, text: str) -> Path:
    file = folder / "federation.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and never answered."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield server.getsockname()[1]


def test_a_sound_catalog(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crm.db") as db:
        db.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY)")
    db.close()
    file = written(
        tmp_path,
        """
        [sources.crm]
        adapter = "sqlite"
        path = "crm.db"
        [sources.mem]
        adapter = "memory"
        tables = { a = [{ id = 1 }], b = [{ id = 2 }] }
        [tables."crm.accounts"]
        owner = "sales"
        [views."v.all"]
        sql = "SELECT id FROM crm.accounts"
        """,
    )
    described: list[tuple[str, str]] = []
    findings = check(file, lambda catalog, view: described.append((",".join(catalog.sources), view.name)))
    assert findings == [
        Finding("file", str(file), True, "2 sources, 1 view"),
        Finding("source", "crm", True, "1 table"),
        Finding("source", "mem", True, "2 tables"),
        Finding("view", 'v."all"', True, "valid"),
    ]
    assert described == [("crm,mem", "all")]


def test_every_fault_is_found_and_the_rest_is_still_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CHECK_TEST_MISSING", raising=False)
    file = written(
        tmp_path,
        """
        [settings]
        thread = 2
        [sources.mem]
        adapter = "memory"
        tables = { orders = [{ id = 1 }] }
        [sources.empty]
        adapter = "memory"
        [sources.typo]
        adapter = "memory"
        tabels = {}
        [sources.secret]
        adapter = "memory"
        tables = { t = [{ x = "${env:CHECK_TEST_MISSING}" }] }
        [sources.lost]
        adapter = "sqlite"
        path = "nowhere.db"
        [tables."mem.order"]
        owner = "me"
        [tables."lost.orders"]
        owner = "me"
        [views."v.good"]
        sql = "SELECT 1"
        [views."v.syntax"]
        sql = "SELECT 1 FROM ("
        [views."v.two"]
        sql = "SELECT 1; SELECT 2"
        [views."v.write"]
        sql = "DROP TABLE mem.orders"
        [views."v.column"]
        sql = "SELECT nope FROM mem.orders"
        """,
    )

    def describe(catalog: Catalog, view: View) -> None:
        assert "mem" in catalog.sources
        if view.name == "column":
            raise ColumnNotFound('there is no column "nope"', hint="did you mean id?", position=8)

    findings = {(finding.kind, finding.name): finding for finding in check(file, describe)}
    in_file = [finding for finding in check(file, describe) if finding.kind == "file"]
    assert [finding.message.removeprefix(f"{file}: ").split(":")[0] for finding in in_file] == [
        "sources.typo.tabels",
        "sources.secret.tables.t[0].x",
        "settings.thread",
    ]
    assert {key for key, finding in findings.items() if finding.ok} == {
        ("source", "mem"),
        ("source", "empty"),
        ("view", "v.good"),
    }
    assert {key for key, finding in findings.items() if not finding.ok and key[0] != "file"} == {
        ("source", "lost"),
        ("table", 'mem."order"'),
        ("view", "v.syntax"),
        ("view", "v.two"),
        ("view", "v.write"),
        ("view", 'v."column"'),
    }
    assert findings["source", "empty"].hint is not None
    assert findings["table", 'mem."order"'].hint == "did you mean mem.main.orders?"
    column = findings["view", 'v."column"']
    assert (column.message, column.hint) == ('there is no column "nope" (at character 8)', "did you mean id?")
    for finding in findings.values():
        assert finding.ok or finding.kind == "source" or finding.message


def test_a_source_that_does_not_answer_is_given_up(tmp_path: Path, silent_port: int) -> None:
    file = written(
        tmp_path,
        f"""
        [sources.pg]
        adapter = "postgres"
        uri = "postgresql://me:hidden-pw@127.0.0.1:{silent_port}/db"
        [sources.mem]
        adapter = "memory"
        tables = {{ a = [{{ id = 1 }}] }}
        """,
    )
    _, pg, mem = check(file, seconds=2.0)
    assert (pg.name, pg.ok, pg.message) == ("pg", False, "no answer within 2 s")
    assert mem == Finding("source", "mem", True, "1 table")


def test_a_hanging_view_is_given_up(tmp_path: Path) -> None:
    file = written(tmp_path, "[views.\"v.a\"]\nsql = 'SELECT 1'\n[views.\"v.b\"]\nsql = 'SELECT 2'\n")
    release = threading.Event()

    def describe(_: Catalog, view: View) -> None:
        if view.name == "a":
            release.wait()

    _, a, b = check(file, describe, seconds=2.0)
    release.set()
    assert (a.ok, a.message) == (False, "no answer within 2 s")
    assert b.ok


def test_secrets_do_not_show(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        [sources.pg]
        adapter = "postgres"
        uri = "postgresql://me:hidden-pw@127.0.0.1:1/db"
        [views."v.a"]
        sql = "SELECT 1"
        """,
    )

    def describe(catalog: Catalog, view: View) -> None:
        raise RuntimeError(f"{view.name}: hidden-pw at postgresql://x:other@h in {len(catalog.sources)}")

    findings = check(file, describe)
    assert [finding.ok for finding in findings] == [True, False, False]
    assert findings[2].message == "RuntimeError: a: *** at postgresql://x:***@h in 1"
    assert "hidden-pw" not in repr(findings)


def test_a_missing_file(tmp_path: Path) -> None:
    [finding] = check(tmp_path / "nope.toml")
    assert (finding.kind, finding.ok) == ("file", False)
    assert finding.message.endswith("there is no such file")


def test_a_missing_driver_is_one_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [name for name in sys.modules if name.startswith("adapters.mysql")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "pymysql", None)
    file = written(
        tmp_path,
        """
        [sources.my]
        adapter = "mysql"
        uri = "mysql://me:pw@127.0.0.1:1/db"
        [sources.mem]
        adapter = "memory"
        tables = { a = [{ id = 1 }] }
        """,
    )
    in_file, my, mem = check(file)
    assert in_file.ok
    assert my == Finding(
        "source", "my", False, 'adapter "mysql" needs the package pymysql', 'pip install "federation[mysql]"'
    )
    assert mem.ok
