"""What is said to have changed at its source is not given any more, whichever way it is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from adapters.errors import Error, ProgrammingError
from federation.cli.main import main
from federation.engine import Engine
from tests.adapters.rest_server import RestServer
from tests.cache.world import Clock, ask, catalog_text, engine_of, states
from tests.faults.world import catalog_of
from tests.pgwire.running import start_face

ALL = "SELECT id, name FROM crm.people ORDER BY id"
POLICY = 'cache = { ttl = "1h", stale_if_error = "1d", tags = ["staff"] }'
MORE = """
[tables."crm.people"]
cache = { tags = ["names"] }

[views."shown.persons"]
sql = "SELECT name FROM crm.people"
"""


@pytest.fixture
def text(server: RestServer, tmp_path: Path) -> str:
    return catalog_text(server.url, tmp_path / "cache", policy=POLICY) + MORE


@pytest.fixture
def engine(text: str, clock: Clock, tmp_path: Path) -> Iterator[Engine]:
    with engine_of(tmp_path, clock, text) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "sqlstate"),
    [
        ("crm.peeple", "42P01"),
        ("crn", "42P01"),
        ("crn.people", "3F000"),
        ("tag:nobody", "42704"),
        ("tag:", "42704"),
        ("", "42601"),
        ("crm.people WHERE", "42601"),
        ("(SELECT 1)", "42601"),
        ("crm.people, crm.people", "42601"),
    ],
)
def test_bad_names(engine: Engine, name: str, sqlstate: str) -> None:
    with pytest.raises(ProgrammingError) as refused:
        engine.invalidate(name)
    assert refused.value.sqlstate == sqlstate


@pytest.mark.parametrize("sql", ["CALL system.invalidate()", "CALL system.invalidate('a', 'b')", "CALL other('crm')"])
def test_other_calls_are_no_statements(engine: Engine, sql: str) -> None:
    ask(engine, ALL)
    with pytest.raises(Error):
        ask(engine, sql)
    assert states(engine, ALL) == ["fresh"]


@pytest.mark.parametrize(
    "name", ["crm", "CRM", "crm.people", "crm.Main.PEOPLE", "people", "shown.persons", "tag:names", "tag:staff"]
)
def test_what_is_invalidated_is_fetched_again(engine: Engine, server: RestServer, clock: Clock, name: str) -> None:
    name = name.replace("Main", engine.catalog.sources["crm"].adapter.default_schema.upper())
    ask(engine, ALL)
    server.resources["/people"].rows[0]["name"] = "Eve"
    clock.now += 1
    assert ask(engine, f"call system.invalidate('{name}');") == [(1,)]
    clock.now += 1
    assert ask(engine, ALL) == [(1, "Eve"), (2, "Bo")]
    assert states(engine, ALL) == ["fresh"]
    assert len(server.journal) == 2


def test_nothing_is_left_for_a_source_that_is_down(engine: Engine, server: RestServer, clock: Clock) -> None:
    ask(engine, ALL)
    clock.now += 1
    engine.invalidate("crm.people")
    server.faults.append("503")
    with pytest.raises(Error):
        ask(engine, ALL)


def test_what_is_being_fetched_meanwhile_is_not_kept(engine: Engine, server: RestServer, clock: Clock) -> None:
    class Journal(list[str]):
        def append(self, target: str) -> None:
            super().append(target)
            if len(self) == 1:
                clock.now += 1
                engine.invalidate("crm")
                clock.now += 1

    server.journal = Journal()
    ask(engine, ALL)
    server.resources["/people"].rows[0]["name"] = "Eve"
    assert ask(engine, ALL)[0] == (1, "Eve")


def test_all_who_share_the_folder_know(
    engine: Engine, text: str, clock: Clock, server: RestServer, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with engine_of(tmp_path / "other", clock, text) as other:
        ask(engine, ALL)
        assert states(other, ALL) == ["fresh"]
        clock.now += 1
        assert other.invalidate("tag:names") == 1
        clock.now += 1
        assert states(engine, ALL) == ["live"]
    assert len(server.journal) == 2


def test_without_a_cache_there_is_nothing_to_do(server: RestServer, clock: Clock, tmp_path: Path) -> None:
    with engine_of(tmp_path, clock, catalog_text(server.url, tmp_path / "cache", policy="")) as engine:
        assert engine.invalidate("crm.people") == 0


def test_every_way_in(server: RestServer, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = catalog_of(tmp_path, text).parent
    with start_face(folder) as face, psycopg.connect(face.uri, autocommit=True) as session:
        face.http.query(ALL)
        answer = face.http.client.post("/v1/cache/invalidate", json={"name": "crm.people"})
        assert (answer.status_code, answer.json()) == (200, {"fragments": 1})
        assert face.http.client.post("/v1/cache/invalidate", json={"name": "crm.peeple"}).status_code == 400
        assert face.http.client.post("/v1/cache/invalidate", json={}).status_code == 422
        face.http.query(ALL)
        assert len(server.journal) == 2
        assert face.http.query("CALL system.invalidate('crm')").json()["rows"] == [[1]]
        face.http.query(ALL)
        assert len(server.journal) == 3
        assert session.execute("CALL system.invalidate('crm.people')").statusmessage == "CALL"
        session.execute(ALL)
        assert len(server.journal) == 4
        with pytest.raises(psycopg.Error) as refused:
            session.execute("CALL system.invalidate('crm.peeple')")
        assert refused.value.sqlstate == "42P01"
        assert main(["cache", "invalidate", "-c", str(folder), "crm.people", "tag:staff"]) == 0
        assert capsys.readouterr().out == "crm.people: 1 fragments\ntag:staff: 0 fragments\n"
        session.execute(ALL)
        assert len(server.journal) == 5
    assert main(["cache", "invalidate", "-c", str(folder), "nowhere.at.all"]) == 1
