"""What a source, or its files, show by themselves: conditional requests, and the times of files."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from adapters.files_version import version_of
from federation.engine import Engine
from tests.adapters.rest_server import Resource, RestServer, http_date
from tests.cache.world import Clock, ask, catalog_text, engine_of, people, states
from tests.faults.world import source
from tests.waiting import eventually

ALL = "SELECT id, name FROM crm.people ORDER BY id"
PAGED = """
[sources.crm.tables.things]
path = "/things"
records = "$.items"
primary_key = ["id"]
paginate = {{ kind = "{kind}"{more} }}
columns = {{ id = "int64", name = "string" }}
"""


# --- conditional requests -----------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[RestServer]:
    with RestServer({"/people": people("Ada", "Bo")}) as made:
        made.validator = "etag"
        yield made


@pytest.fixture
def text(server: RestServer, tmp_path: Path) -> str:
    return catalog_text(server.url, tmp_path / "cache", policy='cache = { ttl = "10s", stale_if_error = "100s" }')


@pytest.fixture
def engine(text: str, clock: Clock, tmp_path: Path) -> Iterator[Engine]:
    with engine_of(tmp_path, clock, text) as opened:
        yield opened


def seen(engine: Engine, sql: str, clock: Clock, **options: Any) -> tuple[str, float]:
    with engine.query(sql, options=options) as result:
        result.read_all()
        (found,) = result.freshness()
        return str(found.state), clock.now - found.as_of


@pytest.mark.parametrize("validator", ["etag", "hour"])
def test_an_unchanged_page_is_renewed(engine: Engine, server: RestServer, clock: Clock, validator: str) -> None:
    server.validator = validator if validator == "etag" else http_date(-3600)
    rows = ask(engine, ALL)
    for number in (1, 2):
        clock.now += 11
        assert seen(engine, ALL, clock) == ("fresh", 0)
        assert (len(server.journal), len(server.unchanged)) == (1 + number, number)
    clock.now += 10
    assert (ask(engine, ALL), states(engine, ALL)) == (rows, ["fresh"])
    assert len(server.journal) == 3
    clock.now += 1
    server.resources["/people"].rows[0]["name"] = "Eve"
    if validator != "etag":
        server.validator = http_date(-1800)
    assert ask(engine, ALL)[0] == (1, "Eve")
    assert (len(server.journal), len(server.unchanged)) == (4, 2)  # what came instead was not asked for again


@pytest.mark.parametrize("validator", ["", "now"])
def test_what_has_no_good_validator_is_fetched(
    engine: Engine, server: RestServer, clock: Clock, validator: str
) -> None:
    """A time of this very second would be that of the next change as well."""
    server.validator = validator
    ask(engine, ALL)
    clock.now += 11
    server.resources["/people"].rows[0]["name"] = "Eve"
    assert ask(engine, ALL)[0] == (1, "Eve")
    assert server.unchanged == []


def test_narrower_questions_are_answered_by_what_was_renewed(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 11
    ask(engine, ALL)
    assert seen(engine, f"SELECT name FROM ({ALL}) WHERE id = 2", clock) == ("fresh", 0)
    assert len(server.journal) == 2


def test_the_youngest_is_asked_for(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 5
    assert seen(engine, ALL, clock, max_staleness=0) == ("fresh", 0)
    assert len(server.unchanged) == 1
    assert seen(engine, ALL, clock) == ("fresh", 0)
    clock.now += 1
    assert seen(engine, ALL, clock) == ("fresh", 1)
    assert len(server.journal) == 2


def test_a_failure_is_that_of_a_fetch(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 60
    server.faults.append("503")
    assert seen(engine, ALL, clock) == ("stale_on_error", 60)
    assert seen(engine, ALL, clock) == ("fresh", 0)


def test_what_was_invalidated_is_not_renewed(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 1
    engine.invalidate("crm.people")
    clock.now += 1
    assert (states(engine, ALL), server.unchanged) == (["live"], [])


@pytest.mark.parametrize(
    ("kind", "more", "renewed"),
    [
        ("page", ', param = "page", has_more = "$.has_more"', True),
        ("offset", ', param = "offset", total = "$.total"', True),
        ("cursor", ', param = "cursor", next = "$.next"', True),
        ("next_url", ', next = "$.next"', False),  # the next page is named by a URL, which may hold a secret
        ("link_header", "", False),  # a page does not change when another comes after it
    ],
)
def test_pages(
    server: RestServer, text: str, clock: Clock, tmp_path: Path, kind: str, more: str, renewed: bool
) -> None:
    rows = [{"id": number, "name": f"n{number}"} for number in range(5)]
    server.resources["/things"] = Resource(rows, paging=kind, page_size=2)
    sql = "SELECT id, name FROM crm.things"
    with engine_of(tmp_path, clock, text + PAGED.format(kind=kind, more=more)) as engine:
        ask(engine, sql)
        pages = len(server.journal)
        clock.now += 11
        assert states(engine, sql) == (["fresh"] if renewed else ["live"])
        assert len(server.unchanged) == (pages if renewed else 0)
        clock.now += 11
        rows[3]["name"] = "other"
        server.journal.clear()
        assert (3, "other") in ask(engine, sql)
        assert len(server.journal) == pages + renewed  # the first page said that it had not changed
        clock.now += 11
        rows.append({"id": 5, "name": "n5"})
        assert len(ask(engine, sql)) == 6


# --- files ----------------------------------------------------------------------------------------------------------


class Files:
    """Arrow files below a folder, which are one table; DuckDB reads the others by itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.write("a", 1, 2)
        self.write("b", 3)

    def write(self, name: str, *ids: int) -> None:
        path = self.path(name)
        table = pa.table({"id": pa.array(ids, pa.int64())})
        with pa.OSFile(str(path.with_suffix(".new")), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        path.with_suffix(".new").rename(path)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.arrow"

    def settle(self) -> None:
        """Until a change would show in the times."""
        eventually(lambda: version_of(sorted(self.folder.glob("*.arrow"))))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "data")


@pytest.fixture
def files_engine(files: Files, clock: Clock, tmp_path: Path) -> Iterator[Engine]:
    tables = {"ids": {"path": str(files.folder / "*.arrow")}}
    section = source("f", "files", path=str(files.folder), tables=tables, cache={"ttl": "10s"})
    with engine_of(tmp_path, clock, f'[settings]\ncache_directory = "{tmp_path / "cache"}"\n{section}') as opened:
        yield opened


IDS = "SELECT id FROM f.ids"


def read(engine: Engine) -> tuple[str, list[int]]:
    with engine.query(IDS) as result:
        rows = sorted(result.read_all().to_pydict()["id"])
        (found,) = result.freshness()
    return str(found.state), rows


def test_files_that_do_not_change_are_fresh_for_ever(files: Files, files_engine: Engine, clock: Clock) -> None:
    files.settle()
    assert read(files_engine) == ("live", [1, 2, 3])
    for _ in range(2):
        clock.now += 1000
        assert seen(files_engine, IDS, clock) == ("fresh", 0)
        assert seen(files_engine, IDS, clock, max_staleness=0) == ("fresh", 0)


def test_every_change_of_the_files_shows_at_once(files: Files, files_engine: Engine) -> None:
    files.settle()
    read(files_engine)
    expected = [1, 2, 3]
    for change in ("new", "other", "same size and time", "gone"):
        if change == "new":
            files.write("c", 4)
            expected = [1, 2, 3, 4]
        elif change == "other":
            files.write("a", 1, 2, 7)
            expected = [1, 2, 3, 4, 7]
        elif change == "same size and time":
            before = files.path("b").stat()
            files.write("b", 9)
            os.utime(files.path("b"), ns=(before.st_atime_ns, before.st_mtime_ns))
            assert files.path("b").stat().st_size == before.st_size
            expected = [1, 2, 4, 7, 9]
        else:
            files.path("c").unlink()
            expected = [1, 2, 7, 9]
        assert read(files_engine) == ("live", expected), change
        files.settle()
        read(files_engine)
        assert read(files_engine) == ("fresh", expected), change


def test_a_file_that_was_just_written_is_not_trusted(files: Files, files_engine: Engine) -> None:
    """Another change may come with the same time."""
    files.settle()
    assert version_of([files.path("a")]) is not None
    files.write("a", 5)
    written = files.path("a").stat().st_ctime_ns
    early = version_of([files.path("a")])
    assert early is None or time.time_ns() - written > 50_000_000
    assert read(files_engine)[1] == [3, 5]


def test_a_copy_that_keeps_its_time_shows(files: Files) -> None:
    files.settle()
    before = version_of([files.path("a")])
    shutil.copy2(files.path("a"), files.folder / "copy")
    (files.folder / "copy").rename(files.path("a"))
    files.settle()
    assert version_of([files.path("a")]) not in (None, before)
